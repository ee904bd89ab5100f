"""Scores and decisions that upstream's newest release gives for eight texts, where they do not hang on a hash seed."""

import pytest

from nemo_curator.stages.text import filters
from nemo_curator.stages.text.filters import RepeatingDuplicateNGramsFilter, RepeatingTopNGramsFilter

TEXTS = [
    """\
The cat sat on the mat. It was happy to be with the dog!
The dog and the cat have a house that is big.

They read more books...""",
    """\
• first item
• second item
- third item
• first item

Terms of Use: see https://example.com/a?b=1 and http://porn.example.org/x_y.""",
    "buy now buy now buy now buy now cheap pills 50% off!!! [click](http://x.yz) ### # {a} (b) 12345 67890",
    "一只猫坐在垫子上。狗也在那里。\n他们很开心…",
    "a b c d a b c d a b c d a b c d e f g h",
    "one line\none line\none line\nanother line\n\none para\n\none para",
    "   leading and trailing\t\ttabs \n\n\n\nthree blank lines, Привет мир 2024   ",
    "x",
]
TABLE = """
BoilerPlateStringFilter: 0 K, 0.5 D, 0 K, 0 K, 0 K, 0 K, 0 K, 0 K
BulletsFilter: 0 K, 0.6 K, 0 K, 0 K, 0 K, 0 K, 0 K, 0 K
CommonEnglishWordsFilter: 2 K, 2 K, 0 D, 0 D, 0 D, 0 D, 1 D, 0 D
EllipsisFilter: 0.333333 D, 0 K, 0 K, 0.5 D, 0 K, 0 K, 0 K, 0 K
LongWordFilter: 8 K, 28 K, 20 K, 15 K, 1 K, 7 K, 8 K, 1 K
MeanWordLengthFilter: 3.37931 K, 5.842105 K, 4.368421 K, 10.5 D, 1 D, 3.833333 K, 5.1 K, 1 D
NonAlphaNumericFilter: 0.204724 K, 0.223077 K, 0.336634 D, 0.954545 D, 0.487179 D, 0.101695 K, 0.352113 D, 0 K
NumbersFilter: 0 K, 0.007692 K, 0.118812 K, 0 K, 0 K, 0 K, 0.056338 K, 0 K
ParenthesesFilter: 0 K, 0 K, 0.079208 K, 0 K, 0 K, 0 K, 0 K, 0 K
PornographicUrlsFilter: 0 K, 1 D, 0 K, 0 K, 0 K, 0 K, 0 K, 0 K
PunctuationFilter: 0 K, 0.8 K, 1 D, 1 D, 1 D, 1 D, 1 D, 1 D
SymbolsToWordsFilter: 0 K, 0 K, 0.052632 K, 0 K, 0 K, 0 K, 0 K, 0 K
UrlsFilter: 0 K, 0.407692 D, 0.118812 K, 0 K, 0 K, 0 K, 0 K, 0 K
WhiteSpaceFilter: 0.228346 K, 0.146154 K, 0.178218 K, 0.045455 K, 0.487179 D, 0.220339 K, 0.28169 D, 0 K
WordCountFilter: 29 D, 19 D, 19 D, 2 D, 20 D, 12 D, 10 D, 1 D
WordsWithoutAlphabetsFilter: 1 K, 0.789474 D, 0.736842 D, 1 K, 1 K, 1 K, 0.9 K, 1 K
RepeatedLinesByCharFilter: 1 K, 0.904 K, 1 K, 1 K, 1 K, 0.538462 D, 1 K, 1 K
RepeatedLinesFilter: 1 K, 0.8 K, 1 K, 1 K, 1 K, 0.5 D, 1 K, 1 K
RepeatedParagraphsByCharFilter: 1 K, 1 K, 1 K, 1 K, 1 K, 0.854545 K, 1 K, 1 K
RepeatedParagraphsFilter: 1 K, 1 K, 1 K, 1 K, 1 K, 0.666667 D, 1 K, 1 K
RepeatingDuplicateNGramsFilter: 0 K, 0.130769 K, 0.227723 D, 0 K, 0.589744 D, 0.559322 D, 0 K, 1 D
RepeatingTopNGramsFilter: tie, tie, 0.277228 D, 0 K, tie, tie, tie, 1 D
RepeatingTopNGramsFilter 3: tie, 0.184615 K, tie, 1 D, tie, tie, tie, 1 D
RepeatingDuplicateNGramsFilter 3: 0 K, 0.092308 K, 0.227723 D, 1 D, 0.589744 D, 0.288136 D, 0 K, 1 D
RepeatingDuplicateNGramsFilter 5: 0 K, 0 K, 0.227723 D, 1 D, 0.589744 D, 0 K, 0 K, 1 D
"""
ROWS = [line.split(": ") for line in TABLE.strip().splitlines()]


def scored(one):
    scores = [one.score_document(text) for text in TEXTS]
    return [f"{score:.6f}".rstrip("0").rstrip(".") + " DK"[1 + one.keep_document(score)].rjust(2) for score in scores]


@pytest.mark.parametrize(("name", "cells"), [pytest.param(name, cells.split(", "), id=name) for name, cells in ROWS])
def test_scores_and_decisions_are_those_of_upstream(name, cells):
    cls, *n = name.split()
    ours = scored(getattr(filters, cls)(*map(int, n)))
    assert [cell for cell, wanted in zip(ours, cells) if wanted != "tie"] == [cell for cell in cells if cell != "tie"]


@pytest.mark.parametrize(
    ("one", "cells"),
    [
        (filters.SubstringFilter("dog", "any"), ["1 K"] + ["0 D"] * 7),
        (
            filters.CommonEnglishWordsFilter(stop_at_false=False),
            ["9 K", "2 K", "0 D", "0 D", "0 D", "0 D", "1 D", "0 D"],
        ),
    ],
)
def test_other_parameters_score_as_upstream(one, cells):
    assert scored(one) == cells


def test_chinese_words_score_as_upstream():
    pytest.importorskip("jieba")
    assert scored(filters.WordCountFilter(lang="zh")) == ["62 K", "64 K", "55 K", "16 D", "39 D", "25 D", "32 D", "1 D"]
    means = ["2.048387 D", "2.03125 D", "1.836364 D", "1.375 D", "1 D", "2.36 D", "2.03125 D", "1 D"]
    assert scored(filters.MeanWordLengthFilter(lang="zh")) == means


@pytest.mark.parametrize(("n", "score"), [(2, 7 * 1 / 127), (3, 11 * 1 / 127)], ids=["The cat", "The cat sat"])
def test_of_ngrams_that_stand_equally_often_the_first_counts(n, score):
    text = TEXTS[0]
    assert len(text) == 127
    assert RepeatingTopNGramsFilter(n).score_document(text) == score


def test_an_ngram_that_stood_before_counts_its_words_and_the_spaces_between():
    assert RepeatingDuplicateNGramsFilter(2).score_document("ab cd ab cd") == 5 / 11
