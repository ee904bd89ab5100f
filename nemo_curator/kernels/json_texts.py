"""Texts out of JSON: the bytes between quotes, with what is escaped as it is meant."""

from __future__ import annotations

import numpy as np

from nemo_curator.kernels.compile import kernel

_BLOCK = 32
_QUOTE, _ESCAPE, _LEAST = 0x22, 0x5C, 0x20
_NO_NUMBER = 1 << 16


def _meanings() -> np.ndarray:
    """What stands for the byte after a backslash; 0 where nothing does."""
    table = np.zeros(256, np.uint8)
    for escape, meaning in zip(b'"\\/bfnrt', b'"\\/\b\f\n\r\t'):
        table[escape] = meaning
    return table


def _digits() -> np.ndarray:
    """The values of hexadecimal digits, and of other bytes what no number of four digits is."""
    table = np.full(256, _NO_NUMBER, np.int64)
    for value, digit in enumerate(b"0123456789abcdef"):
        table[digit] = table[ord(chr(digit).upper())] = value
    return table


_MEANINGS, _DIGITS = _meanings(), _digits()


def texts_of(data: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The UTF-8 of texts that are written as JSON, end to end, and where each starts; None if one is no text.

    `ends` tells where each of them ends in `data`. Nobody looks whether what is not escaped is UTF-8.
    """
    texts, offsets = read_texts(data, ends, _MEANINGS, _DIGITS)
    return (texts, offsets) if len(offsets) == len(ends) + 1 else None


@kernel("uint8[::1], int64[::1], uint8[::1], int64[::1]")
def read_texts(data, ends, meanings, digits):
    """The texts, and where they start; fewer of these if one is no text."""
    offsets = np.zeros(ends.size + 1, np.int64)
    texts = np.empty(data.size, np.uint8)
    start = 0
    for row in range(ends.size):
        last = ends[row] - 1
        if last <= start or data[start] != _QUOTE or data[last] != _QUOTE:
            return texts, offsets[:row]
        end = _read_text(data[start + 1 : last], meanings, digits, texts, offsets[row])
        if end < 0:
            return texts, offsets[:row]
        offsets[row + 1] = end
        start = last + 1
    return texts, offsets


@kernel
def _read_text(data, meanings, digits, texts, end):
    """Write one text; return where it ends, or -1."""
    at = 0
    while at < data.size:
        while at + _BLOCK <= data.size and _copy_plain(data[at : at + _BLOCK], texts[end : end + _BLOCK]):
            at += _BLOCK
            end += _BLOCK
        stop = min(at + _BLOCK, data.size)
        while at < stop:
            byte = data[at]
            if byte != _ESCAPE:
                if byte < _LEAST or byte == _QUOTE:
                    return -1
                texts[end] = byte
                at += 1
                end += 1
                continue
            if at + 1 >= data.size:
                return -1
            if meanings[data[at + 1]]:
                texts[end] = meanings[data[at + 1]]
                at += 2
                end += 1
                continue
            code, at = _read_number(data, at, digits)
            if code < 0:
                return -1
            end = _write_char(code, texts, end)
    return end


@kernel
def _copy_plain(block, texts):
    """Copy a block, and say whether that was right: there is nothing in it that means something else."""
    special = np.uint8(0)
    for at in range(_BLOCK):
        byte = block[at]
        special |= np.uint8((byte < _LEAST) | (byte == _QUOTE) | (byte == _ESCAPE))
        texts[at] = byte
    return special == 0


@kernel
def _read_number(data, at, digits):
    """The code point that is escaped here, in one number or a pair of surrogates, and where it ends; -1 if none is."""
    code = _four_digits(data, at, digits)
    if code >= _NO_NUMBER or 0xDC00 <= code < 0xE000:
        return -1, at
    if code < 0xD800 or code >= 0xE000:
        return code, at + 6
    low = _four_digits(data, at + 6, digits)
    if not 0xDC00 <= low < 0xE000:
        return -1, at
    return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00), at + 12


@kernel
def _four_digits(data, at, digits):
    if at + 6 > data.size or data[at] != _ESCAPE or data[at + 1] != 0x75:
        return _NO_NUMBER
    code = np.int64(0)
    for place in range(at + 2, at + 6):
        code = code << 4 | digits[data[place]]
    return code


@kernel
def _write_char(code, texts, end):
    """Write a code point as UTF-8; return where it ends."""
    if code < 0x80:
        texts[end] = code
        return end + 1
    if code < 0x800:
        texts[end] = 0xC0 | code >> 6
        texts[end + 1] = 0x80 | code & 0x3F
        return end + 2
    if code < 0x10000:
        texts[end] = 0xE0 | code >> 12
        texts[end + 1] = 0x80 | code >> 6 & 0x3F
        texts[end + 2] = 0x80 | code & 0x3F
        return end + 3
    texts[end] = 0xF0 | code >> 18
    texts[end + 1] = 0x80 | code >> 12 & 0x3F
    texts[end + 2] = 0x80 | code >> 6 & 0x3F
    texts[end + 3] = 0x80 | code & 0x3F
    return end + 4
