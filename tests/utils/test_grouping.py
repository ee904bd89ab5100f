from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.utils.grouping import pairwise, split_by_chunk_size, split_into_n_chunks

ITEMS = st.lists(st.integers(0, 9), max_size=30)


@given(ITEMS, st.integers(1, 12))
def test_chunks_of_a_size_hold_every_item_in_order(items, size):
    chunks = list(split_by_chunk_size(iter(items), size))
    assert list(chain(*chunks)) == items
    assert all(len(chunk) == size for chunk in chunks[:-1])
    assert all(1 <= len(chunk) <= size for chunk in chunks)
    assert list(split_by_chunk_size(items, size, drop_incomplete_chunk=True)) == [c for c in chunks if len(c) == size]


@given(ITEMS, st.integers(1, 30))
def test_a_chunk_ends_with_the_item_that_reaches_the_size(items, size):
    chunks = list(split_by_chunk_size(items, size, lambda item: item))
    assert list(chain(*chunks)) == items
    assert all(sum(chunk[:-1]) < size <= sum(chunk) for chunk in chunks[:-1])


@given(ITEMS, st.integers(1, 40))
def test_n_chunks_are_nearly_equal_and_never_empty(items, count):
    chunks = list(split_into_n_chunks(iter(items), count))
    assert list(chain(*chunks)) == items
    assert len(chunks) == min(count, len(items))
    lengths = [len(chunk) for chunk in chunks]
    assert lengths == sorted(lengths, reverse=True)
    assert not lengths or lengths[0] - lengths[-1] <= 1


@pytest.mark.parametrize(("split", "what"), [(split_by_chunk_size, "chunk_size"), (split_into_n_chunks, "num_chunks")])
def test_chunks_of_nothing_are_refused(split, what):
    with pytest.raises(ValueError, match=f"{what} is 0; wanted at least 1"):
        list(split([1, 2], 0))


def test_neighbours_come_in_pairs():
    assert list(pairwise("abc")) == [("a", "b"), ("b", "c")]
