"""Numbers for what is different: equal words, lines or paragraphs of a document get the same one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.octets import LARGEST, LONG, SPREAD, key_of, same


class Tables(NamedTuple):
    """Arrays to work with, used again for every document.

    `places` and `groups` list things in the order of the text: where each is, and its number. `lows`, `highs`, `uses`
    and `firsts` are by number: the two halves of what it stands for, how often it is there, and where first. `slots`
    finds a number; what is below the current base is left from before and counts as empty.
    """

    slots: np.ndarray
    lows: np.ndarray
    highs: np.ndarray
    uses: np.ndarray
    firsts: np.ndarray
    places: np.ndarray
    groups: np.ndarray


@kernel
def tables_for(count):
    """Tables for this many things."""
    return Tables(
        np.full(table_size(count), np.int32(-1)),
        np.empty(count + 1, np.uint64),
        np.empty(count + 1, np.uint64),
        np.empty(count + 1, np.int32),
        np.empty(count + 1, np.int32),
        np.empty(count, np.int32),
        np.empty(count, np.int32),
    )


@kernel
def next_base(base, count, slots):
    """The base for numbers that follow; the table is emptied before they outgrow it."""
    if base + count > LARGEST - 2 * slots.size:
        slots[:] = -1
        return 0
    return base + count


@kernel
def number_spans(memory, edges, count, tables, base):
    """Number what stands between each two edges, from 0 in the order of the text; return how many are different."""
    slots, lows, highs, uses, firsts, places, groups = tables
    last_slot = table_size(count) - 1
    different = 0
    for span in range(count):
        start, end = edges[2 * span], edges[2 * span + 1]
        low, high = key_of(memory, start, end - start)
        # It is entered under the next number before it is known whether it is new: no branch then depends on that,
        # which no processor could predict.
        lows[different], highs[different], firsts[different], uses[different] = low, high, span, 0
        slot = slot_of(low ^ high * SPREAD, last_slot)
        number = _number_in(slots, slot, base, different)
        while (lows[number] ^ low) | (highs[number] ^ high) != 0 or (
            high >= LONG and number != different and not _is_span(memory, edges, firsts[number], start, end)
        ):
            slot = (slot + 1) & last_slot
            number = _number_in(slots, slot, base, different)
        slots[slot] = base + number
        uses[number] += 1
        different += number == different
        places[span] = span
        groups[span] = number
    return different


@kernel
def number_pairs(left, tables, base):
    """Number neighbours among the things that are left, two by two; return how many pairs, and how many different ones.

    A pair stands where its first thing did.
    """
    slots, lows, _, uses, firsts, places, groups = tables
    pairs = _join_neighbours(left, tables)
    last_slot = table_size(pairs) - 1
    different = 0
    for at in range(pairs):
        low = tables.highs[at]
        lows[different], firsts[different], uses[different] = low, places[at], 0
        slot = slot_of(low, last_slot)
        number = _number_in(slots, slot, base, different)
        while lows[number] != low:
            slot = (slot + 1) & last_slot
            number = _number_in(slots, slot, base, different)
        slots[slot] = base + number
        uses[number] += 1
        different += number == different
        groups[at] = number
    return pairs, different


@kernel
def _join_neighbours(left, tables):
    """List the pairs: where they stand in `places`, and both numbers in `highs`."""
    _, _, highs, _, _, places, groups = tables
    pairs = 0
    for at in range(left - 1):
        place = places[at]
        highs[pairs] = np.uint64(groups[at]) << np.uint64(32) | np.uint64(groups[at + 1])
        neighbours = places[at + 1] == place + 1
        places[pairs] = place
        pairs += neighbours
    return pairs


@kernel
def keep_repeated(left, tables):
    """Drop what is there only once; return how many are left."""
    uses, places, groups = tables.uses, tables.places, tables.groups
    kept = 0
    for at in range(left):
        place, number = places[at], groups[at]
        places[kept] = place
        groups[kept] = number
        kept += uses[number] > 1
    return kept


@kernel
def _number_in(slots, slot, base, otherwise):
    number = slots[slot] - base
    return otherwise if number < 0 else number


@kernel
def _is_span(memory, edges, span, start, end):
    first = edges[2 * span]
    return edges[2 * span + 1] - first == end - start and same(memory, first, start, end - start)


@kernel
def table_size(count):
    """A power of two, so that the table stays at least three quarters empty."""
    size = 16
    while size < 4 * count:
        size *= 2
    return size


@kernel
def slot_of(key, last_slot):
    """Where in a table the search for a key begins."""
    return np.int64(key * SPREAD >> np.uint64(32)) & last_slot
