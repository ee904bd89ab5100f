"""Files and folders, on this machine and behind the URLs of fsspec."""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nemo_curator.errors import InputError
from nemo_curator.utils.client_utils import is_remote_url, local_path
from nemo_curator.utils.find_files import Found, each, find_files, has_extension, with_sizes
from nemo_curator.utils.storage import OBJECT_STORES, ask, kind_of, locate, open_bytes
from nemo_curator.utils.whole_files import put

if TYPE_CHECKING:
    import pandas as pd
    from fsspec import AbstractFileSystem

FILETYPE_TO_DEFAULT_EXTENSIONS = {"parquet": [".parquet"], "jsonl": [".jsonl", ".json"], "megatron": [".bin", ".idx"]}
_BYTES = re.compile(r"([0-9]*\.?[0-9]*(?:e[+-]?[0-9]+)?)(?:([kmgtpe]?)(i?)b?)", re.IGNORECASE)


def get_default_file_extensions(filetype: str) -> list[str]:
    if filetype not in FILETYPE_TO_DEFAULT_EXTENSIONS:
        raise ValueError(f"unknown file type {filetype!r}; known are {sorted(FILETYPE_TO_DEFAULT_EXTENSIONS)}")
    return list(FILETYPE_TO_DEFAULT_EXTENSIONS[filetype])


def get_fs(path: str, storage_options: dict[str, Any] | None = None) -> AbstractFileSystem:
    """The file system of a path or URL."""
    return locate(os.fspath(path), storage_options)[0]


def get_all_file_paths_under(
    path: str,
    recurse_subdirectories: bool = False,
    keep_extensions: str | list[str] | None = None,
    storage_options: dict[str, Any] | None = None,
    fs: AbstractFileSystem | None = None,
) -> list[str]:
    """The files in a folder, sorted by path. Names that begin with a dot are left out, as a shell does."""
    return [found.path for found in _files_under(path, recurse_subdirectories, keep_extensions, storage_options, fs)]


def get_all_file_paths_and_size_under(
    path: str,
    recurse_subdirectories: bool = False,
    keep_extensions: str | list[str] | None = None,
    storage_options: dict[str, Any] | None = None,
    fs: AbstractFileSystem | None = None,
    sort_by_size: bool = True,
) -> list[tuple[str, int]]:
    """The files in a folder with their sizes in bytes, sorted by size and path, or by path alone."""
    found = _files_under(path, recurse_subdirectories, keep_extensions, storage_options, fs)
    sized = [(one.path, -1 if one.size is None else one.size) for one in with_sizes(found, storage_options)]
    return sorted(sized, key=lambda pair: (pair[1], pair[0])) if sort_by_size else sized


def filter_files_by_extension(files_list: Iterable[str], keep_extensions: str | list[str]) -> list[str]:
    """Keep the files with one of the extensions; a suffix of compression (`.gz`, `.zst`, …) is looked through."""
    return [path for path in files_list if has_extension(path, keep_extensions)]


def is_not_empty(
    path: str, fs: AbstractFileSystem | None = None, storage_options: dict[str, Any] | None = None
) -> bool:
    """Whether there is a folder at the path, with something in it."""
    fs, place = _there(path, fs, storage_options)
    return kind_of(fs, place) == "directory" and bool(ask(fs, "ls", place, detail=False))


def delete_dir(path: str, fs: AbstractFileSystem | None = None, storage_options: dict[str, Any] | None = None) -> None:
    """Delete a folder and all that is in it, if it is there. A link is deleted, and what it leads to stays."""
    if fs is None and not is_remote_url(path):
        _delete_here(local_path(path))
        return
    fs, place = _there(path, fs, storage_options)
    if kind_of(fs, place) != "directory":
        return
    if glob.has_magic(place):  # fsspec would delete what the name matches as a pattern
        each(lambda one: ask(fs, "rm_file", one), ask(fs, "find", place), at_once=True)
    else:
        ask(fs, "rm", place, recursive=True)


def create_or_overwrite_dir(
    path: str, fs: AbstractFileSystem | None = None, storage_options: dict[str, Any] | None = None
) -> None:
    """Make an empty folder; what was in it is deleted."""
    if fs is None and not is_remote_url(path):
        folder = local_path(path)
        folder.mkdir(parents=True, exist_ok=True)
        for entry in folder.iterdir():
            _delete_here(entry)
        return
    delete_dir(path, fs, storage_options)
    make_folder(path, fs, storage_options)


def make_folder(path: str, fs: AbstractFileSystem | None = None, storage_options: dict[str, Any] | None = None) -> None:
    """Make a folder with those that lead to it. In an object store there are none, but the bucket must be there."""
    fs, place = _there(path, fs, storage_options)
    if path.partition("://")[0] not in OBJECT_STORES:
        ask(fs, "makedirs", place, exist_ok=True)
    elif kind_of(fs, place.partition("/")[0]) is None:
        bucket = place.partition("/")[0]
        raise FileNotFoundError(
            f"cannot write to {path}: there is no bucket {bucket}; create it, or check its name and the endpoint"
        )


