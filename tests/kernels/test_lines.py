import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.kernels.lines import hash_lines
from nemo_curator.tasks.text_column import TextColumn
from tests.kernels.texts import LINES, SPACES

TEXTS = st.lists(
    st.lists(
        st.sampled_from(["\n", "\n\n", "é" * 9, "12345678", "123456789", *LINES, *SPACES]) | st.text(max_size=9)
    ).map("".join),
    max_size=8,
)


@pytest.mark.parametrize(("paragraphs", "separator"), [(False, "\n"), (True, "\n\n")])
@settings(deadline=None, max_examples=60)
@given(texts=TEXTS, min_chars=st.integers(1, 12))
def test_lines_that_are_equal_without_white_space_have_equal_hashes(paragraphs, separator, texts, min_chars):
    places, hashes = hash_lines(*TextColumn(texts).buffers, paragraphs, min_chars)
    wanted = {
        (row, number): part.strip()
        for row, text in enumerate(texts)
        for number, part in enumerate(text.split(separator))
        if len(part.strip()) >= min_chars
    }
    assert [tuple(place) for place in places.tolist()] == list(wanted)
    for half in (0, 1):
        pairs = set(zip(hashes[:, half].tolist(), wanted.values()))
        assert len(pairs) == len({one for one, _ in pairs}) == len(set(wanted.values()))
