"""The pages of a dump, one after the other, and what of the dump cannot be read.

A page is cut out by its tags and parsed on its own. `<page>` cannot stand within a page, for text is escaped; so a page
that is damaged costs no other, an export of any schema version reads the same, and nothing of a page stays in memory.
"""

from __future__ import annotations

import codecs
import html
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nemo_curator.errors import InputError

logger = logging.getLogger(__name__)

LARGEST_PAGE = 2**26
"""A page with more bytes is set aside. MediaWiki takes 2 MiB of text."""
_LONGEST_HEAD = 2**20
_DECLARED = re.compile(rb"<\?xml[^>]*encoding=[\"']([A-Za-z0-9._-]+)")
_NAMESPACE = re.compile(r"<namespace [^>]*?key=\"(-?[0-9]+)\"[^>]*>([^<]+)</namespace>")
_OPEN, _CLOSE = b"<page>", b"</page>"


@dataclass(frozen=True)
class Head:
    """What stands before the first page: the names of all namespaces but that of the articles."""

    namespaces: frozenset[str]


@dataclass(frozen=True)
class Damage:
    """A part of a dump that cannot be read, and how many pages it cost as far as that can be told."""

    what: str
    pages: int = 1


def pages(pieces: Iterable[bytes | Damage], name: str) -> Iterator[bytes | Head | Damage]:
    """Yield the head of a dump, the bytes of each page as UTF-8, and where they are, the damages.

    What is no dump raises; `name` is what the error calls it.
    """
    cutter = _Cutter()
    for piece in _in_utf8(pieces):
        if isinstance(piece, Damage):
            cutter.forget()
            yield piece
        else:
            yield from cutter.cut(piece)
    yield from cutter.end(name)


class _Cutter:
    """Collects bytes until a page is complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._is_inside = False
        self._head: bytearray | None = bytearray()
        self._tail = b""

    def cut(self, piece: bytes) -> Iterator[bytes | Head | Damage]:
        self._buffer += piece
        start = 0
        while (found := self._buffer.find(self._wanted, max(start, self._searched))) >= 0:
            if self._is_inside:
                end = found + len(_CLOSE)
                yield from _whole(bytes(self._buffer[start:end]))
                start = end
            else:
                if self._head is not None:
                    yield Head(_namespaces(bytes(self._head + self._buffer[start:found])))
                    self._head = None
                start = found
            self._is_inside = not self._is_inside
        del self._buffer[:start]
        if self._is_inside and len(self._buffer) > LARGEST_PAGE:
            yield Damage(f"a page has more than {LARGEST_PAGE} bytes")
            self.forget()
        elif not self._is_inside:
            self._drop_all_but(len(_OPEN) - 1)
        # the tag may be half there
        self._searched = max(len(self._buffer) - len(_CLOSE) + 1, 0)

    def forget(self) -> None:
        """Go on at the next page."""
        self._buffer.clear()
        self._searched = 0
        self._is_inside = False

    def end(self, name: str) -> Iterator[Damage]:
        if self._is_inside:
            yield Damage("the dump ends within a page")
        elif self._head is None and b"</mediawiki>" not in self._tail:
            logger.warning("%s does not end with </mediawiki>; if it is not a part on purpose, pages are missing", name)
        elif self._head is not None and b"<mediawiki" not in self._head + self._buffer:
            raise InputError(f"{name} has neither <mediawiki> nor <page>; wanted an XML dump, plain or as bz2")

    @property
    def _wanted(self) -> bytes:
        return _CLOSE if self._is_inside else _OPEN

    def _drop_all_but(self, number: int) -> None:
        gone = max(len(self._buffer) - number, 0)
        self._tail = (self._tail + self._buffer)[-200:]
        if self._head is not None:
            self._head += self._buffer[: min(gone, _LONGEST_HEAD - len(self._head))]
        del self._buffer[:gone]


def _whole(page: bytes) -> Iterator[bytes | Damage]:
    """A page; if the end of an earlier one is missing, that it is, and the page behind it."""
    last = page.rfind(_OPEN)
    if last > 0:
        yield Damage("a page has no end", page.count(_OPEN) - 1)
    yield page[last:]


def _namespaces(head: bytes) -> frozenset[str]:
    names = _NAMESPACE.findall(head.decode("utf-8", "replace"))
    return frozenset(html.unescape(name) for key, name in names if key != "0")


def _in_utf8(pieces: Iterable[bytes | Damage]) -> Iterator[bytes | Damage]:
    """Translate a dump into UTF-8 if its first bytes say that it is in another encoding."""
    decoder: codecs.IncrementalDecoder | None = None
    is_first = True
    for piece in pieces:
        if isinstance(piece, Damage):
            if decoder is not None:
                decoder.reset()
            yield piece
            continue
        if is_first and piece:
            is_first = False
            encoding = _encoding(piece)
            decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)("replace")
        yield piece if decoder is None else decoder.decode(piece).encode("utf-8", "replace")


def _encoding(first: bytes) -> str:
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for unmarked in ("utf-16-le", "utf-16-be"):
        if first.startswith("<".encode(unmarked)):
            return unmarked
    declared = _DECLARED.search(first[:1000])
    try:
        return codecs.lookup(declared[1].decode()).name if declared else "utf-8"
    except LookupError as error:
        raise InputError(f"a dump is in an unknown encoding: {error}") from error
