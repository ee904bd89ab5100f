"""The members of a tar archive, one after another from a stream, whatever the archive claims about itself."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from nemo_curator.errors import InputError
from nemo_curator.stages.text.io.reader.lines import open_bytes
from nemo_curator.utils.decompression import decompressed
from nemo_curator.utils.find_files import compression_of

MEMBER_BYTES = 2**28
"""The largest member that is read where nothing else is asked for."""
HEADER_BYTES = 2**20
"""The longest name, or other extended header, that is read; an ordinary one has some hundred bytes."""

_BLOCK = 512
_RECORD = 20 * _BLOCK  # what the end of an archive is filled up to with zeros, behind which another may begin
_CHUNK_BYTES = 2**20
_SHORT_SUFFIXES = {".tgz": "gzip", ".tbz2": "bz2", ".txz": "xz", ".tzst": "zstd"}
_REGULAR, _FOLDER, _LONG_NAME, _SPARSE, _PAX = b"\x0007", b"5", b"L", b"S", b"x"
_ABOUT_NO_MEMBER = b"KgXV"  # long names of links, pax records for all members, those of Solaris, the name of a volume
_WITHOUT_DATA = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"6": "a pipe"}
_PAX_RECORD = re.compile(rb"([0-9]{1,7}) ([^=]+)=")
_OCTAL = re.compile(rb"[0-7]*")
_PLAIN_NAME = re.compile(rb"(?:[\w-]+/)*[\w-]+(?:\.\w+)*")
_MAGIC, _MAGIC_AT = re.compile(rb"ustar"), 257
_FIELDS = struct.Struct("100s 24x 12s 12x 8s c 100x 5s 83x 155s 12x")
"""Of a header: name, size, sum, kind, magic, and what may come before the name."""


def tar_members(
    path: str,
    *,
    skipped: Callable[[InputError], None],
    damaged: Callable[[InputError], None] | None = None,
    max_bytes: int = MEMBER_BYTES,
    storage_options: dict[str, Any] | None = None,
) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each regular member of an archive, which may be compressed (`.tar.gz`, `.tgz`, …).

    It is read as a stream, from a file or URL, and nothing is written anywhere. `skipped` is told of each member that
    is not given: one larger than `max_bytes`, a link, a device, a sparse file, a name that leads out of a folder.
    Folders are passed over in silence. Of a damaged archive, the members before the damage are given before InputError
    is raised; one without the mark that ends an archive was cut off. Where `damaged` is given it is told of the damage
    instead, and reading goes on at the next header that is whole.
    """
    short = next((method for suffix, method in _SHORT_SUFFIXES.items() if path.lower().endswith(suffix)), None)
    method = short or compression_of(path)
    with open_bytes(path, storage_options) as file:
        chunks = decompressed(file, method, path) if method else iter(lambda: file.read(_CHUNK_BYTES), b"")
        yield from members_of(chunks, path, skipped=skipped, damaged=damaged, max_bytes=max_bytes)


def members_of(
    chunks: Iterator[bytes],
    name: str,
    *,
    skipped: Callable[[InputError], None],
    damaged: Callable[[InputError], None] | None = None,
    max_bytes: int = MEMBER_BYTES,
) -> Iterator[tuple[str, bytes]]:
    """Name and content of each regular member of an archive that comes as chunks of its bytes, uncompressed.

    `name` is what errors call the archive; the rest is as in `tar_members`.
    """
    return _Archive(name, _Stream(chunks), skipped, damaged, max_bytes).members()


@dataclass
class _Stream:
    """Bytes of chunks, so many at a time. Damage in what they come from ends them."""

    chunks: Iterator[bytes]
    place: int = 0
    error: InputError | None = None
    _chunk: bytes = b""
    _at: int = 0

    @property
    def held(self) -> tuple[bytes, int]:
        """Bytes that are there already, and where in them the next one is."""
        return self._chunk, self._at

    def take(self, count: int) -> bytes:
        """The next bytes; fewer where it ends."""
        end = self._at + count
        if end > len(self._chunk):
            return b"".join(self._parts(count))
        data = self._chunk[self._at : end]
        self._at = end
        self.place += count
        return data

    def skip(self, count: int) -> int:
        """Pass by bytes without holding them, and say how many there were."""
        end = self._at + count
        if end > len(self._chunk):
            return sum(map(len, self._parts(count)))
        self._at = end
        self.place += count
        return count

    def put_back(self, data: bytes) -> None:
        """Give bytes that were taken once more."""
        self._chunk, self._at = data + self._chunk[self._at :], 0
        self.place -= len(data)

    def _parts(self, count: int) -> Iterator[bytes]:
        while count > 0 and (self._at < len(self._chunk) or self._fill()):
            part = self._chunk[self._at : self._at + count]
            self._at += len(part)
            self.place += len(part)
            count -= len(part)
            yield part

    def _fill(self) -> bool:
        self._at = 0
        try:
            self._chunk = next(self.chunks, b"")
        except InputError as error:
            self._chunk, self.error = b"", error
        return bool(self._chunk)


