"""Signatures of texts: two have as many equal numbers in a place as their sets of shingles have in common, nearly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.distinct import distinct_hashes, sort_distinct
from nemo_curator.kernels.minhash import minhash_32, minhash_64, permutations
from nemo_curator.kernels.octets import SPREAD
from nemo_curator.kernels.windows import block_for, roll_hashes, spread

if TYPE_CHECKING:
    from nemo_curator.tasks.text_column import TextColumn

METHODS = ("fast", "minhash")

_FREE = np.uint64(2**64 - 1)
_VALUE_BITS = np.uint64(48)
_VALUE = np.uint64(2**48 - 1)
# with as many hashes entered, of different shingles, fewer than one text in ten thousand has a slot that is free
_ENOUGH = 16


def signatures(
    column: TextColumn,
    *,
    method: Literal["fast", "minhash"] = "fast",
    num_hashes: int = 260,
    char_ngrams: int = 24,
    seed: int = 42,
    use_64bit_hash: bool = False,
) -> np.ndarray:
    """Make the signature of each text, a row of `num_hashes` numbers of 32 or 64 bits.

    The share of places in which two rows are equal estimates the Jaccard similarity of the sets of shingles, which are
    all windows of `char_ngrams` characters. `minhash` is the permutation family of cuDF (MurmurHash3, then one multiply
    and add for each place). `fast` is Fast Similarity Sketching (Dahlgaard, Knudsen and Thorup, 2017) over a rolling
    hash: as unbiased, the error no larger, and one step for a shingle instead of one for each place. Signatures of
    different methods, seeds or sizes cannot be compared. An empty text, and a null, has zeros.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; known are fast and minhash")
    if num_hashes < 1 or char_ngrams < 1:
        raise ValueError(f"wanted one or more; found num_hashes={num_hashes} and char_ngrams={char_ngrams}")
    data, offsets = column.buffers
    if method == "fast":
        found = sketch(data, offsets, char_ngrams, _keys(num_hashes, seed))
        return found if use_64bit_hash else (found >> np.uint64(32)).astype(np.uint32)
    drawn = permutations(num_hashes, seed, 64 if use_64bit_hash else 32)
    factors, summands = np.ascontiguousarray(drawn.T)
    if use_64bit_hash:
        return minhash_64(data, offsets, char_ngrams, factors, summands)
    return minhash_32(data, offsets, char_ngrams, factors, summands)[:, :num_hashes]


def band_hashes(found: np.ndarray, num_bands: int) -> np.ndarray:
    """Hash each band of each signature: rows of `num_bands` numbers of 64 bits, different for different bands."""
    if num_bands < 1 or found.shape[1] % num_bands:
        raise ValueError(f"cannot cut signatures of {found.shape[1]} hashes into {num_bands} bands of the same size")
    return hash_bands(np.ascontiguousarray(found, np.uint64), num_bands)


def _keys(num_hashes: int, seed: int) -> np.ndarray:
    """What tells one round from the next: SplitMix64 from the seed."""
    steps = np.arange(1, 2 * num_hashes + 1, dtype=np.uint64)
    return np.uint64(seed * 0xBF58476D1CE4E5B9 % 2**64) + steps * SPREAD


@kernel("uint64[:,::1], int64")
def hash_bands(found, num_bands):
    """Hash each band of each row."""
    hashes = np.empty((found.shape[0], num_bands), np.uint64)
    size = found.shape[1] // num_bands
    for row in range(found.shape[0]):
        for band in range(num_bands):
            value = np.uint64(band + 1) * SPREAD
            for place in range(band * size, (band + 1) * size):
                value = (value ^ found[row, place]) * SPREAD
                value ^= value >> np.uint64(32)
            hashes[row, band] = spread(value)
    return hashes


@kernel("uint8[::1], int64[::1], int64, uint64[::1]")
def sketch(data, offsets, window, keys):
    """Sketch texts: as many slots as there are pairs of keys.

    In each round every hash falls into one slot, which keeps the smallest; a later round counts above an earlier one.
    In the second half of the rounds all fall into the same slot, so that none stays free.
    """
    sketches = np.zeros((offsets.size - 1, keys.size // 2), np.uint64)
    block = block_for(window)
    edges = np.empty(block + window, np.int64)
    hashes = np.empty(-(-_ENOUGH * sketches.shape[1] // block) * block, np.uint64)
    for row in range(offsets.size - 1):
        text = data[offsets[row] : offsets[row + 1]]
        if text.size == 0:
            continue
        slots = sketches[row]
        slots[:] = _FREE
        count = _first_round(text, window, block, keys[0], edges, hashes, slots)
        free = _count_free(slots)
        if free and count > hashes.size:
            found = distinct_hashes(text, window, block, edges)
            _more_rounds(found, found.size, free, keys, slots)
        elif free:
            _more_rounds(hashes, count, free, keys, slots)
        for slot in range(slots.size):
            slots[slot] = spread(slots[slot])
    return sketches


@kernel
def _first_round(text, window, block, key, edges, hashes, slots):
    """Enter all hashes; return how many there were. If they were no more than there is room for, `hashes` has them."""
    at = start = total = 0
    while at >= 0:
        if start == hashes.size:
            start = 0
        count, at = roll_hashes(text, at, window, edges, hashes[start : start + block])
        for place in range(start, start + count):
            slot, value = _place(hashes[place], key, slots.size)
            slots[slot] = min(slots[slot], value)
        start += count
        total += count
    return total


@kernel
def _place(value, key, size):
    """The slot of a hash in the round with this key, and what it counts there."""
    value = spread(value + key)
    return (value >> np.uint64(32)) * np.uint64(size) >> np.uint64(32), value & _VALUE


@kernel
def _count_free(slots):
    free = 0
    for slot in range(slots.size):
        free += slots[slot] == _FREE
    return free


@kernel
def _more_rounds(hashes, count, free, keys, slots):
    """Go on until no slot is free. Texts that repeat themselves are reduced to what is different, once."""
    entered = count
    is_distinct = False
    for turn in range(1, keys.size):
        if not is_distinct and entered > _ENOUGH * slots.size:
            count = sort_distinct(hashes[:count])
            is_distinct = True
        before = np.uint64(turn) << _VALUE_BITS
        only = turn - slots.size
        if only >= 0 and slots[only] != _FREE:
            continue
        for place in range(count):
            slot, value = _place(hashes[place], keys[turn], slots.size)
            if only >= 0:
                slot = np.uint64(only)
            free -= slots[slot] == _FREE
            slots[slot] = min(slots[slot], before | value)
        entered += count
        if free == 0:
            return
