"""Repetition within a document: n-grams of words, found exactly.

Each different word of a document gets a number, then each different pair of numbers that stand side by side, and so on:
an n-gram is two (n-1)-grams that overlap. It can stand twice in a text only if both of them do, so every step has less
to do than the one before.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.numbering import keep_repeated, next_base, number_pairs, number_spans, tables_for
from nemo_curator.kernels.octets import FIRST_BYTES, ROOM, chars_between, copy, load8, longest_of
from nemo_curator.kernels.words import find_words

SPACE = np.uint8(32)
FACTS = ("duplicate", "top", "replaced")
DUPLICATE, TOP, REPLACED = range(3)


def repetition_of(text: str, smallest: int, largest: int, largest_top: int) -> list[list[int]]:
    """What `count_repetition` counts, of one text."""
    words = text.split()
    return [
        [duplicate_chars_of(words, n), *(top_chars_of(text, words, n) if n <= largest_top else (0, 0))]
        for n in range(smallest, largest + 1)
    ]


def duplicate_chars_of(words: list[str], n: int) -> int:
    """Characters of n-grams that stood before, with single spaces between the words; what overlaps counts once."""
    seen = set()
    chars = counted = 0
    for gram in zip(*(words[start:] for start in range(n))):
        if gram in seen:
            chars += sum(map(len, gram[counted:])) + min(n - counted, n - 1)
            counted = n
        seen.add(gram)
        counted = max(counted - 1, 0)
    return chars


def top_chars_of(text: str, words: list[str], n: int) -> tuple[int, int]:
    """Characters of the n-gram that stands most often: as often as it does, and as often as `str.replace` finds it."""
    uses = Counter(zip(*(words[start:] for start in range(n))))
    if not uses:
        return 0, 0
    gram = max(uses, key=uses.__getitem__)
    joined = " ".join(gram)
    return uses[gram] * len(joined), text.count(joined) * len(joined)


@kernel("uint8[::1], int64[::1], int64, int64, int64")
def count_repetition(data, offsets, smallest, largest, largest_top):
    """Count characters of repeated n-grams: for each document, each n from `smallest` to `largest`, and three ways.

    `DUPLICATE`: those of n-grams that stood before, each character once. `TOP`: those of the n-gram that stands most
    often, as often as it stands. `REPLACED`: those that `str.replace` takes away with it. The last two are counted up
    to `largest_top`.
    """
    counts = np.zeros((offsets.size - 1, largest - smallest + 1, 3), np.int64)
    longest = longest_of(offsets)
    spaces = np.empty(longest, np.uint8)
    edges = np.empty(longest + 1, np.int32)
    memory = np.zeros(longest + ROOM, np.uint8)
    gram = np.zeros(longest + ROOM, np.uint8)
    tables = tables_for(64)
    base = 0
    for row in range(offsets.size - 1):
        text = copy(data[offsets[row] : offsets[row + 1]], memory)
        words = find_words(text, spaces, edges)
        if words > tables.groups.size:
            tables = tables_for(words)
            base = 0
        left = words
        for n in range(1, min(largest, words) + 1):
            if n == 1:
                different = number_spans(memory, edges, words, tables, base)
            else:
                left, different = number_pairs(left, tables, base)
            base = next_base(base, different, tables.slots)
            left = keep_repeated(left, tables)
            if n < smallest:
                continue
            counts[row, n - smallest, DUPLICATE] = _duplicate_chars(memory, edges, n, left, tables)
            if n <= largest_top:
                top = _most_used(different, tables)
                first, uses = (tables.firsts[top], tables.uses[top]) if left else (0, 1)
                length = _write_gram(text, edges, first, n, gram)
                chars = chars_between(gram, 0, length)
                counts[row, n - smallest, TOP] = uses * chars
                counts[row, n - smallest, REPLACED] = chars * _count_gram(memory, edges, words, gram, length, n)
    return counts


@kernel
def _most_used(different, tables):
    """The number that is used most often, and of several the one that comes first in the text."""
    uses = tables.uses
    most = 0
    for number in range(1, different):
        if uses[number] > uses[most]:
            most = number
    return most


@kernel
def _duplicate_chars(memory, edges, n, left, tables):
    """Characters of n-grams that stood before, with single spaces between words; what overlaps counts once."""
    firsts, places, groups = tables.firsts, tables.places, tables.groups
    chars = 0
    last = -n
    for at in range(left):
        place = places[at]
        if firsts[groups[at]] == place:
            continue
        counted = max(n - (place - last), 0)
        for word in range(place + counted, place + n):
            chars += chars_between(memory, edges[2 * word], edges[2 * word + 1])
        chars += min(n - counted, n - 1)
        last = place
    return chars


@kernel
def _write_gram(text, edges, first, n, gram):
    """Write an n-gram with single spaces between its words; return its length in bytes."""
    length = 0
    for word in range(first, first + n):
        if length:
            gram[length] = SPACE
            length += 1
        for at in range(edges[2 * word], edges[2 * word + 1]):
            gram[length] = text[at]
            length += 1
    return length


@kernel
def _count_gram(memory, edges, words, gram, length, n):
    """How often `str.count` finds an n-gram: also where its ends are within words, and never overlapping."""
    if n == 1:
        return _count_within(memory, edges[2 * words - 1], gram, length)
    before = first = count = free = 0
    while gram[before] != SPACE:
        before += 1
    bytes_of_head = FIRST_BYTES[min(length, 8)]
    head = load8(gram, 0) & bytes_of_head
    while edges[2 * first + 1] < before:
        first += 1
    for word in range(first, words - n + 1):
        start = edges[2 * word + 1] - before
        if head != load8(memory, start) & bytes_of_head or start < max(edges[2 * word], free):
            continue
        if start + length <= edges[2 * words - 1] and _equal(memory, start, gram, length):
            count += 1
            free = start + length
    return count


@kernel
def _count_within(memory, end, part, length):
    """As Knuth, Morris and Pratt search: no text makes it look at a byte again and again."""
    borders = _borders_of(part, length)
    count = matched = 0
    for at in range(end):
        byte = memory[at]
        while matched > 0 and part[matched] != byte:
            matched = borders[matched - 1]
        matched += part[matched] == byte
        if matched == length:
            count += 1
            matched = 0
    return count


@kernel
def _borders_of(part, length):
    """For each beginning of `part`: the bytes of the longest shorter beginning that is also how it ends."""
    borders = np.zeros(length, np.int32)
    matched = 0
    for at in range(1, length):
        while matched > 0 and part[matched] != part[at]:
            matched = borders[matched - 1]
        matched += part[matched] == part[at]
        borders[at] = matched
    return borders


@kernel
def _equal(memory, start, part, length):
    at = 0
    while at < length and memory[start + at] == part[at]:
        at += 1
    return at == length
