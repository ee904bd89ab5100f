"""Filters of the published recipes for web text: Gopher (Rae et al. 2021), C4 (Raffel et al. 2020), FineWeb (2024).

What a recipe asks for and is not here, another heuristic filter does: `RepeatingDuplicateNGramsFilter`,
`MeanWordLengthFilter`, `WordsWithoutAlphabetsFilter`, `WordCountFilter`. A document without words or lines scores so
that it is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.kernels import sentences
from nemo_curator.stages.text.filters.doc_filter import DocumentFilter
from nemo_curator.stages.text.filters.heuristic.counts import ratio, top_chars
from nemo_curator.stages.text.rows import as_mask
from nemo_curator.tasks.text_column import TextColumn

_MAYBE_BLANK = r"\n\n(?:[^!-~\pL]|\z)|\A[^!-~\pL]"
"""Matches every text with a blank paragraph, and some others."""


@dataclass
class StopWordsFilter(DocumentFilter):
    """Keep documents with enough different ones of the words `the be to of and that have with`.

    The score is how many of these eight are among the words, in lower case: one that stands twice counts once. Gopher.
    """

    min_words: int = 2
    name: str = "stop_words"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return texts.vocabulary["different_common"]

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) >= self.min_words


@dataclass
class SymbolsPerWordFilter(DocumentFilter):
    """Keep documents with few hashes and few ellipses for each word.

    The score is the number of `#`, or of `...` and `…` if there are more of these, by the number of words; 1.0 without
    words. Gopher.
    """

    max_ratio: float = 0.1
    name: str = "symbols_per_word"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        ellipses = _count(texts, "...") + _count(texts, "…")
        return ratio(np.maximum(_count(texts, "#"), ellipses), texts.word_counts, empty=1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_ratio


@dataclass
class BulletLinesFilter(DocumentFilter):
    """Keep documents in which not too many lines begin with `•` or `-`.

    The score is their share of the lines that are not blank; 1.0 without lines. Gopher.
    """

    max_ratio: float = 0.9
    name: str = "bullet_lines"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        lines = _sentences(texts)
        return ratio(lines["bulleted"], lines["lines"], empty=1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_ratio


@dataclass
class EllipsisLinesFilter(DocumentFilter):
    """Keep documents in which not too many lines end with an ellipsis, as `EllipsisFilter` finds it.

    The score is their share of the lines that are not blank; 1.0 without lines. Gopher.
    """

    max_ratio: float = 0.3
    name: str = "ellipsis_lines"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return ratio(texts.lines["ellipses"], texts.lines["lines"], empty=1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_ratio


@dataclass
class TopNGramFilter(DocumentFilter):
    """Keep documents in which the n-gram of words that stands most often is a small share of the characters.

    The score is the length of that n-gram, with single spaces, times how often it stands, by the characters of the
    document; of several the first in the text counts. 1.0 with fewer than `n` words. Gopher.
    """

    n: int = 2
    max_ratio: float = 0.2
    name: str = ""

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"TopNGramFilter: n is {self.n}; wanted the number of words in an n-gram, at least 1")
        self.name = self.name or f"top_{self.n}gram"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        chars, enough = top_chars(texts, self.n, "en", "top")
        return np.where(enough, ratio(chars, texts.lengths, empty=1.0), 1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_ratio


@dataclass
class DuplicateLinesFilter(DocumentFilter):
    """Keep documents in which few lines stood before, and few characters are in such lines.

    The score is the share of lines that stood before; with `by_char` that of their characters among those of all
    lines. Blank lines do not count; 1.0 without lines. Gopher, with 0.3, and 0.2 by character.
    """

    max_ratio: float = 0.3
    by_char: bool = False
    name: str = "duplicate_lines"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return _duplicates(texts, "line", self.by_char)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_ratio


@dataclass
class DuplicateParagraphsFilter(DocumentFilter):
    """Keep documents in which few paragraphs stood before, and few characters are in such paragraphs.

    The score is the share of paragraphs, separated by an empty line and blank ones aside, that stood before; with
    `by_char` that of their characters. 1.0 if there are none. Gopher, with 0.3, and 0.2 by character.
    """

    max_ratio: float = 0.3
    by_char: bool = False
    name: str = "duplicate_paragraphs"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        scores = _duplicates(texts, "paragraph", self.by_char)
        # the facts about lines count blank paragraphs, too, as RepeatedParagraphsFilter does
        for row in np.flatnonzero(as_mask(pc.match_substring_regex(texts.array, _MAYBE_BLANK))):
            paragraphs = [one for one in texts.array[int(row)].as_py().split("\n\n") if one.strip()]
            whole, different = "".join(paragraphs), "".join(set(paragraphs))
            counts = (len(whole), len(different)) if self.by_char else (len(paragraphs), len(set(paragraphs)))
            scores[row] = (counts[0] - counts[1]) / counts[0] if counts[0] else 1.0
        scores[texts.lengths == 0] = 1.0
        return scores

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_ratio


@dataclass
class LinesEndingWithPunctuationFilter(DocumentFilter):
    """Keep documents in which enough lines end like a sentence.

    The score is the share of lines, blank ones aside, whose last character, white space aside, ends a sentence in some
    script; 0.0 without lines. FineWeb.
    """

    min_ratio: float = 0.12
    name: str = "lines_ending_with_punctuation"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        lines = _sentences(texts)
        return ratio(lines["ended"], lines["lines"], empty=0.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) >= self.min_ratio


@dataclass
class ShortLinesFilter(DocumentFilter):
    """Keep documents in which not too many lines are short.

    The score is the share of lines, blank ones aside, of at most `max_chars` characters; 1.0 without lines. FineWeb.
    """

    max_ratio: float = 0.67
    max_chars: int = 30
    name: str = "short_lines"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        lines = _sentences(texts, self.max_chars)
        return ratio(lines["short"], lines["lines"], empty=1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_ratio


@dataclass
class CharDuplicatesFilter(DocumentFilter):
    """Keep documents in which few characters are in lines that stood before.

    The score is the characters of these lines by all characters but line feeds; 1.0 without any. FineWeb.
    """

    max_ratio: float = 0.01
    name: str = "char_duplicates"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        lines = texts.lines
        chars = lines["line_chars"] - lines["different_line_chars"]
        return ratio(chars, texts.lengths - _sentences(texts)["line_feeds"], empty=1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_ratio


@dataclass
class NewlineToWordsFilter(DocumentFilter):
    """Keep documents with few line feeds for each word.

    The score is the number of line feeds by that of words; 1.0 without words. FineWeb.
    """

    max_ratio: float = 0.3
    name: str = "newline_to_words"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return ratio(_sentences(texts)["line_feeds"], texts.word_counts, empty=1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_ratio


@dataclass
class CurlyBraceFilter(DocumentFilter):
    """Keep documents without a curly brace, which stands in code more often than in prose.

    The score is the number of `{`. C4.
    """

    max_braces: int = 0
    name: str = "curly_brace"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return _count(texts, "{")

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_braces


@dataclass
class LoremIpsumFilter(DocumentFilter):
    """Keep documents without placeholder text.

    The score is the number of paragraphs with `lorem ipsum`, in any case. C4.
    """

    max_paragraphs: int = 0
    name: str = "lorem_ipsum"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return texts.boilerplate["placeholders"]

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_paragraphs


@dataclass
class MinSentencesFilter(DocumentFilter):
    """Keep documents with enough sentences.

    The score is their number: a full stop, exclamation or question mark ends one if white space or the end of the text
    follows, closing quotes and brackets aside; the marks of other scripts always do. C4.
    """

    min_sentences: int = 5
    name: str = "min_sentences"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return _sentences(texts)["sentences"]

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) >= self.min_sentences


def _sentences(texts: TextColumn, max_chars: int = ShortLinesFilter.max_chars) -> np.ndarray:
    kernel, row_wise, ends = sentences.count_sentences, sentences.sentences_of, sentences.sentence_ends
    return texts.facts(f"sentences {max_chars}", sentences.FACTS, kernel, row_wise, ends, max_chars)


def _duplicates(texts: TextColumn, what: str, by_char: bool) -> np.ndarray:
    whole, different = (f"{what}_chars", f"different_{what}_chars") if by_char else (f"{what}s", f"different_{what}s")
    return ratio(texts.lines[whole] - texts.lines[different], texts.lines[whole], empty=1.0)


def _count(texts: TextColumn, substring: str) -> np.ndarray:
    counts = pc.count_substring(texts.array, substring).fill_null(0)
    return np.asarray(counts.cast(pa.int64()))
