import pytest

from nemo_curator.stages.text.filters import (
    BulletLinesFilter,
    CharDuplicatesFilter,
    LinesEndingWithPunctuationFilter,
    MinSentencesFilter,
    ShortLinesFilter,
    SymbolsPerWordFilter,
)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", 0),
        ("One. Two! Three?", 3),
        ("Version 3.11 of e.g. this", 1),
        ("“Well...” he said. (So!)", 3),
        ("一只猫。他们！", 2),
        ("What?! No.\nYes", 2),
    ],
)
def test_sentences_end_where_space_follows(text, sentences):
    assert MinSentencesFilter().score_document(text) == sentences


@pytest.mark.parametrize(("text", "share"), [("- a\n• b\n* c\n\nd", 0.5), ("", 1.0)])
def test_hyphens_and_dots_are_bullets(text, share):
    assert BulletLinesFilter().score_document(text) == share


@pytest.mark.parametrize(("text", "share"), [("a.\nb \nc! \n", 2 / 3), ("они？\nनमस्ते।", 1.0), ('he said "so."', 0.0)])
def test_lines_end_with_punctuation_of_any_script(text, share):
    assert LinesEndingWithPunctuationFilter().score_document(text) == share


@pytest.mark.parametrize(("chars", "share"), [(2, 0.5), (3, 1.0), (1, 0.0)])
def test_short_lines_are_counted_in_characters(chars, share):
    assert ShortLinesFilter(max_chars=chars).score_document("éé\nabc\n\n") == share


def test_characters_in_lines_that_stood_before():
    assert CharDuplicatesFilter().score_document("ab\nab\ncd") == 2 / 6


@pytest.mark.parametrize(("text", "ratio"), [("## a", 1.0), ("a... b… c d", 0.5), ("", 1.0)])
def test_every_hash_and_every_ellipsis_counts(text, ratio):
    assert SymbolsPerWordFilter().score_document(text) == ratio
