"""Which documents stay: one goes if it is similar enough to one that stays, so nothing hangs together by chains."""

from __future__ import annotations

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.shingles import similarity


@kernel(
    "uint64[::1], int64[::1], int64[::1], int64[::1], int64[::1], int64[::1], int64, boolean[::1], boolean, float64"
)
def find_survivors(hashes, offsets, sets, starts, groups, group_starts, num_kept, is_decided, is_within, least):
    """Find, for each document, the first one that stays and is at least this similar to it: its survivor, or -1.

    Documents come in the order in which they are kept; the first `num_kept` stay, and those that are decided are
    passed by. Document d has set `sets[d]`, a slice of `hashes` by `offsets`, and is in the groups
    `groups[starts[d] : starts[d + 1]]`; only documents that share a group are compared. `group_starts` says how many
    members groups have. With `is_within`, one that stays is compared with those after it, too.
    """
    size = sets.size
    survivors = np.full(size, -1, np.int64)
    similarities = np.zeros(size, np.float64)
    members = np.empty(max(group_starts[-1], 1), np.int64)
    filled = group_starts[:-1].copy()
    asked = np.full(size, -1, np.int64)
    near = np.empty(size, np.int64)
    for one in range(size):
        if is_decided[one]:
            continue
        own = groups[starts[one] : starts[one + 1]]
        if one >= num_kept:
            found = _gather(one, own, group_starts, filled, members, asked, near)
            first = hashes[offsets[sets[one]] : offsets[sets[one] + 1]]
            for other in np.sort(near[:found]):
                share = 1.0
                if sets[other] != sets[one]:
                    second = hashes[offsets[sets[other]] : offsets[sets[other] + 1]]
                    share = similarity(first, second, least)
                if share >= least:
                    survivors[one], similarities[one] = other, share
                    break
        if one < num_kept or (is_within and survivors[one] < 0):
            for group in own:
                members[filled[group]] = one
                filled[group] += 1
    return survivors, similarities


@kernel("uint64[:,::1], int64[::1], int64[::1], int64[::1], int64, float64")
def find_estimated(signatures, starts, groups, group_starts, num_kept, least):
    """As `find_survivors`, by the share of equal numbers in two signatures, and only against the first `num_kept`."""
    size = starts.size - 1
    survivors = np.full(size, -1, np.int64)
    similarities = np.zeros(size, np.float64)
    members = np.empty(max(group_starts[-1], 1), np.int64)
    filled = group_starts[:-1].copy()
    asked = np.full(size, -1, np.int64)
    near = np.empty(size, np.int64)
    for one in range(size):
        own = groups[starts[one] : starts[one + 1]]
        if one < num_kept:
            for group in own:
                members[filled[group]] = one
                filled[group] += 1
            continue
        found = _gather(one, own, group_starts, filled, members, asked, near)
        for other in np.sort(near[:found]):
            equal = 0
            for place in range(signatures.shape[1]):
                equal += signatures[one, place] == signatures[other, place]
            share = equal / signatures.shape[1]
            if share >= least:
                survivors[one], similarities[one] = other, share
                break
    return survivors, similarities


@kernel
def _gather(one, own, group_starts, filled, members, asked, near):
    """Those that stay and share a group with a document, each once."""
    found = 0
    for group in own:
        for place in range(group_starts[group], filled[group]):
            other = members[place]
            if asked[other] != one:
                asked[other] = one
                near[found] = other
                found += 1
    return found
