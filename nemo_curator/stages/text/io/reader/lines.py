"""The whole lines of a file, or of a range of its bytes, a few MiB at a time."""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import zstandard

from nemo_curator.errors import InputError
from nemo_curator.utils.find_files import compression_of
from nemo_curator.utils.storage import open_bytes

CHUNK_BYTES = 2**20
STEP_BYTES = 2**14
_DECODERS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "bz2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
    "zstd": lambda: zstandard.ZstdDecompressor(max_window_size=2**31).decompressobj(),
}
_DAMAGE = (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError)


def read_lines(
    path: str,
    start: int = 0,
    stop: int | None = None,
    *,
    compression: str | None = "infer",
    storage_options: dict[str, Any] | None = None,
) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file whose first byte lies in [start, stop), in runs, each with its place in the file.

    Places in a compressed file are those in what it holds. Of a damaged one, what comes before the damage is read
    before the error is raised.
    """
    with open_bytes(path, storage_options) as file:
        yield from whole_lines(_chunks(file, path, start, stop, compression), start, stop)


def read_head(
    path: str, size: int, *, compression: str | None = "infer", storage_options: dict[str, Any] | None = None
) -> bytes:
    """The first bytes of what a file holds."""
    head = b""
    with open_bytes(path, storage_options) as file:
        for chunk in _chunks(file, path, 0, size, compression):
            head += chunk
            if len(head) >= size:
                break
    return head[:size]


def whole_lines(chunks: Iterable[bytes], start: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Cut bytes into runs of whole lines, and leave out the lines whose first byte lies outside [start, stop).

    The chunks begin one byte before `start`: that byte tells whether a line begins there.
    """
    end_of_range = sys.maxsize if stop is None else stop
    place = held_at = max(start - 1, 0)
    held: list[bytes] = []
    skipping = start > 0
    for chunk in chunks:
        if skipping:
            end = chunk.find(b"\n") + 1
            place += end or len(chunk)
            held_at, skipping, chunk = place, not end, chunk[end:] if end else b""
        if held_at >= end_of_range:
            return
        is_last = place + len(chunk) >= end_of_range
        end = (chunk.find(b"\n", max(end_of_range - 1 - place, 0)) if is_last else chunk.rfind(b"\n")) + 1
        if end:
            yield held_at, b"".join([*held, memoryview(chunk)[:end]])
            if is_last:
                return
            held, held_at = [], place + end
        held.append(chunk[end:])
        place += len(chunk)
    if any(held):
        yield held_at, b"".join(held)


def _chunks(file: BinaryIO, path: str, start: int, stop: int | None, compression: str | None) -> Iterator[bytes]:
    method = compression_of(path) if compression == "infer" else compression
    return _decompressed(file, method, path) if method else _plain(file, start, stop)


def _plain(file: BinaryIO, start: int, stop: int | None) -> Iterator[bytes]:
    """Read up to `stop`, and on in small steps for as long as the line that lies across it is wanted."""
    place = max(start - 1, 0)
    file.seek(place)
    while chunk := file.read(CHUNK_BYTES if stop is None else min(CHUNK_BYTES, max(stop - place, STEP_BYTES))):
        yield chunk
        place += len(chunk)


def _decompressed(file: BinaryIO, method: str, path: str) -> Iterator[bytes]:
    """Decompress, member after member, in steps so small that little is lost before damage."""
    decoder = None
    while chunk := file.read(STEP_BYTES):
        while chunk:
            decoder = decoder or _DECODERS[method]()
            try:
                data = decoder.decompress(chunk)
            except _DAMAGE as error:
                place = f"{path}: the {method} stream is damaged before byte {file.tell()}"
                raise InputError(f"{place}: {error}") from error
            yield data
            chunk = decoder.unused_data.lstrip(b"\0") if decoder.eof else b""
            decoder = None if decoder.eof else decoder
    if decoder is not None:
        raise InputError(f"{path}: the {method} stream is cut off after byte {file.tell()}")
