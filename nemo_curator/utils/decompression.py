"""Compressed streams, decompressed in bounded memory whatever they claim to hold."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import Any, BinaryIO

import zstandard

from nemo_curator.errors import InputError

STEP_BYTES = 2**14
"""How much is read at once: little, so that little is lost before damage."""
PIECE_BYTES = 2**16
"""The most that gzip, bz2 and xz streams give at once. A piece of zstd may be 16 MiB."""
WINDOW_BYTES = 2**31
"""The most memory that zstd and xz streams may ask for to look back into, as `zstd --long=31` does."""

_ZSTD_STEP_BYTES = 512  # four bytes of zstd may stand for 128 KiB, and its decoder cannot be told to stop
_DECODERS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "bz2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, WINDOW_BYTES),
    "zstd": lambda: zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES).decompressobj(),
}
_DAMAGE = (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, MemoryError)


def decompressed(file: BinaryIO, method: str, path: str, chunk_bytes: int = 2**20) -> Iterator[bytes]:
    """Decompress a file in chunks of about this size, member after member; zeros behind a member are padding.

    Of a damaged one, what comes before the damage is given before InputError is raised. No compressor writes nothing
    at all, so an empty file was cut off.
    """
    held: list[bytes] = []
    size, damage = 0, None
    try:
        for piece in _members(file, method, path):
            held.append(piece)
            size += len(piece)
            if size >= chunk_bytes:
                yield b"".join(held)
                held, size = [], 0
    except (InputError, OSError) as error:
        damage = error
    if size:
        yield b"".join(held)
    if damage is not None:
        raise damage


def _members(file: BinaryIO, method: str, path: str) -> Iterator[bytes]:
    decoder, members = None, 0
    while chunk := file.read(STEP_BYTES):
        while chunk:
            if decoder is None:
                chunk = chunk.lstrip(b"\0") if members else chunk
                decoder = _DECODERS[method]() if chunk else None
                continue
            try:
                chunk = yield from _PIECES[method](decoder, chunk)
            except _DAMAGE as error:
                place = f"{path}: the {method} stream is damaged before byte {file.tell()}"
                raise InputError(f"{place}: {error}") from error
            if decoder.eof:
                decoder, members = None, members + 1
    if decoder is not None or not members:
        raise InputError(f"{path}: the {method} stream is cut off after byte {file.tell()}")


def _of_zlib(decoder: Any, data: bytes) -> Generator[bytes, None, bytes]:
    """Yield what a decoder makes of some bytes; return those behind the end of its stream."""
    piece = b""
    while not decoder.eof and (data or len(piece) == PIECE_BYTES):
        piece = decoder.decompress(data, PIECE_BYTES)
        data = decoder.unconsumed_tail
        yield piece
    return decoder.unused_data


def _of_bz2_or_xz(decoder: Any, data: bytes) -> Generator[bytes, None, bytes]:
    yield decoder.decompress(data, PIECE_BYTES)
    while not (decoder.eof or decoder.needs_input):
        yield decoder.decompress(b"", PIECE_BYTES)
    return decoder.unused_data


def _of_zstd(decoder: Any, data: bytes) -> Generator[bytes, None, bytes]:
    for at in range(0, len(data), _ZSTD_STEP_BYTES):
        yield decoder.decompress(data[at : at + _ZSTD_STEP_BYTES])
        if decoder.eof:
            return decoder.unused_data + data[at + _ZSTD_STEP_BYTES :]
    return b""


_PIECES: dict[str, Callable[[Any, bytes], Generator[bytes, None, bytes]]] = {
    "gzip": _of_zlib,
    "bz2": _of_bz2_or_xz,
    "xz": _of_bz2_or_xz,
    "zstd": _of_zstd,
}
