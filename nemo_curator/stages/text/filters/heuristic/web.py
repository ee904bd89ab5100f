"""Filters of web pages that C4 and FineWeb add to those of Gopher. Lines are those that are not blank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from nemo_curator.stages.text.filters.doc_filter import DocumentFilter
from nemo_curator.stages.text.filters.heuristic.counts import ratio
from nemo_curator.stages.text.rows import holding
from nemo_curator.stages.text.segments import split_texts
from nemo_curator.tasks.text_column import TextColumn

# as RE2 reads it; what has four digits are closing quotes, and the marks of Chinese and Japanese
_SENTENCE_END = r"""[.?!\x{2026}]+["'\x{201D}\x{2019}\x{BB})\]]*(?:\s|$)|[\x{3002}\x{FF01}\x{FF1F}]+"""


@dataclass
class LinesEndingWithPunctuationFilter(DocumentFilter):
    """Keep documents in which enough lines end with a mark.

    The score is the share of lines that end with one of `. ? ! " '`. A document without lines scores 0.0. After FineWeb
    (https://arxiv.org/abs/2406.17557).
    """

    min_ratio: float = 0.12
    name: str = "lines_ending_with_punctuation"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        lines = texts.lines
        return ratio(lines["lines"] - lines["unended"], lines["lines"], empty=0.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) >= self.min_ratio


@dataclass
class ShortLinesFilter(DocumentFilter):
    """Keep documents in which few lines are short.

    The score is the share of lines of at most `max_chars` characters, white space at their ends included. A document
    without lines scores 1.0. After FineWeb (https://arxiv.org/abs/2406.17557).
    """

    max_ratio: float = 0.67
    max_chars: int = 30
    name: str = "short_lines"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        segments, offsets = split_texts(texts, "\n")
        lines = TextColumn(segments)
        is_line = lines.word_counts > 0
        short, all_lines = (
            np.diff(np.concatenate([[0], np.cumsum(each)])[offsets])
            for each in (is_line & (lines.lengths <= self.max_chars), is_line)
        )
        return ratio(short, all_lines, empty=1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_ratio


@dataclass
class CharDuplicatesFilter(DocumentFilter):
    """Keep documents in which few characters stand in lines that stood there before.

    The score is the share of the characters of lines. A document without lines scores 1.0. After FineWeb
    (https://arxiv.org/abs/2406.17557), whose code drops from 0.01 on where the paper says 0.1.
    """

    max_ratio: float = 0.01
    name: str = "char_duplicates"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        lines = texts.lines
        return ratio(lines["line_chars"] - lines["different_line_chars"], lines["line_chars"], empty=1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_ratio


@dataclass
class NewlineToWordsFilter(DocumentFilter):
    """Keep documents with few line feeds for their words, which lists have many of.

    The score is line feeds by words. A document without words scores 1.0. After FineWeb
    (https://arxiv.org/abs/2406.17557).
    """

    max_ratio: float = 0.3
    name: str = "newline_to_words"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        feeds = np.asarray(pc.count_substring(texts.array, "\n").fill_null(0))
        return ratio(feeds, texts.word_counts, empty=1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_ratio


@dataclass
class CurlyBraceFilter(DocumentFilter):
    """Drop documents with a `{`, which are more often code than prose.

    The score is 1 for those and 0 for the others. After C4 (https://arxiv.org/abs/1910.10683).
    """

    name: str = "curly_brace"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return holding(texts, "{").astype(np.int64)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) == 0


@dataclass
class LoremIpsumFilter(DocumentFilter):
    """Drop documents with placeholder text: `lorem ipsum`, whatever its case.

    The score is 1 for those and 0 for the others. After C4 (https://arxiv.org/abs/1910.10683).
    """

    name: str = "lorem_ipsum"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return holding(texts, "lorem ipsum").astype(np.int64)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) == 0


@dataclass
class MinSentencesFilter(DocumentFilter):
    """Keep documents with a number of sentences.

    The score is that number. A sentence ends where marks `. ? ! …`, with closing quotes or brackets behind them, stand
    before white space or the end, or where their wide forms stand: abbreviations count too. After C4
    (https://arxiv.org/abs/1910.10683), which asks a tokenizer of sentences.
    """

    min_sentences: int = 5
    name: str = "min_sentences"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return np.asarray(pc.count_substring_regex(texts.array, _SENTENCE_END).fill_null(0))

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) >= self.min_sentences
