"""What Ray and Xenna say of themselves: kept in a file of the run, and not on the terminal."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nemo_curator.utils.client_utils import is_remote_url, local_path

VARIABLE = "CURATOR_ENGINE_LOGS"
PLACE = Path("logs", "engine.log")
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def are_shown() -> bool:
    """Whether the user wants to see everything, as Ray and Xenna print it by themselves."""
    return os.environ.get(VARIABLE, "").strip().lower() in ("1", "true", "yes")


def engine_log(folder: str | os.PathLike | None) -> Path | None:
    """The file for what the engine says in a run with this folder; None without one on this machine."""
    if folder is None or is_remote_url(os.fspath(folder)):
        return None
    return Path(local_path(os.fspath(folder))) / PLACE


@contextmanager
def kept(log: Path | None, name: str, shown: int = logging.ERROR) -> Iterator[None]:
    """Let a library show nothing below a level for a while; what it says from INFO on goes to the file."""
    if are_shown():
        yield
        return
    library = logging.getLogger(name)
    level, handlers, propagate = library.level, library.handlers, library.propagate
    ours: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    ours[0].setLevel(shown)
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        ours.append(logging.FileHandler(log, delay=True, encoding="utf-8"))
        ours[1].setFormatter(logging.Formatter(FORMAT))
    library.handlers = [*ours, *(one for one in handlers if not isinstance(one, logging.StreamHandler))]
    library.propagate = False
    if library.getEffectiveLevel() > logging.INFO:
        library.setLevel(logging.INFO)
    try:
        yield
    finally:
        library.handlers, library.propagate = handlers, propagate
        library.setLevel(level)
        for handler in ours:
            handler.close()


@contextmanager
def stderr_to(log: Path | None) -> Iterator[None]:
    """Send what this process writes to stderr to the file: what Ray's C++ says when it starts goes by no logger."""
    if are_shown():
        yield
        return
    sys.stderr.flush()
    stderr = os.dup(2)
    file = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(file)


@contextmanager
def only_lines_of_workers() -> Iterator[None]:
    """Of what Ray forwards to this process, show what workers print; what Ray's own daemons say is logged."""
    if are_shown():
        yield
        return
    try:
        from ray._private import worker as driver

        dispatcher, name = driver.global_worker_stdstream_dispatcher, "ray_print_logs"
        shows = [handler for known, handler in dispatcher.handlers if known == name]
        dispatcher.remove_handler(name)
    except (ImportError, AttributeError):  # it is not part of Ray's API: then its lines are shown
        yield
        return

    def sort(data: dict[str, Any]) -> None:
        if str(data.get("pid", "")).isdecimal():
            for show in shows:
                show(data)
        else:
            logging.getLogger("ray").info("%s: %s", data.get("pid"), "\n".join(data.get("lines", ())))

    dispatcher.add_handler(name, sort)
    try:
        yield
    finally:
        dispatcher.remove_handler(name)
        for show in shows:
            dispatcher.add_handler(name, show)
