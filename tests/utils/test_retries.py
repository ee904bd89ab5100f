import errno
import http.client
import socket
import time
import urllib.error

import pytest

from nemo_curator.errors import StorageError
from nemo_curator.utils.retries import is_transient, retrying


def of_boto(code, status):
    exceptions = pytest.importorskip("botocore.exceptions")
    return exceptions.ClientError(
        {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject"
    )


def of_boto_by_name(name, **details):
    return getattr(pytest.importorskip("botocore.exceptions"), name)(**details)


def of_s3fs(code, status):
    return pytest.importorskip("s3fs.errors").translate_boto_error(of_boto(code, status))


def of_requests(status):
    requests = pytest.importorskip("requests")
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError("m", response=response)


def of_requests_by_name(name):
    return getattr(pytest.importorskip("requests").exceptions, name)("m")


def of_aiohttp(status):
    return pytest.importorskip("aiohttp").ClientResponseError(None, (), status=status)


def of_aiohttp_by_name(name):
    return getattr(pytest.importorskip("aiohttp"), name)("m")


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("make", "passes"),
    [
        (lambda: ConnectionResetError("m"), True),
        (lambda: BrokenPipeError(errno.EPIPE, "m"), True),
        (lambda: TimeoutError(), True),
        (lambda: socket.gaierror(socket.EAI_AGAIN, "m"), True),
        (lambda: http.client.IncompleteRead(b""), True),
        (lambda: http.client.RemoteDisconnected("m"), True),
        (lambda: OSError(errno.EIO, "m"), True),
        (lambda: OSError(errno.ESTALE, "m"), True),
        (lambda: OSError(errno.EAGAIN, "m"), True),
        (lambda: OSError(errno.EHOSTUNREACH, "m"), True),
        (lambda: urllib.error.HTTPError("u", 503, "m", {}, None), True),
        (lambda: urllib.error.HTTPError("u", 404, "m", {}, None), False),
        (lambda: OSError("broken data stream when reading image file"), False),
        (lambda: OSError(errno.ENOSPC, "m"), False),
        (lambda: OSError(errno.EDQUOT, "m"), False),
        (lambda: OSError(errno.EROFS, "m"), False),
        (lambda: FileNotFoundError(errno.ENOENT, "m"), False),
        (lambda: caused(FileNotFoundError("m"), ConnectionResetError()), True),
        (lambda: caused(FileNotFoundError("m"), of_aiohttp(503)), True),
        (lambda: caused(FileNotFoundError("m"), of_aiohttp(404)), False),
        (lambda: PermissionError(errno.EACCES, "m"), False),
        (lambda: IsADirectoryError(errno.EISDIR, "m"), False),
        (lambda: ValueError("503"), False),
        (lambda: MemoryError(), False),
        (lambda: caused(StorageError("tried before"), ConnectionResetError()), False),
        (lambda: of_boto("SlowDown", 503), True),
        (lambda: of_boto("InternalError", 500), True),
        (lambda: of_boto("RequestTimeout", 400), True),
        (lambda: of_boto("NoSuchKey", 404), False),
        (lambda: of_boto("AccessDenied", 403), False),
        (lambda: of_boto("InvalidArgument", 400), False),
        (lambda: of_boto_by_name("EndpointConnectionError", endpoint_url="u"), True),
        (lambda: of_boto_by_name("ReadTimeoutError", endpoint_url="u"), True),
        (lambda: of_boto_by_name("IncompleteReadError", actual_bytes=1, expected_bytes=2), True),
        (lambda: of_boto_by_name("NoCredentialsError"), False),
        (lambda: of_s3fs("SlowDown", 503), True),
        (lambda: of_s3fs("500", 500), True),
        (lambda: of_s3fs("SomethingNobodyKnows", 500), True),
        (lambda: of_s3fs("SomethingNobodyKnows", 400), False),
        (lambda: of_s3fs("NoSuchBucket", 404), False),
        (lambda: of_s3fs("SignatureDoesNotMatch", 403), False),
        (lambda: of_requests(503), True),
        (lambda: of_requests(429), True),
        (lambda: of_requests(404), False),
        (lambda: of_requests_by_name("ConnectionError"), True),
        (lambda: of_requests_by_name("ReadTimeout"), True),
        (lambda: of_requests_by_name("ChunkedEncodingError"), True),
        (lambda: of_requests_by_name("SSLError"), False),
        (lambda: of_requests_by_name("InvalidURL"), False),
        (lambda: of_aiohttp(502), True),
        (lambda: of_aiohttp(404), False),
        (lambda: of_aiohttp_by_name("ClientPayloadError"), True),
        (lambda: of_aiohttp_by_name("ServerDisconnectedError"), True),
    ],
)
def test_what_passes_is_told_from_what_stays(make, passes):
    assert is_transient(make()) is passes


class Fails:
    """Fails so many times, then returns how often it was called."""

    def __init__(self, times, error=None):
        self.times, self.error, self.calls = times, error or OSError(errno.EIO, "m"), 0

    def __call__(self):
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return self.calls


def test_a_call_is_tried_again_until_it_succeeds():
    assert retrying(Fails(4), attempts=5, first_wait=0) == 5


def test_a_call_that_fails_for_good_is_tried_once():
    do = Fails(9, FileNotFoundError("m"))
    with pytest.raises(FileNotFoundError):
        retrying(do, first_wait=0)
    assert do.calls == 1


def test_attempts_are_bounded_and_the_last_error_is_raised():
    do = Fails(9)
    with pytest.raises(OSError, match="m"):
        retrying(do, attempts=3, first_wait=0)
    assert do.calls == 3
    with pytest.raises(ValueError, match="at least 1"):
        retrying(do, attempts=0)


def test_waits_double_up_to_a_limit_and_differ():
    taken = []
    for _ in range(2):
        start = time.perf_counter()
        retrying(Fails(4), attempts=5, first_wait=0.02, most_wait=0.05)
        taken.append(time.perf_counter() - start)
    assert all(spent < 0.02 + 0.04 + 0.05 + 0.05 + 0.2 for spent in taken)
    assert taken[0] != taken[1]


def test_the_first_wait_can_be_set_from_outside(monkeypatch):
    monkeypatch.setenv("CURATOR_RETRY_WAIT_S", "0")
    start = time.perf_counter()
    retrying(Fails(7))
    assert time.perf_counter() - start < 0.2
