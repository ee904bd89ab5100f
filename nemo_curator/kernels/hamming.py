"""Hashes that differ in few bits."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from nemo_curator.kernels.compile import kernel

BITS = 64


def find_near_hashes(hashes: np.ndarray, max_distance: int) -> np.ndarray:
    """For each hash of 64 bits, in order, the first one that stays and differs in at most so many bits, or -1.

    One stays if there is none for it. The bits are cut into one band more than may differ, so that two near hashes
    agree in a band; only those that do are compared.
    """
    if not 0 <= max_distance < BITS:
        raise ValueError(f"max_distance is {max_distance}; wanted 0 to {BITS - 1} bits")
    hashes = np.ascontiguousarray(hashes, np.uint64)
    cuts = np.linspace(0, BITS, max_distance + 2).astype(np.int64)
    groups = np.empty((len(hashes), max_distance + 1), np.int64)
    starts = [0]
    for band, (low, high) in enumerate(pairwise(cuts)):
        mask = np.uint64((1 << int(high - low)) - 1)
        _, labels, sizes = np.unique((hashes >> np.uint64(low)) & mask, return_inverse=True, return_counts=True)
        groups[:, band] = labels + len(starts) - 1
        starts += (starts[-1] + np.cumsum(sizes)).tolist()
    return _first_near(hashes, groups, np.array(starts), max_distance)


@kernel("uint64[::1], int64[:,::1], int64[::1], int64")
def _first_near(hashes, groups, starts, max_distance):
    """As above. `groups` names the groups of each hash, one for each band, and `starts` says how large groups are."""
    near = np.full(hashes.size, -1, np.int64)
    members = np.empty(starts[-1], np.int64)
    values = np.empty(starts[-1], np.uint64)  # beside each other: looked up one by one they took ten times as long
    filled = starts[:-1].copy()
    for one in range(hashes.size):
        first = hashes.size
        for band in range(groups.shape[1]):
            group = groups[one, band]
            for place in range(starts[group], filled[group]):
                if _distance(hashes[one], values[place]) <= max_distance:
                    first = min(first, members[place])
                    break
        if first < hashes.size:
            near[one] = first
            continue
        for band in range(groups.shape[1]):
            group = groups[one, band]
            members[filled[group]] = one
            values[filled[group]] = hashes[one]
            filled[group] += 1
    return near


@kernel
def _distance(one, other):
    """In how many bits two numbers differ: sums of pairs, of fours, of bytes."""
    bits = one ^ other
    bits -= (bits >> np.uint64(1)) & np.uint64(0x5555555555555555)
    bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((bits * np.uint64(0x0101010101010101)) >> np.uint64(56))
