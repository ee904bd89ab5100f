"""Which archives Common Crawl has."""

from __future__ import annotations

import gzip
import json
import logging
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from nemo_curator.errors import CuratorError, InputError
from nemo_curator.stages.text.download.base.http import DownloadError, download_file
from nemo_curator.stages.text.download.base.url_generation import URLGenerator

logger = logging.getLogger(__name__)

DATA_PREFIX, INDEX_PREFIX = "https://data.commoncrawl.org", "https://index.commoncrawl.org"
FIRST_YEAR, FIRST_MONTH = 2013, date(2016, 8, 1)
"""Where the main crawl takes its present form, and the first month of news."""
TIMEOUT_S = (10.0, 30.0)

_SNAPSHOT = re.compile(r"CC-MAIN-(\d{4})-(\d{2})")
_WEEKS_SHOWN = 8


class CrawlIndexError(CuratorError, RuntimeError):
    """A list of what Common Crawl has could not be fetched, or is damaged."""


@dataclass
class MainCommonCrawlUrlGenerator(URLGenerator):
    """List the archives of the snapshots between two weeks, the newest snapshot first.

    Snapshots are named `YYYY-WW` after the ISO week in which they began; both ends belong to the range. `limit` bounds
    the URLs, and lists that are not needed for them are not fetched. `kind` is `warc` for pages as they were
    crawled, or `wet` for the texts that Common Crawl made of them.
    """

    start_snapshot_str: str
    end_snapshot_str: str
    data_prefix: str = DATA_PREFIX
    limit: int | None = None
    index_prefix: str = INDEX_PREFIX
    kind: str = "warc"
    _start: date = field(init=False, repr=False)
    _end: date = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in ("warc", "wet"):
            raise ValueError(f"kind is {self.kind!r}; wanted 'warc' or 'wet'")
        first = _monday(FIRST_YEAR, 1)
        self._start, self._end = _range(_week, self.start_snapshot_str, self.end_snapshot_str, first)

    def generate_urls(self) -> list[str]:
        return _collect(self._paths_urls(), self.data_prefix, self.limit)

    def _paths_urls(self) -> list[str]:
        found = self._snapshots()
        chosen = [name for name, monday in found if self._start <= monday <= self._end]
        if not chosen:
            names = [name.removeprefix("CC-MAIN-") for name, _ in found]
            there = ", ".join(names if len(names) <= _WEEKS_SHOWN * 2 else [*names[:_WEEKS_SHOWN], "…", names[-1]])
            raise InputError(
                f"no snapshot from {self.start_snapshot_str} to {self.end_snapshot_str}; there are: {there or 'none'}"
            )
        return [f"{self.data_prefix.rstrip('/')}/crawl-data/{name}/{self.kind}.paths.gz" for name in chosen]

    def _snapshots(self) -> list[tuple[str, date]]:
        """All snapshots and the Mondays of their weeks, the newest first."""
        url = f"{self.index_prefix.rstrip('/')}/collinfo.json"
        try:
            ids = [str(entry["id"]) for entry in json.loads(_fetch(url))]
        except (ValueError, TypeError, KeyError) as error:
            raise CrawlIndexError(f"{url} is not the list of snapshots: {type(error).__name__}: {error}") from error
        # names of the first years hold no week
        weeks = [match for name in ids if (match := _SNAPSHOT.fullmatch(name))]
        dated = [(match[0], _monday(int(match[1]), int(match[2]))) for match in weeks]
        return sorted(dated, key=lambda one: one[1], reverse=True)


@dataclass
class NewsCommonCrawlUrlGenerator(URLGenerator):
    """List the archives of news between two months, written `YYYY-MM`, the newest month first.

    Both ends belong to the range. `limit` bounds the URLs.
    """

    start_snapshot_str: str
    end_snapshot_str: str
    data_prefix: str = DATA_PREFIX
    limit: int | None = None
    _start: date = field(init=False, repr=False)
    _end: date = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._start, self._end = _range(_month, self.start_snapshot_str, self.end_snapshot_str, FIRST_MONTH)

    def generate_urls(self) -> list[str]:
        return _collect(self._paths_urls(), self.data_prefix, self.limit)

    def _paths_urls(self) -> list[str]:
        number = self._start.year * 12 + self._start.month - 1
        last = self._end.year * 12 + self._end.month - 1
        months = [divmod(each, 12) for each in range(last, number - 1, -1)]
        prefix = f"{self.data_prefix.rstrip('/')}/crawl-data/CC-NEWS"
        return [f"{prefix}/{year}/{month + 1:02}/warc.paths.gz" for year, month in months]


def _range(parse: Callable[[str], date], start: str, end: str, first: date) -> tuple[date, date]:
    """Read both ends; move those before the first archive or after today, and say so."""
    begins, ends = parse(start), parse(end)
    if begins > ends:
        raise ValueError(f"the start {start} is after the end {end}")
    today = datetime.now(UTC).date()
    if begins > today:
        raise ValueError(f"the start {start} is in the future")
    if ends < first:
        raise ValueError(f"the end {end} is before {first}, from when on there are archives")
    if begins < first:
        logger.warning("the start %s is before the first archives; beginning with %s", start, first)
    if ends > today:
        logger.warning("the end %s is in the future; ending today, %s", end, today)
    return max(begins, first), min(ends, today)


def _week(text: str) -> date:
    match = re.fullmatch(r"(\d{4})-(\d{1,2})", text)
    if match is None or not 1 <= int(match[2]) <= 53 or int(match[1]) < 1:
        raise ValueError(f"the snapshot is {text!r}; wanted a year and a week from 01 to 53, such as '2024-10'")
    return _monday(int(match[1]), int(match[2]))


def _monday(year: int, week: int) -> date:
    # not fromisocalendar(year, week, 1), for most years have no week 53
    return date.fromisocalendar(year, 1, 1) + timedelta(weeks=week - 1)


def _month(text: str) -> date:
    match = re.fullmatch(r"(\d{4})-(\d{1,2})", text)
    if match is None or not 1 <= int(match[2]) <= 12 or int(match[1]) < 1:
        raise ValueError(f"the snapshot is {text!r}; wanted a year and a month from 01 to 12, such as '2024-03'")
    return date(int(match[1]), int(match[2]), 1)


def _collect(paths_urls: list[str], prefix: str, limit: int | None) -> list[str]:
    urls: list[str] = []
    for url in paths_urls:
        if limit is not None and len(urls) >= limit:
            break
        urls += (f"{prefix.rstrip('/')}/{path}" for path in _paths(url))
    return urls[:limit]


def _paths(url: str) -> Iterator[str]:
    try:
        lines = gzip.decompress(_fetch(url)).decode().split()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise CrawlIndexError(f"{url} is not a compressed list of archives: {error}") from error
    if not lines:
        raise CrawlIndexError(f"{url} lists no archives")
    return iter(lines)


def _fetch(url: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        try:
            download_file(url, str(path), timeout=TIMEOUT_S)
        except DownloadError as error:
            raise CrawlIndexError(f"cannot list the archives of Common Crawl: {error}") from error
        return path.read_bytes()
