"""Where the record of a command's run goes: a folder of its own, unless told otherwise."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from nemo_curator.cli.output import last_words
from nemo_curator.utils.client_utils import is_remote_url

FOLDER = "curator-runs"
VARIABLE = "CURATOR_RUNS"


@dataclass
class RunFolder:
    """A folder, or URL, for the record of one run; with `path` None there is none.

    One that was made for the run goes away again if the run did not begin.
    """

    path: str | None
    is_new: bool = False
    has_begun: bool = False


def choose_folder(name: str, record: str | None, no_record: bool) -> RunFolder:
    """The folder that was asked for; else a new one named after the time, below `$CURATOR_RUNS` or `curator-runs`."""
    if no_record:
        return RunFolder(None)
    if record is not None:
        return RunFolder(record)
    place = f"{os.environ.get(VARIABLE) or FOLDER}/{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{name}"
    if is_remote_url(place):
        return RunFolder(place)
    try:
        return RunFolder(_made(place), is_new=True)
    except OSError as error:  # the run can do without
        print(f"warning: no record is kept, for {place} cannot be made: {error.strerror}", file=sys.stderr)
        return RunFolder(None)


@contextmanager
def telling(folder: RunFolder) -> Iterator[None]:
    """Say in the end where the record is, however the run within ends."""
    try:
        yield
    finally:
        if folder.path is not None and folder.has_begun:
            last_words.append(f"record: {folder.path}")
        elif folder.path is not None and folder.is_new:
            shutil.rmtree(folder.path, ignore_errors=True)


def _made(place: str) -> str:
    """Make the folder; runs that begin within the same second get numbers."""
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        path = place if number == 1 else f"{place}-{number}"
        try:
            Path(path).mkdir()
        except FileExistsError:
            continue
        return path
    raise AssertionError("count ends")
