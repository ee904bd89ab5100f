"""Fetching one file: streamed to disk, resumed where it broke off, checked against what was announced."""

from __future__ import annotations

import hashlib
import json
import logging
import random
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from nemo_curator import __package_name__, __version__
from nemo_curator.errors import CuratorError
from nemo_curator.ledger import pulse

if TYPE_CHECKING:
    from requests import Response

logger = logging.getLogger(__name__)

CHUNK = 2**16
"""Bytes written at once, and at most lost when a connection stalls."""
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 120.0
RETRIED = {408, 429}
"""Statuses below 500 that may pass."""


class DownloadError(CuratorError, OSError):
    """A file could not be fetched, or is not what was announced."""


def download_file(
    url: str,
    path: str,
    *,
    timeout: float | tuple[float, float] = (10.0, 60.0),
    retries: int = 5,
    checksum: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Fetch a URL into a file, or raise DownloadError or another OSError.

    Takes http and https, local paths, and every URL that fsspec opens. `timeout` is in seconds, to connect and
    between two pieces of data. Over http, lost connections, timeouts and the statuses 408, 429 and 5xx are tried
    again after a growing wait, or the one that Retry-After asks for, until `retries` attempts in a row brought
    nothing new. What has arrived stays in the file, with `<path>.etag` beside it, and this or a later call goes on
    from there if the file on the server is still the same. `checksum` is the name of an algorithm of hashlib, a colon
    and hexadecimal digits: `sha256:…`.
    """
    if checksum is not None:
        hashlib.new(checksum.partition(":")[0])
    if urlsplit(url).scheme in ("http", "https"):
        _Transfer(url, Path(path), timeout, checksum, dict(headers or {})).run(retries)
    else:
        _copy(url, path)
        if checksum is not None and not _matches(path, checksum):
            Path(path).unlink()
            raise DownloadError(f"{url}: wrong checksum, wanted {checksum}")


class _AgainError(Exception):
    """Worth another attempt, after `wait` seconds if the server says how long."""

    def __init__(self, reason: str, wait: float | None = None):
        super().__init__(reason)
        self.wait = wait


@dataclass
class _Transfer:
    """One file on its way here. What has arrived so far is in `path`; which version of the file that is, beside it."""

    url: str
    path: Path
    timeout: float | tuple[float, float]
    checksum: str | None
    headers: dict[str, str]
    etag_path: Path = field(init=False)

    def __post_init__(self) -> None:
        self.etag_path = self.path.with_name(f"{self.path.name}.etag")

    def run(self, retries: int) -> None:
        failures = 0
        furthest = self.arrived
        while True:
            try:
                self._attempt()
                self.etag_path.unlink(missing_ok=True)
                return
            except _AgainError as problem:
                # a large file over a poor line breaks off often, and gets through as long as each attempt brings some
                failures = 1 if self.arrived > furthest else failures + 1
                furthest = max(furthest, self.arrived)
                if failures > retries:
                    raise DownloadError(f"{self.url}: {problem}; gave up after {failures} attempts") from problem
                wait = _wait(failures) if problem.wait is None else problem.wait
                logger.warning("%s: %s; trying again in %.1f s", self.url, problem, wait)
                time.sleep(wait)

    @property
    def arrived(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _attempt(self) -> None:
        version = self._version()
        start = self.arrived if version else 0
        with self._get(start, version) as response:
            total = self._receive(response, start, version)
        if total is not None and self.arrived != total:
            if self.arrived > total:
                self._discard()
            raise _AgainError(f"{self.arrived} of {total} bytes arrived")
        if self.checksum is not None and not _matches(self.path, self.checksum):
            self._discard()
            if start:
                raise _AgainError("wrong checksum after a resumed download")
            raise DownloadError(f"{self.url}: wrong checksum, wanted {self.checksum}")

    @contextmanager
    def _get(self, start: int, version: str | None) -> Iterator[Response]:
        import requests
        import urllib3

        # bytes as they are on the server: a compressed transfer has neither their length nor their ranges
        headers = {"User-Agent": f"{__package_name__}/{__version__}", "Accept-Encoding": "identity", **self.headers}
        if start and version:
            headers |= {"Range": f"bytes={start}-", "If-Range": version}
        try:
            with requests.get(self.url, headers=headers, stream=True, timeout=self.timeout) as response:
                yield response
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
            raise _AgainError(f"{type(error).__name__}: {error}") from error

    def _receive(self, response: Response, start: int, version: str | None) -> int | None:
        """Store the body of an answer that is the file or the rest of it. Returns how long the whole file is."""
        status = response.status_code
        if start and status in (206, 416):
            first, total = _content_range(response)
            is_same = _version_of(response) in (None, version)
            if is_same and status == 416 and total == start:
                return total
            if is_same and status == 206 and first == start:
                with self.path.open("ab") as file:
                    _store(response, file)
                return total
            self._discard()
            raise _AgainError("the server did not send what was missing; starting again", wait=0.0)
        if status in RETRIED or status >= 500:
            raise _AgainError(f"{status} {response.reason}", retry_after(response.headers))
        if status != 200:
            raise DownloadError(f"{self.url}: {status} {response.reason}")
        with self.path.open("wb") as file:  # emptied before the version is noted: never a part of one with the other
            self._note(_version_of(response))
            _store(response, file)
        length = response.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None

    def _version(self) -> str | None:
        """Which version of the file on the server the first part is from."""
        try:
            noted = json.loads(self.etag_path.read_text())
            return noted["version"] if noted["url"] == self.url else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _note(self, version: str | None) -> None:
        if version is None:
            self.etag_path.unlink(missing_ok=True)
        else:
            self.etag_path.write_text(json.dumps({"url": self.url, "version": version}))

    def _discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.etag_path.unlink(missing_ok=True)


def _store(response: Response, file: BinaryIO) -> None:
    for chunk in response.raw.stream(CHUNK, decode_content=False):
        file.write(chunk)
        pulse.beat()


def _version_of(response: Response) -> str | None:
    """What If-Range takes: a strong ETag or a date."""
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


def _content_range(response: Response) -> tuple[int | None, int | None]:
    """First byte and length of the whole, from `bytes 5-9/10` or `bytes */10`."""
    span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    first = span.partition("-")[0]
    return (int(first) if first.isdigit() else None), (int(total) if total.isdigit() else None)


def retry_after(headers: Mapping[str, str] | Message) -> float | None:
    """How many seconds a server asks to wait; None where it does not say."""
    text = headers.get("Retry-After", "")
    if text.isdigit():
        return min(float(text), LONGEST_WAIT_S)
    try:
        seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT_S)


def _wait(failures: int) -> float:
    # not all workers at the same moment
    return min(FIRST_WAIT_S * 2 ** (failures - 1), LONGEST_WAIT_S) * random.uniform(0.5, 1.0)


def _matches(path: str | Path, checksum: str) -> bool:
    algorithm, _, wanted = checksum.partition(":")
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == wanted.lower()


def _copy(url: str, path: str) -> None:
    from nemo_curator.utils.storage import open_bytes

    with open_bytes(url) as source, Path(path).open("wb") as target:
        shutil.copyfileobj(source, target, CHUNK)
