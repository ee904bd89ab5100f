"""Files that appear when they are complete, and what processes that were killed leave behind."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nemo_curator.utils.client_utils import is_remote_url, local_path
from nemo_curator.utils.storage import ask, is_local

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_LEFTOVER = re.compile(r"\.writing-(?P<host>[^-]+)-(?P<pid>\d+)-")


@contextmanager
def appearing_whole(path: str) -> Iterator[str]:
    """Give a path to write to; the file takes its name when it is complete. Object stores do that by themselves."""
    if is_remote_url(path):
        yield path
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # the process is in the name: workers of a killed run may write for a moment beside those of the next
    place = target.with_name(f".writing-{_host()}-{os.getpid()}-{target.name}")
    try:
        yield str(place)
        with place.open("rb") as file:
            os.fsync(file.fileno())  # or a loss of power may leave the name and not the bytes
        place.replace(target)
    finally:
        place.unlink(missing_ok=True)


def put(fs: AbstractFileSystem, place: str, data: bytes) -> None:
    """Write a file that appears when it is complete, with the folders that lead to it."""
    if not is_local(fs):
        ask(fs, "pipe_file", place, data)
        return
    with appearing_whole(place) as unfinished:
        Path(unfinished).write_bytes(data)


def make_folder(folder: str | os.PathLike) -> None:
    """Make a folder of this machine that will be written to later; OSError says now that this cannot be."""
    if is_remote_url(os.fspath(folder)):
        return
    place = local_path(os.fspath(folder))
    place.mkdir(parents=True, exist_ok=True)
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))


def remove_leftovers(folder: str) -> list[str]:
    """Delete the unfinished files of processes of this machine that are no more; returns their names."""
    here = local_path(folder)
    if is_remote_url(folder) or not here.is_dir():
        return []
    gone = []
    with os.scandir(here) as entries:
        for entry in entries:
            found = _LEFTOVER.match(entry.name)
            if found and found["host"] == _host() and not _is_alive(int(found["pid"])):
                with suppress(FileNotFoundError):  # another run clears up, too
                    Path(entry.path).unlink()
                    gone.append(entry.name)
    return gone


def _host() -> str:
    """This machine or container: process numbers mean something within it alone."""
    name = re.sub(r"[^\w.]", "_", socket.gethostname())
    with suppress(OSError):
        name += "." + re.sub(r"\D", "", str(Path("/proc/self/ns/pid").readlink()))
    return name


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # of somebody else
    return True
