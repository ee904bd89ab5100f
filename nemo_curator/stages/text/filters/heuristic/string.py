"""Filters that count characters, words and lines.

An empty document scores as the docstrings say. The rule: where there is nothing to divide by, the score is the one that
fails, so the document is dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow.compute as pc

from nemo_curator.kernels.characters import ALPHANUMERIC, BRACKET, DIGIT, SPACE
from nemo_curator.stages.text.filters.doc_filter import DocumentFilter
from nemo_curator.stages.text.filters.heuristic.counts import describe_words, ratio
from nemo_curator.stages.text.word_splitters import requires
from nemo_curator.tasks.text_column import TextColumn


@dataclass
class NonAlphaNumericFilter(DocumentFilter):
    """Keep documents in which few characters are something else than letters, digits and simple punctuation.

    The score is the share of characters that are none of `a-z A-Z 0-9 ? ! , .` or a line feed; spaces are among them,
    and so are the letters of other alphabets. An empty document scores 1.0.
    """

    max_non_alpha_numeric_to_text_ratio: float = 0.25
    name: str = "alpha_numeric"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return ratio(texts.lengths - texts.count(ALPHANUMERIC), texts.lengths, empty=1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_non_alpha_numeric_to_text_ratio


@dataclass
class SymbolsToWordsFilter(DocumentFilter):
    """Keep documents in which few words are ellipses or hashes.

    The score is the share of words that are `...`, `[...]`, `…`, `(...)`, `[…]` or `-»`, or of whose characters runs of
    `#` are more than half: a run counts as one, so `#` is a symbol and `##` is not. A document without words scores
    1.0.
    """

    max_symbol_to_word_ratio: float = 0.1
    lang: str = "en"
    name: str = "symbol_to_word"

    def __post_init__(self) -> None:
        self.requires = requires(self.lang)

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        words = describe_words(texts, self.lang)
        return ratio(words["symbols"], words["words"], empty=1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_symbol_to_word_ratio


@dataclass
class NumbersFilter(DocumentFilter):
    """Keep documents in which digits are at most a given share of the characters.

    The score is that share; digits are the decimal digits of every script. An empty document scores 1.0.
    """

    max_number_to_text_ratio: float = 0.15
    name: str = "numbers_ratio"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return ratio(texts.count(DIGIT), texts.lengths, empty=1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_number_to_text_ratio


@dataclass
class UrlsFilter(DocumentFilter):
    """Keep documents in which URLs are at most a given share of the characters.

    The score is that share. `url_regex`, for the `re` module or compiled, says what a URL is instead of `https?://…`;
    each match counts whole, whatever groups it has. An empty document scores 1.0.
    """

    max_url_to_text_ratio: float = 0.2
    url_regex: str | re.Pattern[str] | None = None
    name: str = "urls_ratio"

    def __post_init__(self) -> None:
        _compiled(self.url_regex or "")

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        if self.url_regex is None:
            return ratio(texts.urls["url_chars"], texts.lengths, empty=1.0)
        found = [sum(map(len, urls)) for urls in _matches(self.url_regex, texts)]
        return ratio(np.array(found, np.int64), texts.lengths, empty=1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_url_to_text_ratio


@dataclass
class BulletsFilter(DocumentFilter):
    """Keep documents in which not too many lines begin with a bullet.

    The score is the share of lines, blank ones aside, that begin after white space with one of twelve bullets such as
    `•`, `‣` and `◦`; a hyphen is none. A document without lines scores 1.0.
    """

    max_bullet_lines_ratio: float = 0.9
    name: str = "bullet_ratio"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return ratio(texts.lines["bulleted"], texts.lines["lines"], empty=1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_bullet_lines_ratio


@dataclass
class WhiteSpaceFilter(DocumentFilter):
    """Keep documents in which white space is at most a given share of the characters.

    The score is the share of tabs, line feeds, carriage returns, backspaces and spaces. An empty document scores 1.0.
    """

    max_white_space_ratio: float = 0.25
    name: str = "white_space"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return ratio(texts.count(SPACE), texts.lengths, empty=1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_white_space_ratio


@dataclass
class ParenthesesFilter(DocumentFilter):
    """Keep documents in which brackets are at most a given share of the characters.

    The score is the share of `{ } ⟨ ⟩ [ ] ( )`. An empty document scores 1.0.
    """

    max_parentheses_ratio: float = 0.1
    name: str = "parentheses_ratio"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return ratio(texts.count(BRACKET), texts.lengths, empty=1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_parentheses_ratio


@dataclass
class LongWordFilter(DocumentFilter):
    """Keep documents that have words, none of them longer than a number of characters.

    The score is the length of the longest word; 0 without words, and then the document is dropped.
    """

    max_word_length: int = 1000
    lang: str = "en"
    name: str = "max_word_length"

    def __post_init__(self) -> None:
        self.requires = requires(self.lang)

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return describe_words(texts, self.lang)["longest"]

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        lengths = np.asarray(scores)
        return (lengths > 0) & (lengths <= self.max_word_length)


@dataclass
class WordCountFilter(DocumentFilter):
    """Keep documents with a number of words between two bounds, both included.

    The score is the number of words, which are what `str.split` makes of the text.
    """

    min_words: int = 50
    max_words: int = 100000
    lang: str = "en"
    name: str = "word_count"

    def __post_init__(self) -> None:
        self.requires = requires(self.lang)

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return texts.word_counts if not self.requires else describe_words(texts, self.lang)["words"]

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        counts = np.asarray(scores)
        return (self.min_words <= counts) & (counts <= self.max_words)


@dataclass
class LengthFilter(DocumentFilter):
    """Keep documents with a number of characters between two bounds, both included.

    The score is the number of characters, spaces included.
    """

    min_length: int = 0
    max_length: int | None = None
    name: str = "length"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return texts.lengths

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        lengths = np.asarray(scores)
        return (self.min_length <= lengths) & (True if self.max_length is None else lengths <= self.max_length)


@dataclass
class BoilerPlateStringFilter(DocumentFilter):
    """Keep documents in which few paragraphs speak of terms, privacy and cookies, and none is a placeholder.

    The score is the share of paragraphs, separated by an empty line, that hold such a phrase in any case; 1.0 if one
    holds `lorem ipsum`. An empty document scores 0.0. `remove_if_at_top_or_bottom` is there for scripts that give it.
    """

    remove_if_at_top_or_bottom: bool = True
    max_boilerplate_string_ratio: float = 0.4
    name: str = "boilerplate_string_ratio"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        shares = ratio(texts.boilerplate["policies"], texts.lines["paragraphs"], empty=0.0)
        return np.where(texts.boilerplate["placeholders"] > 0, 1.0, shares)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_boilerplate_string_ratio


@dataclass
class MeanWordLengthFilter(DocumentFilter):
    """Keep documents whose words have a mean length between two bounds, both included.

    The score is that mean, in characters; 0.0 without words.
    """

    min_mean_word_length: float = 3
    max_mean_word_length: float = 10
    lang: str = "en"
    name: str = "mean_word_length"

    def __post_init__(self) -> None:
        self.requires = requires(self.lang)

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        words = describe_words(texts, self.lang)
        return ratio(words["chars"], words["words"], empty=0.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        means = np.asarray(scores)
        return (means > 0) & (self.min_mean_word_length <= means) & (means <= self.max_mean_word_length)


@dataclass
class PunctuationFilter(DocumentFilter):
    """Keep documents in which not too many lines lack punctuation at the end.

    The score is the share of lines, blank ones aside, that do not end with `. ? ! "` or `'` before white space. A
    document without lines scores 1.0.
    """

    max_num_sentences_without_endmark_ratio: float = 0.85
    name: str = "punctuation"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return ratio(texts.lines["unended"], texts.lines["lines"], empty=1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_num_sentences_without_endmark_ratio


@dataclass
class EllipsisFilter(DocumentFilter):
    """Keep documents in which not too many lines end with an ellipsis.

    The score is the share of lines, blank ones aside, that end with `...`, `[...]`, `…`, `(...)`, `[…]`, `-»`,
    `read more` or `read more..`, in any case. A document without lines scores 1.0.
    """

    max_num_lines_ending_with_ellipsis_ratio: float = 0.3
    name: str = "ellipsis"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return ratio(texts.lines["ellipses"], texts.lines["lines"], empty=1.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) <= self.max_num_lines_ending_with_ellipsis_ratio


@dataclass
class CommonEnglishWordsFilter(DocumentFilter):
    """Keep documents with enough of the words `the be to of and that have with`.

    The score is how many of its words are one of these, in lower case; with `stop_at_false` no higher than the bound.
    """

    min_num_common_words: int = 2
    stop_at_false: bool = True
    name: str = "common_english_words"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        common = texts.vocabulary["common"]
        return np.minimum(common, self.min_num_common_words) if self.stop_at_false else common

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) >= self.min_num_common_words


@dataclass
class WordsWithoutAlphabetsFilter(DocumentFilter):
    """Keep documents in which most words hold a letter.

    The score is the share of words with a character that Unicode calls alphabetic. A document without words scores
    0.0.
    """

    min_words_with_alphabets: float = 0.8
    lang: str = "en"
    name: str = "words_without_alphabets"

    def __post_init__(self) -> None:
        self.requires = requires(self.lang)

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        words = describe_words(texts, self.lang)
        return ratio(words["alphabetic"], words["words"], empty=0.0)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) >= self.min_words_with_alphabets


@dataclass
class PornographicUrlsFilter(DocumentFilter):
    """Keep documents in which no URL holds `porn`.

    The score is 1 if one does, in lower case, and 0 otherwise. `url_regex` as in `UrlsFilter`.
    """

    url_regex: str | re.Pattern[str] | None = None
    name: str = "PornographicUrlsFilter"

    def __post_init__(self) -> None:
        _compiled(self.url_regex or "")

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        if self.url_regex is None:
            return np.minimum(texts.urls["pornographic"], 1)
        return np.array([int(any("porn" in url for url in urls)) for urls in _matches(self.url_regex, texts)], np.int64)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) != 1


@dataclass
class SubstringFilter(DocumentFilter):
    """Keep documents that begin with a text, end with it or hold it anywhere: `position` is prefix, suffix or any.

    The score is 1 if so and 0 otherwise; case matters.
    """

    substring: str
    position: Literal["prefix", "suffix", "any"]
    name: str = "SubstringFilter"

    def __post_init__(self) -> None:
        if self.position not in _TESTS:
            raise ValueError(f"SubstringFilter: position is {self.position!r}; wanted one of {list(_TESTS)}")

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        found = _TESTS[self.position](texts.array, self.substring).fill_null(not self.substring)
        return np.asarray(found).astype(np.int64)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores) == 1


_TESTS = {"prefix": pc.starts_with, "suffix": pc.ends_with, "any": pc.match_substring}


def _matches(expression: str | re.Pattern[str], texts: TextColumn) -> list[list[str]]:
    pattern = _compiled(expression)
    return [[found.group() for found in pattern.finditer(text)] for text in texts.texts()]


def _compiled(expression: str | re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(expression) if isinstance(expression, str) else expression
