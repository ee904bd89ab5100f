"""Different hashes, in order."""

from __future__ import annotations

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.windows import roll, spread

_SORTED_AT_ONCE = 2**16


@kernel
def distinct_hashes(text, window, block, room):
    """The different hashes of a text's shingles in order, in memory for a few times as many.

    A text that is not long is sorted once, a long one whenever the memory is full, which grows with what is different.
    """
    hashes = np.empty(min(text.size, _SORTED_AT_ONCE) + block, np.uint64)
    count = at = 0
    while at >= 0:
        if count + block > hashes.size:
            count = sort_distinct(hashes[:count])
            if 2 * count > hashes.size - block:
                hashes = _longer(hashes, count)
        found, at = roll(text, at, window, room, hashes[count : count + block])
        for place in range(count, count + found):
            hashes[place] = spread(hashes[place])
        count += found
    return hashes[: sort_distinct(hashes[:count])]


@kernel
def _longer(hashes, count):
    longer = np.empty(2 * hashes.size, np.uint64)
    longer[:count] = hashes[:count]
    return longer


@kernel
def sort_distinct(hashes):
    """Sort hashes in place and put the different ones first; return how many there are.

    They are spread evenly, so each is first put where it should be by its size, and then moved a few places.
    """
    size = hashes.size
    starts = np.zeros(size + 1, np.int64)
    for at in range(size):
        starts[_share(hashes[at], size) + 1] += 1
    for at in range(size):
        starts[at + 1] += starts[at]
    placed = np.empty(size, np.uint64)
    for at in range(size):
        share = _share(hashes[at], size)
        placed[starts[share]] = hashes[at]
        starts[share] += 1
    return _insert_distinct(placed, hashes)


@kernel
def _share(value, size):
    """Which of so many equal ranges a hash is in."""
    return (value >> np.uint64(32)) * np.uint64(size) >> np.uint64(32)


@kernel
def _insert_distinct(placed, hashes):
    found = 0
    for at in range(placed.size):
        value = placed[at]
        if found == 0 or value > hashes[found - 1]:
            hashes[found] = value
            found += 1
            continue
        place = found
        while place > 0 and hashes[place - 1] > value:
            place -= 1
        if place == 0 or hashes[place - 1] < value:
            for later in range(found, place, -1):
                hashes[later] = hashes[later - 1]
            hashes[place] = value
            found += 1
    return found
