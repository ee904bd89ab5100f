"""Shingles: every window of so many UTF-8 characters of a text, hashed block by block.

A text that is shorter than the window is one shingle; an empty one has none.
"""

from __future__ import annotations

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.unicode import starts_char

LEAST_BLOCK = 512
_STEP = 32
# odd, and neither one more nor one less is a multiple of 8: powers of it repeat as late as they can
_POINT = np.uint64(0xD1342543DE82EF95)


def window_within(char_ngrams: int, offsets: np.ndarray) -> int:
    """The size of windows in characters: no more than makes each text one shingle, for which there would be no room."""
    longest = int(np.diff(offsets).max()) if len(offsets) > 1 else 0
    return min(char_ngrams, longest + 1)


@kernel
def block_for(window):
    """Windows to hash at once: as many as one has characters, or a block would mostly repeat the one before."""
    return max(window, LEAST_BLOCK)


@kernel
def room_for(window):
    """Room for the characters of a block of windows, and for two steps of reading them that go beyond it."""
    return np.empty(block_for(window) + window + 2 * _STEP, np.uint32)


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
def roll(text, at, window, room, values):
    """Give numbers to the windows that start at a byte and after; return how many, and the byte to go on from.

    That is -1 at the end. There are as many as `values` has room for. The characters, each as the number that its bytes
    are, are coefficients of a polynomial modulo 2⁶⁴, at one point: `spread` it before bits of it are used.
    """
    count = ascii_windows(text, at, window, values.size)
    if count:
        _roll(text[at : at + count + window - 1], window, values[:count])
        return count, at + count if at + count + window <= text.size else -1
    found, end = _read_chars(text, at, values.size + window, room)
    total = found if end == text.size else found - 1  # only a part of the last one may have been read
    count = min(total - window + 1, values.size)
    if count > 0:
        _roll(room[: count + window - 1], window, values[:count])
    elif at == 0:
        count = 1
        _roll(room[:found], found, values[:1])
    if end == text.size and count >= total - window + 1:
        return max(count, 0), -1
    return count, _back(text, end, found - count)


@kernel
def _read_chars(text, at, most, chars):
    """The bytes of each character as one number, until there are that many, or a few more.

    Returns how many have begun, and the byte after.
    """
    found = 0
    value = np.uint32(0)
    while at < text.size and found < most:
        size = min(_STEP, text.size - at)
        step = text[at : at + size]
        if size == _STEP and is_ascii(step):
            _widen(step, chars[found : found + _STEP])
            found += _STEP
        else:
            for place in range(size):
                starts = starts_char(step[place])
                found += starts
                value = np.uint32(step[place]) | (np.uint32(0) if starts else value << np.uint32(8))
                chars[max(found - 1, 0)] = value
        at += size
    return found, at


@kernel
def _widen(step, chars):
    for place in range(_STEP):
        chars[place] = step[place]


@kernel
def _back(text, at, chars):
    """Where so many characters before this byte start."""
    while chars > 0:
        at -= 1
        chars -= starts_char(text[at])
    return at


@kernel
def _roll(chars, window, values):
    """Both halves side by side, because each step waits for the one before."""
    half = (values.size + 1) // 2
    other = values.size - half
    one = two = np.uint64(0)
    leaving = np.uint64(1)
    for place in range(window):
        one = one * _POINT + np.uint64(chars[place])
        two = two * _POINT + np.uint64(chars[other + place])
        leaving *= _POINT
    values[0], values[other] = one, two
    first, last = chars[:half], chars[window : window + half]
    other_first, other_last = chars[other : other + half], chars[other + window : other + window + half]
    ones, twos = values[1:half], values[other + 1 :]
    for place in range(half - 1):
        one = one * _POINT + (np.uint64(last[place]) - np.uint64(first[place]) * leaving)
        two = two * _POINT + (np.uint64(other_last[place]) - np.uint64(other_first[place]) * leaving)
        ones[place], twos[place] = one, two


@kernel
def spread(value):
    """Spread a number over 64 bits, each of them by all: one for each, as MurmurHash3 ends."""
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xFF51AFD7ED558CCD)
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ value >> np.uint64(33)
