"""Long substrings that occur more than once: where they can be, and where they are.

A window is any `min_length` bytes of a text. Windows that are equal are found in two steps. `find_anchors` gives each
window a key that follows from its bytes alone: the smallest hash of a gram within it (a minimiser; Schleimer, Wilkerson
and Aiken 2003, Roberts and others 2004). Neighbouring windows share theirs, so there are few keys, and a window whose
key is nowhere else is nowhere else. `find_repeats` then compares the bytes of those that share a key.

In a text that repeats itself every few bytes a gram would be the smallest again and again. Grams with a period of at
most half their length are therefore passed over; a window without others lies in a run of one period, and stands for
all windows one or more periods further on.
"""

from __future__ import annotations

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.octets import LONG, SPREAD

ROW, START, WINDOWS, PERIOD, STOP, FIELDS = 0, 1, 2, 3, 4, 5
"""What `find_anchors` says of a few windows that follow one another: their text, the place of the first, their number,
and in a run, its period and where it ends."""
SHORTEST = 8

_SEGMENT = 2**15
_SLOTS = 2**12
_PROBES = 4
_POINT = np.uint64(0x9FB21C651E98DF25)
_OTHER = np.uint64(0xD6E8FEB86659FD93)
_PRIME = np.uint64(2**61 - 1)
_HALF = np.uint64(2**31 - 1)


def _spread_bytes() -> np.ndarray:
    values = np.arange(1, 257, dtype=np.uint64) * SPREAD
    values = (values ^ (values >> np.uint64(30))) * _OTHER
    return values ^ (values >> np.uint64(32))


_BYTES = _spread_bytes()


@kernel("uint8[::1], int64[::1], int64")
def find_anchors(data, offsets, min_length):
    """A key for each few neighbouring windows of the texts, and what `FIELDS` says of them."""
    half = min_length // 4
    power = _power(half)
    hashes = np.empty(_SEGMENT + min_length, np.uint64)
    ranks = np.empty(_SEGMENT + min_length, np.uint64)
    periods = np.empty(_SEGMENT + min_length, np.int64)
    seen = np.zeros(_SLOTS, np.uint64)
    seen_at = np.full(_SLOTS, -min_length)
    keys = np.empty(1024, np.uint64)
    places = np.empty((1024, FIELDS), np.int64)
    made = base = 0
    for row in range(offsets.size - 1):
        start, stop = offsets[row], offsets[row + 1]
        for first in range(start, stop - min_length + 1, _SEGMENT):
            text = data[first : min(first + _SEGMENT + min_length - 1, stop)]
            _rank_grams(text, half, power, base, seen, seen_at, hashes, ranks, periods)
            base += text.size + min_length
            if made + text.size > keys.size:
                keys, places = _grown(keys, places, made, made + text.size)
            new = _list_anchors(ranks, periods, text.size, min_length, keys[made:], places[made:])
            places[made : made + new, ROW] = row
            places[made : made + new, START] += first - start
            places[made : made + new, STOP] += first - start
            made += new
    return keys[:made].copy(), places[:made].copy()


@kernel
def _power(exponent):
    power = np.uint64(1)
    for _ in range(exponent):
        power *= _POINT
    return power


@kernel
def _grown(keys, places, made, wanted):
    size = max(2 * keys.size, wanted)
    new_keys, new_places = np.empty(size, np.uint64), np.empty((size, FIELDS), np.int64)
    new_keys[:made], new_places[:made] = keys[:made], places[:made]
    return new_keys, new_places


@kernel
def _mixed(value):
    value = (value ^ value >> np.uint64(32)) * SPREAD
    return value ^ value >> np.uint64(29)


@kernel
def _rank_grams(text, half, power, base, seen, seen_at, hashes, ranks, periods):
    """Rank the gram of twice `half` bytes at each place; those with a period of at most `half` come last.

    A gram has a period exactly if its first half comes again within it after that many bytes, and goes on so to its
    end. What is remembered in `seen` is lost where two halves meet in a slot: then some periods are not found, in every
    text the same.
    """
    value = np.uint64(0)
    period = streak = 0
    for end in range(text.size):
        value = value * _POINT + _BYTES[text[end]]
        if end >= half:
            value -= _BYTES[text[end - half]] * power
        at = end + 1 - half
        if at < 0:
            continue
        hashes[at] = value
        slot = np.int64(value * SPREAD >> np.uint64(52))
        distance = base + at - seen_at[slot]
        if distance > half or seen[slot] != value:
            period = streak = 0
        elif distance == period and text[end] == text[end - period]:
            streak += 1
        else:
            streak = int(_is_same(text, at, at - distance, half))
            period = distance * streak
        seen[slot], seen_at[slot] = value, base + at
        if at >= half:
            rank = _mixed(hashes[at - half] * _OTHER ^ value) >> np.uint64(1)
            is_periodic = period > 0 and streak > half - period
            ranks[at - half] = rank | LONG if is_periodic else rank
            periods[at - half] = period


@kernel
def _is_same(data, one, other, length):
    at = 0
    while at < length and data[one + at] == data[other + at]:
        at += 1
    return at == length