@dataclass
class _Header:
    name: bytes
    size: int
    kind: bytes
    has_map: bool
    """Whether blocks that say where the data of a sparse file lie follow at once."""


@dataclass
class _Archive:
    path: str
    stream: _Stream
    skipped: Callable[[InputError], None]
    damaged: Callable[[InputError], None] | None
    max_bytes: int
    number: int = 1
    start: int = 0
    extended: dict[bytes, bytes] = field(default_factory=dict)
    """What the headers before that of a member say about it."""

    def members(self) -> Iterator[tuple[str, bytes]]:
        while True:
            try:
                yield from self._members()
            except _DamageError as error:
                if self.damaged is None:
                    raise InputError(str(error)) from None
                self.damaged(InputError(str(error)))
                self.number += 1
                self.extended = {}
                if self._find_header():
                    continue
            return

    def _find_header(self) -> bool:
        """Go to the next header that is whole, wherever it begins."""
        held = self.stream.take(_CHUNK_BYTES)
        while True:
            for found in _MAGIC.finditer(held, _MAGIC_AT):
                block = held[found.start() - _MAGIC_AT :][:_BLOCK]
                if len(block) == _BLOCK and _is_header(block):
                    self.stream.put_back(held[found.start() - _MAGIC_AT :])
                    return True
            more = self.stream.take(_CHUNK_BYTES)
            if not more:
                return False
            held = held[1 - _BLOCK :] + more

    def _members(self) -> Iterator[tuple[str, bytes]]:
        zeros = first = 0
        while True:
            if not zeros and not self.extended:
                yield from self._plain_members()
            block = self._next_block()
            if not block:
                break
            if not block[0] and not block.strip(b"\0"):
                zeros += 1
                continue
            if zeros:
                if zeros < 2 or (self.start - first) % _RECORD:
                    self.stream.put_back(block)
                    raise self._damage("zeros that end no archive are before it")
                zeros, first = 0, self.start
            header = self._header(block)
            if header.kind in (_PAX, _LONG_NAME):
                self._extend(header)
            elif header.kind in _ABOUT_NO_MEMBER:
                self._pass_by(header.size)
            else:
                yield from self._member(header)
                self.number += 1
                if self.extended:
                    self.extended = {}
        if self.stream.error or not zeros:
            raise self._damage("it is cut off")

    def _plain_members(self) -> Iterator[tuple[str, bytes]]:
        """The members that have nothing special about them and are held already: nearly all, for a third of the time.

        It stops before the first that it does not take, for whatever reason.
        """
        chunk, begin = self.stream.held
        at = begin
        while found := _plain_member(chunk, at, self.max_bytes):
            name, size = found
            start = at + _BLOCK
            yield name, chunk[start : start + size]
            self.number += 1
            at = start + size + -size % _BLOCK
        self.stream.skip(at - begin)

    def _next_block(self) -> bytes:
        self.start = self.stream.place
        return self.stream.take(_BLOCK)

    def _member(self, header: _Header) -> Iterator[tuple[str, bytes]]:
        if header.kind == _FOLDER or (header.kind == b"\0" and header.name.endswith(b"/")):
            return
        if reason := self._why_not(header):
            while header.has_map:
                header.has_map = self._taken(_BLOCK)[504] > 0
            self._pass_by(0 if header.kind in _WITHOUT_DATA else header.size)
            self.skipped(InputError(f"{self.path}: member {self.number} ({_text(header.name)}) {reason}"))
        else:
            yield _text(header.name), self._taken(header.size)
            self.stream.skip(-header.size % _BLOCK)

    def _why_not(self, header: _Header) -> str | None:
        """Why a member is not given."""
        if header.kind in _WITHOUT_DATA:
            return f"is {_WITHOUT_DATA[header.kind]}, which is not followed"
        if header.kind == _SPARSE or b"sparse" in self.extended:
            return "is a sparse file, which is not read"
        if header.kind not in _REGULAR:
            return f"is of the unknown kind {_text(header.kind)!r}"
        if header.size > self.max_bytes:
            return f"has {header.size} bytes; wanted at most {self.max_bytes}"
        if b"unread" in self.extended:
            return f"has a header of more than {HEADER_BYTES} bytes"
        if not _PLAIN_NAME.fullmatch(header.name) and _leads_out(header.name):
            return "has a name that leads out of the folder, or none"
        return None

    def _header(self, block: bytes) -> _Header:
        if len(block) < _BLOCK:
            raise self._damage("it is cut off")
        if not _is_header(block):
            self.stream.put_back(block[1:])
            raise self._damage("there is no header")
        kind, name, size = block[156:157], block[:100].partition(b"\0")[0], _number(block[124:136])
        if kind not in (_PAX, _LONG_NAME) and kind not in _ABOUT_NO_MEMBER:
            if block[345] and block[257:263] == b"ustar\0":
                name = block[345:500].partition(b"\0")[0] + b"/" + name
            if self.extended:
                name = self.extended.get(b"path", name)
                size = int(self.extended[b"size"]) if b"size" in self.extended else size
        if size is None or size < 0:
            raise self._damage("its size is no number")
        return _Header(name, size, kind, kind == _SPARSE and block[482] > 0)

    def _extend(self, header: _Header) -> None:
        """Read a name too long for the header, or pax records, which belong to the member that follows."""
        if header.size > HEADER_BYTES:
            self._pass_by(header.size)
            self.extended[b"unread"] = b""
            return
        data = self._taken(header.size)
        self.stream.skip(-header.size % _BLOCK)
        if header.kind == _LONG_NAME:
            self.extended[b"path"] = data.rstrip(b"\0")
            return
        at = 0
        while at < len(data):
            record = _PAX_RECORD.match(data, at)
            end = at + int(record[1]) if record else 0
            if record is None or end <= record.end() or data[end - 1 : end] != b"\n":
                raise self._damage("its pax header is damaged")
            key, value, at = record[2], data[record.end() : end - 1], end
            if key == b"path" or (key == b"size" and value.isdigit() and len(value) < 20):
                self.extended[key] = value
            elif key.startswith(b"GNU.sparse."):
                self.extended[b"sparse"] = b""

    def _taken(self, size: int) -> bytes:
        data = self.stream.take(size)
        if len(data) < size:
            raise self._damage("it is cut off")
        return data

    def _pass_by(self, size: int) -> None:
        if self.stream.skip(size) < size:
            raise self._damage("it is cut off")
        self.stream.skip(-size % _BLOCK)

    def _damage(self, what: str) -> _DamageError:
        follows = ", and what follows" if self.damaged is None or self.stream.error else ""
        place = f"{self.path}: member {self.number}, at byte {self.start}{follows} could not be read"
        return _DamageError(f"{place}: {self.stream.error or what}")


