"""Resiliparse: the elements of the main content, by rules over their tags and classes (Bevendorff et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

from nemo_curator.errors import need
from nemo_curator.stages.text.download.html_extractors.base import HTMLExtractorAlgorithm, dense


@dataclass
class ResiliparseExtractor(HTMLExtractorAlgorithm):
    """Keep the main content of a page, and of that the paragraphs in which enough words are stop words.

    `alt_texts` adds the descriptions of pictures.
    """

    required_stopword_density: float = 0.32
    main_content: bool = True
    alt_texts: bool = False

    def extract_text(self, html: str, stop_words: frozenset[str], language: str) -> list[str] | None:
        library = need("resiliparse.extract.html2text", extra="text")
        text = library.extract_plain_text(html, main_content=self.main_content, alt_texts=self.alt_texts)
        return dense(text.split("\n"), self.required_stopword_density, stop_words, language)
