"""Lines and sentences as the recipes of Gopher, C4 and FineWeb look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nemo_curator.kernels.characters import CODES, table_of
from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.lines import LINE_FEED, strip
from nemo_curator.kernels.unicode import BLOCK, char_at, chars_in, is_ascii_space, wide_space_width

if TYPE_CHECKING:
    from collections.abc import Sequence

FACTS = ("line_feeds", "lines", "bulleted", "ended", "short", "sentences")
LINE_FEEDS, LINES, BULLETED, ENDED, SHORT, SENTENCES = range(6)
BULLETS = ("\u2022", "-")
CLOSING = "\"')]\u2019\u201d\u00bb"
_BULLET, _HYPHEN = ord(BULLETS[0]), ord(BULLETS[1])
_CLOSING = np.array(sorted(map(ord, CLOSING)), np.int64)


def sentence_ends() -> np.ndarray:
    """Characters that end a sentence in some script."""
    return table_of(r"\p{Sentence_Terminal}")


def sentences_of(text: str, max_chars: int) -> Sequence[int]:
    """What `count_sentences` counts, of one text."""
    ends = sentence_ends()
    lines = [line for line in text.split("\n") if line.strip()]
    return [
        text.count("\n"),
        len(lines),
        sum(line.strip().startswith(BULLETS) for line in lines),
        sum(int(ends[ord(line.strip()[-1])]) for line in lines),
        sum(len(line) <= max_chars for line in lines),
        sum(_ends_a_sentence(text, at, ends) for at, char in enumerate(text) if ends[ord(char)]),
    ]


def _ends_a_sentence(text: str, at: int, ends: np.ndarray) -> bool:
    after = at + 1
    if after < len(text) and ends[ord(text[after])]:
        return False
    while after < len(text) and text[after] in CLOSING:
        after += 1
    return text[at] >= "\x80" or after == len(text) or text[after].isspace()


@kernel("uint8[::1], int64[::1], uint8[::1], int64")
def count_sentences(data, offsets, ends, max_chars):
    """Count line feeds, sentences, and lines that are not blank.

    Of these, how many begin with a bullet or a hyphen, end like a sentence, and have at most `max_chars` characters. A
    sentence ends with a character for which `ends` holds 1 and no other such one behind it; if it is ASCII, then with
    white space or the end of the text behind it, closing quotes and brackets aside.
    """
    facts = np.zeros((offsets.size - 1, 6), np.int64)
    for row in range(offsets.size - 1):
        text = data[offsets[row] : offsets[row + 1]]
        start = 0
        for at in range(text.size):
            if text[at] == LINE_FEED:
                facts[row, LINE_FEEDS] += 1
                _describe_line(text, start, at, ends, max_chars, facts[row])
                start = at + 1
        _describe_line(text, start, text.size, ends, max_chars, facts[row])
        blocks = text.size // BLOCK
        for at in range(blocks):
            if _may_end(text[BLOCK * at : BLOCK * at + BLOCK]):
                facts[row, SENTENCES] += _sentences_within(text, BLOCK * at, BLOCK * at + BLOCK, ends)
        facts[row, SENTENCES] += _sentences_within(text, BLOCK * blocks, text.size, ends)
    return facts


@kernel
def _describe_line(text, start, end, ends, max_chars, facts):
    first, last = strip(text, start, end)
    if first == last:
        return
    facts[LINES] += 1
    code, _ = char_at(text, first)
    facts[BULLETED] += (code == _BULLET) | (code == _HYPHEN)
    final = last - 1
    while final > first and text[final] & 0xC0 == 0x80:
        final -= 1
    facts[ENDED] += _is_end(text, final, ends)
    facts[SHORT] += end - start <= 4 * max_chars and chars_in(text[start:end]) <= max_chars


@kernel
def _is_end(text, at, ends):
    code, _ = char_at(text, at)
    return ends[min(code, CODES - 1)]


@kernel
def _may_end(block):
    found = np.uint8(0)
    for at in range(BLOCK):
        byte = block[at]
        found = np.uint8(found | np.uint8((byte == 46) | (byte == 33) | (byte == 63) | (byte >= 0xC0)))
    return found != 0


@kernel
def _sentences_within(text, start, end, ends):
    count = 0
    for at in range(start, end):
        if text[at] & 0xC0 == 0x80 or not _is_end(text, at, ends):
            continue
        _, width = char_at(text, at)
        after = at + width
        if after < text.size and _is_end(text, after, ends):
            continue
        count += width > 1 or _is_followed_by_space(text, after)
    return count


@kernel
def _is_followed_by_space(text, at):
    while at < text.size:
        code, width = char_at(text, at)
        closing = False
        for each in _CLOSING:
            closing |= code == each
        if not closing:
            return is_ascii_space(text[at]) or wide_space_width(text, at) > 0
        at += width
    return True
