"""From a dump file to the wikitext of its articles."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from nemo_curator.errors import InputError
from nemo_curator.ledger.counts import failed, seen
from nemo_curator.stages.text.download.base import DocumentIterator
from nemo_curator.stages.text.download.wikipedia.dump_bytes import read
from nemo_curator.stages.text.download.wikipedia.dump_pages import Damage, Head, pages

logger = logging.getLogger(__name__)

_REDIRECT = re.compile(
    r"\s*#(?:redirect|redirection|redirección|redirecionamento|rinvia|weiterleitung|doorverwijzing|patrz|przekieruj|tam"
    r"|omdirigering|omdiriger|ohjaus|uudelleenohjaus|yönlendir|yönlendirme|перенаправление|перенапр|перенаправлення"
    r"|przekierowanie|đổi|alih|átirányítás|redireccíon|преусмери|преусмјери|ανακατευθυνση|تحويل|تغییر_مسیر|تغییرمسیر|הפניה"
    r"|転送|リダイレクト|重定向|重新導向|넘겨주기|अनुप्रेषित|เปลี่ยนทาง)\s*:?\s*\[\[",
    re.IGNORECASE,
)


class WikipediaIterator(DocumentIterator):
    """Yields the articles of a dump, plain or bz2: pages of namespace 0 that have text and lead nowhere else.

    Takes every version of the export schema. Memory is set by the largest page. A page that cannot be read, and a
    damaged part of a compressed file is set aside, and what follows goes on: in a multistream dump at the next
    stream. `log_frequency` is the number of articles between two messages.
    """

    def __init__(self, language: str = "en", log_frequency: int = 1000):
        if log_frequency < 1:
            raise ValueError(f"log_frequency is {log_frequency}; wanted at least 1")
        self._language = language
        self._log_frequency = log_frequency

    def iterate(self, file_path: str) -> Iterator[dict[str, Any]]:
        namespaces: frozenset[str] = frozenset()
        articles = 0
        for number, found in enumerate(pages(read(file_path), file_path)):
            if isinstance(found, Head):
                namespaces = found.namespaces
                continue
            source = f"{file_path}, page {number}"
            if isinstance(found, Damage):
                seen(found.pages)
                failed(InputError(found.what), source=source, rows=found.pages)
                continue
            try:
                record = self._record(found, namespaces)
            except (InputError, ElementTree.ParseError) as error:
                seen(1)
                failed(error, source=source)
                continue
            if record is not None:
                yield {**record, "source_id": Path(file_path).name}
                articles += 1
                if articles % self._log_frequency == 0:
                    logger.info("%s: %d articles so far", file_path, articles)

    def output_columns(self) -> list[str]:
        return ["title", "id", "url", "language", "source_id", "raw_content"]

    def _record(self, page: bytes, namespaces: frozenset[str]) -> dict[str, Any] | None:
        """Make a record of a page; None if it is no article."""
        root = ElementTree.fromstring(page)
        title, identifier = root.findtext("title"), root.findtext("id")
        if title is None or identifier is None:
            raise InputError("a page has no title or no id")
        namespace = root.findtext("ns", "0").strip()
        if not re.fullmatch("-?[0-9]+", namespace):
            raise InputError(f"the namespace of a page is {namespace!r}; wanted a number")
        if namespace != "0" or root.find("redirect") is not None:
            return None
        if root.find("ns") is None and title.partition(":")[0] in namespaces:
            return None
        revisions = root.findall("revision")
        text = revisions[-1].findtext("text") if revisions else None
        if not text or not text.strip() or _REDIRECT.match(text):
            return None
        return {
            "title": title,
            "id": identifier,
            "url": f"https://{self._language}.wikipedia.org/wiki/{quote(title)}",
            "language": self._language,
            "raw_content": text,
        }
