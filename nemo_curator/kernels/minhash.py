"""MinHash: of each permutation of all hashes, the smallest one that a text has (Broder, 1997)."""

from __future__ import annotations

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.murmur import murmur_windows_32, murmur_windows_64
from nemo_curator.kernels.windows import block_for

PRIMES = {32: 2**31 - 1, 64: 2**61 - 1}

_PRIME = np.uint64(2**61 - 1)
_LANES = 8
_SIDE_BY_SIDE = 8


def permutations(num_hashes: int, seed: int, bits: int) -> np.ndarray:
    """The factor and the summand of each permutation, as rows, drawn by numpy's `RandomState`."""
    if bits not in PRIMES:
        raise ValueError(f"hashes have 32 or 64 bits, not {bits}")
    random = np.random.RandomState(seed)
    kind = np.uint32 if bits == 32 else np.uint64
    prime = PRIMES[bits]
    drawn = [(random.randint(1, prime, dtype=kind), random.randint(0, prime, dtype=kind)) for _ in range(num_hashes)]
    return np.array(drawn, kind).reshape(num_hashes, 2)


@kernel("uint8[::1], int64[::1], int64, uint32[::1], uint32[::1]")
def minhash_32(data, offsets, window, factors, summands):
    """The signatures of texts by hashes of 32 bits; zeros for an empty text."""
    room = -(-factors.size // _LANES) * _LANES
    factors, summands = _padded(factors, room), _padded(summands, room)
    signatures = np.zeros((offsets.size - 1, factors.size), np.uint32)
    hashes = np.empty(block_for(window) + _SIDE_BY_SIDE, np.uint32)
    block = block_for(window)
    edges, words = np.empty(block + window, np.int64), np.empty((2, 4 * (block + window)), np.uint32)
    for row in range(offsets.size - 1):
        text = data[offsets[row] : offsets[row + 1]]
        at = 0 if text.size else -1
        if text.size:
            signatures[row] = np.uint32(0xFFFFFFFF)
        while at >= 0:
            count, at = murmur_windows_32(text, at, window, factors[0], edges, words, hashes[:block])
            for place in range(count):
                hashes[place] = max(hashes[place], np.uint32(1))
            hashes[count : count + _SIDE_BY_SIDE] = hashes[0]
            for place in range(0, count, _SIDE_BY_SIDE):
                _permute_32(hashes[place : place + _SIDE_BY_SIDE], factors, summands, signatures[row])
    return signatures


@kernel
def _padded(values, size):
    padded = np.zeros(size, values.dtype)
    padded[: values.size] = values
    return padded


@kernel
def _permute_32(hashes, factors, summands, least):
    """Eight hashes at a time, because reading the factors takes longer than to multiply by them."""
    one, two, three, four = hashes[0], hashes[1], hashes[2], hashes[3]
    five, six, seven, eight = hashes[4], hashes[5], hashes[6], hashes[7]
    for at in range(least.size):
        factor, summand = factors[at], summands[at]
        low = min(np.uint32(one * factor + summand), np.uint32(two * factor + summand))
        low = min(low, min(np.uint32(three * factor + summand), np.uint32(four * factor + summand)))
        other = min(np.uint32(five * factor + summand), np.uint32(six * factor + summand))
        other = min(other, min(np.uint32(seven * factor + summand), np.uint32(eight * factor + summand)))
        least[at] = min(least[at], min(low, other))


@kernel("uint8[::1], int64[::1], int64, uint64[::1], uint64[::1]")
def minhash_64(data, offsets, window, factors, summands):
    """The signatures of texts by hashes of 64 bits; zeros for an empty text."""
    signatures = np.zeros((offsets.size - 1, factors.size), np.uint64)
    block = block_for(window)
    edges, hashes = np.empty(block + window, np.int64), np.empty(block, np.uint64)
    for row in range(offsets.size - 1):
        text = data[offsets[row] : offsets[row + 1]]
        at = 0 if text.size else -1
        if text.size:
            signatures[row] = _PRIME
        while at >= 0:
            count, at = murmur_windows_64(text, at, window, factors[0], edges, hashes)
            for place in range(count):
                _permute_64(max(hashes[place], np.uint64(1)), factors, summands, signatures[row])
    return signatures


@kernel
def _permute_64(value, factors, summands, least):
    for at in range(least.size):
        product = value * factors[at] + summands[at]
        product = (product & _PRIME) + (product >> np.uint64(61))
        product -= _PRIME if product >= _PRIME else np.uint64(0)
        least[at] = min(least[at], product)
