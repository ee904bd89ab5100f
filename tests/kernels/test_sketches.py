"""Signatures are what their definition says, and estimate what they should."""

import random
from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.kernels.minhash import minhash_32, minhash_64, permutations
from nemo_curator.kernels.shingles import find_shingles
from nemo_curator.kernels.sketches import band_hashes, signatures, sketch
from nemo_curator.tasks.text_column import TextColumn
from tests.kernels.murmur import jaccard, minhash, murmur_32, murmur_128, shingles
from tests.kernels.texts import texts

METHODS = ["fast", "minhash"]
some_texts = st.lists(
    st.one_of(texts, st.sampled_from(["", "a", "é" * 7, "x" * 700, "ab" * 600, "x" * 600 + "日本語" * 80 + "y" * 600])),
    max_size=4,
)


@pytest.mark.parametrize(
    ("data", "seed", "wanted"),
    [
        (b"", 0, 0),
        (b"", 1, 0x514E28B7),
        (b"", 0xFFFFFFFF, 0x81F16F39),
        (b"\0\0\0\0", 0, 0x2362F9DE),
        (b"aaaa", 0x9747B28C, 0x5A97808A),
        (b"Hello, world!", 0x9747B28C, 0x24884CBA),
        (b"The quick brown fox jumps over the lazy dog", 0x9747B28C, 0x2FA826CD),
    ],
)
def test_the_hash_of_32_bits_is_the_one_that_is_published(data, seed, wanted):
    assert murmur_32(data, seed) == wanted


def test_the_hash_of_128_bits_is_the_one_that_is_published():
    assert murmur_128(b"hello", 0) == (0xCBD8A7B341BD9B02, 0x5B1E906A48AE1D19)


def test_permutations_are_drawn_as_by_numpy():
    assert permutations(3, 42, 32).tolist() == [
        [1608637543, 1273642419],
        [1935803229, 787846414],
        [996406379, 1201263687],
    ]
    assert permutations(2, 42, 64).tolist() == [
        [2297359619001564596, 1396682528897996046],
        [1973689801170867272, 1819927849474927636],
    ]


@pytest.mark.parametrize("bits", [32, 64])
@settings(deadline=None, max_examples=30)
@given(found=some_texts, window=st.sampled_from([2, 3, 5, 24, 31, 600]), seed=st.integers(0, 2**32 - 1))
def test_minhash_is_what_cudf_defines(bits, found, window, seed):
    drawn = permutations(9, seed, bits)
    ours = signatures(
        TextColumn(found), method="minhash", num_hashes=9, char_ngrams=window, seed=seed, use_64bit_hash=bits == 64
    )
    assert ours.dtype == (np.uint64 if bits == 64 else np.uint32)
    assert ours.tolist() == [minhash(text, window, drawn, bits) for text in found]


@settings(deadline=None, max_examples=40)
@given(one=texts, other=texts, window=st.sampled_from([1, 2, 5, 24]), cut=st.integers(0, 600))
def test_a_sketch_depends_on_the_set_of_shingles_alone(one, other, window, cut):
    long = (one + other) * 3 + "x" * cut
    found = [one, other, long, long + long, long + long + long]
    sketches = signatures(TextColumn(found), num_hashes=16, char_ngrams=window)
    sets = [shingles(text, window) for text in found]
    equal = (sketches[:, None] == sketches[None]).all(2)
    for at, place in product(range(len(sets)), repeat=2):
        if sets[at] == sets[place]:
            assert equal[at, place]
        elif jaccard(sets[at], sets[place]) < 0.5:
            assert not equal[at, place]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("use_64bit_hash", [False, True])
def test_it_does_not_matter_in_which_column_a_text_stands(method, use_64bit_hash):
    found = ["", "a" * 30, None, "é日本" * 40, "the cat of the dog and a bird " * 30]
    settings = {"method": method, "num_hashes": 20, "use_64bit_hash": use_64bit_hash}
    alone = [signatures(TextColumn([text]), **settings)[0].tolist() for text in found]
    for kind in (pa.string(), pa.large_string()):
        column = TextColumn(pa.array(["before", *found, "after"], kind)[1:-1])
        assert signatures(column, **settings).tolist() == alone
    chunks = pa.chunked_array([pa.array(found[:2]), pa.array(found[2:])])
    assert signatures(TextColumn(chunks), **settings).tolist() == alone
    assert alone[0] == alone[2] == [0] * 20
    assert signatures(TextColumn([]), **settings).shape == (0, 20)


@pytest.mark.parametrize("method", METHODS)
def test_another_seed_makes_other_signatures(method):
    column = TextColumn(["a text of some length, longer than a window"])
    first, second = (signatures(column, method=method, seed=seed)[0] for seed in (1, 2))
    assert (first == second).mean() < 0.1


