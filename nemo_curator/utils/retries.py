"""Trying again what fails only for a while: servers that are busy, connections that break."""

from __future__ import annotations

import errno
import os
import random
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from nemo_curator.errors import StorageError

T = TypeVar("T")

ATTEMPTS = 8
FIRST_WAIT_S = 0.2
MOST_WAIT_S = 10.0

_ERRNOS = {
    number
    for number, name in errno.errorcode.items()
    if name in ("EAGAIN", "EWOULDBLOCK", "EBUSY", "EINTR", "EIO", "EPIPE", "EREMOTEIO", "ESTALE", "ETIMEDOUT")
    or name.startswith(("ECONN", "EHOST", "ENET", "ENOLINK", "ENOTCONN"))
}
_STATUSES = {408, 425, 429, 500, 502, 503, 504, 509, 520, 521, 522, 523, 524}
_CODES = re.compile("SlowDown|Throttl|InternalError|ServiceUnavailable|RequestTimeout|ServerBusy|OperationAborted")
_NETWORK = {
    "aiohttp": {"ClientConnectionError", "ClientPayloadError", "ServerTimeoutError"},
    "botocore": {
        "ConnectionError",
        "HTTPClientError",
        "IncompleteReadError",
        "ResponseParserError",
        "ResponseStreamingError",
    },
    "http": {"IncompleteRead", "BadStatusLine"},
    "requests": {"ConnectionError", "Timeout", "ChunkedEncodingError"},
    "socket": {"gaierror", "timeout"},
    "ssl": {"SSLEOFError", "SSLZeroReturnError", "SSLWantReadError"},
    "urllib3": {"ProtocolError", "TimeoutError", "IncompleteRead"},
}
"""Errors of connections by the package that raises them; their names are compared, so that none need be imported."""
_TRUST = {"SSLError", "SSLCertVerificationError", "ClientConnectorCertificateError"}
"""A connection that is not trusted fails the same way each time."""
_ABOUT_NAMES = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)
"""Answers, unless they are made of another error: fsspec says of every page that it cannot get that it is not there."""


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed later: the error is one of a connection, a busy server or a stale handle.

    What the server answered decides first, also where a library has made another error of it. A missing file, a refused
    permission, a full disk, an `OSError` without a number (a broken picture, say) and a StorageError, which has been
    tried again, stay as they are.
    """
    if isinstance(error, StorageError) or (isinstance(error, _ABOUT_NAMES) and error.__cause__ is None):
        return False
    answers = [found for one in _chain(error) if (found := _answer(one)) is not None]
    if answers:
        return answers[0]
    return any(_is_of_connection(one) or _status(one) in _STATUSES for one in _chain(error))


def is_unreachable(error: BaseException) -> bool:
    """Whether reading failed for where the data is, and not for what it is: Arrow calls damage an OSError, too."""
    return isinstance(error, StorageError) or (isinstance(error, OSError) and error.errno is not None)


def retrying(
    do: Callable[[], T],
    *,
    attempts: int = ATTEMPTS,
    first_wait: float | None = None,
    most_wait: float = MOST_WAIT_S,
) -> T:
    """Call `do` until it succeeds, fails for good, or has failed so often; raises what it raised last.

    Between attempts it waits a random time below a limit, in seconds, that begins with `first_wait` and doubles, so
    that many workers do not come back at the same moment. `CURATOR_RETRY_WAIT_S` sets the first limit.
    """
    limit = _first_wait() if first_wait is None else first_wait
    for attempt in range(1, attempts + 1):
        try:
            return do()
        except Exception as error:  # which errors come from storages depends on the storage
            if attempt == attempts or not is_transient(error):
                raise
        time.sleep(random.uniform(0, min(limit, most_wait)))
        limit *= 2
    raise ValueError(f"attempts is {attempts}; wanted at least 1")


def _first_wait() -> float:
    return float(os.environ.get("CURATOR_RETRY_WAIT_S") or FIRST_WAIT_S)


def _chain(error: BaseException) -> list[BaseException]:
    """An error and what it was made of."""
    chain: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in chain and len(chain) < 8:
        chain.append(one)
        one = one.__cause__
    return chain


def _answer(error: BaseException) -> bool | None:
    """Whether a server's answer, where an error holds it, asks to come back later."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        if _CODES.search(str(response.get("Error", {}).get("Code", ""))):
            return True
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        status = getattr(response, "status_code", None)  # requests
    return status in _STATUSES if isinstance(status, int) else None


def _status(error: BaseException) -> Any:
    """The status that errors of aiohttp and urllib hold."""
    status = getattr(error, "status", None) or getattr(error, "code", None)
    return status if isinstance(status, int) else None


def _is_of_connection(error: BaseException) -> bool:
    kinds = [(kind.__module__.partition(".")[0].lstrip("_"), kind.__name__) for kind in type(error).__mro__]
    if any(name in _TRUST for _, name in kinds) and not any(name in _NETWORK["ssl"] for _, name in kinds):
        return False
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if any(name in _NETWORK.get(package, ()) for package, name in kinds):
        return True
    return isinstance(error, OSError) and error.errno in _ERRNOS
