"""Parts of files, asked for by their first byte and length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nemo_curator import __package_name__, __version__
from nemo_curator.errors import need
from nemo_curator.stages.text.download.base.http import DownloadError
from nemo_curator.utils.retries import retrying
from nemo_curator.utils.storage import locate

if TYPE_CHECKING:
    from requests import Response


class ShortAnswerError(DownloadError, ConnectionError):
    """Less arrived than was asked for, as where a connection breaks off."""


class HttpRanges:
    """Fetch parts of files below a URL, from several threads over as many connections."""

    def __init__(self, prefix: str, timeout: float, retries: int, connections: int):
        import requests
        from requests.adapters import HTTPAdapter

        self._prefix, self._timeout, self._attempts = prefix.rstrip("/"), timeout, retries + 1
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"{__package_name__}/{__version__}"
        self._session.headers["Accept-Encoding"] = "identity"
        for protocol in ("http://", "https://"):
            self._session.mount(protocol, HTTPAdapter(pool_maxsize=connections))

    def fetch(self, file: str, offset: int, length: int) -> bytes:
        return retrying(
            lambda: self._fetch(f"{self._prefix}/{file.lstrip('/')}", offset, length), attempts=self._attempts
        )

    def close(self) -> None:
        self._session.close()

    def _fetch(self, url: str, offset: int, length: int) -> bytes:
        headers = {"Range": f"bytes={offset}-{offset + length - 1}"}
        with self._session.get(url, headers=headers, timeout=self._timeout, stream=True) as response:
            response.raise_for_status()
            _check(response, url, offset)
            return _whole(response.raw.read(length), url, offset, length)


class S3Ranges:
    """Fetch parts of files below a URL of S3, with the credentials of the environment or of `storage_options`."""

    def __init__(self, prefix: str, storage_options: dict[str, Any] | None, retries: int):
        need("s3fs", extra="s3")
        self._prefix, self._attempts = prefix, retries + 1
        self._fs, _ = locate(prefix, storage_options)

    def fetch(self, file: str, offset: int, length: int) -> bytes:
        return retrying(
            lambda: self._fetch(f"{self._prefix}/{file.lstrip('/')}", offset, length), attempts=self._attempts
        )

    def close(self) -> None:
        """Nothing is held open."""

    def _fetch(self, url: str, offset: int, length: int) -> bytes:
        return _whole(self._fs.cat_file(url, start=offset, end=offset + length), url, offset, length)


def _check(response: Response, url: str, offset: int) -> None:
    """Refuse the whole file, which may have gigabytes, and other bytes than those that were asked for."""
    if response.status_code != 206:
        raise DownloadError(f"{url}: wanted a part from byte {offset} on; the server answers {response.status_code}")
    span = response.headers.get("Content-Range", "")
    if not span.startswith(f"bytes {offset}-"):
        raise DownloadError(f"{url}: wanted a part from byte {offset} on; the server sends {span or 'another'}")


def _whole(data: bytes, url: str, offset: int, length: int) -> bytes:
    if len(data) != length:
        raise ShortAnswerError(f"{url}: {len(data)} of {length} bytes arrived from byte {offset} on")
    return data
