"""Numbers for what is different: equal words, lines or paragraphs of a document get the same one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.octets import LONG, SPREAD, key_of, same


class Tables(NamedTuple):
    """Arrays to work with, used again for every document.

    `places` and `groups` list things in the order of the text: where each is, and its number. `keys`, `uses` and
    `firsts` are by number: what it stands for, how often, and where first. `slots` finds the number by the key; what is
    below the current base is left from before and counts as empty.
    """

    slots: np.ndarray
    keys: np.ndarray
    uses: np.ndarray
    firsts: np.ndarray
    places: np.ndarray
    groups: np.ndarray


@kernel
def tables_for(count):
    """Tables for this many things."""
    return Tables(
        np.full(table_size(count), np.int64(-1)),
        np.empty(count, np.uint64),
        np.empty(count, np.int64),
        np.empty(count, np.int64),
        np.empty(count, np.int64),
        np.empty(count, np.int64),
    )


@kernel
def number_spans(memory, edges, count, tables, base):
    """Number what stands between each two edges, from 0 in the order of the text; return how many are different."""
    slots, keys, uses, firsts, places, groups = tables
    size = table_size(count)
    different = 0
    for span in range(count):
        start, end = edges[2 * span], edges[2 * span + 1]
        key = key_of(memory, start, end - start)
        slot = slot_of(key, size)
        while slots[slot] >= base:
            number = slots[slot] - base
            if keys[number] == key and (key < LONG or _is_span(memory, edges, firsts[number], start, end)):
                break
            slot = (slot + 1) & (size - 1)
        else:
            number = different
            slots[slot] = base + number
            keys[number], firsts[number], uses[number] = key, span, 0
            different += 1
        uses[number] += 1
        places[span] = span
        groups[span] = number
    return different


@kernel
def _is_span(memory, edges, span, start, end):
    first = edges[2 * span]
    return edges[2 * span + 1] - first == end - start and same(memory, first, start, end - start)


@kernel
def table_size(count):
    """A power of two, so that the table stays at most half full."""
    size = 16
    while size < 2 * count:
        size *= 2
    return size


@kernel
def slot_of(key, size):
    """Where in a table of this size the search for a key begins."""
    return np.int64((key * SPREAD >> np.uint64(32)) & np.uint64(size - 1))
