"""Fetching one URL: redirects, answers of servers, and how much and how long is too much."""

from __future__ import annotations

import http.client
import ssl
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urljoin

from nemo_curator import __package_name__, __version__
from nemo_curator.stages.image.download.connections import Connection, ConnectionPool, Target
from nemo_curator.stages.image.download.failures import FetchError
from nemo_curator.stages.text.download.base.http import RETRIED, retry_after

OPT_OUT_DIRECTIVES = ("noai", "noimageai", "noindex", "noimageindex")
"""What in `X-Robots-Tag` says that an image is not for this."""
USER_AGENT = f"{__package_name__}/{__version__}"
MAX_REDIRECTS = 8
MOST_WAIT_S = 60.0
"""The longest that a server is waited for; one that asks for more has failed."""
_CHUNK = 2**16
_REST_BYTES = 2**16
"""What of an answer that nobody wants is read, so that the connection may be used again."""
_REDIRECTS = {301, 302, 303, 307, 308}
_GZIP_OR_ZLIB = 47


@dataclass(frozen=True)
class FetchRules:
    """Bounds of one attempt: seconds for all of it and to connect, bytes, and what servers may forbid."""

    timeout: float
    connect_timeout: float
    max_bytes: int
    opt_out_directives: tuple[str, ...]
    user_agent: str


@dataclass
class Fetcher:
    """Fetches URLs, from many threads at once."""

    rules: FetchRules
    pool: ConnectionPool

    def fetch(self, target: Target) -> bytes:
        """What a URL holds. Raises FetchError."""
        deadline = time.monotonic() + self.rules.timeout
        for _ in range(MAX_REDIRECTS + 1):
            with _in_one_word(target):
                found = self._get(target, deadline)
            if isinstance(found, bytes):
                return found
            try:
                target = Target.of(urljoin(target.url, found))
            except ValueError as error:  # urljoin refuses brackets that hold no address
                raise FetchError("bad_url", f"a redirect to {found[:200]!r}") from error
        raise FetchError("too_many_redirects", f"more than {MAX_REDIRECTS} redirects, the last to {target.url[:200]}")

    def _get(self, target: Target, deadline: float) -> bytes | str:
        """The body of an answer, or where it leads."""
        connection, response = self._ask(target, deadline)
        is_open = False
        try:
            found = self._take(response)
            is_open = not response.will_close and response.isclosed()
            return found
        except FetchError as error:
            is_open = error.status.startswith("http_") and _reads_rest(response)
            raise
        finally:
            if is_open:
                self.pool.give_back(connection)
            else:
                response.close()
                connection.close()

    def _ask(self, target: Target, deadline: float) -> tuple[Connection, http.client.HTTPResponse]:
        headers = {"User-Agent": self.rules.user_agent, "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"}
        connection, was_used = self.pool.take(target)
        while True:
            try:
                return connection, connection.ask(headers, deadline, time.monotonic() + self.rules.connect_timeout)
            except (ConnectionError, http.client.BadStatusLine, ssl.SSLEOFError):
                connection.close()
                if not was_used:
                    raise
                connection, was_used = self.pool.new(target), False  # the server had closed it meanwhile
            except BaseException:
                connection.close()
                raise

    def _take(self, response: http.client.HTTPResponse) -> bytes | str:
        status = response.status
        if status in _REDIRECTS and (location := response.headers.get("Location")):
            _reads_rest(response)
            # a header holds bytes, which mean UTF-8 where they are not ASCII
            return location.encode("latin-1", "replace").decode(errors="replace")
        if status != 200:
            wait = retry_after(response.headers)
            may_pass = (status in RETRIED or status >= 500) and (wait or 0.0) <= MOST_WAIT_S
            raise FetchError(f"http_{status}", f"{status} {response.reason}", may_pass=may_pass, wait=wait)
        if directive := opt_out(response.headers.get_all("X-Robots-Tag") or [], self.rules):
            raise FetchError("opted_out", f"X-Robots-Tag: {directive}")
        return _decoded(_body(response, self.rules.max_bytes), response, self.rules.max_bytes)


def opt_out(values: list[str], rules: FetchRules) -> str | None:
    """The directive by which the owner of an image forbids its use to everybody, or to this user agent."""
    own = rules.user_agent.partition("/")[0].partition(";")[0].strip().lower()
    for value in values:
        agent, colon, rest = value.lower().partition(":")
        is_for_all = not colon or "," in agent or agent.strip() in (*rules.opt_out_directives, "unavailable_after")
        if not is_for_all and agent.strip() not in (own, "*"):
            continue
        for directive in (value.lower() if is_for_all else rest).split(","):
            if directive.strip() in rules.opt_out_directives:
                return directive.strip()
    return None


def _body(response: http.client.HTTPResponse, most: int) -> bytes:
    announced = response.length
    if announced is not None and announced > most:
        raise FetchError("too_large", f"{announced} bytes are announced; wanted at most {most}")
    pieces, size = [], 0
    while piece := response.read(_CHUNK):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise FetchError("too_large", f"more than {most} bytes arrived")
    if announced is not None and size < announced:
        raise FetchError("cut_short", f"{size} of {announced} bytes arrived", may_pass=True)
    return b"".join(pieces)


def _decoded(data: bytes, response: http.client.HTTPResponse, most: int) -> bytes:
    """The content, where a server compressed it though it was not asked to."""
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("gzip", "x-gzip", "deflate"):
        return data
    inflating = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        content = inflating.decompress(data, most + 1)
    except zlib.error as error:
        raise FetchError("bad_answer", f"Content-Encoding: {coding}: {error}") from error
    if len(content) > most:
        raise FetchError("too_large", f"more than {most} bytes when it is decompressed")
    if not inflating.eof:
        raise FetchError("cut_short", f"Content-Encoding: {coding}: the end is missing", may_pass=True)
    return content


def _reads_rest(response: http.client.HTTPResponse) -> bool:
    """Read the body of an answer that nobody wants, if it is short; says whether the connection is free then."""
    if response.will_close or response.length is None or response.length > _REST_BYTES:
        return False
    try:
        response.read()
    except (OSError, http.client.HTTPException):
        return False
    return response.isclosed()


@contextmanager
def _in_one_word(target: Target) -> Iterator[None]:
    """Make a FetchError of what sockets and servers do."""
    where = target.netloc
    try:
        yield
    except TimeoutError as error:
        raise FetchError("timeout", f"{where} took too long", may_pass=True) from error
    except ssl.SSLCertVerificationError as error:
        raise FetchError("tls", f"{where}: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise FetchError("tls", f"{where}: {error.reason or error}", may_pass=True) from error
    except http.client.IncompleteRead as error:
        raise FetchError("cut_short", f"{where}: {error}", may_pass=True) from error
    except http.client.RemoteDisconnected as error:
        raise FetchError("connection_lost", f"{where} closed the connection", may_pass=True) from error
    except http.client.InvalidURL as error:
        raise FetchError("bad_url", f"{where}: {error}") from error
    except (http.client.HTTPException, ValueError) as error:
        raise FetchError("bad_answer", f"{where}: {type(error).__name__}: {str(error)[:200]}") from error
    except OSError as error:
        raise FetchError("connection_lost", f"{where}: {error.strerror or error}", may_pass=True) from error
