"""Markup before it is parsed: whether it is HTML at all, and what would keep a parser busy for hours."""

from __future__ import annotations

import re
from collections import Counter

HTML_TYPES = {"text/html", "application/xhtml+xml"}
UNTOLD_TYPES = {"", "application/http", "application/octet-stream", "unknown/unknown", "*/*", "text/xml"}
"""Content types that leave open whether a page is HTML; `application/xml` is among them as `text/xml` is."""
DEEPEST = 2000
"""Elements within one another. Resiliparse takes 0.1 s for so many, and a hundred times that for ten times as many."""
LONGEST_TAG = 2**14
"""Characters. The time to parse a tag grows with the square of its attributes."""
MOST_CHOICES = 2000
"""Of a form. The time of Resiliparse grows with the square of their number: a hundred thousand take minutes."""

_OTHER_CONTENT = (
    *(b"%PDF-", b"%!PS", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"RIFF", b"PK\x03\x04", b"\x1f\x8b", b"BZh"),
    *(b"\x7fELF", b"\xd0\xcf\x11\xe0", b"ID3", b"OggS", b"wOFF", b"wOF2", b"7z\xbc\xaf", b"Rar!", b"{\\rtf"),
    *(b"<?xml-stylesheet", b"<rss", b"<feed", b"<svg", b"<urlset", b"<sitemapindex", b"<rdf:RDF"),
)
_PROLOGUE = re.compile(rb"(?:\s+|<\?xml\s[^>]*>|<!--.*?-->|<!DOCTYPE\s+(?:svg|rss)[^>]*>)*", re.DOTALL | re.IGNORECASE)
_JSON = re.compile(rb"\{\s*[\"}]|\[\s*[\[{\"\d\]-]")
_TAG = re.compile(rb"<(?:[a-z][a-z0-9]*[\s/>]|!doctype\s+html|/[a-z])", re.IGNORECASE)
_NAME = re.compile(r"[a-zA-Z][^\s/>]{0,64}")
_NESTING = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_CHOICE = re.compile(r"<option\b[^<]*(?:</option\s*>)?", re.IGNORECASE)
_EMPTY = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
_ENDED_BY_NEXT = {"colgroup", "dd", "dt", "li", "optgroup", "option", "p", "tbody", "td", "tfoot", "th", "thead", "tr"}
_NEVER_DEEP = _EMPTY | _ENDED_BY_NEXT | {"body", "head", "html", "script", "style"}


def is_html(content: bytes, content_type: str | None = None) -> bool:
    """Whether bytes are a web page, by what the server says and by how they begin.

    A server that says nothing, or that says HTML of a picture or of JSON, is not believed.
    """
    said = (content_type or "").partition(";")[0].strip().lower().replace("application/xml", "text/xml")
    if said not in HTML_TYPES | UNTOLD_TYPES:
        return False
    # UTF-16 looks like ASCII without the zeros
    head = content[2:4096] if content.startswith((b"\xff\xfe", b"\xfe\xff")) else content[:4096]
    head = head.removeprefix(b"\xef\xbb\xbf").replace(b"\0", b"")
    prologue = _PROLOGUE.match(head)
    start = head[prologue.end() if prologue else 0 :]
    if start.startswith(_OTHER_CONTENT) or _JSON.match(start):
        return False
    return _TAG.search(head) is not None or _TAG.search(content.replace(b"\0", b"")) is not None


def cut_long_tags(html: str) -> str:
    """Take the attributes from tags that are longer than any text in them can be."""
    pieces = html.split("<")
    if max(map(len, pieces)) <= LONGEST_TAG:
        return html
    return "<".join([pieces[0], *map(_shorter, pieces[1:])])


def cut_choices(html: str) -> str:
    """Take the options of forms, which are no text of a page, where there are more than `MOST_CHOICES`."""
    # few pages have many tags that begin so, and to count these is faster than to search without regard to case
    if html.count("<o") + html.count("<O") <= MOST_CHOICES:
        return html
    return _CHOICE.sub("", html) if len(_CHOICE.findall(html)) > MOST_CHOICES else html


def is_too_deep(html: str) -> bool:
    """Whether more than `DEEPEST` elements are open at once."""
    if html.count("<") - html.count("</") <= DEEPEST:
        return False
    opened: Counter[str] = Counter()
    depth = 0
    for slash, tag in _NESTING.findall(html):
        name = tag.lower()
        if name in _NEVER_DEEP:
            continue
        if not slash:
            opened[name] += 1
            depth += 1
        elif opened[name]:
            opened[name] -= 1
            depth -= 1
        if depth > DEEPEST:
            return True
    return False


def _shorter(piece: str) -> str:
    """What follows a `<`, without the attributes that are too long."""
    if len(piece) <= LONGEST_TAG or not (name := _NAME.match(piece)):
        return piece
    end = piece.find(">")
    length = len(piece) if end < 0 else end
    return piece if length <= LONGEST_TAG else name[0] + piece[length:]
