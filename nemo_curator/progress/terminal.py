"""A table at the bottom of the terminal, with all that is printed meanwhile above it."""

from __future__ import annotations

import atexit
import fcntl
import os
import pdb
import select
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.constrain import Constrain
from rich.live import Live
from rich.text import Text

from nemo_curator.progress.display import View
from nemo_curator.progress.figures import Figures
from nemo_curator.progress.words import table

STDOUT, STDERR = 1, 2
PATIENCE_S = 0.2
"""How long the beginning of a line waits for its end."""
PIPE_BYTES = 2**20
ECHO = 3
"""Columns that stay free, so that the ^C of a person does not begin a new line."""
_MARK = b"\0the end\0"


class Terminal(View):
    """Draws with rich. The cursor stays visible, so that a process that is killed leaves a terminal in order."""

    def __init__(self) -> None:
        self._relay = the_relay()
        self._file = self._relay.open()
        self._console = Console(file=self._file, force_terminal=True, highlight=False)
        self._live: Live | None = None
        self._text = Text()
        self._hook = sys.breakpointhook
        sys.breakpointhook = self._debug
        atexit.register(self.close)

    def show(self, figures: Figures, memory: int) -> None:
        with suppress(OSError):
            self._console.size = os.get_terminal_size(self._file.fileno())
        size = self._console.size
        self._text = table(figures, memory, max(size.width - ECHO, 20), size.height)
        if self._live is None:
            self._live = Live(
                get_renderable=lambda: Constrain(self._text, self._console.size.width - ECHO),
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
                vertical_overflow="crop",
            )
            self._live.start()
            self._console.show_cursor(True)
            self._relay.show = self._above
        self._live.refresh()

    def say(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)

    def close(self) -> None:
        if self._file.closed:
            return
        atexit.unregister(self.close)
        sys.breakpointhook = self._hook
        self._relay.close()
        with suppress(OSError), self._file:  # the terminal may be gone
            if self._live is not None:
                self._live.stop()

    def _above(self, text: bytes) -> None:
        self._console.print(Text.from_ansi(text.decode(errors="replace")), soft_wrap=True)

    def _debug(self, *arguments: Any, **keywords: Any) -> Any:
        """A person who debugs needs the terminal for the rest of the run."""
        self.close()
        if self._hook is not sys.__breakpointhook__ or "PYTHONBREAKPOINT" in os.environ:
            return self._hook(*arguments, **keywords)
        return pdb.Pdb().set_trace(sys._getframe(1))


class Relay:
    """Takes what this process and those it starts write to the terminal, and hands it on line by line.

    Its pipe lasts as long as this process: workers that rest between two runs keep the other end as their stdout.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        with suppress(AttributeError, OSError):  # Linux only; without it there are 64 KiB
            fcntl.fcntl(self._write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._kept: dict[int, int] = {}
        self._drained = threading.Event()
        self._terminal = os.dup(STDERR)
        self.show: Callable[[bytes], None] = self._write_through
        threading.Thread(target=self._run, name="terminal", daemon=True).start()

    def open(self) -> Any:
        """Take the terminal; returns a file that writes to it."""
        _flush()
        os.dup2(STDERR, self._terminal, inheritable=False)
        self._kept = {number: os.dup(number) for number in (STDOUT, STDERR) if os.isatty(number)}
        for number in self._kept:
            os.dup2(self._write, number)
        encoding = getattr(sys.stderr, "encoding", None)
        return open(os.dup(self._terminal), "w", encoding=encoding, errors="replace")  # noqa: PTH123

    def close(self) -> None:
        """Give the terminal back, once everything that was written before is on it."""
        _flush()
        for number, kept in self._kept.items():
            os.dup2(kept, number)
            os.close(kept)
        self._kept = {}
        self._drained.clear()
        os.write(self._write, _MARK)
        self._drained.wait(1.0)
        self.show = self._write_through

    def _run(self) -> None:
        rest = b""
        poll = select.poll()  # select knows no file above 1023
        poll.register(self._read, select.POLLIN)
        while True:
            ready = poll.poll(1000 * PATIENCE_S if rest else None)
            rest += os.read(self._read, PIPE_BYTES) if ready else b"\n"
            is_over = _MARK in rest
            if is_over:
                before, _, after = rest.partition(_MARK)
                rest = before + (b"\n" if before and not before.endswith(b"\n") else b"") + after
            *lines, rest = rest.split(b"\n")
            if lines:
                with suppress(Exception):  # as in the display: nothing here may end what writes
                    self.show(b"\n".join(map(_last_of, lines)))
            if is_over:
                self._drained.set()

    def _write_through(self, text: bytes) -> None:
        os.write(self._terminal, text + b"\n")


def _last_of(line: bytes) -> bytes:
    """What is seen of a line that was written over."""
    return line.rstrip(b"\r").rpartition(b"\r")[2]


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()


_relay: list[Relay] = []
os.register_at_fork(after_in_child=_relay.clear)  # its thread stays behind


def the_relay() -> Relay:
    if not _relay:
        _relay.append(Relay())
    return _relay[0]
