"""Filters that find what a document repeats: lines, paragraphs and n-grams of words.

The first four keep a share of what is *different*, although their parameters say maximum; the names are upstream's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nemo_curator.stages.text.filters.doc_filter import DocumentFilter
from nemo_curator.stages.text.filters.heuristic.counts import duplicate_chars, ratio, top_chars
from nemo_curator.stages.text.word_splitters import requires
from nemo_curator.tasks.text_column import TextColumn


@dataclass
class RepeatedLinesFilter(DocumentFilter):
    """Keep documents in which enough of the lines are different.

    The score is the number of different lines by the number of lines, blank ones aside. A document without lines
    scores 0.0.
    """

    max_repeated_line_fraction: float = 0.7
    name: str = "repeated_lines"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return ratio(texts.lines["different_lines"], texts.lines["lines"], empty=0.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) >= self.max_repeated_line_fraction


@dataclass
class RepeatedParagraphsFilter(DocumentFilter):
    """Keep documents in which enough of the paragraphs are different.

    The score is the number of different paragraphs by the number of paragraphs, separated by an empty line, the empty
    ones among them. An empty document is one empty paragraph and scores 1.0.
    """

    max_repeated_paragraphs_ratio: float = 0.7
    name: str = "repeated_paragraphs"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return ratio(texts.lines["different_paragraphs"], texts.lines["paragraphs"], empty=0.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) >= self.max_repeated_paragraphs_ratio


@dataclass
class RepeatedLinesByCharFilter(DocumentFilter):
    """Keep documents in which enough of the characters are in lines that are different.

    The score is the characters of the different lines by those of all, blank ones aside and without line feeds. A
    document without lines scores 0.0.
    """

    max_repeated_lines_char_ratio: float = 0.8
    name: str = "repeated_lines_char"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return ratio(texts.lines["different_line_chars"], texts.lines["line_chars"], empty=0.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) >= self.max_repeated_lines_char_ratio


@dataclass
class RepeatedParagraphsByCharFilter(DocumentFilter):
    """Keep documents in which enough of the characters are in paragraphs that are different.

    The score is the characters of the different paragraphs by those of all. A document of empty paragraphs scores 0.0.
    """

    max_repeated_paragraphs_char_ratio: float = 0.8
    name: str = "repeated_paragraphs_char"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return ratio(texts.lines["different_paragraph_chars"], texts.lines["paragraph_chars"], empty=0.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) >= self.max_repeated_paragraphs_char_ratio


@dataclass
class RepeatingTopNGramsFilter(DocumentFilter):
    """Keep documents in which the n-gram of words that stands most often is a small share of the characters.

    The score is the share of characters that `str.replace` takes away with it, its words joined by single spaces: it
    also finds it where it begins or ends within a word, and not where a line ends within it. Of several that stand
    equally often the first in the text counts. A document of fewer than `n` words scores 1.0.
    """

    n: int = 2
    max_repeating_ngram_ratio: float = 0.2
    lang: str = "en"
    name: str = ""

    def __post_init__(self) -> None:
        _check(self.n, self)
        self.name = self.name or f"repeating_top_{self.n}grams"
        self.requires = requires(self.lang)

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        chars, enough = top_chars(texts, self.n, self.lang, "replaced")
        return np.where(enough, ratio(chars, texts.lengths, empty=1.0), 1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_repeating_ngram_ratio


@dataclass
class RepeatingDuplicateNGramsFilter(DocumentFilter):
    """Keep documents in which n-grams of words that stood before are a small share of the characters.

    The score is the share of characters in n-grams that stood before, with single spaces between the words; where two
    overlap, what they share counts once. A document of fewer than `n` words scores 1.0.
    """

    n: int = 2
    max_repeating_duplicate_ngram_ratio: float = 0.2
    lang: str = "en"
    name: str = ""

    def __post_init__(self) -> None:
        _check(self.n, self)
        self.name = self.name or f"repeating_dup_{self.n}gram"
        self.requires = requires(self.lang)

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        chars, enough = duplicate_chars(texts, self.n, self.lang)
        return np.where(enough, ratio(chars, texts.lengths, empty=1.0), 1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_repeating_duplicate_ngram_ratio


def _check(n: int, of: DocumentFilter) -> None:
    if n < 1:
        raise ValueError(f"{type(of).__name__}: n is {n}; wanted the number of words in an n-gram, at least 1")
