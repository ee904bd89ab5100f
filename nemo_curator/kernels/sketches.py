"""Signatures of texts: two have as many equal numbers in a place as their sets of shingles have in common, nearly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.distinct import distinct_hashes, sort_distinct
from nemo_curator.kernels.minhash import minhash_32, minhash_64, permutations
from nemo_curator.kernels.octets import SPREAD
from nemo_curator.kernels.windows import block_for, roll, room_for, spread, window_within

if TYPE_CHECKING:
    from nemo_curator.tasks.text_column import TextColumn

METHODS = ("fast", "minhash")
MOST_HASHES = 2**15

_FREE = np.uint64(2**64 - 1)
_TURN_BITS, _VALUE_BITS = np.uint64(16), np.uint64(48)
_MIX = np.uint64(0xC4CEB9FE1A85EC53)
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
    if not 1 <= num_hashes <= MOST_HASHES or char_ngrams < 1:
        raise ValueError(
            f"wanted 1 to {MOST_HASHES} hashes of windows of 1 character or more; "
            f"found num_hashes={num_hashes} and char_ngrams={char_ngrams}"
        )
    data, offsets = column.buffers
    window = window_within(char_ngrams, offsets)
    if method == "fast":
        halves = 2 if use_64bit_hash else 1
        found = sketch(data, offsets, window, _keys(num_hashes, seed), halves)
        return found.view("<u8") if use_64bit_hash else found
    drawn = permutations(num_hashes, seed, 64 if use_64bit_hash else 32)
    factors, summands = np.ascontiguousarray(drawn.T)
    if use_64bit_hash:
        return minhash_64(data, offsets, window, factors, summands)
    return minhash_32(data, offsets, window, factors, summands)[:, :num_hashes]


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


@kernel("uint8[::1], int64[::1], int64, uint64[::1], int64")
def sketch(data, offsets, window, keys, halves):
    """Sketch texts: as many slots as there are pairs of keys, of each the low half or both.

    In each round every shingle falls into one slot, which keeps the smallest; a later round counts above an earlier
    one. In the second half of the rounds all fall into the same slot, so that none is free at the end.
    """
    slots = np.empty(keys.size // 2, np.uint64)
    sketches = np.zeros((offsets.size - 1, halves * slots.size), np.uint32)
    block = block_for(window)
    room = room_for(window)
    hashes = np.empty(-(-_ENOUGH * slots.size // block) * block, np.uint64)
    mixed = np.empty(block, np.uint64)
    for row in range(offsets.size - 1):
        text = data[offsets[row] : offsets[row + 1]]
        if text.size == 0:
            continue
        slots[:] = _FREE
        count = _first_round(text, window, block, keys[0], room, hashes, mixed, slots)
        free = _count_free(slots)
        if free and count > hashes.size:
            found = distinct_hashes(text, window, block, room)
            _more_rounds(found, found.size, free, keys, slots)
        elif free:
            for place in range(count):
                hashes[place] = spread(hashes[place])
            _more_rounds(hashes, count, free, keys, slots)
        for half in range(halves):
            for slot in range(slots.size):
                sketches[row, halves * slot + half] = np.uint32(slots[slot] >> np.uint64(32 * half))
    return sketches


@kernel
def _first_round(text, window, block, key, room, hashes, mixed, slots):
    """Enter all shingles; return how many there were. If they were no more than `hashes` has room for, it has them."""
    at = start = total = 0
    while at >= 0:
        if start == hashes.size:
            start = 0
        count, at = roll(text, at, window, room, hashes[start : start + block])
        _enter_first(hashes[start : start + count], key, slots, mixed)
        start += count
        total += count
    return total


@kernel
def _enter(values, key, turn, slots):
    """Enter values into slots; return how many that were free are so no more.

    Mixed values fall into as many equal ranges as there are slots, by their high bits; lower bits are the order in one.
    """
    size = np.uint64(slots.size)
    taken = 0
    for place in range(values.size):
        value = _mix(values[place], key)
        slot = (value >> np.uint64(32)) * size >> np.uint64(32)
        taken += slots[slot] == _FREE
        slots[slot] = min(slots[slot], turn << _VALUE_BITS | value >> _TURN_BITS)
    return taken


@kernel
def _enter_first(values, key, slots, mixed):
    """`_enter` of the first round. The first loop becomes vector instructions."""
    size = np.uint64(slots.size)
    for place in range(values.size):
        mixed[place] = _mix(values[place], key)
    for place in range(values.size):
        value = mixed[place]
        slot = (value >> np.uint64(32)) * size >> np.uint64(32)
        slots[slot] = min(slots[slot], value >> _TURN_BITS)


@kernel
def _mix(value, key):
    value = (value + key) * SPREAD
    return (value ^ value >> np.uint64(32)) * _MIX


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
        only = turn - slots.size
        if only < 0:
            free -= _enter(hashes[:count], keys[turn], np.uint64(turn), slots)
        elif slots[only] == _FREE:
            free -= _enter(hashes[:count], keys[turn], np.uint64(turn), slots[only : only + 1])
        entered += count
        if free == 0:
            return
