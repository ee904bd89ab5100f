"""Bytes taken eight at a time: to copy, to compare, to hash and to count.

Eight bytes are read without asking where the text ends. A kernel therefore copies each document into memory that goes
on behind it, by `copy`, with room for `ROOM` bytes more.
"""

from __future__ import annotations

import numpy as np

from nemo_curator.kernels.compile import kernel

ROOM = 16
# the golden ratio as a 64-bit fraction: its multiples spread over the high bits
SPREAD = np.uint64(0x9E3779B97F4A7C15)
LONG = np.uint64(1) << np.uint64(63)
LARGEST = 0x7FFFFFF0
ONES = np.uint64(0x0101010101010101)
FIRST_BYTES = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)


@kernel
def longest_of(offsets):
    """Bytes of the longest document; tables count in 32 bits, so there is an end to it."""
    longest = 0
    for row in range(offsets.size - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    if longest > LARGEST:
        raise ValueError("a document has more than 2 GiB; split it before its words and lines are compared")
    return longest


@kernel
def copy(text, memory):
    """Copy a text to the start of `memory`, and return it as it stands there."""
    for at in range(text.size):
        memory[at] = text[at]
    return memory[: text.size]


@kernel
def load8(memory, at):
    """Eight bytes as a number, the first lowest."""
    first = np.uint64(at)
    return (
        np.uint64(memory[first])
        | np.uint64(memory[first + np.uint64(1)]) << np.uint64(8)
        | np.uint64(memory[first + np.uint64(2)]) << np.uint64(16)
        | np.uint64(memory[first + np.uint64(3)]) << np.uint64(24)
        | np.uint64(memory[first + np.uint64(4)]) << np.uint64(32)
        | np.uint64(memory[first + np.uint64(5)]) << np.uint64(40)
        | np.uint64(memory[first + np.uint64(6)]) << np.uint64(48)
        | np.uint64(memory[first + np.uint64(7)]) << np.uint64(56)
    )


@kernel
def key_of(memory, start, length):
    """Two numbers for these bytes. If the second is below `LONG` they stand for them alone; else also ask `same`.

    They hold up to fifteen bytes and, at the top, how many these are; of more bytes the first number is a hash.
    """
    low = load8(memory, start) & FIRST_BYTES[min(length, 8)]
    high = load8(memory, start + 8) & FIRST_BYTES[min(max(length - 8, 0), 7)]
    if length > 15:
        low = _hash_of(memory, start, start + length)
        return low, high | LONG
    return low, high | np.uint64(length) << np.uint64(56)


@kernel
def _hash_of(memory, at, end):
    """A hash of sixteen bytes or more; two halves side by side, because each step waits for the one before."""
    one = np.uint64(end - at)
    two = SPREAD
    while at + 16 < end:
        one = _mixed(one ^ load8(memory, at))
        two = _mixed(two ^ load8(memory, at + 8))
        at += 16
    return _mixed(_mixed(one ^ load8(memory, end - 16)) + _mixed(two ^ load8(memory, end - 8)))


@kernel
def _mixed(value):
    value *= SPREAD
    return value ^ value >> np.uint64(32)


@kernel
def same(memory, one, other, length):
    """Whether the same bytes, eight or more, start at two places."""
    at = 0
    while at + 8 < length:
        if load8(memory, one + at) != load8(memory, other + at):
            return False
        at += 8
    return load8(memory, one + length - 8) == load8(memory, other + length - 8)


@kernel
def chars_between(memory, start, end):
    """Count the code points that start in a range of bytes."""
    count = 0
    while start < end:
        value = load8(memory, start) & FIRST_BYTES[min(end - start, 8)]
        following = value >> np.uint64(7) & ~(value >> np.uint64(6)) & ONES
        count += min(end - start, 8) - np.int64(following * ONES >> np.uint64(56))
        start += 8
    return count
