"""Finding input files: files, folders and patterns, on this machine and behind the URLs of fsspec."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import InputError
from nemo_curator.utils.client_utils import is_remote_url, local_path
from nemo_curator.utils.storage import ask, locate

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".xz": "xz"}
_REQUESTS = 16
"""How many requests to a remote storage are under way at the same time."""


@dataclass(frozen=True)
class Found:
    """A file, with its size in bytes where that is known, and the folder that was searched."""

    path: str
    size: int | None
    root: str


def find_input_files(
    paths: str | list[str], extensions: list[str], storage_options: dict[str, Any] | None = None
) -> list[Found]:
    """The files with one of the extensions, each once, sorted by path. A path without any is an error."""
    given = [os.fspath(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    if not all(given) or not given:
        raise InputError(f"no input: the paths are {given}; give files, folders or patterns")
    groups = each(lambda path: _checked(path, extensions, storage_options), given)
    resolved: dict[str, Path] = {}
    unique = {_identity(found.path, resolved): found for group in groups for found in group}
    return sorted(unique.values(), key=lambda found: found.path)


def find_files(
    path: str,
    storage_options: dict[str, Any] | None = None,
    *,
    recurse: bool = True,
    fs: AbstractFileSystem | None = None,
) -> list[Found]:
    """What a path stands for: a file, the files in a folder, or those that match a pattern.

    Names in a folder that begin with a dot are left out. Links to folders are followed, into each folder once.
    """
    if fs is None and not is_remote_url(path):
        return list(_find_here(local_path(path), recurse))
    return _find_there(path, fs or locate(path, storage_options)[0], recurse)


def with_sizes(files: list[Found], storage_options: dict[str, Any] | None = None) -> list[Found]:
    """Look up the sizes that are not known yet."""
    unknown = [found.path for found in files if found.size is None]
    sizes = dict(zip(unknown, each(lambda path: _size(path, storage_options), unknown)))
    return [replace(found, size=sizes[found.path]) if found.path in sizes else found for found in files]


def each(do: Callable[[str], Any], paths: list[str], *, at_once: bool | None = None) -> list[Any]:
    """Call a function on every path; where it has to ask a remote storage, several at a time."""
    if not (any(map(is_remote_url, paths)) if at_once is None else at_once):
        return list(map(do, paths))
    with ThreadPoolExecutor(_REQUESTS) as threads:
        return list(threads.map(do, paths))


def has_extension(path: str, extensions: str | Iterable[str]) -> bool:
    """Whether a name ends with one of the extensions, seen through a suffix of compression."""
    listed = [extensions] if isinstance(extensions, str) else extensions
    wanted = tuple(f".{extension.lower().lstrip('.')}" for extension in listed)
    name = path.lower()
    stem, dot, suffix = name.rpartition(".")
    return name.endswith(wanted) or (dot + suffix in COMPRESSIONS and stem.endswith(wanted))


def compression_of(path: str) -> str | None:
    """How a file is compressed, by its name."""
    return COMPRESSIONS.get(f".{path.lower().rpartition('.')[2]}")


def _checked(path: str, extensions: list[str], storage_options: dict[str, Any] | None) -> list[Found]:
    """The files of one path with the extensions; raises in one line where there are none."""
    files = find_files(path, storage_options)
    kept = [found for found in files if has_extension(found.path, extensions)]
    for found in kept:
        if found.size is None and not is_remote_url(found.path):
            raise InputError(_why_not(found.path))
    if kept:
        return kept
    wanted = ", ".join(extensions)
    if not files:
        raise InputError(f"cannot read {path}: the folder is empty; wanted files that end in {wanted}")
    names = Counter(Path(found.path).suffix or "no extension" for found in files)
    there = ", ".join(f"{suffix} ({count})" for suffix, count in names.most_common(3))
    none = "the file does not end" if len(files) == 1 else f"none of its {len(files)} files ends"
    raise InputError(f"cannot read {path}: {none} in {wanted}; found {there}; to read it give file_extensions")


def _find_here(path: Path, recurse: bool) -> Iterator[Found]:
    if path.is_dir():
        yield from _walk(path, recurse, path)
    elif path.exists() or path.is_symlink():
        yield Found(str(path), _size_here(path), str(path.parent))
    elif not glob.has_magic(str(path)):
        raise InputError(f"cannot read {path}: there is no such file or folder{_nearest(path)}")
    else:
        root = next(folder for folder in path.parents if folder.is_dir())
        pattern = str(path.relative_to(root))
        matches = sorted(match for match in root.glob(pattern) if not _is_hidden(match.relative_to(root)))
        if not matches:
            raise InputError(f"cannot read {path}: nothing matches the pattern{_nearest(root / 'x')}")
        for match in matches:
            if match.is_dir():
                yield from _walk(match, recurse, root)
            else:
                yield Found(str(match), _size_here(match), str(root))


def _walk(folder: Path, recurse: bool, root: Path) -> Iterator[Found]:
    folders, links = [str(folder)], list[str]()
    seen: set[Path] = set()
    while folders or links:
        here = folders.pop() if folders else links.pop(0)  # by a link only where no other way leads
        real = Path(here).resolve()
        if real in seen:
            continue
        seen.add(real)
        with os.scandir(here) as entries:
            visible = sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
        for entry in visible:
            if not _is_folder(entry):
                yield Found(entry.path, _size_here(entry), str(root))
            elif recurse:
                (links if entry.is_symlink() else folders).append(entry.path)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link in a circle


def _size_here(path: Path | os.DirEntry) -> int | None:
    """The size of a file of this machine; None for links that lead nowhere, pipes and devices."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _why_not(path: str) -> str:
    """Say why a path that was found is no file that can be read."""
    if not os.path.lexists(path):
        return f"cannot read {path}: there is no such file"
    remedy = "delete it, or give a pattern that leaves it out"
    if not Path(path).is_symlink():
        return f"cannot read {path}: it is no regular file; {remedy}"
    return f"cannot read {path}: it is a link to {Path(path).readlink()}, where no file is; {remedy}"


