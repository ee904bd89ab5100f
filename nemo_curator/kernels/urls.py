"""Web addresses, as upstream's regular expression finds them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.unicode import BLOCK

if TYPE_CHECKING:
    from collections.abc import Sequence

URL = re.compile(r"https?://(?:[A-Za-z0-9$\-_@.&+/:=?#~]|[!*\(\),]|(?:%[0-9A-Fa-f]{2}))+")
FACTS = ("url_chars", "pornographic")
PERCENT, LETTER_S = 37, 115
_SLASHES = np.frombuffer(b"://", np.uint8)
_HTTP = np.frombuffer(b"http", np.uint8)
_PORN = np.frombuffer(b"porn", np.uint8)
_IN_URL = np.array([URL.fullmatch(f"http://{chr(code)}") is not None for code in range(256)], np.uint8)
_HEX = np.array([chr(code) in "0123456789abcdefABCDEF" for code in range(256)], np.uint8)


def urls_of(text: str) -> Sequence[int]:
    """What `count_urls` counts, of one text."""
    urls = URL.findall(text)
    return [sum(map(len, urls)), sum("porn" in url for url in urls)]


@kernel("uint8[::1], int64[::1]")
def count_urls(data, offsets):
    """Count the characters of the URLs of each document, and the URLs in which `porn` stands."""
    facts = np.zeros((offsets.size - 1, 2), np.int64)
    for row in range(offsets.size - 1):
        text = data[offsets[row] : offsets[row + 1]]
        blocks = max(text.size - 2, 0) // BLOCK
        free = 0
        for at in range(blocks):
            if _has_slashes(text[BLOCK * at : BLOCK * at + BLOCK + 2]):
                free = _count_within(text, BLOCK * at, BLOCK * at + BLOCK, free, facts[row])
        _count_within(text, BLOCK * blocks, text.size, free, facts[row])
    return facts


@kernel
def _has_slashes(block):
    found = np.uint8(0)
    for at in range(BLOCK):
        slashes = (block[at] == _SLASHES[0]) & (block[at + 1] == _SLASHES[1]) & (block[at + 2] == _SLASHES[2])
        found = np.uint8(found | np.uint8(slashes))
    return found != 0


@kernel
def _count_within(text, start, end, free, facts):
    """Count the URLs whose `://` starts in a range; return where the last URL ends, for they cannot overlap."""
    for at in range(max(start, free), end):
        if text[at] != _SLASHES[0] or not holds(text, at, _SLASHES):
            continue
        first = at - 4 if at < 1 or text[at - 1] != LETTER_S else at - 5
        last = _end_of_url(text, at + 3)
        if first >= free and holds(text, first, _HTTP) and last > at + 3:
            facts[0] += last - first
            facts[1] += _has_porn(text, first, last)
            free = last
    return free


@kernel
def _end_of_url(text, at):
    while at < text.size:
        if _IN_URL[text[at]]:
            at += 1
        elif text[at] == PERCENT and at + 2 < text.size and _HEX[text[at + 1]] and _HEX[text[at + 2]]:
            at += 3
        else:
            break
    return at


@kernel
def _has_porn(text, start, end):
    at = start
    while at + _PORN.size <= end and not holds(text, at, _PORN):
        at += 1
    return at + _PORN.size <= end


@kernel
def holds(text, start, part):
    """Whether these bytes stand here."""
    if start < 0 or start + part.size > text.size:
        return False
    at = 0
    while at < part.size and text[start + at] == part[at]:
        at += 1
    return at == part.size
