"""Asking a storage, again where it fails for a while, with errors that say what was asked about which file."""

from __future__ import annotations

import errno
import io
import os
import time
from collections.abc import Callable
from copy import deepcopy
from itertools import count
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

import fsspec

from nemo_curator.errors import StorageError
from nemo_curator.utils.client_utils import is_remote_url, local_path
from nemo_curator.utils.retries import ATTEMPTS, is_transient, retrying

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

T = TypeVar("T")

LEAST_BYTES, MOST_BYTES = 2**18, 2**22
"""A remote file is asked for four times what is wanted, in these limits: a request costs more than its bytes."""

OBJECT_STORES = {"abfs", "abfss", "az", "cos", "gcs", "gs", "oci", "oss", "s3", "s3a"}
"""Storages whose URLs begin with a bucket, and which have no folders."""

_ABOUT_NAMES = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
"""Answers, not failures."""

_QUIET = "run it again when nobody writes there"
_VERBS = {"cat_file": "read", "open": "read", "pipe_file": "write", "rm": "delete", "rm_file": "delete", "mv": "rename"}
_VERBS |= dict.fromkeys(("find", "glob", "ls"), "list")


def locate(path: str, storage_options: dict[str, Any] | None = None) -> tuple[AbstractFileSystem, str]:
    """The file system of a path or URL, and the path as that knows it."""
    options = dict(storage_options or {})
    if not is_remote_url(path):
        return fsspec.filesystem("file"), str(local_path(path))
    protocol = path.partition("://")[0]
    if "::" in protocol or path.count("://") > 1:
        return fsspec.core.url_to_fs(path, **options)
    if protocol in ("s3", "s3a"):
        # botocore and s3fs try again by themselves, each 5 times: with us what fails for good would be asked 200 times
        given = deepcopy(
            {**fsspec.config.conf.get(protocol, {}), **options}.get("config_kwargs") or {}
        )  # it changes it
        options["config_kwargs"] = {"retries": {"max_attempts": 0}, **given}
    # not url_to_fs, which takes a name with a double colon for a chain of file systems
    of_url = fsspec.get_filesystem_class(protocol)._get_kwargs_from_urls(path)
    fs = fsspec.filesystem(protocol, **{**of_url, **options})
    if protocol in ("s3", "s3a") and "retries" not in given:
        fs.retries = 1
    return fs, fs._strip_protocol(path)


def ask(fs: AbstractFileSystem, method: str, place: str, *args: Any, **settings: Any) -> Any:
    """Call a method of a file system on a place, again where it fails for a while.

    A missing file is an answer, and raised as it is. What a remote storage fails with otherwise becomes a StorageError.
    """
    start = time.monotonic()
    try:
        return retrying(lambda: getattr(fs, method)(place, *args, **settings))
    except Exception as error:  # each storage has errors of its own
        is_answer = isinstance(error, _ABOUT_NAMES) and not is_transient(error)
        if is_answer or isinstance(error, StorageError) or not _is_of_storage(error) or is_local(fs):
            raise
        tried = time.monotonic() - start
        raise failed_for_good(_VERBS.get(method, "look at"), fs.unstrip_protocol(place), error, tried) from error


def kind_of(fs: AbstractFileSystem, place: str) -> str | None:
    """What is there: `file`, `directory` or nothing. A storage that does not answer is an error, not nothing."""
    try:
        return ask(fs, "info", place)["type"]
    except (FileNotFoundError, NotADirectoryError):
        return None


def is_local(fs: AbstractFileSystem) -> bool:
    protocol = fs.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def failed_for_good(verb: str, path: str, error: BaseException, tried: float) -> StorageError:
    """Say what could not be done with which file, and what to do about it."""
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if is_transient(error):
        remedy = f"tried {ATTEMPTS} times in {tried:.0f} s; run it again when the storage answers"
    elif "Credentials" in type(error).__name__:
        remedy = "give storage_options, or the variables of the storage (AWS_ACCESS_KEY_ID, …), or anon=True"
    elif isinstance(error, PermissionError):
        remedy = "the storage refuses it: check the credentials (storage_options or variables) and what they allow"
    else:
        remedy = "check the path and the storage_options"
    return StorageError(f"cannot {verb} {path}: {what}; {remedy}")


def _is_of_storage(error: Exception) -> bool:
    return isinstance(error, OSError) or type(error).__module__ != "builtins"


