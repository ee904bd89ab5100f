"""A text column counts once, counts as Python does, and keeps its counts when rows go."""

import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.kernels import compile as compiling
from nemo_curator.kernels.characters import LETTER
from nemo_curator.kernels.unicode import count_chars
from nemo_curator.kernels.words import count_words
from nemo_curator.tasks.text_column import TextColumn

documents = st.lists(st.none() | st.text(max_size=20), max_size=8)
kinds = st.sampled_from([pa.string(), pa.large_string(), pa.string_view()])
words = ["one", None, "two words", "", "trois  mots ça"]


@st.composite
def arrays(draw):
    """Arrow arrays of every kind of text: whole, sliced, or in chunks."""
    kind = draw(kinds)
    if draw(st.booleans()):
        return pa.chunked_array(draw(st.lists(documents, max_size=3)), kind)
    array = pa.array(draw(documents), kind)
    start = draw(st.integers(0, len(array)))
    return array.slice(start, draw(st.integers(0, len(array) - start)))


@settings(deadline=None)
@given(arrays())
def test_any_arrow_column_counts_as_its_python_texts_do(array):
    column = TextColumn(array)
    texts = [text or "" for text in array.to_pylist()]
    assert column.texts() == texts
    assert column.to_pylist() == array.to_pylist()
    assert len(column) == len(array)
    for counts in (column.word_counts, count_words(*column.buffers)):
        assert counts.tolist() == [len(text.split()) for text in texts]
    for counts in (column.lengths, count_chars(*column.buffers)):
        assert counts.tolist() == [len(text) for text in texts]


@settings(deadline=None)
@given(arrays(), st.data())
def test_counts_follow_the_rows(array, data):
    column = TextColumn(array)
    lengths = column.lengths
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(array), max_size=len(array))), bool)
    start = data.draw(st.integers(0, len(array)))
    places = np.flatnonzero(mask)[::-1].repeat(2)
    parts = [(mask, column.filter(mask)), (slice(start, start + 2), column.slice(start, 2))]
    for rows, part in [*parts, (places, column.take(places))]:
        assert part.to_pylist() == np.array([*column.to_pylist(), None], object)[:-1][rows].tolist()
        assert part.remember("lengths", lambda: pytest.fail("counted again")).tolist() == lengths[rows].tolist()
        assert part.word_counts.tolist() == [len(text.split()) for text in part.texts()]


def test_a_column_counts_once():
    column = TextColumn(words)
    assert column.word_counts is column.word_counts
    assert column.remember("anything", lambda: np.arange(5)) is column.remember("anything", lambda: None)


def test_words_that_have_been_described_are_not_counted_again():
    column = TextColumn(words)
    assert column.vocabulary["words"].tolist() == column.word_counts.tolist() == [1, 0, 2, 0, 3]
    with pytest.raises(KeyError):
        column.remember("word_counts", lambda: {}["not remembered"])


def test_facts_have_names_and_follow_the_rows():
    column = TextColumn(["a.\n• b", None, "the cat the cat"])
    assert column.lines["lines"].tolist() == [2, 0, 1]
    assert column.count(LETTER).tolist() == [2, 0, 12]
    assert column.ngrams(2)["duplicate"].tolist() == [0, 0, 7]
    part = column.filter(np.array([True, False, True])).slice(1)
    for name in ("lines", "letters", "ngrams (2, 10, 4)"):
        part.remember(name, lambda: pytest.fail("counted again"))
    assert part.lines["lines"].tolist() == [1]
    assert part.count(LETTER).tolist() == [12]
    assert part.ngrams(2)["duplicate"].tolist() == [7]
    assert part.ngrams(2, top=True)["top"].tolist() == [14]


def test_few_texts_are_counted_without_numba(monkeypatch):
    monkeypatch.setattr("nemo_curator.tasks.text_column.pays", lambda nbytes: False)
    counts = TextColumn(words).measure(lambda *_: pytest.fail("called the kernel"), len)
    assert counts.tolist() == [3, 0, 9, 0, 14]
    assert counts.dtype == np.int64


def test_buffers_of_one_chunk_are_not_copied():
    array = pa.chunked_array([pa.array(["a", "b c"], pa.large_string())])
    data, offsets = TextColumn(array).buffers
    assert data.ctypes.data == array.chunk(0).buffers()[2].address
    assert offsets.ctypes.data == array.chunk(0).buffers()[1].address


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_the_array_stays_what_it_was(kind):
    array = pa.array(words, kind)
    assert TextColumn(array).array is array


def test_bytes_below_a_null_do_not_count():
    whole = pa.array(["abc", "hidden words", "d"])
    array = pa.Array.from_buffers(pa.string(), 3, [pa.py_buffer(b"\x05"), *whole.buffers()[1:]])
    assert array.to_pylist() == ["abc", None, "d"]
    assert count_chars(*TextColumn(array).buffers).tolist() == [3, 0, 1]


def test_a_filtered_array_that_is_there_already_is_used():
    array = pa.array(["b"])
    column = TextColumn(["a", "b"])
    assert column.filter(np.array([False, True]), array).array is array


def test_pickling_drops_the_counts():
    column = TextColumn(words)
    assert column.lengths.sum() > 0
    again = pickle.loads(pickle.dumps(column))
    assert again.to_pylist() == words
    assert again.remember("lengths", lambda: "counted anew") == "counted anew"


def test_a_column_of_categories_or_nothing_is_text():
    assert TextColumn(pa.array(["a", "b", "a"]).dictionary_encode()).lengths.tolist() == [1, 1, 1]
    assert TextColumn(pa.nulls(2)).texts() == ["", ""]


def test_a_column_of_numbers_is_refused():
    with pytest.raises(TypeError, match="int64"):
        TextColumn(pa.array([1, 2]))


def test_columns_beyond_the_first_megabytes_use_kernels(monkeypatch):
    monkeypatch.setattr(compiling, "_PLAIN_BYTES", -1)
    assert TextColumn(words).measure(count_words, lambda _: pytest.fail("called row by row")).tolist() == [
        1,
        0,
        2,
        0,
        3,
    ]
