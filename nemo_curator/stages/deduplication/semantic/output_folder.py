"""Folders that a step writes, and what an earlier run has left in them."""

from __future__ import annotations

import re
from typing import Any, Literal

from fsspec import AbstractFileSystem

from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.utils.file_utils import make_folder
from nemo_curator.utils.find_files import each
from nemo_curator.utils.storage import ask, locate

Mode = Literal["overwrite", "error"]

CLUSTER_FILES = re.compile(r"centroid=\d+/[^/]+\.parquet|_kmeans_centroids\.npy")
ROW_FILES = re.compile(r"centroid=\d+/[^/]+\.parquet")
PAIRWISE_FILES = re.compile(r"cluster_\d+\.parquet")
DUPLICATE_FILES = re.compile(r"[0-9a-f]{12}\.parquet")
TABLE_FILES = re.compile(r"part\.[^/]+\.parquet")


def take_over(path: str, files: re.Pattern, mode: Mode, storage_options: dict[str, Any] | None = None) -> None:
    """Make a folder, and delete the files in it that have the names of those to be written.

    With `error` there may be none. Other files are somebody else's: then nothing is deleted, and it raises.
    """
    folder = absolute(path)
    fs, place = locate(folder, storage_options)
    names = _names(fs, place)
    if strange := sorted(name for name in names if not files.fullmatch(name)):
        raise FileExistsError(f"cannot write to {folder}: it holds {strange[0]}, which is of something else; empty it")
    if names and mode == "error":
        raise FileExistsError(f"cannot write to {folder}: an earlier run has left {len(names)} files there; empty it")
    each(lambda name: ask(fs, "rm_file", f"{place}/{name}"), names)
    make_folder(folder, storage_options=storage_options)


def keep_only(path: str, files: re.Pattern, written: set[str], storage_options: dict[str, Any] | None = None) -> None:
    """Delete files of these names that were not written: an attempt before this one has, of files that are not there
    any more or that it read in other groups."""
    folder = absolute(path)
    fs, place = locate(folder, storage_options)
    others = [name for name in _names(fs, place) if files.fullmatch(name) and f"{folder}/{name}" not in written]
    each(lambda name: ask(fs, "rm_file", f"{place}/{name}"), others)


def _names(fs: AbstractFileSystem, place: str) -> list[str]:
    """The files below a folder but for hidden ones, from there on."""
    fs.invalidate_cache()
    names = [name[len(place) + 1 :] for name in ask(fs, "find", place)]
    return [name for name in names if not name.rpartition("/")[2].startswith(".")]
