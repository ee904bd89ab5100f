"""Shows how far a run is, from a thread, so that it lives while a long partition is at work."""

from __future__ import annotations

import logging
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from nemo_curator.errors import ConfigError
from nemo_curator.ledger.progress import Progress
from nemo_curator.progress.figures import Figures, take
from nemo_curator.progress.words import line, summary
from nemo_curator.utils.memory_use import MemoryUse

VARIABLE = "CURATOR_PROGRESS"
MODES = ("auto", "live", "plain", "off")
FIRST_LINE_S, LINE_S = 10.0, 30.0
logger = logging.getLogger(__name__)
_taken = threading.Lock()
"""Held by the run that is shown: there is one place at the bottom of a terminal."""


class View(ABC):
    """Where a run is shown."""

    first_s = 0.5
    """A run that takes less is not shown."""
    every_s = 0.25

    @abstractmethod
    def show(self, figures: Figures, memory: int) -> None:
        """Show the figures in place of the last."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Show a line that stays."""

    def close(self) -> None:  # noqa: B027
        """Leave what it is shown on as it was."""


class Lines(View):
    """A line on stderr from time to time."""

    def __init__(self, interval: float | None = None):
        self.first_s, self.every_s = interval or FIRST_LINE_S, interval or LINE_S

    def show(self, figures: Figures, memory: int) -> None:
        self.say(line(figures, memory))

    def say(self, text: str) -> None:
        if sys.stderr is not None:  # print would take stdout
            print(text, file=sys.stderr, flush=True)


def chosen_mode() -> str:
    """How runs are shown here: "live", "notebook", "plain" or "off"."""
    wanted = os.environ.get(VARIABLE, "").strip().lower() or "auto"
    if wanted not in MODES:
        raise ConfigError(f"{VARIABLE} is {wanted!r}; wanted one of {', '.join(MODES)}")
    if wanted in ("off", "plain"):
        return wanted
    if _is_notebook():
        return "notebook"
    return "live" if wanted == "live" or _is_terminal() else "plain"


@contextmanager
def shown(progress: Progress, interval: float | None) -> Iterator[None]:
    """Show a run meanwhile, unless another run of this process is shown."""
    mode = chosen_mode()
    if mode == "off" or not _taken.acquire(blocking=False):
        yield
        return
    try:
        display = _begin(progress, mode, interval)
        try:
            yield
        finally:
            if display is not None:
                display.close()
    finally:
        _taken.release()


def _begin(progress: Progress, mode: str, interval: float | None) -> _Display | None:
    try:
        return _Display(progress, _open(mode, interval))
    except Exception:  # there may be no stderr, and no room for another thread: the run does not need either
        logger.debug("the progress of the run cannot be shown", exc_info=True)
        return None


def _open(mode: str, interval: float | None) -> View:
    if mode == "live":
        from nemo_curator.progress.terminal import Terminal

        return Terminal()
    if mode == "notebook":
        from nemo_curator.progress.notebook import Notebook

        return Notebook()
    return Lines(interval)


class _Display:
    """Asks for the figures again and again, and tells the view."""

    def __init__(self, progress: Progress, view: View):
        self._progress = progress
        self._view = view
        self._memory = MemoryUse()
        self._over = 0
        self._was_shown = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        try:
            self._thread.join()
            self._attempt(self._tell_the_end)
        finally:  # a person may press ^C twice
            self._attempt(self._view.close)

    def _run(self) -> None:
        wait = self._view.first_s
        while not self._stopped.wait(wait) and self._attempt(self._show):
            wait = self._view.every_s

    def _attempt(self, do: object) -> bool:
        try:
            do()  # type: ignore[operator]
        except Exception:  # whatever is wrong with a terminal must not end a run
            logger.debug("the progress of the run cannot be shown", exc_info=True)
            return False
        return True

    def _show(self) -> None:
        self._tell_what_is_over()
        self._view.show(take(self._progress), self._memory())
        self._was_shown = True

    def _tell_the_end(self) -> None:
        if self._was_shown:
            self._tell_what_is_over()
            if not self._progress.segments:
                self._view.say(summary(take(self._progress), self._progress.error))

    def _tell_what_is_over(self) -> None:
        segments = self._progress.segments
        while self._over < len(segments) and segments[self._over].ended is not None:
            is_last = self._over == len(segments) - 1
            if self._was_shown:
                self._view.say(summary(take(self._progress, self._over), self._progress.error if is_last else None))
            self._over += 1


def _is_terminal() -> bool:
    try:
        return os.isatty(sys.stderr.fileno()) and os.environ.get("TERM") != "dumb"
    except (AttributeError, OSError, ValueError):  # there is no stderr, or it is no file
        return False


def _is_notebook() -> bool:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")
