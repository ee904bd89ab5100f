"""The whole lines of a file, or of a range of its bytes, a few MiB at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, BinaryIO

from nemo_curator.errors import InputError
from nemo_curator.utils.decompression import decompressed
from nemo_curator.utils.find_files import compression_of
from nemo_curator.utils.storage import open_bytes

CHUNK_BYTES = 2**20
STEP_BYTES = 2**14
LINE_BYTES = 2**27
"""The longest line that is read, with its end. A parsed line may take twenty times its size."""


def read_lines(
    path: str,
    start: int = 0,
    stop: int | None = None,
    *,
    compression: str | None = "infer",
    storage_options: dict[str, Any] | None = None,
    too_long: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file whose first byte lies in [start, stop), in runs, each with its place in the file.

    Places in a compressed file are those in what it holds. Of a damaged one, what comes before the damage is read
    before the error is raised. A line beyond LINE_BYTES is not held: `too_long` is told its place and size in its
    turn, or, where nobody wants to know, InputError is raised.
    """
    with open_bytes(path, storage_options) as file:
        yield from whole_lines(
            _chunks(file, path, start, stop, compression), start, stop, too_long or partial(_refuse, path)
        )


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


def whole_lines(
    chunks: Iterable[bytes], start: int = 0, stop: int | None = None, too_long: Callable[[int, int], None] | None = None
) -> Iterator[tuple[int, bytes]]:
    """Cut bytes into runs of whole lines, and leave out the lines whose first byte lies outside [start, stop).

    The chunks begin one byte before `start`: that byte tells whether a line begins there. None is larger than
    LINE_BYTES.
    """
    end_of_range = sys.maxsize if stop is None else stop
    too_long = too_long or partial(_refuse, "the input")
    place = held_at = max(start - 1, 0)
    held: list[bytes] = []
    skipping = start > 0
    for chunk in chunks:
        if skipping:
            end = chunk.find(b"\n") + 1
            place += end or len(chunk)
            held_at, skipping, chunk = place, not end, chunk[end:] if end else b""
        elif place + len(chunk) - held_at > LINE_BYTES and held_at < end_of_range:
            end = chunk.find(b"\n") + 1
            if place + (end or len(chunk)) - held_at > LINE_BYTES:
                held = []
                place += end or len(chunk)
                if not end:
                    continue
                too_long(held_at, place - held_at)
                held_at, chunk = place, chunk[end:]
        if held_at >= end_of_range:
            return
        last = chunk.find(b"\n", max(end_of_range - 1 - place, 0)) + 1 if place + len(chunk) >= end_of_range else 0
        end = last or chunk.rfind(b"\n") + 1
        if end:
            yield held_at, b"".join([*held, memoryview(chunk)[:end]])
            if last:
                return
            held, held_at = [], place + end
        held.append(chunk[end:])
        place += len(chunk)
    if place - held_at > LINE_BYTES:
        too_long(held_at, place - held_at)
    elif any(held):
        yield held_at, b"".join(held)


def _chunks(file: BinaryIO, path: str, start: int, stop: int | None, compression: str | None) -> Iterator[bytes]:
    method = compression_of(path) if compression == "infer" else compression
    if method:
        return decompressed(file, method, path, min(CHUNK_BYTES, stop or CHUNK_BYTES))
    return _plain(file, start, stop)


def _plain(file: BinaryIO, start: int, stop: int | None) -> Iterator[bytes]:
    """Read up to `stop`, and on in small steps for as long as the line that lies across it is wanted."""
    place = max(start - 1, 0)
    file.seek(place)
    while chunk := file.read(CHUNK_BYTES if stop is None else min(CHUNK_BYTES, max(stop - place, STEP_BYTES))):
        yield chunk
        place += len(chunk)


def _refuse(path: str, place: int, size: int) -> None:
    raise long_line(path, place, size)


def long_line(path: str, place: int, size: int) -> InputError:
    return InputError(f"{path}: the line at byte {place} has {size} bytes; wanted at most {LINE_BYTES}")
