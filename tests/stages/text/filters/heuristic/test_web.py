import pytest

from nemo_curator.stages.text.filters import (
    BulletLinesFilter,
    CharDuplicatesFilter,
    CurlyBraceFilter,
    DuplicateParagraphsFilter,
    LinesEndingWithPunctuationFilter,
    LoremIpsumFilter,
    MinSentencesFilter,
    NewlineToWordsFilter,
    ShortLinesFilter,
    StopWordsFilter,
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


@pytest.mark.parametrize(
    ("text", "score", "stays"),
    [
        ("the cat the dog the end", 1, False),
        ("the cat and the dog", 2, True),
        ("the be to of and that have with the be", 8, True),
        ("The theory OF it", 0, False),
    ],
)
def test_a_stop_word_that_stands_twice_counts_once(text, score, stays):
    assert StopWordsFilter().score_document(text) == score
    assert StopWordsFilter().keep_document(score) is stays


LONG = "this line is longer than thirty characters"


@pytest.mark.parametrize(
    ("one", "text", "score", "stays"),
    [
        (LinesEndingWithPunctuationFilter(), "a.\nb\n\nc! \n语。", 0.75, True),
        (LinesEndingWithPunctuationFilter(), "\n".join(["a"] * 9 + ["b."]), 0.1, False),
        (LinesEndingWithPunctuationFilter(), " \n", 0.0, False),
        (ShortLinesFilter(), f"short\n\n{LONG}\né語", 2 / 3, True),
        (ShortLinesFilter(max_chars=5), f"{LONG}\nshort \nshort", 1 / 3, True),
        (ShortLinesFilter(), "a\nb\n", 1.0, False),
        (ShortLinesFilter(), "", 1.0, False),
        (CharDuplicatesFilter(), "abc\nde\nabc", 3 / 8, False),
        (CharDuplicatesFilter(), "abc\n\n\nde", 0.0, True),
        (CharDuplicatesFilter(), "", 1.0, False),
        (NewlineToWordsFilter(), "a b c\nd e f\n", 2 / 6, False),
        (NewlineToWordsFilter(), "a b c\nd", 0.25, True),
        (NewlineToWordsFilter(), "\n", 1.0, False),
        (CurlyBraceFilter(), "if (x) { y }", 1, False),
        (CurlyBraceFilter(), "a } b", 0, True),
        (LoremIpsumFilter(), "a LOREM Ipsum b", 1, False),
        (LoremIpsumFilter(), "lorem", 0, True),
        (MinSentencesFilter(), 'One. Two? Three! "Four." (Five.)', 5, True),
        (MinSentencesFilter(), "Version 1.5 of x.org... and more", 1, False),
        (MinSentencesFilter(2), "一只猫。狗也在！", 2, True),
        (MinSentencesFilter(), "", 0, False),
    ],
)
def test_pages_are_scored_and_judged(one, text, score, stays):
    assert one.score_document(text) == pytest.approx(score)
    assert one.keep_document(one.score_document(text)) is stays


def test_blank_paragraphs_are_no_duplicates_of_one_another():
    text = "\n\n\n\n".join(f"paragraph number {number}" for number in range(10))
    assert DuplicateParagraphsFilter().score_document(text) == 0.0
    assert DuplicateParagraphsFilter().score_document("\n\n \n\nsame\n\n\u2003\n\nsame") == 0.5
    assert DuplicateParagraphsFilter().score_document(" \n\n") == 1.0
