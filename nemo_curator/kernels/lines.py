"""Lines and paragraphs: how they begin and end, and which of them repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.numbering import next_base, number_spans, tables_for
from nemo_curator.kernels.octets import FIRST_BYTES, ROOM, SPREAD, chars_between, copy, load8, longest_of
from nemo_curator.kernels.unicode import BLOCK, char_at, chars_in, is_ascii_space, wide_space_width

if TYPE_CHECKING:
    from collections.abc import Sequence

FACTS = (
    "bulleted",
    "unended",
    "ellipses",
    "lines",
    "different_lines",
    "line_chars",
    "different_line_chars",
    "paragraphs",
    "different_paragraphs",
    "paragraph_chars",
    "different_paragraph_chars",
)
BULLETED, UNENDED, ELLIPSES, LINES, PARAGRAPHS, END = 0, 1, 2, 3, 7, 11

LINE_FEED = 10
BULLETS = "\u2022\u2023\u2043\u204c\u204d\u2219\u25cb\u25cf\u25d8\u25e6\u29be\u29bf"
END_MARKS = ".?!\"'"
ELLIPSIS_MARKS = ("...", "[...]", "…", "(...)", "[…]", "-»", "read more..", "read more")
_BULLETS = np.array(sorted(map(ord, BULLETS)), np.int64)
_FIRST_OF_BULLETS = np.uint8(0xE2)
_IS_END_MARK = np.array([chr(byte) in END_MARKS for byte in range(256)])
_MARKS = np.frombuffer("".join(ELLIPSIS_MARKS).encode(), np.uint8)
_MARK_ENDS = np.cumsum([len(mark.encode()) for mark in ELLIPSIS_MARKS])
_OTHER = np.uint64(0xD6E8FEB86659FD93)


def lines_of(text: str) -> Sequence[int]:
    """What `count_lines` counts, of one text."""
    lines = [line for line in text.split("\n") if line.strip()]
    bare = [line.strip() for line in lines]
    return [
        sum(line.startswith(tuple(BULLETS)) for line in bare),
        sum(not line.endswith(tuple(END_MARKS)) for line in bare),
        sum(line.lower().endswith(ELLIPSIS_MARKS) for line in bare),
        *_repetition_of(lines),
        *_repetition_of(text.split("\n\n")),
    ]


def _repetition_of(parts: list[str]) -> Sequence[int]:
    different = set(parts)
    return [len(parts), len(different), sum(map(len, parts)), sum(map(len, different))]


@kernel("uint8[::1], int64[::1]")
def count_lines(data, offsets):
    """Count lines that are not blank, and paragraphs, which are what two line feeds separate.

    Of the lines: how many begin with a bullet, do not end with an end mark, or end with an ellipsis. Of both: how many
    are different, their characters, and those of the different ones.
    """
    facts = np.zeros((offsets.size - 1, END), np.int64)
    memory = np.zeros(longest_of(offsets) + ROOM, np.uint8)
    feeds = np.empty(memory.size, np.int32)
    tables = tables_for(64)
    edges = np.empty(128, np.int32)
    base = 0
    for row in range(offsets.size - 1):
        text = copy(data[offsets[row] : offsets[row + 1]], memory)
        chars = chars_in(text)
        found = _find_feeds(text, feeds)
        if found >= tables.groups.size:
            tables = tables_for(found + 1)
            edges = np.empty(2 * found + 2, np.int32)
            base = 0
        lines, blank = _describe_lines(text, memory, feeds[:found], edges, facts[row])
        repetition = facts[row, LINES:PARAGRAPHS]
        different = _count_repeated(memory, edges, lines, chars - found - blank, tables, base, repetition)
        base = next_base(base, different, tables.slots)
        paragraphs = _find_paragraphs(text.size, feeds[:found], edges)
        repetition = facts[row, PARAGRAPHS:END]
        different = _count_repeated(memory, edges, paragraphs, chars - 2 * paragraphs + 2, tables, base, repetition)
        base = next_base(base, different, tables.slots)
    return facts


@kernel("uint8[::1], int64[::1], boolean, int64")
def hash_lines(data, offsets, paragraphs, min_chars):
    """Hash lines, or paragraphs, without the white space around them; shorter ones than `min_chars` are passed over.

    For each: its document, its number among the document's lines, which counts blank ones, and 128 bits that follow
    from its bytes.
    """
    memory = np.zeros(longest_of(offsets) + ROOM, np.uint8)
    feeds = np.empty(memory.size, np.int32)
    edges = np.empty(128, np.int32)
    most = _count_feeds(data[offsets[0] : offsets[-1]]) + offsets.size
    places = np.empty((most, 2), np.int64)
    hashes = np.empty((most, 2), np.uint64)
    made = 0
    for row in range(offsets.size - 1):
        text = copy(data[offsets[row] : offsets[row + 1]], memory)
        found = _find_feeds(text, feeds)
        if 2 * found + 2 > edges.size:
            edges = np.empty(4 * found + 2, np.int32)
        if paragraphs:
            count = _find_paragraphs(text.size, feeds[:found], edges)
        else:
            count = _find_lines(text.size, feeds[:found], edges)
        for number in range(count):
            start, end = strip(text, edges[2 * number], edges[2 * number + 1])
            if start < end and chars_between(memory, start, end) >= min_chars:
                places[made, 0], places[made, 1] = row, number
                hashes[made, 0], hashes[made, 1] = _digest(memory, start, end)
                made += 1
    return places[:made].copy(), hashes[:made].copy()


@kernel
def _count_feeds(data):
    count = 0
    for byte in data:
        count += byte == LINE_FEED
    return count


@kernel
def _find_lines(size, feeds, edges):
    start = 0
    for line in range(feeds.size):
        edges[2 * line], edges[2 * line + 1] = start, feeds[line]
        start = feeds[line] + 1
    edges[2 * feeds.size], edges[2 * feeds.size + 1] = start, size
    return feeds.size + 1


@kernel
def _digest(memory, at, end):
    """Two hashes of all bytes; that both are equal by chance is one in 2¹²⁸."""
    one = np.uint64(end - at) * SPREAD
    two = ~one
    while at < end:
        word = load8(memory, at) & FIRST_BYTES[min(end - at, 8)]
        one = (one ^ word) * SPREAD
        one ^= one >> np.uint64(32)
        two = (two + word ^ two >> np.uint64(29)) * _OTHER
        two ^= two >> np.uint64(37)
        at += 8
    return one, two


@kernel
def _find_feeds(text, feeds):
    found = 0
    blocks = text.size // BLOCK
    for at in range(blocks):
        if _has_feed(text[BLOCK * at : BLOCK * at + BLOCK]):
            found = _find_feeds_within(text, BLOCK * at, BLOCK * at + BLOCK, feeds, found)
    return _find_feeds_within(text, BLOCK * blocks, text.size, feeds, found)


@kernel
def _has_feed(block):
    found = np.uint8(0)
    for at in range(BLOCK):
        found = np.uint8(found | np.uint8(block[at] == LINE_FEED))
    return found != 0


@kernel
def _find_feeds_within(text, start, end, feeds, found):
    for at in range(start, end):
        feeds[found] = at
        found += text[at] == LINE_FEED
    return found


@kernel
def _describe_lines(text, memory, feeds, edges, facts):
    """Write where lines start and end; return how many are not blank, and the characters of those that are."""
    lines = blank = start = 0
    for line in range(feeds.size + 1):
        end = feeds[line] if line < feeds.size else text.size
        first, last = strip(text, start, end)
        if first == last:
            blank += chars_between(memory, start, end)
        else:
            edges[2 * lines], edges[2 * lines + 1] = start, end
            lines += 1
            facts[BULLETED] += _is_bullet(text, first)
            facts[UNENDED] += not _IS_END_MARK[text[last - 1]]
            facts[ELLIPSES] += _ends_with_ellipsis(text, first, last)
        start = end + 1
    return lines, blank


@kernel
def strip(text, start, end):
    """Where a part of a text starts and ends without the white space around it, as `str.strip` has it."""
    while start < end:
        width = is_ascii_space(text[start]) or wide_space_width(text, start)
        if not width:
            break
        start += width
    while start < end:
        first = end - 1
        while first > start and text[first] & 0xC0 == 0x80:
            first -= 1
        if not (is_ascii_space(text[first]) or wide_space_width(text, first)):
            break
        end = first
    return start, end


@kernel
def _is_bullet(text, at):
    if text[at] != _FIRST_OF_BULLETS:
        return False
    code, _ = char_at(text, at)
    found = False
    for bullet in _BULLETS:
        found |= code == bullet
    return found


@kernel
def _ends_with_ellipsis(text, start, end):
    first = 0
    for last in _MARK_ENDS:
        if end - start >= last - first and _is_mark(text, end - (last - first), first, last):
            return True
        first = last
    return False


@kernel
def _is_mark(text, at, first, last):
    for place in range(first, last):
        byte = text[at + place - first]
        if (byte | 32 if 65 <= byte <= 90 else byte) != _MARKS[place]:
            return False
    return True


@kernel
def _find_paragraphs(size, feeds, edges):
    paragraphs = start = line = 0
    while line + 1 < feeds.size:
        if feeds[line + 1] == feeds[line] + 1:
            edges[2 * paragraphs], edges[2 * paragraphs + 1] = start, feeds[line]
            paragraphs += 1
            start = feeds[line] + 2
            line += 1
        line += 1
    edges[2 * paragraphs], edges[2 * paragraphs + 1] = start, size
    return paragraphs + 1


@kernel
def _count_repeated(memory, edges, count, chars, tables, base, facts):
    """Fill in how many parts there are, how many different ones, and the characters of both."""
    different = number_spans(memory, edges, count, tables, base) if count > 1 else count
    facts[0], facts[1], facts[2], facts[3] = count, different, chars, chars
    if different < count:
        for part in range(count):
            if tables.firsts[tables.groups[part]] != part:
                facts[3] -= chars_between(memory, edges[2 * part], edges[2 * part + 1])
    return different
