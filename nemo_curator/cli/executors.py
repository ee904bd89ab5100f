"""The executor that the options of a command ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.config.load import resolve
from nemo_curator.config.run import create_executor_from_yaml
from nemo_curator.errors import ConfigError


def make_executor(config: Mapping[str, Any], num_workers: int | None) -> BaseExecutor | None:
    """Make the executor that a configuration names, with so many processes; None where neither is given."""
    values = resolve(config)
    if num_workers is not None and values.get("backend") in (None, "local"):
        return LocalExecutor(values.get("executor_config"), num_workers=num_workers)
    executor = create_executor_from_yaml(values)
    if num_workers == 0:
        raise ConfigError(f"{type(executor).__name__} needs at least 1 of --num-workers; 0 is for local runs")
    return executor
