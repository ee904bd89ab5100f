"""Run a command only while the process that asked for it lives, and leave nothing of it behind.

    python supervisor.py PARENT_PID OWNED_PATHS COMMAND...

Whatever the command starts, and whatever detaches itself from it, becomes a child of this process in the end.
When the command ends, the parent dies or SIGTERM comes, all of them are ended and the owned paths (separated as in
PATH) are removed. The exit status is the command's, or 0 if it was told to stop.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

POLL_S = 0.1
TERMINATE_S = 0.5
KILL_S = 5.0
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def main(parent: int, owned: list[Path], command: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        child = subprocess.Popen(command, preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
        return wait(child.pid, parent)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        owned = [*owned, *multiprocessing_folders()]
        end_descendants(signal.SIGTERM, TERMINATE_S)
        end_descendants(signal.SIGKILL, KILL_S)
        for path in owned:
            remove(path)


def prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def wait(child: int, parent: int) -> int:
    """Return the child's exit status, or 0 once the parent is gone."""
    while os.getppid() == parent:
        for pid, status in reap():
            if pid == child:
                return os.waitstatus_to_exitcode(status) & 0xFF
        time.sleep(POLL_S)
    return 0


def reap() -> list[tuple[int, int]]:
    ended = []
    with contextlib.suppress(ChildProcessError):
        while (result := os.waitpid(-1, os.WNOHANG))[0]:
            ended.append(result)
    return ended


def multiprocessing_folders() -> set[Path]:
    """Where descendants talk to their own workers; Ray's dashboard never removes its folder."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            found |= {Path(str(socket.laddr)).parent for socket in process.net_connections("unix")}
    return {folder for folder in found if folder.name.startswith("pymp-")}


def end_descendants(number: int, patience_s: float) -> None:
    """Signal every descendant once, newcomers included, until none is left or patience ends."""
    signalled: set[psutil.Process] = set()
    deadline = time.monotonic() + patience_s
    while (alive := set(psutil.Process().children(recursive=True))) and time.monotonic() < deadline:
        for process in alive - signalled:
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)
        signalled |= alive
        time.sleep(POLL_S / 4)
        reap()


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


if __name__ == "__main__":
    parent_pid, owned_paths, *rest = sys.argv[1:]
    sys.exit(main(int(parent_pid), [Path(path) for path in owned_paths.split(os.pathsep) if path], rest))