def _find_there(path: str, fs: AbstractFileSystem, recurse: bool) -> list[Found]:
    fs.invalidate_cache()  # other processes may have written since it listed last
    place = fs._strip_protocol(path)
    try:
        infos = [ask(fs, "info", place)]
        root = place if infos[0]["type"] == "directory" else fs._parent(place)
    except FileNotFoundError:
        if not glob.has_magic(place):
            raise InputError(f"cannot read {path}: there is no such file or folder") from None
        infos = list(ask(fs, "glob", place, detail=True).values())
        root = re.split(r"/[^/]*[*?\[]", place)[0]
        if not infos:
            raise InputError(f"cannot read {path}: nothing matches the pattern") from None
    start = len(root.rstrip("/"))
    files = [file for info in infos for file in _files_of(info, fs, recurse) if "/." not in file["name"][start:]]
    return [Found(fs.unstrip_protocol(file["name"]), file.get("size"), fs.unstrip_protocol(root)) for file in files]


def _files_of(info: dict[str, Any], fs: AbstractFileSystem, recurse: bool) -> list[dict[str, Any]]:
    if info["type"] != "directory":
        return [info]
    inside = ask(fs, "find", info["name"], maxdepth=None if recurse else 1, detail=True)
    return [file for _, file in sorted(inside.items()) if file["type"] != "directory"]


def _size(path: str, storage_options: dict[str, Any] | None) -> int | None:
    if not is_remote_url(path):
        size = _size_here(Path(path))
        if size is None:
            raise InputError(_why_not(path))
        return size
    fs, place = locate(path, storage_options)
    try:
        return ask(fs, "info", place)["size"]
    except FileNotFoundError:
        raise InputError(f"cannot read {path}: it is not there any more") from None


def _identity(path: str, resolved: dict[str, Path]) -> str:
    """The same for two ways to the same name in the same folder."""
    if is_remote_url(path):
        return path
    folder, _, name = path.rpartition("/")
    if folder not in resolved:
        resolved[folder] = Path(folder).resolve()
    return f"{resolved[folder]}/{name}"


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _nearest(path: Path) -> str:
    """What there is where the path still exists, for people who mistyped it."""
    folder = next(folder for folder in path.parents if folder.is_dir())
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return f"; {folder} holds {shown or 'nothing'}"
