"""Partitions and stages on their way between processes: bytes, so that an engine need not know what they hold."""

from __future__ import annotations

import io
import pickle
import sys
from typing import Any

import cloudpickle

from nemo_curator.backends.stage_worker import Partition, give_up


def dumps(value: object) -> bytes:
    # the one pickler of all engines: a class of __main__ stays the same class only within one
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=5).dump(value)
    return buffer.getvalue()


def loads(payload: bytes) -> Any:
    return pickle.loads(payload)


def dump_partition(partition: Partition, stage: str) -> bytes:
    """Pickle what a stage made. If that cannot be pickled the partition is lost, and not the worker."""
    try:
        return dumps(partition)
    except Exception as error:  # a user's object may raise anything when pickled
        return dumps(give_up(partition, stage, error))


class _Pickler(cloudpickle.Pickler):
    """Pickles classes and functions of scripts by value. Their loguru logger becomes that of the other process."""

    def reducer_override(self, value: Any) -> Any:
        loguru = sys.modules.get("loguru")
        if loguru is not None and type(value) is type(loguru.logger):
            return getattr, (loguru, "logger")
        return super().reducer_override(value)
