"""One worker process and the pipe to it."""

from __future__ import annotations

import os
import pickle
import signal
from contextlib import suppress
from typing import Any

from loky.backend import get_context

from nemo_curator.backends.local_worker import Note, Order, Stalled, work
from nemo_curator.backends.payload import dumps
from nemo_curator.backends.threads import KEEP_MEMORY, ONE_THREAD
from nemo_curator.errors import WorkerDiedError

TEARDOWN_S = 60.0
"""How long the stages of a process may take to be torn down before it is killed."""


class Process:
    """A worker process. loky starts it, so a script needs no main guard and may define its classes anywhere."""

    def __init__(self, steps: bytes, name: str, *, keep_memory: bool = True):
        context = get_context("loky")
        self.name = name
        self.orders = 0
        self._connection, theirs = context.Pipe()
        settings = {**dict.fromkeys(ONE_THREAD, "1"), **(KEEP_MEMORY if keep_memory else {})}
        limits = {variable: value for variable, value in settings.items() if variable not in os.environ}
        self._process = context.Process(
            target=work, args=(theirs, steps, name, os.getpid()), name=name, daemon=True, env=limits
        )
        self._process.start()
        self.pid: int = self._process.pid
        theirs.close()

    def fileno(self) -> int:
        """Lets `multiprocessing.connection.wait` wait for an answer, or for the end of the process."""
        return self._connection.fileno()

    def send(self, order: Order | str | None) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died: `receive` says so
            self._connection.send_bytes(dumps(order))

    def rest(self) -> None:
        """Ask the process to tear its stages down and wait for another run."""
        self.send("rest")

    def rests(self) -> bool:
        """Whether a process that was asked to rest has come to that."""
        with suppress(WorkerDiedError):
            return self._connection.poll(TEARDOWN_S) and self.answer() == "rest"
        return False

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def begin(self, steps: bytes) -> None:
        """Give the steps of another run to a process that rests."""
        self.orders = 0
        with suppress(BrokenPipeError, ConnectionResetError):  # as above
            self._connection.send_bytes(steps)

    def answer(self) -> Any:
        """The answer to an order, without notes."""
        while isinstance(answer := self.receive(), Note):
            pass
        return answer

    def receive(self) -> Any:
        """The answer to an order, or a Note before it."""
        try:
            answer = pickle.loads(self._connection.recv_bytes())
        except (EOFError, OSError) as error:  # an answer that was cut off is an OSError
            self._process.join(5)
            raise WorkerDiedError(f"its worker process died: {_reason(self._process.exitcode)}") from error
        if isinstance(answer, Stalled):
            raise WorkerDiedError(f"its worker process was ended: {answer.problem}")
        return answer

    def finish(self) -> None:
        """Ask the process to tear its stages down and end."""
        self.send(None)

    def end(self, patience: float = 0.0) -> None:
        """Wait this many seconds for a process that was asked to finish, then kill it."""
        self._connection.close()
        self._process.join(patience)
        if self._process.is_alive():
            os.kill(self.pid, signal.SIGKILL)  # loky's processes have no kill()
            self._process.join()


def _reason(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        try:
            return f"killed by {signal.Signals(-exit_code).name}"
        except ValueError:  # one of the real-time signals
            return f"killed by signal {-exit_code}"
    return f"exit code {exit_code}"
