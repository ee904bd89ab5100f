"""Kinds of characters, counted in one pass."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.unicode import BLOCK, char_at

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = ("alphanumeric", "digits", "spaces", "brackets")
ALPHANUMERIC, DIGIT, SPACE, BRACKET, LETTER = range(5)
CODES = 0x110000


@functools.cache
def table_of(expression: str) -> np.ndarray:
    """Which code points an expression of the `regex` module matches, as zeros and ones."""
    import regex

    text = np.arange(CODES, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    table = np.zeros(CODES, np.uint8)
    for run in regex.finditer(f"(?:{expression})+", text):
        table[run.start() : run.end()] = 1
    return table


def digits() -> np.ndarray:
    """Decimal digits of every script."""
    return table_of(r"\p{Nd}")


def letters() -> np.ndarray:
    """What Unicode calls alphabetic: letters, letter-like numbers, and vowel signs that combine."""
    return table_of(r"\p{Alphabetic}")


def kinds_of(text: str) -> Sequence[int]:
    """What `count_kinds` counts, of one text."""
    return [
        len(_ALPHANUMERIC.findall(text)),
        sum(char.isdecimal() if char < "\x80" else int(digits()[ord(char)]) for char in text),
        sum(map(text.count, "\t\n\r\b ")),
        sum(map(text.count, "{}⟨⟩[]()")),
    ]


def letters_of(text: str) -> int:
    """Count the alphabetic characters of one text."""
    table = letters()
    return sum(int(table[ord(char)]) for char in text)


_ALPHANUMERIC = re.compile(r"[a-zA-Z0-9\n?!,.]")


@kernel("uint8[::1], int64[::1], uint8[::1]")
def count_kinds(data, offsets, digits):
    """Count the characters of each kind in each document; a character may be of several."""
    counts = np.zeros((offsets.size - 1, 4), np.int64)
    for row in range(offsets.size - 1):
        text = data[offsets[row] : offsets[row + 1]]
        blocks = max(text.size - 1, 0) // BLOCK
        for at in range(blocks):
            block = text[BLOCK * at : BLOCK * at + BLOCK + 1]
            _count_ascii(block, counts[row])
            if _may_hold_others(block):
                _count_others(text, BLOCK * at, BLOCK * at + BLOCK, digits, counts[row])
        for at in range(BLOCK * blocks, text.size):
            counts[row, ALPHANUMERIC] += _is_alphanumeric(text[at])
            counts[row, DIGIT] += _is_digit(text[at])
            counts[row, SPACE] += _is_space(text[at])
            counts[row, BRACKET] += _is_bracket(text[at])
        _count_others(text, BLOCK * blocks, text.size, digits, counts[row])
    return counts


@kernel
def _count_ascii(block, counts):
    alphanumeric = digit = space = bracket = np.uint8(0)
    for at in range(BLOCK):
        alphanumeric = np.uint8(alphanumeric + np.uint8(_is_alphanumeric(block[at])))
        digit = np.uint8(digit + np.uint8(_is_digit(block[at])))
        space = np.uint8(space + np.uint8(_is_space(block[at])))
        bracket = np.uint8(bracket + np.uint8(_is_bracket(block[at])))
    counts[ALPHANUMERIC] += alphanumeric
    counts[DIGIT] += digit
    counts[SPACE] += space
    counts[BRACKET] += bracket


@kernel
def _is_alphanumeric(byte):
    letter = byte | 32
    marks = (byte == 10) | (byte == 63) | (byte == 33) | (byte == 44) | (byte == 46)
    return ((letter >= 97) & (letter <= 122)) | _is_digit(byte) | marks


@kernel
def _is_digit(byte):
    return (byte >= 48) & (byte <= 57)


@kernel
def _is_space(byte):
    return ((byte >= 8) & (byte <= 10)) | (byte == 13) | (byte == 32)


@kernel
def _is_bracket(byte):
    return (byte == 40) | (byte == 41) | (byte == 91) | (byte == 93) | (byte == 123) | (byte == 125)


@kernel
def _may_hold_others(block):
    """Whether a digit or a bracket outside ASCII may start here, going by its first byte."""
    found = np.uint8(0)
    for at in range(BLOCK):
        byte = block[at]
        digit = (byte == 0xD9) | (byte == 0xDB) | (byte == 0xDF) | (byte == 0xE0) | (byte == 0xE1)
        digit = digit | (byte == 0xEA) | (byte == 0xEF) | (byte >= 0xF0)
        found = np.uint8(found | np.uint8(digit | ((byte == 0xE2) & (block[at + 1] == 0x9F))))
    return found != 0


@kernel
def _count_others(text, start, end, digits, counts):
    for at in range(start, end):
        if text[at] >= 0xC0:
            code, _ = char_at(text, at)
            counts[DIGIT] += digits[min(code, CODES - 1)]
            counts[BRACKET] += (code == 0x27E8) | (code == 0x27E9)


@kernel("uint8[::1], int64[::1], uint8[::1]")
def count_listed(data, offsets, table):
    """Count the characters of each document for which a table of all code points holds 1."""
    counts = np.zeros(offsets.size - 1, np.int64)
    for row in range(counts.size):
        text = data[offsets[row] : offsets[row + 1]]
        for at in range(text.size):
            byte = text[at]
            if byte < 0x80:
                counts[row] += table[byte]
            elif byte >= 0xC0:
                code, _ = char_at(text, at)
                counts[row] += table[min(code, CODES - 1)]
    return counts
