"""Paragraphs that hold the phrases of cookie banners and placeholder text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.unicode import BLOCK

if TYPE_CHECKING:
    from collections.abc import Sequence

PLACEHOLDER = "lorem ipsum"
POLICIES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "privacy overview",
    "use of cookies",
    "use cookies",
    "privacy & cookies policy",
    "privacy and cookies policy",
    "necessary cookies are absolutely essential",
    "any cookies that may not be particularly",
    "if you continue to browse this site without",
)
FACTS = ("placeholders", "policies")
# three letters that are rare, of which every phrase holds some
_RARE = ("rms", "iva", "coo", "ows", "rem")
_PHRASES = (*POLICIES, PLACEHOLDER)
_BYTES = np.frombuffer("".join(_PHRASES).encode(), np.uint8)
_ENDS = np.cumsum([len(phrase) for phrase in _PHRASES])
_TO_RARE = np.array([min(phrase.index(rare) for rare in _RARE if rare in phrase) for phrase in _PHRASES])
LINE_FEED, LETTER_K = 10, 107
NOTHING, POLICY, PLACEHOLDERS = 0, 1, 2


def boilerplate_of(text: str) -> Sequence[int]:
    """What `count_boilerplate` counts, of one text."""
    paragraphs = [paragraph.lower() for paragraph in text.split("\n\n")]
    return [
        sum(PLACEHOLDER in paragraph for paragraph in paragraphs),
        sum(any(policy in paragraph for policy in POLICIES) for paragraph in paragraphs),
    ]


@kernel("uint8[::1], int64[::1]")
def count_boilerplate(data, offsets):
    """Count the paragraphs of each document that hold a placeholder, and those that hold a policy's phrase."""
    facts = np.zeros((offsets.size - 1, 2), np.int64)
    for row in range(offsets.size - 1):
        text = data[offsets[row] : offsets[row + 1]]
        if _find(text) != NOTHING:
            _count_paragraphs(text, facts[row])
    return facts


@kernel
def _count_paragraphs(text, facts):
    start = 0
    while start <= text.size:
        end = start
        while end < text.size and not (text[end] == LINE_FEED and end + 1 < text.size and text[end + 1] == LINE_FEED):
            end += 1
        found = _find(text[start:end])
        facts[0] += found & PLACEHOLDERS > 0
        facts[1] += found & POLICY
        start = end + 2


@kernel
def _find(text):
    """Which kinds of phrases stand in a text."""
    found = NOTHING
    blocks = max(text.size - 2, 0) // BLOCK
    for at in range(blocks):
        if _has_rare(text[BLOCK * at : BLOCK * at + BLOCK + 2]):
            found |= _find_within(text, BLOCK * at, BLOCK * at + BLOCK)
    return found | _find_within(text, BLOCK * blocks, text.size - 2)


@kernel
def _has_rare(block):
    found = np.uint8(0)
    for at in range(BLOCK):
        found = np.uint8(found | np.uint8(_is_rare(block[at] | 32, block[at + 1] | 32, block[at + 2] | 32)))
    return found != 0


@kernel
def _is_rare(first, second, third):
    return (
        ((first == 99) & (second == 111) & (third == 111))
        | ((first == 105) & (second == 118) & (third == 97))
        | ((first == 114) & (second == 109) & (third == 115))
        | ((first == 111) & (second == 119) & (third == 115))
        | ((first == 114) & (second == 101) & (third == 109))
    )


@kernel
def _find_within(text, start, end):
    found = NOTHING
    for at in range(start, end):
        if not _is_rare(text[at] | 32, text[at + 1] | 32, text[at + 2] | 32):
            continue
        first = 0
        for phrase in range(_ENDS.size):
            last = _ENDS[phrase]
            if _holds(text, at - _TO_RARE[phrase], first, last):
                found |= PLACEHOLDERS if phrase == _ENDS.size - 1 else POLICY
            first = last
    return found


@kernel
def _holds(text, at, first, last):
    """Whether a phrase stands here once the text is in lower case; the Kelvin sign then is a `k`."""
    if at < 0:
        return False
    for place in range(first, last):
        if at >= text.size:
            return False
        byte = text[at]
        at += 1
        if 65 <= byte <= 90:
            byte |= 32
        elif byte == 0xE2 and at + 1 < text.size and text[at] == 0x84 and text[at + 1] == 0xAA:
            byte = LETTER_K
            at += 2
        if byte != _BYTES[place]:
            return False
    return True
