"""Sets of shingles, and what two of them have in common."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.kernels import distinct, shingles
from nemo_curator.kernels.shingles import jaccard_of_pairs, shingle_sets
from nemo_curator.tasks.text_column import TextColumn
from tests.kernels.murmur import jaccard
from tests.kernels.murmur import shingles as slow_shingles
from tests.kernels.texts import documents, texts


def sets_of(found, window):
    hashes, offsets = shingle_sets(TextColumn(found), window)
    return [hashes[start:end] for start, end in pairwise(offsets)]


@settings(deadline=None, max_examples=60)
@given(found=documents, window=st.sampled_from([1, 2, 3, 9, 24, 600]), times=st.sampled_from([1, 3, 200]))
def test_a_text_has_as_many_hashes_as_it_has_different_windows(found, window, times):
    found = [text * times for text in found]
    ours = sets_of(found, window)
    assert [len(one) for one in ours] == [len(slow_shingles(text, window)) for text in found]
    assert all((one[1:] > one[:-1]).all() for one in ours)


@settings(deadline=None, max_examples=80)
@given(
    one=texts,
    other=texts,
    both=texts,
    window=st.sampled_from([1, 2, 5]),
    least=st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]),
)
def test_jaccard_is_what_the_sets_have_in_common(one, other, both, window, least):
    first, second = sets_of([one + both, both + other], window)
    exact = jaccard(slow_shingles(one + both, window), slow_shingles(both + other, window))
    assert shingles.jaccard(first, second) == exact
    assert shingles.jaccard(second, first, least) == (exact if exact >= least else 0.0)


def test_pairs_are_compared_by_their_places():
    hashes, offsets = shingle_sets(TextColumn(["abcd", "", None, "abce", "abcd"]), 2)
    pairs = [(0, 4), (0, 3), (0, 1), (1, 2)]
    assert jaccard_of_pairs(hashes, offsets, pairs).tolist() == [1.0, 0.5, 0.0, 1.0]
    assert jaccard_of_pairs(hashes, offsets, pairs, 0.6).tolist() == [1.0, 0.0, 0.0, 1.0]


def test_sets_are_the_same_in_slices_and_in_other_types():
    found = ["a text", "é日本" * 40, None, "", "x" * 5000]
    alone = [one[0].tolist() for one in (sets_of([text], 5) for text in found)]
    for kind in (pa.string(), pa.large_string()):
        array = pa.array(["before", *found, "after"], kind)[1:-1]
        hashes, offsets = shingle_sets(TextColumn(array), 5)
        assert [hashes[start:end].tolist() for start, end in pairwise(offsets)] == alone
    assert [len(one) for one in alone] == [2, 3, 0, 0, 1]
    assert [len(one) for one in sets_of(found, 10**12)] == [1, 1, 0, 0, 1]


@pytest.mark.parametrize("count", [1, 2, 1000, 70_000])
def test_hashes_are_sorted_and_each_is_there_once(count):
    source = np.random.default_rng(count)
    hashes = source.integers(0, 2**64, count, dtype=np.uint64)
    hashes = np.concatenate([hashes, hashes[: count // 2], hashes[:1].repeat(count)])
    wanted = np.unique(hashes)
    found = distinct.sort_distinct(hashes)
    assert hashes[:found].tolist() == wanted.tolist()


def test_a_long_text_that_repeats_itself_takes_the_memory_of_what_is_different():
    text = "0123456789" * 100_000
    (found,) = sets_of([text], 24)
    assert len(found) == 10


def test_windows_have_a_character_at_least():
    with pytest.raises(ValueError, match="char_ngrams=0"):
        shingle_sets(TextColumn(["a"]), 0)
