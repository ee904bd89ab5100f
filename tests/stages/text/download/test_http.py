"""download_file against a server that misbehaves. No request leaves this machine."""

import hashlib
import random
import subprocess
import sys
import time

import pytest

from nemo_curator.stages.text.download.base import http
from nemo_curator.stages.text.download.base.http import DownloadError, download_file

DATA = random.Random(0).randbytes(300_000)
SHA = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_byte_for_byte_and_nothing_else_is_left(server, tmp_path):
    download_file(server.put("/a", DATA), str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == DATA
    assert listing(tmp_path) == ["a"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_an_error_page_never_becomes_a_file_and_is_not_asked_for_again(server, answer, tmp_path, status):
    url = server.put("/a", DATA, always=answer(status=status))
    with pytest.raises(DownloadError, match=f"/a: {status} "):
        download_file(url, str(tmp_path / "a"))
    assert listing(tmp_path) == []
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [204, 206, 300, 304])
def test_a_status_that_is_not_a_whole_file_is_an_error(server, answer, tmp_path, status):
    url = server.put("/a", DATA, always=answer(status=status, body=b""))
    with pytest.raises(DownloadError, match=str(status)):
        download_file(url, str(tmp_path / "a"))
    assert listing(tmp_path) == []


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_status_that_may_pass_is_tried_again(server, answer, tmp_path, status):
    url = server.put("/a", DATA, answer(status=status), answer(status=status))
    download_file(url, str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == DATA
    assert len(server.asked) == 3


@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": True}, {"cut_after": 0}])
def test_retries_are_bounded(server, answer, tmp_path, fault):
    url = server.put("/a", DATA, always=answer(**fault))
    with pytest.raises(DownloadError, match="gave up after 3 attempts"):
        download_file(url, str(tmp_path / "a"), retries=2)
    assert len(server.asked) == 3


def test_without_ranges_a_body_that_always_breaks_off_ends_too(server, answer, tmp_path):
    url = server.put("/a", DATA, always=answer(cut_after=1000, ranges=False))
    with pytest.raises(DownloadError, match="gave up"):
        download_file(url, str(tmp_path / "a"), retries=2)
    assert len(server.asked) <= 4


def test_retry_after_is_waited_for(server, answer, tmp_path):
    url = server.put("/a", DATA, answer(status=503, headers={"Retry-After": "1"}))
    start = time.monotonic()
    download_file(url, str(tmp_path / "a"))
    assert time.monotonic() - start >= 1.0


def test_retry_after_may_be_a_date(server, answer, tmp_path):
    url = server.put("/a", DATA, answer(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}))
    download_file(url, str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == DATA


def test_nobody_listening_is_an_error_after_the_retries(tmp_path, server):
    with pytest.raises(DownloadError, match="gave up after 2 attempts"):
        download_file("http://127.0.0.1:9/a", str(tmp_path / "a"), retries=1)


def test_a_slow_answer_is_given_up_and_tried_again(server, answer, tmp_path):
    url = server.put("/a", DATA, answer(delay=1.0))
    download_file(url, str(tmp_path / "a"), timeout=(5.0, 0.2))
    assert (tmp_path / "a").read_bytes() == DATA
    assert len(server.asked) == 2


def test_a_broken_off_body_is_resumed_and_its_first_part_not_fetched_again(server, answer, tmp_path):
    url = server.put("/a", DATA, answer(cut_after=100_000), answer(cut_after=150_000))
    download_file(url, str(tmp_path / "a"), checksum=SHA)
    assert (tmp_path / "a").read_bytes() == DATA
    assert server.sent == len(DATA)
    assert [asked for _, asked in server.asked] == [None, "bytes=100000-", "bytes=250000-"]


def test_attempts_that_bring_something_do_not_count_as_failures(server, answer, tmp_path):
    url = server.put("/a", DATA, *[answer(cut_after=20_000)] * 12)
    download_file(url, str(tmp_path / "a"), retries=1)
    assert (tmp_path / "a").read_bytes() == DATA
    assert server.sent == len(DATA)


def test_a_later_call_goes_on_from_where_an_earlier_one_ended(server, answer, tmp_path):
    url = server.put("/a", DATA, answer(cut_after=100_000))
    with pytest.raises(DownloadError):
        download_file(url, str(tmp_path / "a"), retries=0)
    assert listing(tmp_path) == ["a", "a.etag"]
    download_file(url, str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == DATA
    assert server.sent == len(DATA)
    assert listing(tmp_path) == ["a"]


def test_a_download_that_was_killed_goes_on_in_another_process(server, answer, tmp_path):
    url = server.put("/a", DATA, answer(cut_after=250_000, stall=True))
    code = (
        f"from nemo_curator.stages.text.download import download_file; download_file({url!r}, {str(tmp_path / 'a')!r})"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        while not (tmp_path / "a").exists() or (tmp_path / "a").stat().st_size < 100_000:
            time.sleep(0.01)
        process.kill()
    kept = (tmp_path / "a").stat().st_size
    download_file(url, str(tmp_path / "a"), checksum=SHA)
    assert (tmp_path / "a").read_bytes() == DATA
    assert server.asked == [("/a", None), ("/a", f"bytes={kept}-")]


def test_a_connection_that_stalls_is_resumed(server, answer, tmp_path):
    url = server.put("/a", DATA, answer(cut_after=250_000, stall=True))
    download_file(url, str(tmp_path / "a"), timeout=(5.0, 0.3), checksum=SHA)
    assert (tmp_path / "a").read_bytes() == DATA
    assert server.sent < len(DATA) + http.CHUNK


def test_a_file_that_changed_meanwhile_is_fetched_anew(server, answer, tmp_path):
    new = DATA[::-1]
    url = server.put("/a", DATA, answer(cut_after=100_000))
    with pytest.raises(DownloadError):
        download_file(url, str(tmp_path / "a"), retries=0)
    server.files["/a"] = new
    download_file(url, str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == new


def test_a_server_that_ignores_if_range_cannot_splice_two_versions(server, answer, tmp_path):
    new = DATA[::-1]
    url = server.put("/a", DATA, answer(cut_after=100_000), answer(if_range=False))
    with pytest.raises(DownloadError):
        download_file(url, str(tmp_path / "a"), retries=0)
    server.files["/a"] = new
    download_file(url, str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == new


def test_a_server_without_ranges_starts_again(server, answer, tmp_path):
    url = server.put("/a", DATA, answer(cut_after=100_000), always=answer(ranges=False))
    download_file(url, str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == DATA


def test_a_server_that_sends_another_range_starts_again(server, answer, tmp_path):
    url = server.put("/a", DATA, answer(cut_after=100_000), answer(shift=7))
    download_file(url, str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == DATA


def test_a_server_that_sends_less_than_was_asked_for_is_asked_again(server, answer, tmp_path):
    url = server.put("/a", DATA, answer(cut_after=100_000), answer(part=50_000))
    download_file(url, str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == DATA
    assert server.sent == len(DATA)


def test_to_start_again_and_again_is_no_progress(server, answer, tmp_path):
    url = server.put("/a", DATA, *[answer(cut_after=100_000), answer(shift=7)] * 10)
    with pytest.raises(DownloadError, match="gave up after 4 attempts"):
        download_file(url, str(tmp_path / "a"), retries=3)
    assert len(server.asked) == 4


def test_a_part_of_another_url_is_not_built_upon(server, answer, tmp_path):
    with pytest.raises(DownloadError):
        download_file(
            server.put("/b", DATA[::-1], answer(cut_after=100_000, etag='"1"')), str(tmp_path / "a"), retries=0
        )
    download_file(server.put("/a", DATA, always=answer(etag='"1"')), str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == DATA


def test_a_weak_etag_is_no_reason_to_resume(server, answer, tmp_path):
    url = server.put("/a", DATA, answer(cut_after=100_000, etag='W/"1"'))
    download_file(url, str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == DATA
    assert [asked for _, asked in server.asked] == [None, None]


def test_a_part_of_unknown_origin_is_not_built_upon(server, tmp_path):
    (tmp_path / "a").write_bytes(b"something else")
    download_file(server.put("/a", DATA), str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == DATA


@pytest.mark.parametrize("extra", [b"", b"too long"])
def test_a_part_that_is_the_whole_or_more_is_settled_by_416(server, answer, tmp_path, extra):
    url = server.put("/a", DATA, answer(cut_after=100_000))
    with pytest.raises(DownloadError):
        download_file(url, str(tmp_path / "a"), retries=0)
    (tmp_path / "a").write_bytes(DATA + extra)
    download_file(url, str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == DATA
    assert len(server.asked) == (3 if extra else 2)


def test_a_wrong_checksum_leaves_no_file(server, tmp_path):
    url = server.put("/a", DATA[:-1])
    with pytest.raises(DownloadError, match="wrong checksum, wanted sha256:"):
        download_file(url, str(tmp_path / "a"), checksum=SHA)
    assert listing(tmp_path) == []
    assert len(server.asked) == 1


def test_a_wrong_checksum_after_a_resumed_download_is_no_verdict_on_the_file(server, answer, tmp_path):
    url = server.put("/a", DATA, answer(cut_after=100_000))
    with pytest.raises(DownloadError):
        download_file(url, str(tmp_path / "a"), retries=0)
    (tmp_path / "a").write_bytes(bytes(100_000))
    download_file(url, str(tmp_path / "a"), checksum=SHA)
    assert (tmp_path / "a").read_bytes() == DATA


def test_an_unknown_checksum_is_refused_before_anything_is_fetched(server, tmp_path):
    with pytest.raises(ValueError, match="crc7"):
        download_file(server.put("/a", DATA), str(tmp_path / "a"), checksum="crc7:00")
    assert server.asked == []


def test_a_body_of_unannounced_length_is_taken_as_it_comes(server, answer, tmp_path):
    download_file(server.put("/a", DATA, answer(length=False)), str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == DATA


def test_an_empty_file_is_a_file(server, tmp_path):
    download_file(server.put("/a", b""), str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == b""


def test_a_redirect_is_followed_and_resumed(server, answer, tmp_path):
    url = server.put("/old", b"", always=answer(status=302, headers={"Location": "/new"}, body=b""))
    server.put("/new", DATA, answer(cut_after=100_000))
    download_file(url, str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == DATA
    assert server.sent == len(DATA)


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_local_paths_and_file_urls_are_copied(tmp_path, form):
    (tmp_path / "source").write_bytes(DATA)
    download_file(form.format(tmp_path / "source"), str(tmp_path / "a"), checksum=SHA)
    assert (tmp_path / "a").read_bytes() == DATA


def test_any_fsspec_url_is_copied(tmp_path):
    import fsspec

    with fsspec.open("memory://box/source", "wb") as file:
        file.write(DATA)
    download_file("memory://box/source", str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == DATA


def test_a_local_file_that_is_not_there_is_an_error_and_leaves_none(tmp_path):
    with pytest.raises(FileNotFoundError):
        download_file(str(tmp_path / "no such"), str(tmp_path / "a"))
    assert listing(tmp_path) == []


def test_a_local_copy_with_a_wrong_checksum_leaves_no_file(tmp_path):
    (tmp_path / "source").write_bytes(b"x")
    with pytest.raises(DownloadError, match="wrong checksum"):
        download_file(str(tmp_path / "source"), str(tmp_path / "a"), checksum=SHA)
    assert listing(tmp_path) == ["source"]
