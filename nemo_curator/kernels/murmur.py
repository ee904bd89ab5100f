"""MurmurHash3 (Austin Appleby, public domain) of every window of a text, as others compute it."""

from __future__ import annotations

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.octets import load8
from nemo_curator.kernels.windows import ascii_windows, find_chars, spread

_FIRST_32, _SECOND_32 = np.uint32(0xCC9E2D51), np.uint32(0x1B873593)
_FIRST_64, _SECOND_64 = np.uint64(0x87C37B91114253D5), np.uint64(0x4CF5AD432745937F)


@kernel
def murmur_windows_32(text, at, window, seed, edges, words, hashes):
    """MurmurHash3_x86_32 of the windows that start at a byte and after; returns and room are as for `roll`.

    `words` has two rows with room for four times as much as `edges`.
    """
    count = ascii_windows(text, at, window, hashes.size)
    if count:
        _murmur_ascii(text[at : at + count + window - 1], window, seed, words, hashes[:count])
        return count, at + count if at + count + window <= text.size else -1
    found = find_chars(text, at, edges)
    if found <= window:
        hashes[0] = murmur_32(text, 0, text.size, seed)
        return np.int64(at == 0), -1
    start, size = edges[0], edges[found - 1] - edges[0]
    if size > words.shape[1]:  # no text: a character has four bytes at most
        for place in range(found - window):
            hashes[place] = murmur_32(text, edges[place], edges[place + window], seed)
    else:
        _murmur_chars(text[start : start + size], edges[:found], window, seed, words, hashes)
    return found - window, -1 if edges[found - 1] == text.size else edges[found - window]


@kernel
def murmur_windows_64(text, at, window, seed, edges, hashes):
    """The first 64 bits of MurmurHash3_x64_128, otherwise as `murmur_windows_32`."""
    found = find_chars(text, at, edges)
    if found <= window:
        hashes[0] = murmur_64(text, 0, text.size, seed)
        return np.int64(at == 0), -1
    for place in range(found - window):
        hashes[place] = murmur_64(text, edges[place], edges[place + window], seed)
    return found - window, -1 if edges[found - 1] == text.size else edges[found - window]


@kernel
def murmur_32(text, start, end, seed):
    value = seed
    whole = start + (end - start) // 4 * 4
    for at in range(start, whole, 4):
        value = _mixed_32(value, _scrambled_32(_joined(text[at], text[at + 1], text[at + 2], text[at + 3])))
    return _ended_32(value ^ _scrambled_32(_rest_32(text, whole, end)), end - start)


@kernel
def _murmur_ascii(text, window, seed, words, hashes):
    """All windows side by side, four bytes after four: the processor then takes several with each instruction."""
    hashes[:] = seed
    whole = window // 4 * 4
    _scramble_all(text, words[0])
    for first in range(0, whole, 4):
        _mix_all(hashes, words[0, first : first + hashes.size])
    if whole < window:
        for place in range(hashes.size):
            hashes[place] ^= _scrambled_32(_rest_32(text, place + whole, place + window))
    for place in range(hashes.size):
        hashes[place] = _ended_32(hashes[place], window)


@kernel
def _murmur_chars(text, edges, window, seed, words, hashes):
    """As if there were a window at each byte, and then one by one those that hold longer characters."""
    at_bytes = words[1, : max(text.size - window + 1, 0)]
    _murmur_ascii(text, window, seed, words, at_bytes)
    for place in range(edges.size - window):
        at, end = edges[place] - edges[0], edges[place + window] - edges[0]
        if end - at == window:
            hashes[place] = at_bytes[at]
            continue
        value = seed
        for word in range(at, end - 3, 4):
            value = _mixed_32(value, words[0, word])
        rest = _rest_32(text, at + (end - at) // 4 * 4, end)
        hashes[place] = _ended_32(np.uint32(value ^ _scrambled_32(rest)), end - at)


@kernel
def _scramble_all(text, words):
    count = max(text.size - 3, 0)
    one, two, three, four = text[:count], text[1 : count + 1], text[2 : count + 2], text[3 : count + 3]
    for at in range(count):
        words[at] = _scrambled_32(_joined(one[at], two[at], three[at], four[at]))


@kernel
def _mix_all(hashes, words):
    for place in range(hashes.size):
        hashes[place] = _mixed_32(hashes[place], words[place])


@kernel
def _joined(one, two, three, four):
    low = np.uint32(one) | np.uint32(two) << np.uint32(8)
    return np.uint32(low | np.uint32(three) << np.uint32(16) | np.uint32(four) << np.uint32(24))


@kernel
def _rest_32(text, start, end):
    value = np.uint32(0)
    for at in range(start, end):
        value = np.uint32(value | np.uint32(np.uint32(text[at]) << np.uint32(8 * (at - start))))
    return value


@kernel
def _scrambled_32(word):
    return np.uint32(_turned_32(np.uint32(word * _FIRST_32), np.uint32(15)) * _SECOND_32)


@kernel
def _mixed_32(value, word):
    return np.uint32(_turned_32(np.uint32(value ^ word), np.uint32(13)) * np.uint32(5) + np.uint32(0xE6546B64))


@kernel
def _turned_32(value, bits):
    return np.uint32(np.uint32(value << bits) | value >> np.uint32(np.uint32(32) - bits))


@kernel
def _ended_32(value, length):
    value = np.uint32(value ^ np.uint32(length))
    value = np.uint32((value ^ value >> np.uint32(16)) * np.uint32(0x85EBCA6B))
    value = np.uint32((value ^ value >> np.uint32(13)) * np.uint32(0xC2B2AE35))
    return np.uint32(value ^ value >> np.uint32(16))


@kernel
def murmur_64(text, start, end, seed):
    one = two = seed
    whole = start + (end - start) // 16 * 16
    for at in range(start, whole, 16):
        one = _turned_64(one ^ _scrambled_one(load8(text, at)), np.uint64(27)) + two
        one = one * np.uint64(5) + np.uint64(0x52DCE729)
        two = _turned_64(two ^ _scrambled_two(load8(text, at + 8)), np.uint64(31)) + one
        two = two * np.uint64(5) + np.uint64(0x38495AB5)
    two ^= _scrambled_two(_rest_64(text, whole + 8, end))
    one ^= _scrambled_one(_rest_64(text, whole, min(whole + 8, end)))
    one ^= np.uint64(end - start)
    two ^= np.uint64(end - start)
    one += two
    two += one
    return spread(one) + spread(two)


@kernel
def _scrambled_one(word):
    return _turned_64(word * _FIRST_64, np.uint64(31)) * _SECOND_64


@kernel
def _scrambled_two(word):
    return _turned_64(word * _SECOND_64, np.uint64(33)) * _FIRST_64


@kernel
def _turned_64(value, bits):
    return value << bits | value >> (np.uint64(64) - bits)


@kernel
def _rest_64(text, start, end):
    if end - start == 8:
        return load8(text, start)
    value = np.uint64(0)
    for at in range(start, end):
        value |= np.uint64(text[at]) << np.uint64(8 * (at - start))
    return value
