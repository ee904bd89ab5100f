import pytest

from nemo_curator.stages.text.filters.heuristic.web import (
    CharDuplicatesFilter,
    CurlyBraceFilter,
    LinesEndingWithPunctuationFilter,
    LoremIpsumFilter,
    MinSentencesFilter,
    NewlineToWordsFilter,
    ShortLinesFilter,
)

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
