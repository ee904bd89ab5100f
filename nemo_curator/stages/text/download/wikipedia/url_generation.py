"""Where the files of a dump are."""

from __future__ import annotations

import logging
import re

from nemo_curator.errors import InputError
from nemo_curator.stages.text.download.base import DownloadError, URLGenerator
from nemo_curator.stages.text.download.wikipedia.dump_status import UnfinishedDumpError, list_dates, list_files

logger = logging.getLogger(__name__)

RETRIES = 2
"""Attempts for a date; after that an older one does."""


class WikipediaUrlGenerator(URLGenerator):
    """Lists the files with the articles of one dump of a wiki.

    `dump_date` is `YYYYMMDD`; without it the newest dump counts that is complete and can be reached. Nothing to be
    had is a ValueError that says why for each date.
    """

    def __init__(
        self,
        language: str = "en",
        dump_date: str | None = None,
        wikidumps_index_prefix: str = "https://dumps.wikimedia.org",
    ):
        if not re.fullmatch(r"[a-z0-9]+(?:[-_][a-z0-9]+)*", language):
            raise ValueError(f"language is {language!r}; wanted the code of a Wikipedia, like 'en' or 'zh-yue'")
        if dump_date is not None and not re.fullmatch("[0-9]{8}", dump_date):
            raise ValueError(f"dump_date is {dump_date!r}; wanted YYYYMMDD")
        self._dump_date = dump_date
        self._wiki = f"{wikidumps_index_prefix.rstrip('/')}/{language.replace('-', '_')}wiki"

    def generate_urls(self) -> list[str]:
        if self._dump_date is not None:
            return self._urls(self._dump_date)
        dates = list_dates(self._wiki, RETRIES)
        reasons = []
        for date in dates:
            try:
                return self._urls(date)
            except (UnfinishedDumpError, DownloadError) as error:
                logger.warning("dump %s is not taken: %s", date, error)
                reasons.append(f"{date}: {error}")
        found = "; ".join(reasons) or "it links to no dates"
        raise InputError(f"{self._wiki} has no complete dump ({found})")

    def _urls(self, date: str) -> list[str]:
        folder = f"{self._wiki}/{date}"
        return [f"{folder}/{name}" for name in list_files(folder, RETRIES)]
