"""Sets of shingles, and the exact Jaccard similarity of two of them.

A shingle stands for its hash of 64 bits. Two different ones of natural text have the same with odds of 2⁻⁶⁴, so among
a million different shingles there is such a pair once in 37 million times, and it moves a similarity by one part of the
set. Texts made to collide can do worse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.distinct import distinct_hashes
from nemo_curator.kernels.windows import block_for, room_for, window_within

if TYPE_CHECKING:
    from nemo_curator.tasks.text_column import TextColumn


def shingle_sets(column: TextColumn, char_ngrams: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """The different shingles of each text: their hashes in order, of all texts end to end, and where each text starts.

    A shingle is a window of `char_ngrams` characters, or all of a shorter text. An empty text, and a null, has none.
    The offsets are one more than there are texts.
    """
    if char_ngrams < 1:
        raise ValueError(f"wanted windows of one character or more; found char_ngrams={char_ngrams}")
    data, offsets = column.buffers
    return find_shingles(data, offsets, window_within(char_ngrams, offsets))


def jaccard(first: np.ndarray, second: np.ndarray, min_jaccard: float = 0.0) -> float:
    """What two sets have in common, as a share of what is in either; both are sorted and hold everything once.

    If that is less than `min_jaccard` the result is 0, and it is not looked for any longer than until that is certain.
    Two empty sets are equal: 1.
    """
    return share_in_common(first, second, min_jaccard)


def jaccard_of_pairs(
    hashes: np.ndarray, offsets: np.ndarray, pairs: np.ndarray, min_jaccard: float = 0.0
) -> np.ndarray:
    """`jaccard` of many pairs: `pairs` has two columns, numbers of texts in what `shingle_sets` returned."""
    return compare_pairs(hashes, offsets, np.ascontiguousarray(pairs, np.int64), min_jaccard)


@kernel("uint8[::1], int64[::1], int64")
def find_shingles(data, offsets, window):
    """Find the different shingles of each document."""
    ends = np.zeros(offsets.size, np.int64)
    block = block_for(window)
    room = room_for(window)
    # pages of it that nothing is written to take no memory
    hashes = np.empty(max(offsets[-1] - offsets[0], 1), np.uint64)
    for row in range(offsets.size - 1):
        text = data[offsets[row] : offsets[row + 1]]
        ends[row + 1] = ends[row]
        if text.size:
            found = distinct_hashes(text, window, block, room)
            ends[row + 1] += found.size
            hashes[ends[row] : ends[row + 1]] = found
    return hashes[: ends[-1]], ends


@kernel("uint64[::1], uint64[::1], float64")
def share_in_common(first, second, least):
    """What two sets have in common, as a share of what is in either; 0 if that is less than `least`."""
    return similarity(first, second, least)


@kernel("uint64[::1], int64[::1], int64[:,::1], float64")
def compare_pairs(hashes, offsets, pairs, least):
    """What the sets of each pair have in common, as a share of what is in either; 0 where that is less than `least`."""
    found = np.empty(pairs.shape[0], np.float64)
    for row in range(pairs.shape[0]):
        one, other = pairs[row, 0], pairs[row, 1]
        first = hashes[offsets[one] : offsets[one + 1]]
        found[row] = similarity(first, hashes[offsets[other] : offsets[other + 1]], least)
    return found


@kernel
def similarity(first, second, least):
    """What two sets have in common, as a share of what is in either; 0 if that is less than `least`."""
    total = first.size + second.size
    if total == 0:
        return 1.0
    # a set of which more than this many are not in the other cannot reach it; one more for rounding
    most = total - 2 * np.int64(least / (1.0 + least) * total) + 1
    one = other = common = 0
    while one < first.size and other < second.size and one + other - 2 * common <= most:
        low, high = first[one], second[other]
        common += low == high
        one += low <= high
        other += high <= low
    share = common / (total - common)
    return share if share >= least and one + other - 2 * common <= most else 0.0