def pair_of_sets(similarity, size, source):
    """Two texts of words without order, with so many different ones of them shared."""
    shared = round(2 * size * similarity / (1 + similarity))
    words = ["".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=8)) for _ in range(2 * size - shared)]
    one, other = words[:size], words[size - shared :]
    source.shuffle(one)
    source.shuffle(other)
    return "".join(one), "".join(other)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [4, 40, 400])
@pytest.mark.parametrize("similarity", [0.5, 0.8])
def test_the_share_of_equal_places_estimates_the_jaccard_similarity(method, size, similarity):
    source = random.Random(size)
    pairs = [pair_of_sets(similarity, size, source) for _ in range(150)]
    exact = np.array([jaccard(shingles(one, 5), shingles(other, 5)) for one, other in pairs])
    one, other = (signatures(TextColumn([pair[at] for pair in pairs]), method=method, char_ngrams=5) for at in (0, 1))
    errors = (one == other).mean(1) - exact
    deviation = np.sqrt((exact * (1 - exact)).mean() / 260)
    assert abs(errors.mean()) < 4 * deviation / np.sqrt(len(pairs))
    assert errors.std() < 1.15 * deviation


def test_a_sketch_of_few_shingles_is_closer_than_minhash_can_be():
    source = random.Random(5)
    pairs = [pair_of_sets(0.6, 5, source) for _ in range(300)]
    exact = np.array([jaccard(shingles(one, 8), shingles(other, 8)) for one, other in pairs])
    one, other = (signatures(TextColumn([pair[at] for pair in pairs]), char_ngrams=8) for at in (0, 1))
    errors = (one == other).mean(1) - exact
    assert errors.std() < 0.8 * np.sqrt((exact * (1 - exact)).mean() / 260)


@pytest.mark.parametrize("method", METHODS)
def test_one_long_text_takes_no_longer_than_many_short_ones(method):
    long = ["a" * 2**20, "ab\n" * 2**18, "".join(random.Random(1).choices("abcd", k=2**18))]
    found = signatures(TextColumn(long), method=method, num_hashes=16)
    assert found.shape == (3, 16)
    assert len({tuple(row) for row in found.tolist()}) == 3


@settings(deadline=None, max_examples=100)
@given(
    data=st.lists(st.sampled_from([*b"a \n:", *range(0x80, 0x100)]), max_size=90).map(bytes),
    times=st.sampled_from([1, 20, 50]),
    window=st.sampled_from([1, 2, 5, 24]),
)
def test_broken_utf8_is_read_without_leaving_the_text(data, times, window):
    data = np.frombuffer(data * times, np.uint8)
    buffers = data, np.array([0, len(data) // 2, len(data)])
    numbers = np.arange(1, 17)
    assert len(sketch(*buffers, window, numbers.astype(np.uint64), 1)) == 2
    assert len(minhash_32(*buffers, window, *(numbers.astype(np.uint32),) * 2)) == 2
    assert len(minhash_64(*buffers, window, *(numbers.astype(np.uint64),) * 2)) == 2
    assert len(find_shingles(*buffers, window)[1]) == 3


@pytest.mark.parametrize("method", METHODS)
def test_windows_longer_than_any_text_take_no_memory(method):
    found = [signatures(TextColumn(["a text", "é"]), method=method, char_ngrams=size) for size in (7, 100, 10**12)]
    assert found[0].tolist() == found[1].tolist() == found[2].tolist()


def test_bands_are_equal_where_their_hashes_are_and_differ_from_one_another():
    source = np.random.default_rng(0)
    found = source.integers(0, 2**32, (50, 12), dtype=np.uint32)
    found[10:20, 3:6] = found[0, 3:6]
    found[:, 6:9] = found[:, 9:12]
    bands = band_hashes(found, 4)
    assert bands.shape == (50, 4)
    assert bands.dtype == np.uint64
    assert bands.tolist() == band_hashes(found.astype(np.uint64), 4).tolist()
    assert [len(np.unique(bands[:, band])) for band in range(4)] == [50, 40, 50, 50]
    assert len(np.unique(bands)) == 190


def test_what_cannot_be_done_is_said():
    column = TextColumn(["a"])
    with pytest.raises(ValueError, match="known are fast and minhash"):
        signatures(column, method="slow")
    with pytest.raises(ValueError, match="found num_hashes=0"):
        signatures(column, num_hashes=0)
    with pytest.raises(ValueError, match="char_ngrams=0"):
        signatures(column, char_ngrams=0)
    with pytest.raises(ValueError, match="12 hashes into 5 bands"):
        band_hashes(np.zeros((1, 12), np.uint32), 5)
    with pytest.raises(ValueError, match="32 or 64 bits, not 16"):
        permutations(1, 0, 16)