@kernel
def _list_anchors(ranks, periods, size, min_length, keys, places):
    """Join windows that share their gram of the least rank, or that lie in one run; return how many came of it."""
    grams = min_length - 2 * (min_length // 4) + 1
    count = size - min_length + 1
    made = -1
    least = current = -1
    in_run = False
    start = 0
    while start < count:
        if least < start:
            least = start
            for at in range(start + 1, start + grams):
                if ranks[at] <= ranks[least]:
                    least = at
        elif ranks[start + grams - 1] <= ranks[least]:
            least = start + grams - 1
        rank = ranks[least]
        stop, limit = start + 1, min(least + 1, count)
        while stop < limit and ranks[stop + grams - 1] > rank:
            stop += 1
        is_run = rank >= LONG
        if least != current and not (is_run and in_run):
            made += 1
            keys[made] = rank
            places[made, START] = start
            places[made, WINDOWS] = 0
            places[made, PERIOD] = periods[least] if is_run else 0
        current, in_run = least, is_run
        places[made, STOP] = stop - 1 + min_length
        places[made, WINDOWS] += stop - start
        if is_run:
            places[made, WINDOWS] = min(places[made, WINDOWS], places[made, PERIOD])
        start = stop
    return made + 1


@kernel("uint8[::1], int64[::1], int64")
def hash_windows(data, offsets, min_length):
    """A hash of each window of some bytes, row by row."""
    hashes = np.empty(_begins(offsets, min_length)[-1], np.uint64)
    leaving = _leaving(min_length)
    made = 0
    for row in range(offsets.size - 1):
        value = np.uint64(0)
        for end in range(offsets[row], offsets[row + 1]):
            start = end + 1 - min_length
            value = _times(value, _POINT & _PRIME) + np.uint64(data[end]) + np.uint64(1)
            if start > offsets[row]:
                value += leaving[data[start - 1]]
            value = (value & _PRIME) + (value >> np.uint64(61))
            value = value if value < _PRIME else value - _PRIME
            if start >= offsets[row]:
                hashes[made] = _mixed(value)
                made += 1
    return hashes


@kernel("uint64[::1], uint8[::1]")
def mark_windows(hashes, marks):
    """Count hashes, up to two, in some places of a table each; returns the table with these counted, too."""
    marks = marks.copy()
    for hash_ in hashes:
        for probe in range(_PROBES):
            place = _mark_of(hash_, probe, marks.size)
            marks[place] = min(marks[place] + 1, 2)
    return marks


@kernel
def _mark_of(hash_, probe, size):
    return np.int64(hash_ + np.uint64(probe) * (hash_ >> np.uint64(32) | np.uint64(1)) & np.uint64(size - 1))


@kernel
def _is_marked(hash_, marks):
    """Whether a hash was counted twice, as it seems."""
    least = 2
    for probe in range(_PROBES):
        least = min(least, marks[_mark_of(hash_, probe, marks.size)])
    return least > 1


@kernel("uint64[::1], int64[::1], int64, uint8[::1]")
def trim_windows(hashes, offsets, min_length, marks):
    """The first and the last of each row's windows that were marked twice, as it seems; none are 0 and -1."""
    bounds = np.empty((offsets.size - 1, 2), np.int64)
    begins = _begins(offsets, min_length)
    for row in range(offsets.size - 1):
        bounds[row, 0], bounds[row, 1] = 0, -1
        for window in range(begins[row], begins[row + 1]):
            if _is_marked(hashes[window], marks):
                if bounds[row, 1] < 0:
                    bounds[row, 0] = window - begins[row]
                bounds[row, 1] = window - begins[row]
    return bounds


@kernel
def _begins(offsets, min_length):
    """How many windows there are before each row, and in all."""
    begins = np.zeros(offsets.size, np.int64)
    for row in range(offsets.size - 1):
        begins[row + 1] = begins[row] + max(offsets[row + 1] - offsets[row] - min_length + 1, 0)
    return begins


@kernel
def _leaving(length):
    """For each byte what takes it out of the hash of a window of this length, once another has come in."""
    power = np.uint64(1)
    for _ in range(length):
        power = _times(power, _POINT & _PRIME)
    values = np.empty(256, np.uint64)
    for byte in range(256):
        values[byte] = _PRIME - _times(power, np.uint64(byte + 1))
    return values


@kernel
def _times(one, other):
    """The product of two numbers below 2⁶¹ modulo 2⁶¹ - 1: modulo 2⁶⁴ simple texts would have equal hashes."""
    low, high = one & _HALF, one >> np.uint64(31)
    other_low, other_high = other & _HALF, other >> np.uint64(31)
    middle = low * other_high + high * other_low
    product = (high * other_high << np.uint64(1)) + (middle >> np.uint64(30))
    product += ((middle & (_HALF >> np.uint64(1))) << np.uint64(31)) + low * other_low
    product = (product & _PRIME) + (product >> np.uint64(61))
    return product if product < _PRIME else product - _PRIME


@kernel("uint8[::1], int64[::1], int64[:, ::1], int64[::1], int64[::1], int64, boolean")
def find_repeats(data, offsets, items, contexts, order, min_length, keep_first):
    """The spans, as (text, start, stop), of windows that also occur elsewhere without overlapping.

    Each row of `data` holds the bytes of windows that follow one another; `contexts` says which row those of an item
    are, and `order` lists the items by text and place. With `keep_first`, only earlier occurrences count, and the first
    stays.
    """
    begins = _begins(offsets, min_length)
    classes, count = _classify(data, offsets, begins, hash_windows(data, offsets, min_length), min_length)
    firsts = np.full((count, 2), -1)
    lasts = np.full((count, 2), -1)
    for item in order:
        for window in range(begins[contexts[item]], begins[contexts[item] + 1]):
            one = classes[window]
            start = items[item, START] + window - begins[contexts[item]]
            if firsts[one, 0] < 0:
                firsts[one, 0], firsts[one, 1] = item, start
            lasts[one, 0], lasts[one, 1] = item, _furthest(items, item, start, min_length)
    spans = np.empty((64, 3), np.int64)
    made = 0
    for item in order:
        for window in range(begins[contexts[item]], begins[contexts[item] + 1]):
            place = items[item, START] + window - begins[contexts[item]]
            start, stop = _later(items, item, place, firsts[classes[window]], min_length)
            if start < stop:
                spans, made = _added(spans, made, items[item, ROW], start, stop)
            if not keep_first:
                start, stop = _earlier(items, item, place, lasts[classes[window]], min_length)
                if start < stop:
                    spans, made = _added(spans, made, items[item, ROW], start, stop)
    return spans[:made].copy()


@kernel
def _classify(data, offsets, begins, hashes, min_length):
    """Number windows so that those of equal bytes have the same number; also return how many there are."""
    classes = np.empty(hashes.size, np.int32)
    places = np.empty(hashes.size, np.int64)  # of the first of each class
    tags = np.empty(hashes.size, np.uint64)
    size = 16
    while size < 2 * hashes.size:
        size *= 2
    slots = np.full(size, np.int32(-1))
    count = 0
    for row in range(offsets.size - 1):
        before = -2  # where the window before was found
        for window in range(begins[row], begins[row + 1]):
            place = offsets[row] + window - begins[row]
            slot = np.int64(hashes[window] & np.uint64(size - 1))
            while slots[slot] >= 0:
                found = slots[slot]
                if tags[found] == hashes[window]:
                    if places[found] == before + 1:  # all but the last byte was compared for the window before
                        if data[places[found] + min_length - 1] == data[place + min_length - 1]:
                            break
                    elif _is_same(data, places[found], place, min_length):
                        break
                slot = (slot + 1) & (size - 1)
            if slots[slot] < 0:
                slots[slot], places[count], tags[count] = count, place, hashes[window]
                count += 1
            classes[window] = slots[slot]
            before = places[slots[slot]]
    return classes, count


@kernel
def _furthest(items, item, start, min_length):
    """The start of the last window that this one stands for: it is itself, or a number of periods further on."""
    period = items[item, PERIOD]
    return start + (items[item, STOP] - min_length - start) // period * period if period else start


@kernel
def _later(items, item, start, first, min_length):
    """The span of what a window stands for without what overlaps the first occurrence."""
    stop = _furthest(items, item, start, min_length) + min_length
    if items[item, ROW] == items[first[0], ROW]:
        free = first[1] + min_length
        if free > start:
            period = items[item, PERIOD]
            start = start + -(-(free - start) // period) * period if period else stop
    return (start, stop) if start + min_length <= stop else (0, 0)


@kernel
def _earlier(items, item, start, last, min_length):
    """The span of what a window stands for without what overlaps the last occurrence."""
    stop = _furthest(items, item, start, min_length) + min_length
    if items[item, ROW] == items[last[0], ROW] and stop > last[1]:
        period = items[item, PERIOD]
        stop = stop - -(-(stop - last[1]) // period) * period if period else start
    return (start, stop) if start + min_length <= stop else (0, 0)


@kernel
def _added(spans, made, text, start, stop):
    """Add a span, to the one before if they touch."""
    if made and spans[made - 1, 0] == text and start <= spans[made - 1, 2] and stop >= spans[made - 1, 1]:
        spans[made - 1, 1] = min(spans[made - 1, 1], start)
        spans[made - 1, 2] = max(spans[made - 1, 2], stop)
        return spans, made
    if made == spans.shape[0]:
        grown = np.empty((2 * made, 3), np.int64)
        grown[:made] = spans
        spans = grown
    spans[made, 0], spans[made, 1], spans[made, 2] = text, start, stop
    return spans, made + 1


@kernel("uint8[::1], int64[::1], int64[::1]")
def gather(data, starts, offsets):
    """Copy the bytes from each start on, as many as the offsets of what is made say."""
    bytes_ = np.empty(offsets[-1], np.uint8)
    for row in range(starts.size):
        for at in range(offsets[row + 1] - offsets[row]):
            bytes_[offsets[row] + at] = data[starts[row] + at]
    return bytes_
