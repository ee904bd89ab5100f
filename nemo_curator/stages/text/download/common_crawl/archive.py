"""The records of web archives: WARC and ARC, plain or compressed, whole or damaged."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from nemo_curator.errors import InputError
from nemo_curator.stages.text.download.common_crawl.window import BUFFER, PIECE, Archive, Window
from nemo_curator.utils.storage import open_bytes

MOST_LINE, MOST_HEAD = 2**13, 2**16
MOST_BLOCK = 2**28
"""Bytes of the largest record that is read."""
KINDS = {b"warcinfo", b"response", b"resource", b"request", b"metadata", b"revisit", b"conversion", b"continuation"}

_ARC_LINE = rb"[A-Za-z][\w+.-]*:[^\r\n]* [^ \r\n]+ \d{14} [^ \r\n]+ \d+\r?\n"
_WARC_LINE = rb"WARC/\d\.\d+\r?\n"
_FIRST_LINE = re.compile(_WARC_LINE + b"|" + _ARC_LINE)
_NEXT_LINE = re.compile(_WARC_LINE + rb"|(?<=\n)" + _ARC_LINE)
_NEXT_MEMBER = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]|\x28\xb5\x2f\xfd|" + _NEXT_LINE.pattern)
GAP = b"\r\n\r\n"
END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
"""An empty line, also where ends of lines of both kinds are mixed."""
MOST_DIGITS = 18
"""Of a length; Python refuses to read thousands."""
_BLANK = re.compile(rb"[\r\n]*")
_FOLD = re.compile(rb"\r?\n[ \t]+")


class DamagedRecordError(InputError):
    """A record of an archive is not as the format says."""


class Fields:
    """The fields of a header. Of several with one name the first counts."""

    __slots__ = ("_names", "_text")

    def __init__(self, head: bytes):
        self._text = _FOLD.sub(b" ", head) if b"\n " in head or b"\n\t" in head else head
        self._names = self._text.lower()

    def get(self, name: bytes) -> bytes | None:
        """Return the value of a field, whose name is given in lower case."""
        # a page needs few of its fields, so that to find these is faster than to read all
        start = self._names.find(b"\n" + name + b":")
        if start < 0:
            return None
        start += len(name) + 2
        end = self._text.find(b"\n", start)
        return self._text[start : end if end >= 0 else None].strip()


@dataclass(slots=True)
class Record:
    """What one record holds: the fields of its header, and the `block` that they announce.

    `offset` is where the record begins in the file, or the compressed member that holds it.
    """

    fields: Fields
    block: bytes
    offset: int


@dataclass(frozen=True)
class Damage:
    """Where a record could not be read, and why. `place` counts decompressed bytes of the member."""

    offset: int
    place: int
    reason: str


def read_archive(
    path: str, kind: bytes, found: Counter[bytes], storage_options: dict[str, Any] | None = None
) -> Iterator[Record | Damage]:
    """Yield the records of a kind, such as `response`, and among them each record that is damaged.

    `found` counts all records by their kind. After damage the next record is looked for: the next member where
    records are compressed one by one, else the next line that begins one.
    """
    with open_bytes(path, storage_options) as file:
        archive = Archive(file)
        if archive.is_over():
            raise InputError(f"{path} is empty; wanted a web archive")
        while not archive.is_over():
            window = archive.window()
            if window.is_plain and not _begins_record(window):
                yield Damage(window.start, 0, "neither a record nor a compressed member begins here")
                start = window.start + 1
            else:
                given = found.total()
                damaged = yield from _read_window(window, kind, found)
                if damaged is None:
                    continue
                start = window.start + 1
                if window.is_plain:
                    start += damaged
                elif found.total() > given + 1:
                    # with its end damaged, a member may have been decoded together with what follows it
                    start = max(start, archive.place - PIECE)
            if not _find_member(archive, start):
                return


def read_response(data: bytes) -> Record:
    """Return the response that these bytes are, a compressed member or a plain record, and nothing else."""
    archive = Archive(io.BytesIO(data))
    found: Counter[bytes] = Counter()
    records: list[Record] = []
    for part in _read_window(archive.window(), b"response", found):
        if isinstance(part, Damage):
            raise DamagedRecordError(part.reason)
        records.append(part)
    if found.total() != 1 or not archive.is_over():
        raise DamagedRecordError(f"{len(data)} bytes are not one record")
    if not records:
        raise DamagedRecordError(f"wanted a response; the record is a {next(iter(found)).decode()}")
    return records[0]


def _read_window(window: Window, kind: bytes, found: Counter[bytes]) -> Generator[Record | Damage, None, int | None]:
    """Yield the records of a member and return None, or the place in it of damage that ends it."""
    is_reported = False
    number = 0
    while _skip_blank(window):
        place = window.place
        try:
            head = _head(window)
            wanted = head.kind == kind and head.length <= MOST_BLOCK
            block = _block(window, head.length) if wanted else _passed(window, head.length)
            _check_end(window, head.is_arc, block)
        except DamagedRecordError as problem:
            if window.error is None or not is_reported:  # what damaged data decode to may look like many records
                yield _damage(window, place, window.error or str(problem))
            is_reported = True
            if window.is_plain:
                return place
            window.go(place + 1)
            if not _find_next(window):
                break
            continue
        is_reported = False
        number += 1
        if number == 1 and window.error is not None and not window.fill(1):
            break  # the member holds nothing but this record, so that the damage is in it
        found[head.kind] += 1
        if wanted:
            yield Record(head.fields, block, window.start + (place if window.is_plain else 0))
        elif head.kind == kind:
            yield _damage(window, place, f"the record has {head.length} bytes; at most {MOST_BLOCK} are read")
    if window.error is not None and not is_reported:
        yield _damage(window, window.place, window.error)
    return None if window.error is None else window.place


def _damage(window: Window, place: int, reason: str) -> Damage:
    return Damage(window.start + place, 0, reason) if window.is_plain else Damage(window.start, place, reason)


class _Head(NamedTuple):
    fields: Fields
    kind: bytes
    length: int
    is_arc: bool


def _head(window: Window) -> _Head:
    """Read the header of the record that begins here, and go to its block."""
    window.fill(MOST_LINE)
    line = _FIRST_LINE.match(window.data, window.pos)
    if line is None:
        raise DamagedRecordError("no record begins here")
    is_arc = not line[0].startswith(b"WARC/")
    if is_arc:
        text = _in_words_of_warc(line[0])
        window.pos = line.end()
    else:
        text = _until_empty_line(window)
    fields = Fields(text)
    kind, length = fields.get(b"warc-type") or b"", fields.get(b"content-length") or b""
    if not length.isdigit() or len(length) > MOST_DIGITS:
        shown = length[: 2 * MOST_DIGITS].decode("latin-1")
        raise DamagedRecordError(f"Content-Length is {shown!r}; wanted a number of bytes")
    if kind not in KINDS:
        raise DamagedRecordError(f"WARC-Type is {kind.decode('latin-1')!r}; wanted one of the standard")
    return _Head(fields, kind, int(length), is_arc)


def _until_empty_line(window: Window) -> bytes:
    end = END_OF_HEAD.search(window.data, window.pos)
    if end is None:
        window.fill(MOST_HEAD)
        end = END_OF_HEAD.search(window.data, window.pos)
        if end is None:
            raise DamagedRecordError("the header of the record has no end")
    text = window.data[window.pos : end.start()]
    window.pos = end.end()
    return text


def _in_words_of_warc(line: bytes) -> bytes:
    """Write the first line of an ARC record as the header of a WARC record."""
    url, _address, _date, content_type, length = line.strip().rsplit(b" ", 4)
    kind = b"warcinfo" if url.startswith(b"filedesc:") else b"response"
    return b"\nWARC-Type: %b\nWARC-Target-URI: %b\nContent-Type: %b\nContent-Length: %b" % (
        kind,
        url,
        content_type,
        length,
    )


def _block(window: Window, length: int) -> bytes:
    if not window.fill(length):
        raise _cut(len(window.data) - window.pos, length)
    block = window.data[window.pos : window.pos + length]
    window.pos += length
    return block


def _passed(window: Window, length: int) -> bytes:
    place = window.place
    if not window.skip(length):
        raise _cut(window.place - place, length)
    return b""


def _cut(found: int, wanted: int) -> DamagedRecordError:
    return DamagedRecordError(f"the record ends after {found} of {wanted} bytes")


def _check_end(window: Window, is_arc: bool, block: bytes) -> None:
    """Go on to where the next record should begin; without a gap before it, the length was not that of this one."""
    window.fill(len(GAP))
    gap = b"\n" if is_arc else GAP
    if window.data.startswith(gap, window.pos):
        window.pos += len(gap)
        return
    has_bare_ends = window.data.startswith(b"\n\n", window.pos)
    place = window.place
    is_followed = _skip_blank(window)
    blank = window.place - place
    is_cut = (
        0 < blank < len(GAP) and not has_bare_ends and block.endswith(GAP[:-blank])
    )  # the rest of the gap is in the block
    if is_cut or (is_followed and not _begins_record(window)):
        raise DamagedRecordError("the record does not end after as many bytes as it announces")


def _skip_blank(window: Window) -> bool:
    """Go to the next byte that ends no line; return whether there is one."""
    while window.fill(1):
        blank = _BLANK.match(window.data, window.pos)
        assert blank is not None
        window.pos = blank.end()
        if window.pos < len(window.data):
            return True
    return False


def _begins_record(window: Window) -> bool:
    if not _skip_blank(window):
        return False
    window.fill(MOST_LINE)
    return _FIRST_LINE.match(window.data, window.pos) is not None


def _find_next(window: Window) -> bool:
    """Go to the next line that begins a record; return whether there is one."""
    while True:
        window.fill(PIECE)
        line = _NEXT_LINE.search(window.data, window.pos)
        if line is not None:
            window.pos = line.start()
            return True
        if window.ended:
            return False
        window.pos = len(window.data) - MOST_LINE  # a line may have been cut


def _find_member(archive: Archive, start: int) -> bool:
    """Go to the next place in the file from which a record can be read; return whether there is one."""
    while True:
        archive.go(start)
        data = archive.read_all(BUFFER)
        member = _NEXT_MEMBER.search(data)
        if member is None:
            if len(data) < BUFFER:
                return False
            start += len(data) - MOST_LINE  # a line may have been cut
            continue
        archive.go(start + member.start())
        # the bytes that begin a member also occur within compressed data
        if _begins_record(archive.window()):
            archive.go(start + member.start())
            return True
        start += member.start() + 1
