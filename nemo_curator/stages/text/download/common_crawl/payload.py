"""The body of an HTTP response, as a browser would get it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from typing import Any

import zstandard

from nemo_curator.errors import need
from nemo_curator.stages.text.download.common_crawl.archive import END_OF_HEAD, MOST_BLOCK, DamagedRecordError, Fields

PIECE = 2**13
"""Bytes decoded at once: a body may be thousands of small members, and what follows one is copied."""
_GZIP = b"\x1f\x8b"
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")


def body_of(block: bytes) -> tuple[bytes, str | None]:
    """Return the body of an HTTP response and its Content-Type; of anything else, all of it and None."""
    return http_payload(block) if block.startswith(b"HTTP/") else (block, None)


def http_payload(block: bytes) -> tuple[bytes, str | None]:
    """Return the body of a response and its Content-Type; chunks are joined and compression is undone.

    A body that ends early, as crawlers cut off long ones, is given as far as it goes. One that is not encoded as its
    header says was decoded by the crawler, and is given as it is.
    """
    end = END_OF_HEAD.search(block)
    fields = Fields(block[: end.start()] if end else block)
    body = block[end.end() :] if end else b""
    if b"chunked" in (fields.get(b"transfer-encoding") or b"").lower():
        body = _joined(body)
    for coding in reversed((fields.get(b"content-encoding") or b"").lower().split(b",")):
        decode = _CODINGS.get(coding.strip())
        if decode is not None and body:
            body = decode(body)
    content_type = fields.get(b"content-type")
    return body, None if content_type is None else content_type.decode("latin-1")


def _joined(body: bytes) -> bytes:
    chunks: list[bytes] = []
    pos = 0
    while size := _CHUNK.match(body, pos):
        length = int(size[1], 16)
        if length == 0:
            return b"".join(chunks)
        chunks.append(body[size.end() : size.end() + length])
        pos = size.end() + length
        pos += 2 if body.startswith(b"\r\n", pos) else 1
    if not chunks:
        return body
    if pos + len("ffffffff\r\n") < len(body):
        raise DamagedRecordError("Transfer-Encoding is chunked, and a chunk has no length")
    return b"".join(chunks)


def _gzip(body: bytes) -> bytes:
    if not body.startswith(_GZIP):
        return body
    made: list[bytes] = []
    place, room = 0, MOST_BLOCK
    while body.startswith(_GZIP, place):
        decoder = zlib.decompressobj(wbits=31)
        while not decoder.eof and place < len(body):
            piece = body[place : place + PIECE]
            try:
                made.append(decoder.decompress(piece, room + 1))
            except zlib.error as error:
                raise DamagedRecordError(f"Content-Encoding is gzip: {error}") from error
            room -= len(made[-1])
            _check_size(room < 0)
            place += len(piece) - len(decoder.unused_data)
    return b"".join(made)


def _deflate(body: bytes) -> bytes:
    for wbits in (15, -15):  # with the header that the standard asks for, or as some servers send it
        decoder = zlib.decompressobj(wbits=wbits)
        try:
            made = decoder.decompress(body, MOST_BLOCK)
        except zlib.error:
            continue
        _check_size(decoder.unconsumed_tail)
        return made
    return body


def _brotli(body: bytes) -> bytes:
    brotli = need("brotli", extra="text")
    decoder, made = brotli.Decompressor(), b""
    try:
        made = decoder.process(body, output_buffer_limit=MOST_BLOCK)
    except brotli.error:
        return body
    # it gives somewhat more than the limit, and then may say that it waits for more data
    _check_size(len(made) > MOST_BLOCK or not decoder.can_accept_more_data())
    return made


def _zstd(body: bytes) -> bytes:
    if not body.startswith(b"\x28\xb5\x2f\xfd"):
        return body
    try:
        with zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True) as reader:
            made = reader.read(MOST_BLOCK + 1)
    except zstandard.ZstdError as error:
        raise DamagedRecordError(f"Content-Encoding is zstd: {error}") from error
    _check_size(len(made) > MOST_BLOCK)
    return made


def _check_size(has_more: Any) -> None:
    if has_more:
        raise DamagedRecordError(f"the body unpacks to more than {MOST_BLOCK} bytes")


_CODINGS: dict[bytes, Callable[[bytes], bytes]] = {
    b"br": _brotli,
    b"deflate": _deflate,
    b"gzip": _gzip,
    b"x-gzip": _gzip,
    b"zstd": _zstd,
}
