"""JSON files that are there whole, or not at all, whoever reads or writes at the same moment."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from nemo_curator.utils.client_utils import is_remote_url, local_path
from nemo_curator.utils.storage import ask, locate


def write_json_atomically(path: str | os.PathLike, value: Any) -> None:
    """Write a file, on this machine or behind a URL, in place of the one that was there.

    Folders are made. On this machine the file is on the disk when this returns, and survives a loss of power.
    """
    if is_remote_url(os.fspath(path)):
        _put(os.fspath(path), value, "overwrite")
        return
    with _draft(path, value) as (draft, target):
        draft.replace(target)


def write_json_atomically_if_absent(path: str | os.PathLike, value: Any) -> bool:
    """Write a file unless there is one, and say whether it was written. Of several writers at once one wins."""
    with contextlib.suppress(FileExistsError):
        if is_remote_url(os.fspath(path)):
            _put(os.fspath(path), value, "create")
        else:
            with _draft(path, value) as (draft, target):
                os.link(draft, target)  # unlike a rename, a link never takes the place of a file
        return True
    return False


def fsync_directory(path: str | os.PathLike) -> None:
    """Wait until the disk has the names of a folder: a file that was renamed keeps its new name when power is lost."""
    folder = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # network file systems may refuse it for folders
            os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _draft(path: str | os.PathLike, value: Any) -> Iterator[tuple[Path, Path]]:
    """A file with the value, to be moved to where it belongs, and that place."""
    target = local_path(os.fspath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    # not the number of the process: processes of several machines may share a folder and have equal numbers
    draft = target.with_name(f".writing-{uuid4().hex}-{target.name}")
    try:
        with draft.open("xb") as file:
            file.write(_encoded(value))
            file.flush()
            os.fsync(file.fileno())
        yield draft, target
        fsync_directory(target.parent)
    finally:
        draft.unlink(missing_ok=True)


def _put(url: str, value: Any, mode: str) -> None:
    fs, place = locate(url)
    ask(fs, "pipe_file", place, _encoded(value), mode=mode)


def _encoded(value: Any) -> bytes:
    return f"{json.dumps(value, indent=1)}\n".encode()
