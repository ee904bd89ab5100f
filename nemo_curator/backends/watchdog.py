"""Ends a worker that makes no progress, after it has said where it is stuck. Its partition is tried again elsewhere."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nemo_curator.ledger import pulse

STALLED = 113
"""Exit code of a worker that ended itself."""
GRACE_S = 5.0


def say(problem: str) -> None:
    print(problem, file=sys.stderr, flush=True)


tell: Callable[[str], None] = say
"""How the worker says what is wrong before it ends; an engine with a better way replaces it."""


@contextmanager
def watched(limit: float | None, place: str) -> Iterator[None]:
    """Watch this process meanwhile: without a sign of life for `limit` seconds it ends. For worker processes only."""
    if not limit:
        yield
        return
    pulse.beat(place)
    _watch.start(limit)
    try:
        yield
    finally:
        _watch.stop()


class _Watch:
    """One thread a process. Python cannot run while a library holds the GIL: then faulthandler's own thread ends it."""

    def __init__(self) -> None:
        self._limit: float | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._watched = 0

    def start(self, limit: float) -> None:
        with self._changed:
            self._limit, self._watched = limit, threading.get_ident()
            _end_later(limit)  # by this thread: the other may not get the GIL before a library takes it for good
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        with self._changed:
            self._limit = None
            faulthandler.cancel_dump_traceback_later()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._limit)
                if not (limit := self._limit):
                    continue
                if (problem := self._wait(limit)) is not None:
                    tell(problem)
                    os._exit(STALLED)

    def _wait(self, limit: float) -> str | None:
        """Wait until the work is over, or nothing has moved for too long: then say where. Called with the lock held."""
        beats, since = pulse.beats, time.monotonic()
        while not self._changed.wait_for(lambda: self._limit is None, timeout=min(limit / 10, 1.0)):
            if pulse.beats != beats:
                beats, since = pulse.beats, time.monotonic()
                _end_later(limit)
            elif time.monotonic() - since >= limit:
                return _describe(limit, self._watched)
        return None


def _end_later(limit: float) -> None:
    faulthandler.dump_traceback_later(limit + GRACE_S, exit=True, file=sys.__stderr__ or 2)


def _describe(limit: float, thread: int) -> str:
    stack = "".join(traceback.format_stack(sys._current_frames()[thread])[-4:])
    return f"no progress for {limit:g} s in {pulse.place} (process {os.getpid()}); it was at:\n{stack}"


_watch = _Watch()