class _DamageError(Exception):
    """An archive is not as it should be here."""


def _plain_member(chunk: bytes, at: int, max_bytes: int) -> tuple[str, int] | None:
    """Name and size of a member that begins here, if all that it says about itself is usual and its data are held."""
    start = at + _BLOCK
    if start > len(chunk):
        return None
    name, digits, total, kind, magic, before = _FIELDS.unpack_from(chunk, at)
    name = name.rstrip(b"\0")
    if kind not in _REGULAR or magic != b"ustar" or before[0] or not _PLAIN_NAME.fullmatch(name):
        return None
    if digits[11] or not _OCTAL.fullmatch(digits, 0, 11):
        return None
    size = int(digits[:11], 8)
    # of so few bytes, letters and digits, Adler's sum is the sum, and one: fifteen times faster than `sum`
    if total != b"%06o\0 " % ((zlib.adler32(chunk[at:start]) & 0xFFFF) - 1 - sum(total) + 8 * 32):
        return None
    is_held = start + size + -size % _BLOCK <= len(chunk)
    return (name.decode(), size) if is_held and size <= max_bytes else None


def _is_header(block: bytes) -> bool:
    """Whether the sum of a block is the one that it holds, as unsigned bytes or, as some old programs add, signed."""
    total = sum(block) - sum(block[148:156]) + 8 * 32
    wanted = _number(block[148:156])
    if wanted == total:
        return True
    return wanted == total - 256 * sum(byte > 127 for byte in block[:148] + block[156:])


def _leads_out(name: bytes) -> bool:
    parts = re.split(rb"[/\\]", name)
    return not parts[0] or parts[0][1:2] == b":" or b".." in parts or b"\0" in name


def _number(digits: bytes) -> int | None:
    """A number of a header: octal, or to the base of 256 where that is too short for it."""
    if digits[0] == 128:
        return int.from_bytes(digits[1:], "big")
    digits = digits.strip(b" \0")
    return int(digits or b"0", 8) if _OCTAL.fullmatch(digits) else None


def _text(name: bytes) -> str:
    return name.decode(errors="backslashreplace")
