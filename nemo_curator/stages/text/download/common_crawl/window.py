"""The bytes of an archive in memory, one compressed member after the other."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import zstandard

FIRST_PIECE, PIECE, BUFFER = 2**14, 2**16, 2**18
"""Compressed bytes that are decoded at once. Most members are small, and what follows a member is decoded again."""
MOST_AT_ONCE = 2**22
"""Bytes that come of it at most: what a hostile member unpacks to does not come into memory as a whole."""
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
DICTIONARY = b"\x5d\x2a\x4d\x18"
"""Begins the frame of a `.warc.zst` that holds the dictionary of all others."""
_FRAME = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
"""Begins a frame of zstd without data."""


class Codec(NamedTuple):
    """How members are decoded: `make` gives an object like those of `zlib.decompressobj`."""

    make: Callable[[], Any]
    decode: Callable[[Any, Any], bytes]
    errors: type[Exception]


def _gzip() -> Codec:
    library: Any
    try:
        from zlib_ng import zlib_ng as library  # decodes in six tenths of the time
    except ModuleNotFoundError:
        library = zlib
    return Codec(
        make=lambda: library.decompressobj(wbits=31),
        decode=lambda decoder, piece: decoder.decompress(piece, MOST_AT_ONCE),
        errors=library.error,
    )


def _zstd(dictionary: bytes | None) -> Codec:
    held = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
    return Codec(
        make=lambda: zstandard.ZstdDecompressor(dict_data=held).decompressobj(),
        decode=lambda decoder, piece: decoder.decompress(piece),
        errors=zstandard.ZstdError,
    )


class Archive:
    """An archive file, of which some bytes are in memory, and a place in it."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._data, self._pos, self._base = memoryview(b""), 0, 0
        self._gzip, self._zstd = _gzip(), _zstd(None)

    @property
    def place(self) -> int:
        return self._base + self._pos

    def go(self, place: int) -> None:
        if self._base <= place <= self._base + len(self._data):
            self._pos = place - self._base
        else:
            self._file.seek(place)
            self._data, self._pos, self._base = memoryview(b""), 0, place

    def read(self, size: int) -> memoryview:
        """Return at most so many bytes, and fewer only where the file or a buffer ends; none where the file ends."""
        if self._pos == len(self._data):
            self._base += self._pos
            self._data, self._pos = memoryview(self._file.read(BUFFER)), 0
        piece = self._data[self._pos : self._pos + size]
        self._pos += len(piece)
        return piece

    def read_all(self, size: int) -> bytes:
        """Return so many bytes; fewer only where the file ends."""
        pieces = []
        while size and (piece := self.read(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def peek(self) -> bytes:
        """The next four bytes."""
        if len(self._data) - self._pos >= 4:
            return bytes(self._data[self._pos : self._pos + 4])
        place = self.place
        magic = self.read_all(4)
        self.go(place)
        return magic

    def is_over(self) -> bool:
        """Skip frames without data, and say whether the file ends here."""
        while _FRAME.match(magic := self.peek()):
            self.go(self.place + 4)
            size = int.from_bytes(self.read_all(4), "little")
            if magic == DICTIONARY:
                held = self.read_all(size)
                self._zstd = _zstd(self._zstd.make().decompress(held) if held.startswith(ZSTD) else held)
            else:
                self.go(self.place + size)
        return not magic

    def window(self) -> Window:
        """Open the member that begins here, or what is not compressed."""
        magic = self.peek()
        codec = self._gzip if magic.startswith(GZIP) else self._zstd if magic == ZSTD else None
        return Window(self, codec)


class Window:
    """The part of a member, or of a plain file, that is in memory, and a place in it.

    A member whose compression is damaged ends there, with an `error`; every byte before the damage is given out.
    """

    def __init__(self, archive: Archive, codec: Codec | None):
        self.start = archive.place
        self._archive, self._codec = archive, codec
        self._restart()

    def _restart(self, base: int = 0) -> None:
        self.data, self.pos, self._base, self._decoded = b"", 0, base, base
        self.ended = False
        self.error: str | None = None
        self._decoder: Any = None if self._codec is None else self._codec.make()
        self._size = FIRST_PIECE

    @property
    def is_plain(self) -> bool:
        return self._codec is None

    @property
    def place(self) -> int:
        """How many bytes of the member come before this place."""
        return self._base + self.pos

    def fill(self, size: int) -> bool:
        """Hold so many bytes from this place on, or all that there are; return whether there are so many."""
        held = len(self.data) - self.pos
        if held < size and not self.ended:
            pieces = [self.data[self.pos :]] if held else []
            while held < size and not self.ended:
                pieces.append(self._more())
                held += len(pieces[-1])
            self._base += self.pos
            self.data, self.pos = b"".join(pieces), 0
        return held >= size

    def skip(self, size: int) -> bool:
        """Go on by so many bytes, which need not fit into memory; return whether there are so many."""
        while size > len(self.data) - self.pos:
            size -= len(self.data) - self.pos
            self.pos = len(self.data)
            if not self.fill(1):
                return False
        self.pos += size
        return True

    def go(self, place: int) -> None:
        """Go to a place, also to one that is no longer in memory."""
        if place >= self.place:
            self.skip(place - self.place)
        elif place >= self._base:
            self.pos = place - self._base
        elif self._codec is None:
            self._archive.go(self.start + place)
            self._restart(place)
        else:
            self._archive.go(self.start)
            self._restart()
            self.skip(place)

    def _more(self) -> bytes:
        data = self._plain() if self._codec is None else self._decode(self._codec)
        self._decoded += len(data)
        return data

    def _plain(self) -> bytes:
        data = self._archive.read(BUFFER)
        self.ended = not data
        return bytes(data)

    def _decode(self, codec: Codec) -> bytes:
        piece = self._decoder.unconsumed_tail
        at = self._archive.place - len(piece)
        piece = piece or self._archive.read(self._size)
        self._size = PIECE
        if not piece:
            self.ended, self.error = True, "the file ends within it"
            return b""
        try:
            data = codec.decode(self._decoder, piece)
        except codec.errors as error:
            self.ended, self.error = True, str(error)
            return self._rescued(codec, at)
        if self._decoder.eof:
            self.ended = True
            self._archive.go(self._archive.place - len(self._decoder.unused_data))
        return data

    def _rescued(self, codec: Codec, damaged: int) -> bytes:
        """Decode the member again, byte for byte where it is damaged, and return what has not been given out."""
        decoder, decoded, rest = codec.make(), 0, b""
        self._archive.go(self.start)
        try:
            while True:
                is_near = self._archive.place + PIECE > damaged
                piece = decoder.unconsumed_tail or self._archive.read(1 if is_near else PIECE)
                if not piece:
                    return rest
                data = codec.decode(decoder, piece)
                rest += data[max(self._decoded - decoded, 0) :]
                decoded += len(data)
        except codec.errors:
            return rest
