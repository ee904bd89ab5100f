"""Trafilatura: several extractions that check one another (Barbaresi 2021)."""

from __future__ import annotations

import re
from configparser import ConfigParser
from functools import cached_property
from typing import Any

from nemo_curator.errors import need
from nemo_curator.stages.text.download.html_extractors.base import HTMLExtractorAlgorithm, dense

_NOT_XML = re.compile(
    r"&#(?:0*(?:[1-8]|1[124-9]|2\d|3[01]|6553[45])|[xX]0*(?:[1-8bcefBCEF]|1[0-9a-fA-F]|[fF]{3}[efEF]))(?:;|(?![0-9a-fA-F]))"
)
"""References to characters that XML has none of; Trafilatura gives up a page in which lxml has read one."""


class TrafilaturaExtractor(HTMLExtractorAlgorithm):
    """Keep the text that Trafilatura finds, and of that the paragraphs in which enough words are stop words.

    Sizes are in characters. A segment longer than `min_duplcheck_size` is left out once the page has repeated it
    `max_repetitions` times, unless `deduplicate=False`. Other arguments go to `trafilatura.extract`.
    """

    def __init__(
        self,
        required_stopword_density: float = 0.32,
        min_extracted_size: int = 250,
        min_extracted_comm_size: int = 1,
        min_output_size: int = 1,
        min_output_comm_size: int = 1,
        max_tree_size: int | None = None,
        min_duplcheck_size: int = 100,
        max_repetitions: int = 2,
        **extract_kwargs: Any,
    ):
        self.required_stopword_density = required_stopword_density
        self.min_extracted_size = min_extracted_size
        self.min_extracted_comm_size = min_extracted_comm_size
        self.min_output_size = min_output_size
        self.min_output_comm_size = min_output_comm_size
        self.max_tree_size = max_tree_size
        self.min_duplcheck_size = min_duplcheck_size
        self.max_repetitions = max_repetitions
        self.extract_kwargs = extract_kwargs

    def extract_text(self, html: str, stop_words: frozenset[str], language: str) -> list[str] | None:
        settings = {"config": self._config, **self.extract_kwargs, "deduplicate": self._seen_segments()}
        text = need("trafilatura", extra="text").extract(_NOT_XML.sub(" ", html), **settings)
        if not text:
            return None
        return dense(text.split("\n"), self.required_stopword_density, stop_words, language) or None

    def _seen_segments(self) -> Any:
        asked = self.extract_kwargs.get("deduplicate", True)
        # True would count segments across pages: a text would depend on what this process extracted before
        return need("trafilatura.deduplication", extra="text").LRUCache(_SEGMENTS) if asked is True else asked

    @cached_property
    def _config(self) -> ConfigParser:
        config: ConfigParser = need("trafilatura.settings", extra="text").use_config()
        sizes = {name: getattr(self, name) for name in _CONFIGURED}
        config["DEFAULT"].update({name: "" if size is None else str(size) for name, size in sizes.items()})
        return config


_SEGMENTS = 4096
"""How many different segments of a page are remembered."""
_CONFIGURED = (
    "min_extracted_size",
    "min_extracted_comm_size",
    "min_output_size",
    "min_output_comm_size",
    "max_tree_size",
    "min_duplcheck_size",
    "max_repetitions",
)
