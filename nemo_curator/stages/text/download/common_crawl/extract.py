"""From a crawled page to its text."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any

from nemo_curator.stages.text.download.base import DocumentExtractor
from nemo_curator.stages.text.download.html_extractors import ALGORITHMS, HTMLExtractorAlgorithm
from nemo_curator.stages.text.download.html_extractors.markup import cut_choices, cut_long_tags, is_html, is_too_deep
from nemo_curator.stages.text.download.html_extractors.utils import get_stop_list_dict
from nemo_curator.stages.text.download.utils import UNKNOWN, decode_html, detect_language

logger = logging.getLogger(__name__)


class CommonCrawlHTMLExtractor(DocumentExtractor):
    """Decode a page, name its language, and keep its text as paragraphs with an empty line between them.

    `algorithm` is a name of `html_extractors.ALGORITHMS` or an object; None means jusText. `stop_lists` are the words
    of the languages that are wanted; by default all languages are, also those of which no list is known. Records
    that are dropped are counted as not_html, undecodable, too_deep, no_language, language_not_wanted or no_text.
    """

    def __init__(
        self,
        algorithm: HTMLExtractorAlgorithm | str | None = None,
        algorithm_kwargs: Mapping[str, Any] | None = None,
        stop_lists: Mapping[str, Collection[str]] | None = None,
    ):
        if algorithm is None:
            logger.warning("no algorithm is named, so jusText extracts the text; 'auto' is faster and finds more")
            algorithm = "justext"
        self.algorithm = _algorithm(algorithm, dict(algorithm_kwargs or {}))
        self._takes_all = not stop_lists
        self._stop_lists = {name.upper(): frozenset(words) for name, words in (stop_lists or {}).items()}

    def input_columns(self) -> list[str]:
        return ["url", "warc_id", "source_id", "content"]

    def output_columns(self) -> list[str]:
        return ["url", "warc_id", "source_id", "language", "text"]

    def extract(self, record: dict[str, Any]) -> dict[str, Any] | None:
        try:
            language, text = self._read(record["content"], record.get("content_type"))
        except _NoTextError as reason:
            self.drop_reason = str(reason)
            return None
        told = {name: record[name] for name in ("url", "warc_id", "source_id")}
        return {**told, "language": language, "text": text}

    def _read(self, content: bytes, content_type: str | None) -> tuple[str, str]:
        if not is_html(content, content_type):
            raise _NoTextError("not_html")
        html = decode_html(content, content_type)
        if html is None:
            raise _NoTextError("undecodable")
        html = cut_choices(cut_long_tags(html))
        if is_too_deep(html):
            raise _NoTextError("too_deep")
        language = detect_language(html)
        if language == UNKNOWN:
            raise _NoTextError("no_language")
        stop_words = self._stop_words(language)
        if stop_words is None:
            raise _NoTextError("language_not_wanted")
        text = "\n\n".join(self.algorithm.extract_text(html, stop_words, language) or [])
        if not text.strip():
            raise _NoTextError("no_text")
        return language, text

    def _stop_words(self, language: str) -> frozenset[str] | None:
        """The stop words of a language, none if no list of it is known, and None if it is not wanted."""
        if not self._stop_lists:
            self._stop_lists = get_stop_list_dict()
        # CLD2 tells traditional characters from simplified ones; the lists do not
        key = "CHINESE" if language == "CHINESET" and language not in self._stop_lists else language
        return self._stop_lists.get(key, frozenset() if self._takes_all else None)


class _NoTextError(Exception):
    """A record is dropped; the message is the reason that is counted."""


def _algorithm(algorithm: HTMLExtractorAlgorithm | str, kwargs: dict[str, Any]) -> HTMLExtractorAlgorithm:
    if isinstance(algorithm, str):
        if algorithm.lower() not in ALGORITHMS:
            raise ValueError(f"algorithm is {algorithm!r}; wanted one of {', '.join(ALGORITHMS)}, or an object")
        return ALGORITHMS[algorithm.lower()](**kwargs)
    if not isinstance(algorithm, HTMLExtractorAlgorithm):
        raise TypeError(f"algorithm is {algorithm!r}; wanted an HTMLExtractorAlgorithm or its name")
    if kwargs:
        raise ValueError(f"algorithm_kwargs are {sorted(kwargs)}; they go with a name, and algorithm is an object")
    return algorithm
