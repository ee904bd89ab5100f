from collections import defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.stages.deduplication.fuzzy.groups import group_rows

pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 8)), max_size=40, unique=True)


@settings(deadline=None, max_examples=300)
@given(pairs, st.integers(0, 9), st.randoms())
def test_rows_that_share_a_band_are_grouped_once_whatever_their_order(bands, first_new, shuffled):
    shared = defaultdict(set)
    for band, row in bands:
        shared[band].add(row)
    wanted = [frozenset(rows) for rows in shared.values() if len(rows) > 1 and max(rows) >= first_new]
    shuffled.shuffle(bands)
    table = np.array(bands, np.int64).reshape(-1, 2)
    groups, rows, joined = group_rows(table[:, 0].astype(np.uint64), table[:, 1].copy(), first_new)
    found = defaultdict(list)
    for group, row in zip(groups.tolist(), rows.tolist()):
        found[group].append(row)
    assert sorted(map(sorted, set(wanted))) == sorted(found.values())
    assert joined == sum(map(len, wanted)) - len(rows)
