"""The fast algorithm where its result is sound, the better one where it is not."""

from __future__ import annotations

from dataclasses import dataclass, field

from nemo_curator.errors import need
from nemo_curator.stages.text.download.html_extractors.base import NON_SPACED, HTMLExtractorAlgorithm, dense
from nemo_curator.stages.text.download.html_extractors.trafilatura import TrafilaturaExtractor

SENTENCE_ENDS = tuple(
    ".!?\u2026\"'\u201d\u2019\u00bb)\u3002\uff01\uff1f\u300d\u300f\uff09\u0964\u0965\u0589\u061f\u06d4\u1362\u17d4"
)
"""Stops and closing marks of Latin, Chinese, Indian, Armenian, Arabic, Ethiopic, Burmese and Khmer script."""
SHORTEST_SENTENCE, SHORTEST_NON_SPACED = 40, 15
"""Characters; a shorter line is no part of running text."""
LARGEST_PAGE = 2 * 2**20
"""Characters of markup; Trafilatura takes seconds for more."""
SMALLEST_SHARE = 0.5
"""Of the first text; a second one that is shorter has lost the page."""


@dataclass
class AutoExtractor(HTMLExtractorAlgorithm):
    """Keep the main content by Resiliparse, or by Trafilatura where too much of that is not running text.

    That is the share of characters in lines that are short or do not end as a sentence does: menus, teasers, captions.
    Paragraphs need no stop words unless `required_stopword_density` asks for them.
    """

    max_loose_share: float = 0.05
    required_stopword_density: float = 0.0
    _second: TrafilaturaExtractor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._second = TrafilaturaExtractor(0.0, favor_precision=True, include_comments=False)

    def extract_text(self, html: str, stop_words: frozenset[str], language: str) -> list[str] | None:
        library = need("resiliparse.extract.html2text", extra="text")
        text = library.extract_plain_text(html, main_content=True, alt_texts=False, comments=False)
        lines = [line for line in map(str.strip, text.split("\n")) if line]
        if loose_share(lines, language) > self.max_loose_share and len(html) <= LARGEST_PAGE:
            second = self._second.extract_text(html, stop_words, language) or []
            lines = second if _size(second) >= SMALLEST_SHARE * _size(lines) else lines
        return dense(lines, self.required_stopword_density, stop_words, language)


def loose_share(lines: list[str], language: str) -> float:
    """The share of characters in lines that are no sentences; 1.0 without any."""
    shortest = SHORTEST_NON_SPACED if language in NON_SPACED else SHORTEST_SENTENCE
    total = _size(lines)
    firm = sum(len(line) for line in lines if len(line) >= shortest and line.endswith(SENTENCE_ENDS))
    return 1 - firm / total if total else 1.0


def _size(lines: list[str]) -> int:
    return sum(map(len, lines))
