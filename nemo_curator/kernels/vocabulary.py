"""What the words of a document are like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from nemo_curator.kernels.characters import CODES, letters
from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.lines import ELLIPSIS_MARKS
from nemo_curator.kernels.octets import FIRST_BYTES, ROOM, SPREAD, chars_between, copy, load8, longest_of
from nemo_curator.kernels.unicode import char_at, chars_in, starts_char
from nemo_curator.kernels.words import find_words, spaces_in

if TYPE_CHECKING:
    from collections.abc import Sequence

FACTS = ("words", "longest", "chars", "alphabetic", "common", "symbols", "different_common")
WORDS, LONGEST, CHARS, ALPHABETIC, COMMON, SYMBOLS, DIFFERENT_COMMON = range(7)
COMMON_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
HASH = 35
_HASHES = re.compile("#+")
TABLE_BITS = 9
SHIFT = np.uint64(64 - TABLE_BITS)


def vocabulary_of(text: str) -> Sequence[int]:
    """What `count_vocabulary` counts, of one text."""
    return describe_words(text.split())


def describe_words(words: Sequence[str]) -> Sequence[int]:
    """What `count_vocabulary` counts, of words however they were found."""
    alphabet = letters()
    return [
        len(words),
        max(map(len, words), default=0),
        sum(map(len, words)),
        sum(any(alphabet[ord(char)] for char in word) for word in words),
        sum(word in COMMON_WORDS for word in words),
        sum(word in ELLIPSIS_MARKS or 2 * len(_HASHES.findall(word)) > len(word) for word in words),
        len(set(COMMON_WORDS).intersection(words)),
    ]


def _table_of(words: Sequence[str]) -> np.ndarray:
    """A table in which a short word, as a number with its length at the top, is found at once."""
    table = np.zeros(1 << TABLE_BITS, np.uint64)
    for word in words:
        data = word.encode()
        key = int.from_bytes(data, "little") | len(data) << 56
        slot = (key * int(SPREAD) & 0xFFFFFFFFFFFFFFFF) >> 64 - TABLE_BITS
        if len(data) > 7 or table[slot]:
            raise ValueError(f"{word!r} is too long, or needs the place of another word: take a larger table")
        table[slot] = key
    return table


_MARKS = [mark for mark in ELLIPSIS_MARKS if " " not in mark]
_SHORT_WORDS = _table_of([*COMMON_WORDS, *_MARKS])
# one bit for each common word, 0 for all else
_COMMON_BITS = np.zeros(_SHORT_WORDS.size, np.uint8)
for _at, _word in enumerate(COMMON_WORDS):
    _COMMON_BITS[np.flatnonzero(_table_of([_word]))] = 1 << _at
_IS_COMMON = _COMMON_BITS > 0


@kernel("uint8[::1], int64[::1], uint8[::1]")
def count_vocabulary(data, offsets, letters):
    """Describe the words of each document.

    The characters of the longest, and of all; how many hold a letter (1 in the table of all code points), how many are
    common English words, how many are ellipses or mostly hashes, and how many different common words there are.
    """
    facts = np.zeros((offsets.size - 1, len(FACTS)), np.int64)
    memory = np.zeros(longest_of(offsets) + ROOM, np.uint8)
    spaces = np.empty(memory.size, np.uint8)
    edges = np.empty(memory.size, np.int32)
    for row in range(offsets.size - 1):
        text = copy(data[offsets[row] : offsets[row + 1]], memory)
        words = find_words(text, spaces, edges)
        longest = alphabetic = common = symbols = 0
        found_bits = np.uint8(0)
        for word in range(words):
            start, end = edges[2 * word], edges[2 * word + 1]
            length = end - start
            key = load8(memory, start) & FIRST_BYTES[min(length, 8)] | np.uint64(min(length, 15)) << np.uint64(56)
            slot = key * SPREAD >> SHIFT
            known = _SHORT_WORDS[slot] == key
            common += known & _IS_COMMON[slot]
            found_bits = np.uint8(found_bits | known * _COMMON_BITS[slot])
            symbols += known & ~_IS_COMMON[slot]
            if length > longest:
                longest = max(longest, chars_between(memory, start, end))
            alphabetic += _is_ascii_letter(memory[start]) or _has_letter(memory, start, end, letters)
            if memory[start] == HASH:
                symbols += _is_mostly_hashes(memory, start, end)
        found = facts[row]
        found[WORDS], found[LONGEST], found[CHARS] = words, longest, chars_in(text) - spaces_in(text, spaces)
        found[ALPHABETIC], found[COMMON], found[SYMBOLS] = alphabetic, common, symbols
        for bit in range(len(COMMON_WORDS)):
            found[DIFFERENT_COMMON] += found_bits >> bit & 1
    return facts


@kernel
def _is_ascii_letter(byte):
    return ((byte | 32) >= 97) & ((byte | 32) <= 122)


@kernel
def _has_letter(text, start, end, letters):
    while start < end:
        if _is_ascii_letter(text[start]):
            return True
        if text[start] < 0x80:
            start += 1
        else:
            code, width = char_at(text, start)
            if letters[min(code, CODES - 1)]:
                return True
            start += width
    return False


@kernel
def _is_mostly_hashes(text, start, end):
    """Whether there are more runs of hashes than half of the characters: a run of several counts once."""
    runs = chars = 0
    for at in range(start, end):
        chars += starts_char(text[at])
        runs += text[at] == HASH and (at == start or text[at - 1] != HASH)
    return 2 * runs > chars
