"""Words and characters, counted in bytes, are those that Python finds in the text."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.kernels.unicode import count_chars
from nemo_curator.kernels.words import count_words
from nemo_curator.tasks.text_column import TextColumn

CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
SPACES = [char for char in CHARACTERS if char.isspace()]

pieces = st.one_of(
    st.sampled_from(SPACES),
    st.sampled_from(["a", "é", "—", "猫", "🐈", "e\u0301", "\u200b", "\u180e", "word " * 20, "日本" * 40]),
    st.text(max_size=5),
)
texts = st.lists(pieces, max_size=30).map("".join)


@settings(deadline=None)
@given(st.lists(texts, max_size=4))
def test_words_are_those_of_str_split(documents):
    assert count_words(*TextColumn(documents).buffers).tolist() == [len(text.split()) for text in documents]


@settings(deadline=None)
@given(st.lists(texts, max_size=4))
def test_characters_are_code_points(documents):
    assert count_chars(*TextColumn(documents).buffers).tolist() == [len(text) for text in documents]


def test_every_character_splits_words_or_not_as_it_does_in_python():
    documents = [f"a{char}b" for char in CHARACTERS]
    counts = count_words(*TextColumn(documents).buffers)
    assert [char for char, count in zip(CHARACTERS, counts.tolist()) if count > 1] == SPACES


@pytest.mark.parametrize("fill", ["x" * 61, "x" * 62, "x" * 63, "x" * 64, "x " * 31])
@pytest.mark.parametrize("space", SPACES)
def test_a_space_counts_wherever_blocks_begin(fill, space):
    documents = [f"{fill}{space}{space}y", f"{fill}{space}", f"{space}{fill}"]
    assert count_words(*TextColumn(documents).buffers).tolist() == [len(text.split()) for text in documents]


@pytest.mark.parametrize("kernel", [count_words, count_chars])
def test_a_cut_character_is_not_read_past_its_end(kernel):
    assert kernel(np.frombuffer(b"a b\xe2", np.uint8), np.array([0, 4])).size == 1
