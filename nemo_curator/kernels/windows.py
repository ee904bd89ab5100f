"""Shingles: every window of so many UTF-8 characters of a text, hashed block by block.

A text that is shorter than the window is one shingle; an empty one has none.
"""

from __future__ import annotations

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.unicode import starts_char

LEAST_BLOCK = 512
# odd, and neither one more nor one less is a multiple of 8: powers of it repeat as late as they can
_POINT = np.uint64(0xD1342543DE82EF95)


@kernel
def block_for(window):
    """Windows to hash at once: as many as one has characters, or a block would mostly repeat the one before."""
    return max(window, LEAST_BLOCK)


@kernel
def is_ascii(text):
    seen = np.uint8(0)
    for at in range(text.size):
        seen |= text[at]
    return seen < 0x80


@kernel
def ascii_windows(text, at, window, most):
    """How many windows, at most this many, start here and hold bytes that are all characters; 0 if some are not."""
    count = min(text.size - at - window + 1, most)
    if count < 1 or not is_ascii(text[at : at + count + window - 1]):
        return 0
    return count


@kernel
def find_chars(text, at, edges):
    """Write where characters start, from a byte on, until `edges` is full or the text ends, which is the last edge."""
    found = 0
    while at < text.size and found < edges.size:
        edges[found] = at
        found += starts_char(text[at])
        at += 1
    if found < edges.size:
        edges[found] = text.size
        found += 1
    return found


@kernel
def roll_hashes(text, at, window, edges, hashes):
    """Hash the windows that start at a byte and after; return how many, and the byte to go on from, -1 at the end.

    As many as `hashes` has room for; `edges` has room for a window more. A hash is the bytes of each character as
    coefficients of a polynomial modulo 2⁶⁴, at one point, and then spread over all bits, which loses nothing.
    """
    leaving = _power(window)
    count = ascii_windows(text, at, window, hashes.size)
    if count:
        _roll_ascii(text, at, window, leaving, hashes[:count])
        return count, at + count if at + count + window <= text.size else -1
    found = find_chars(text, at, edges)
    count = found - window if found > window else np.int64(at == 0)
    _roll_chars(text, edges[:found], window, leaving, hashes[:count])
    return count, -1 if edges[found - 1] == text.size else edges[count]


@kernel
def _power(window):
    power = np.uint64(1)
    for _ in range(window):
        power *= _POINT
    return power


@kernel
def _roll_ascii(text, at, window, leaving, hashes):
    first, last = text[at : at + hashes.size], text[at + window : at + window + hashes.size - 1]
    value = np.uint64(0)
    for place in range(at, at + window):
        value = value * _POINT + np.uint64(text[place])
    hashes[0] = spread(value)
    for place in range(last.size):
        value = value * _POINT + (np.uint64(last[place]) - np.uint64(first[place]) * leaving)
        hashes[place + 1] = spread(value)


@kernel
def _roll_chars(text, edges, window, leaving, hashes):
    value = np.uint64(0)
    for place in range(min(window, edges.size - 1)):
        value = value * _POINT + _char(text, edges, place)
    hashes[:1] = spread(value)
    for place in range(hashes.size - 1):
        entering = _char(text, edges, place + window)
        value = value * _POINT + (entering - _char(text, edges, place) * leaving)
        hashes[place + 1] = spread(value)


@kernel
def _char(text, edges, place):
    """The bytes of a character as one number."""
    value = np.uint64(0)
    for at in range(edges[place], edges[place + 1]):
        value = value << np.uint64(8) | np.uint64(text[at])
    return value


@kernel
def spread(value):
    """Spread a number over 64 bits, each of them by all: one for each, as MurmurHash3 ends."""
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xFF51AFD7ED558CCD)
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ value >> np.uint64(33)
