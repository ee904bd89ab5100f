"""jusText: paragraphs are judged by length, links, stop words and neighbours (Pomikálek 2011)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from nemo_curator.errors import need
from nemo_curator.stages.text.download.html_extractors.base import NON_SPACED, HTMLExtractorAlgorithm

_SURE = {"good", "bad"}
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


@dataclass
class JusTextExtractor(HTMLExtractorAlgorithm):
    """Keep the paragraphs that jusText takes for text. Lengths are in characters.

    A language without stop words is judged by length, links and neighbours alone. `is_boilerplate=False` keeps all
    paragraphs; None does so for languages without spaces between words. A page that is no HTML has no text: None.
    """

    length_low: int = 70
    length_high: int = 200
    stopwords_low: float = 0.30
    stopwords_high: float = 0.32
    max_link_density: float = 0.2
    max_heading_distance: int = 200
    no_headings: bool = False
    is_boilerplate: bool | None = None

    def extract_text(self, html: str, stop_words: frozenset[str], language: str) -> list[str] | None:
        paragraphs = _paragraphs(html)
        if paragraphs is None:
            return None
        if self._removes_boilerplate(language):
            self._classify(paragraphs, stop_words)
            paragraphs = [paragraph for paragraph in paragraphs if paragraph.class_type == "good"]
        return [paragraph.text for paragraph in paragraphs]

    def _removes_boilerplate(self, language: str) -> bool:
        return language not in NON_SPACED if self.is_boilerplate is None else self.is_boilerplate

    def _classify(self, paragraphs: list[Any], stop_words: frozenset[str]) -> None:
        low, high = (self.stopwords_low, self.stopwords_high) if stop_words else (0.0, 0.0)
        need("justext", extra="text").core.classify_paragraphs(
            paragraphs,
            stop_words,
            self.length_low,
            self.length_high,
            low,
            high,
            self.max_link_density,
            self.no_headings,
        )
        for paragraph in paragraphs:
            paragraph.class_type = paragraph.cf_class
        # as justext.core.revise_paragraph_classification, which looks from each short paragraph along all others, and
        # whose first step never finds anything: the paragraphs after a heading have no class by then
        _settle_short(paragraphs)
        _settle_neargood(paragraphs)
        _raise_headings(paragraphs, self.max_heading_distance)


def _paragraphs(html: str) -> list[Any] | None:
    core = need("justext", extra="text").core
    etree = need("lxml.etree", extra="text")
    try:
        # lxml refuses text with an encoding declaration, for it is decoded already
        dom = core.html_to_dom(_XML_DECLARATION.sub("", html, count=1))
        return core.ParagraphMaker.make_paragraphs(core.preprocessor(dom))
    except etree.ParserError:
        return None


def _settle_short(paragraphs: list[Any]) -> None:
    """Short paragraphs are good between good ones, and on the bad side where one that is nearly good comes first."""
    kinds = [paragraph.class_type for paragraph in paragraphs]
    sides = [_neighbours(kinds, _SURE), _neighbours(kinds, {*_SURE, "neargood"})]
    for paragraph, (before, after), (closest_before, closest_after) in zip(paragraphs, *sides):
        if paragraph.class_type == "short":
            is_near = (before == "bad" and closest_before == "neargood") or (
                after == "bad" and closest_after == "neargood"
            )
            is_good = before == after == "good" or (before != after and is_near)
            paragraph.class_type = "good" if is_good else "bad"


def _settle_neargood(paragraphs: list[Any]) -> None:
    """Paragraphs that are nearly good are good unless both neighbours are bad; the one before is settled by then."""
    before = "bad"
    kinds = [paragraph.class_type for paragraph in paragraphs]
    for paragraph, (_, after) in zip(paragraphs, _neighbours(kinds, _SURE)):
        if paragraph.class_type == "neargood":
            paragraph.class_type = "bad" if before == after == "bad" else "good"
        before = paragraph.class_type


def _raise_headings(paragraphs: list[Any], max_distance: int) -> None:
    """Headings are good where a good paragraph follows within so many characters."""
    for place, paragraph in enumerate(paragraphs):
        may_rise = paragraph.heading and paragraph.class_type == "bad" and paragraph.cf_class != "bad"
        if may_rise and _is_good_near(paragraphs, place + 1, max_distance):
            paragraph.class_type = "good"


def _is_good_near(paragraphs: list[Any], start: int, max_distance: int) -> bool:
    distance = 0
    for place in range(start, len(paragraphs)):
        if distance > max_distance:
            return False
        if paragraphs[place].class_type == "good":
            return True
        distance += len(paragraphs[place].text)
    return False


def _neighbours(kinds: list[str], wanted: set[str]) -> list[tuple[str, str]]:
    """For each paragraph, the class of the closest one before and after it that has one of the wanted classes."""
    return list(zip(_closest_before(kinds, wanted), _closest_before(kinds[::-1], wanted)[::-1]))


def _closest_before(kinds: list[str], wanted: set[str]) -> list[str]:
    closest, last = [], "bad"
    for kind in kinds:
        closest.append(last)
        last = kind if kind in wanted else last
    return closest
