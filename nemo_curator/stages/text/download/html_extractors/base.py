"""What every algorithm has in common: which paragraphs a page has, and which of them are prose."""

from __future__ import annotations

import string
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import lru_cache

NON_SPACED = frozenset(
    ["BURMESE", "CHINESE", "CHINESET", "DZONGKHA", "JAPANESE", "KHMER", "KOREAN", "LAOTHIAN", "THAI", "TIBETAN"]
)
"""Languages in which white space does not separate the words of a stop list. Korean glues particles to its words."""
MARKS = (
    string.punctuation
    + "\u00a1\u00bf\u00ab\u00bb\u2039\u203a\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b"
    + "\u2013\u2014\u2015\u2026\u2022\u00b7\u060c\u061b\u061f\u0964\u0965\u06d4"
)
"""What may stand around a word: ASCII, and the quotes, dashes, dots and stops of other scripts."""


class HTMLExtractorAlgorithm(ABC):
    """Finds the text of a web page."""

    @abstractmethod
    def extract_text(self, html: str, stop_words: frozenset[str], language: str) -> list[str] | None:
        """Return the paragraphs of a page, in order; None or an empty list where it has no text.

        `language` is a name as CLD2 gives it, in upper case. `stop_words` is empty where none are known for it.
        """


def dense(paragraphs: Iterable[str], required: float, stop_words: frozenset[str], language: str) -> list[str]:
    """Keep paragraphs of which at least a required share of the words are stop words.

    Where such words cannot be counted, for want of a list or of white space, all that are not blank are kept.
    """
    stripped = (paragraph.strip() for paragraph in paragraphs)
    filled = [paragraph for paragraph in stripped if paragraph]
    if not stop_words or language in NON_SPACED:
        return filled
    return [paragraph for paragraph in filled if stop_word_density(paragraph, stop_words) >= required]


def stop_word_density(text: str, stop_words: frozenset[str]) -> float:
    """The share of words that are stop words, whatever their case and the marks around them; 0.0 without a word."""
    known = _lower(stop_words)
    words = [word.strip(MARKS) for word in text.lower().replace("\u2019", "'").split()]
    words = [word for word in words if word]
    return sum(word in known for word in words) / len(words) if words else 0.0


@lru_cache(maxsize=256)
def _lower(stop_words: frozenset[str]) -> frozenset[str]:
    return frozenset(word.lower() for word in stop_words)
