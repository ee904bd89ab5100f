"""The bytes of a dump file, plain or bz2, in pieces of bounded size."""

from __future__ import annotations

import bz2
import re
from collections import deque
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO

from nemo_curator.errors import InputError
from nemo_curator.stages.text.download.wikipedia.dump_pages import Damage

CHUNK = 2**18
"""Bytes read, and decompressed, at once."""
HELD = 5 * 2**18
"""Decompressed bytes that wait, so that no block of bzip2 is handed on before its checksum, which comes at its end."""
_STREAM = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
_MARK = 10


def read(path: str) -> Iterator[bytes | Damage]:
    """Yield the bytes of a file, decompressed if it is bz2, and what is damaged.

    A damaged bz2 stream ends where it is damaged, and the next one is read: multistream dumps have one for each 100
    pages.
    """
    with Path(path).open("rb") as file:
        if _STREAM.match(file.read(_MARK)):
            yield from _streams(file)
        elif path.endswith(".bz2"):
            raise InputError(f"{path} is not a bz2 file")
        else:
            file.seek(0)
            while piece := file.read(CHUNK):
                yield piece


def _streams(file: BinaryIO) -> Iterator[bytes | Damage]:
    start: int | None = 0
    while start is not None:
        file.seek(start)
        end = yield from _checked(file)
        start = _find_stream(file, start + 1 if end is None else end)
        if end is not None and start != end:
            file.seek(end)
            if file.read(64).strip(b"\0"):
                yield Damage(f"bytes from {end} on are no bz2 stream")


def _checked(file: BinaryIO) -> Generator[bytes | Damage, None, int | None]:
    """Yield what a stream holds as far as its checksums are right; return where it ends, None if it is damaged."""
    held: deque[bytes] = deque()
    size = 0
    pieces = _stream(file)
    while True:
        try:
            piece = next(pieces)
        except StopIteration as ended:
            yield from held
            return ended.value
        except EOFError:
            yield from held
            yield Damage("the file ends within a bz2 stream")
            return None
        except OSError as error:
            if error.errno is not None:
                raise
            yield Damage(f"damaged bz2 stream: {error}", max(b"".join(held).count(b"<page>"), 1))
            return None
        held.append(piece)
        size += len(piece)
        while size - len(held[0]) > HELD:
            size -= len(held[0])
            yield held.popleft()


def _stream(file: BinaryIO) -> Generator[bytes, None, int]:
    """Yield what a stream holds; return where it ends."""
    decompressor = bz2.BZ2Decompressor()
    while not decompressor.eof:
        data = file.read(CHUNK) if decompressor.needs_input else b""
        if decompressor.needs_input and not data:
            raise EOFError
        yield decompressor.decompress(data, CHUNK)
    return file.tell() - len(decompressor.unused_data)


def _find_stream(file: BinaryIO, start: int) -> int | None:
    """The place of the first stream from a place on."""
    file.seek(start)
    window = b""
    while data := file.read(CHUNK):
        window += data
        if match := _STREAM.search(window):
            return file.tell() - len(window) + match.start()
        window = window[1 - _MARK :]
    return None