def check_output_mode(
    mode: Literal["ignore", "overwrite", "append", "error"],
    fs: AbstractFileSystem,
    path: str,
    append_mode_implemented: bool = False,
) -> None:
    """Make the folder of a writer ready: refuse to write to it, or empty it, or leave what is there."""
    if mode not in ("ignore", "overwrite", "append", "error"):
        raise ValueError(f"unknown mode {mode!r}; known are ignore, overwrite, append and error")
    fs.invalidate_cache()
    if kind_of(fs, _there(path, fs)[1]) == "file":
        raise NotADirectoryError(f"cannot write to {path}: it is a file; give a folder")
    if mode == "error" and is_not_empty(path, fs):
        raise FileExistsError(f"cannot write to {path}: it is not empty; choose another folder or another mode")
    if mode == "append" and not append_mode_implemented:
        raise NotImplementedError(f"cannot append to {path}: this writer has no append mode")
    if mode == "overwrite":
        refuse_to_empty(path)
        create_or_overwrite_dir(path, fs if is_remote_url(path) else None)
    else:
        make_folder(path, fs)


def refuse_to_empty(path: str, inputs: Iterable[str] = ()) -> None:
    """Raise if emptying a folder would delete an input, the home or working folder, or a whole bucket."""
    place, kept = _real(path), list(inputs)
    if not is_remote_url(path):
        kept += [str(Path.home()), str(Path.cwd())]
    elif "/" not in place.partition("://")[2].lstrip("/") and not place.startswith("memory:"):
        raise ValueError(f"refused to empty {path}: it is a whole bucket; write to a folder in it")
    for one in kept:
        if f"{_real(one)}/".startswith(f"{place}/"):
            raise ValueError(f"refused to empty {path}: {one} is there; write to a folder of its own")


def infer_dataset_name_from_path(path: str, *, path_kind: Literal["file", "dir"] = "file") -> str:
    """Name a data set after its folder, in lower case; after the last part of a URL."""
    parts = [part for part in path.partition("://")[2 if is_remote_url(path) else 0].split("/") if part]
    if not parts:
        return "dataset"
    if is_remote_url(path) or path_kind == "dir":
        return parts[-1].lower()
    return (parts[-2] if len(parts) > 1 else Path(parts[0]).stem).lower()


def infer_protocol_from_paths(paths: Iterable[str]) -> str | None:
    """The protocol of the first URL among the paths, or None if there is none."""
    return next((str(path).partition("://")[0] for path in paths if is_remote_url(path)), None)


def pandas_select_columns(df: pd.DataFrame, columns: list[str] | None, file_path: str) -> pd.DataFrame:
    """Select columns; one that the file lacks is null. Raises if it has none of them."""
    if columns is None:
        return df
    if len(df.columns) and not set(columns) & set(df.columns):
        raise InputError(f"{file_path} has none of {columns}; its columns are {list(df.columns)}")
    return df.reindex(columns=columns)


def check_disallowed_kwargs(
    kwargs: dict[str, Any], disallowed_keys: Iterable[str], raise_error: bool = True
) -> list[str]:
    """Find settings that may not be given; raises unless told otherwise."""
    found = sorted(kwargs.keys() & set(disallowed_keys))
    if found and raise_error:
        raise ValueError(f"{found} may not be given here")
    return found


def tar_safe_extract(tar: tarfile.TarFile, path: str) -> None:
    """Extract an archive. A member that leads out of the folder, or is a device, raises."""
    tar.extractall(path, filter="data")


def parse_bytes_string_to_int(size: str | float) -> int:
    """Read a number of bytes: `"512MB"` is 512 · 10⁶, `"1GiB"` is 2³⁰, `"MB"` is one of them."""
    if not isinstance(size, str):
        return int(size)
    found = _BYTES.fullmatch(size.replace(" ", ""))
    if found is None or not found[0]:
        raise ValueError(f"{size!r} is not a number of bytes; write it like 512MB or 1GiB")
    number, prefix, binary = found.groups()
    return int(float(number or 1) * (1024 if binary else 1000) ** " kmgtpe".index(prefix.lower() or " "))


def read_json_file(path: str, storage_options: dict[str, Any] | None = None) -> Any:
    with open_bytes(path, storage_options) as file:
        return json.load(file)


def write_json_file(path: str, data: Any, storage_options: dict[str, Any] | None = None) -> None:
    put(*locate(path, storage_options), json.dumps(data, ensure_ascii=False, indent=2).encode())


def _there(
    path: str, fs: AbstractFileSystem | None, storage_options: dict[str, Any] | None = None
) -> tuple[AbstractFileSystem, str]:
    return locate(path, storage_options) if fs is None else (fs, fs._strip_protocol(path))


def _files_under(
    path: str,
    recurse: bool,
    keep_extensions: str | list[str] | None,
    storage_options: dict[str, Any] | None,
    fs: AbstractFileSystem | None,
) -> list[Found]:
    found = find_files(path, storage_options, recurse=recurse, fs=fs)
    return [one for one in found if keep_extensions is None or has_extension(one.path, keep_extensions)]


def _delete_here(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _real(path: str) -> str:
    return path.rstrip("/") if is_remote_url(path) else str(local_path(path).resolve()).rstrip("/")
