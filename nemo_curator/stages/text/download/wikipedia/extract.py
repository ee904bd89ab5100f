"""From wikitext to text."""

from __future__ import annotations

from typing import Any

from nemo_curator.stages.text.download.base import DocumentExtractor
from nemo_curator.stages.text.download.wikipedia.wikitext import to_text

_COLUMNS = ["title", "id", "url", "language", "source_id"]


class WikipediaExtractor(DocumentExtractor):
    """Turns the wikitext of a page, `raw_content`, into the text that a reader sees.

    Boxes, tables, files, notes and navigation are dropped. Links read as their labels, categories as their names, and
    formulas as TeX between dollar signs. A page without text becomes a document with an empty text.
    """

    def __init__(self, language: str = "en"):
        self._language = language

    def extract(self, record: dict[str, Any]) -> dict[str, Any]:
        kept = {name: record[name] for name in _COLUMNS if name in record}
        return {"text": to_text(record["raw_content"]), "language": self._language, **kept}

    def input_columns(self) -> list[str]:
        return [*_COLUMNS, "raw_content"]

    def output_columns(self) -> list[str]:
        return ["text", *_COLUMNS]