def open_bytes(path: str, storage_options: dict[str, Any] | None = None) -> BinaryIO:
    """Open a file or URL as it is, without looking through compression.

    A read that fails for a while opens the file again and goes on where it was. A file that is another one by then is
    an error. Arrow is to read it without threads: one that still holds a file of Python when the interpreter ends
    aborts the process.
    """
    if not is_remote_url(path):
        return cast("BinaryIO", SteadyFile(path, lambda: local_path(path).open("rb", buffering=0), _local_stamp))
    fs, place = locate(path, storage_options)
    times = count()

    def opening() -> BinaryIO:
        if next(times):  # opened again, it must not be what a listing remembers
            fs.invalidate_cache(fs._parent(place))
        return fs.open(place, "rb", cache_type="none")

    def stamp(file: Any) -> Any:
        info = getattr(file, "details", None) or fs.info(place)
        return next((info[key] for key in ("ETag", "etag", "LastModified", "mtime") if info.get(key)), info.get("size"))

    return cast("BinaryIO", SteadyFile(path, opening, stamp, ahead=True))


class SteadyFile(io.RawIOBase):
    """A file that is opened again, where it was, when reading it fails for a while.

    `stamp` tells one content of the file from another. With `ahead` more is read than is asked for, and kept.
    """

    def __init__(self, path: str, opening: Callable[[], BinaryIO], stamp: Callable[[Any], Any], *, ahead: bool = False):
        self._path, self._opening, self._stamp, self._ahead = path, opening, stamp, ahead
        self._place = self._held_at = 0
        self._held = b""
        self._file: BinaryIO | None = None
        self._is: Any = None
        self._opened()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            offset += self._opened().seek(0, io.SEEK_END)
        elif whence == io.SEEK_CUR:
            offset += self._place
        self._place = max(offset, 0)
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        wanted = -1 if size is None else size
        data = self._read_ahead(wanted) if self._ahead and wanted > 0 else self._fetch(self._place, wanted)
        self._place += len(data)
        return data

    def readall(self) -> bytes:
        return b"".join(iter(self.read, b""))

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._drop()
        super().close()

    def _opened(self) -> BinaryIO:
        if self._file is None:
            # by itself: a read that fails has cost nothing of what opening the file again may cost
            file, now = self._steadily(self._open_and_stamp)
            if self._is not in (None, now):
                file.close()
                raise StorageError(f"{self._path} was changed while it was read; {_QUIET}")
            self._file, self._is = file, now
        return self._file

    def _open_and_stamp(self) -> tuple[BinaryIO, Any]:
        file = self._opening()
        return file, self._stamp(file)

    def _read_ahead(self, size: int) -> bytes:
        at = self._place - self._held_at
        data = self._held[at : at + size] if at >= 0 else b""
        while len(data) < size:
            place, missing = self._place + len(data), size - len(data)
            more = self._fetch(place, max(missing, min(max(4 * size, LEAST_BYTES), MOST_BYTES)))
            if not more:
                break
            self._held_at, self._held = place, more
            data += more[:missing]
        return data

    def _fetch(self, place: int, size: int) -> bytes:
        return self._steadily(lambda: self._read(place, size))

    def _read(self, place: int, size: int) -> bytes:
        file = self._opened()
        try:
            file.seek(place)
            data = file.read(size)
        except Exception as error:  # each storage has errors of its own
            self._drop()
            if type(error).__name__ == "FileExpired":  # of s3fs: another etag
                raise StorageError(f"{self._path} was changed while it was read; {_QUIET}") from error
            raise
        if not data and size and place < (getattr(file, "size", None) or 0):
            raise ConnectionResetError(f"{self._path} ended after {place} bytes")
        return data

    def _steadily(self, do: Callable[[], T]) -> T:
        start = time.monotonic()
        try:
            return retrying(do)
        except Exception as error:  # as above
            if isinstance(error, FileNotFoundError) and not is_transient(error):
                raise FileNotFoundError(errno.ENOENT, "No such file", self._path) from error
            if isinstance(error, StorageError) or getattr(error, "filename", None) or not _is_of_storage(error):
                raise
            raise failed_for_good("read", self._path, error, time.monotonic() - start) from error

    def _drop(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _local_stamp(file: BinaryIO) -> Any:
    status = os.fstat(file.fileno())
    return status.st_ino, status.st_size, status.st_mtime_ns
