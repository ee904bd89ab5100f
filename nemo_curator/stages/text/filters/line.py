"""Filters for lines, with which `LineFilter` cleans documents. They take any text for one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.kernels.characters import LETTER, count_listed, table_of
from nemo_curator.stages.text.filters.doc_filter import DocumentFilter
from nemo_curator.stages.text.filters.heuristic.counts import ratio
from nemo_curator.stages.text.rows import as_mask, holding
from nemo_curator.tasks.text_column import TextColumn

_COUNTED = "likes?|comments?|shares?|views?|replies|reply|followers?|following|posts?|votes?|points?|reads?|items?"
_COUNTED += "|retweets?|reactions?|responses?|ratings?|reviews?|downloads?|subscribers?|members?|people like this"
_NUMBER = r"[0-9]+(?:[.,][0-9]+)*\s*[kKmM]?\+?"
_COUNTER = rf"(?i)^\W*(?:{_NUMBER}\s*(?:{_COUNTED})|(?:{_COUNTED})\W*{_NUMBER})\W*$"


@dataclass
class EndMarkFilter(DocumentFilter):
    """Keep lines that end with a punctuation mark, and not with an ellipsis.

    The score is 1 for those and 0 for the others. White space at the end does not count. After C4
    (https://arxiv.org/abs/1910.10683).
    """

    end_marks: Sequence[str] = (".", "?", "!", '"', "'")
    name: str = "end_mark"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        ends = pc.utf8_rtrim_whitespace(texts.array)
        marked = pc.is_in(pc.utf8_slice_codeunits(ends, -1), pa.array(self.end_marks, ends.type))
        return (as_mask(marked) & ~as_mask(pc.ends_with(ends, "..."))).astype(np.int64)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) == 1


@dataclass
class UppercaseFilter(DocumentFilter):
    """Keep lines in which at most a given share of the letters are capitals.

    The score is that share; without letters it is 0. After RefinedWeb (https://arxiv.org/abs/2306.01116), which removes
    lines that are mainly in capitals.
    """

    max_uppercase_ratio: float = 0.5
    name: str = "uppercase"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return ratio(texts.measure(count_listed, _capitals_of, _capitals), texts.count(LETTER), empty=0.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_uppercase_ratio


@dataclass
class NumericLineFilter(DocumentFilter):
    """Drop lines that hold digits and no letters, such as page numbers, dates and prices.

    The score is 1 for those and 0 for the others. After RefinedWeb (https://arxiv.org/abs/2306.01116).
    """

    name: str = "numeric_line"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return as_mask(pc.match_substring_regex(texts.array, r"^\P{L}*\p{Nd}\P{L}*$")).astype(np.int64)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) == 0


@dataclass
class CounterLineFilter(DocumentFilter):
    """Drop lines that count something on a page, such as `3 likes` or `Comments (12)`.

    The score is 1 for those and 0 for the others. After RefinedWeb (https://arxiv.org/abs/2306.01116).
    """

    name: str = "counter_line"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return as_mask(pc.match_substring_regex(texts.array, _COUNTER)).astype(np.int64)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) == 0


@dataclass
class ForbiddenSubstringsFilter(DocumentFilter):
    """Drop lines or documents that hold one of some strings, whatever its case.

    The score is 1 for those and 0 for the others.
    """

    substrings: Sequence[str]
    name: str = "forbidden_substrings"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return holding(texts, *self.substrings).astype(np.int64)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) == 0


def _capitals() -> np.ndarray:
    return table_of(r"\p{Lu}")


def _capitals_of(text: str) -> int:
    return int(np.sum(_capitals()[list(map(ord, text))]))
