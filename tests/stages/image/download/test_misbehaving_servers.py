"""One run over everything that servers do, looked at from all sides."""

import gzip
import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import pytest

from nemo_curator import __version__
from tests.stages.image.download.lists import download, members, rows, write_list
from tests.stages.image.io.images import picture
from tests.web_server import Answer, serving

JPEG, PNG, WEBP, GIF = picture(1), picture(2, "PNG"), picture(3, "WEBP"), picture(4, "GIF")
LARGEST = 100_000


def bomb():
    """A PNG of 60,000 x 60,000 pixels, by its header."""
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = {b"IHDR": head, b"IDAT": zlib.compress(bytes(1000)), b"IEND": b""}
    parts = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


AGAIN = Answer(status=500)
ALWAYS: dict[str, tuple[bytes, Answer | None]] = {
    "/plain.jpg": (JPEG, None),
    "/really-a-jpeg.png": (JPEG, None),
    "/upper.JPEG?size=1&x=%20y": (PNG, None),
    "/modern": (WEBP, None),
    "/compressed": (gzip.compress(JPEG), Answer(headers={"Content-Encoding": "gzip"})),
    "/compressed-in-part": (gzip.compress(GIF)[:-12], Answer(headers={"Content-Encoding": "gzip"})),
    "/for-another-bot": (JPEG, Answer(headers={"X-Robots-Tag": "otherbot: noai, noindex"})),
    "/moved": (b"", Answer(status=302, headers={"Location": "plain.jpg"})),
    "/gone": (b"", Answer(status=410)),
    "/refused": (b"", Answer(status=403)),
    "/busy-for-good": (b"", Answer(status=503)),
    "/away-for-an-hour": (b"", Answer(status=429, headers={"Retry-After": "3600"})),
    "/page.jpg": (b"<html>Not found, but politely</html>", None),
    "/empty.jpg": (b"", None),
    "/half.jpg": (JPEG[: len(JPEG) // 2], None),
    "/claims-less.jpg": (JPEG, Answer(claimed=len(JPEG) // 2)),
    "/claims-more.jpg": (JPEG, Answer(claimed=len(JPEG) + 100, cut_after=len(JPEG))),
    "/breaks-off.jpg": (JPEG, Answer(cut_after=100)),
    "/hangs-up": (JPEG, Answer(drop=True)),
    "/drips.jpg": (JPEG, Answer(drip=0.05)),
    "/drips-its-head.jpg": (JPEG, Answer(slow_head=True)),
    "/stalls.jpg": (JPEG, Answer(cut_after=100, stall=True)),
    "/endless.jpg": (JPEG, Answer(length=False, endless=True)),
    "/announces-much.jpg": (JPEG, Answer(claimed=10**12)),
    "/inflates": (gzip.compress(bytes(10**7)), Answer(headers={"Content-Encoding": "gzip"})),
    "/bomb.png": (bomb(), None),
    "/circle": (b"", Answer(status=301, headers={"Location": "/circle"})),
    "/to-a-file": (b"", Answer(status=302, headers={"Location": "file:///etc/passwd"})),
    "/to-the-cloud": (b"", Answer(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data"})),
    "/to-loopback": (b"", Answer(status=302, headers={"Location": "http://127.0.0.2:1/"})),
    "/noai.jpg": (JPEG, Answer(headers={"X-Robots-Tag": "noarchive, NoAI"})),
    "/not-for-us.jpg": (JPEG, Answer(headers={"X-Robots-Tag": "curator-ray: noindex"})),
    "/nonsense": (JPEG, Answer(headers={f"X-{at}": "x" for at in range(200)})),
}
"""What servers do every time they are asked."""
AT_FIRST = {
    "/fails-twice.jpg": (AGAIN, AGAIN),
    "/breaks-off-once.jpg": (Answer(cut_after=50),),
    "/busy.jpg": (Answer(status=429, headers={"Retry-After": "1"}),),
}
"""What they do before they send an image."""
STATUSES = {
    **dict.fromkeys(["/plain.jpg", "/really-a-jpeg.png", "/upper.JPEG?size=1&x=%20y", "/modern"], "success"),
    **dict.fromkeys(["/compressed", "/for-another-bot", "/moved", *AT_FIRST], "success"),
    "/gone": "http_410",
    "/refused": "http_403",
    "/busy-for-good": "http_503",
    "/away-for-an-hour": "http_429",
    "/missing": "http_404",
    "/page.jpg": "not_an_image",
    "/empty.jpg": "not_an_image",
    "/half.jpg": "damaged_image",
    "/claims-less.jpg": "damaged_image",
    "/claims-more.jpg": "cut_short",
    "/breaks-off.jpg": "cut_short",
    "/compressed-in-part": "cut_short",
    "/hangs-up": "connection_lost",
    "/drips.jpg": "timeout",
    "/drips-its-head.jpg": "timeout",
    "/stalls.jpg": "timeout",
    "/endless.jpg": "too_large",
    "/announces-much.jpg": "too_large",
    "/inflates": "too_large",
    "/bomb.png": "too_many_pixels",
    "/circle": "too_many_redirects",
    "/to-a-file": "bad_url",
    "/to-the-cloud": "private_address",
    "/to-loopback": "private_address",
    "/noai.jpg": "opted_out",
    "/not-for-us.jpg": "opted_out",
    "/nonsense": "bad_answer",
    "http://127.0.0.1:1/": "connect",
    "http://a..b/": "dns",
    "http://[::1/": "bad_url",
    "gopher://example.org/": "bad_url",
    "relative.jpg": "bad_url",
    "http://example.org:99999999/": "bad_url",
}


@dataclass
class Done:
    site: Any
    run: Any
    rows: dict
    members: dict


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("download")
    with serving() as site, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATOR_RETRY_WAIT_S", "0.01")
        patch.setenv("NO_PROXY", "127.0.0.1")
        for path, (data, answer) in ALWAYS.items():
            if answer is not None and answer.status:
                answer.body = b""
            site.put(path, data, always=answer)
        for path, answers in AT_FIRST.items():
            site.put(path, JPEG, *answers)
        urls = [f"{site.url}{path}" if path.startswith("/") else path for path in STATUSES]
        # once more, with white space around, and a row without a URL
        path = write_list(folder / "list.parquet", [*urls, urls[0], f" {urls[0]}#top\n", None, ""])
        run = download(
            path,
            folder / "out",
            timeout=0.6,
            max_bytes=LARGEST,
            connections=64,
            connections_per_host=64,
            allow_private_addresses=["127.0.0.1/32"],
            run={"rejected_path": str(folder / "rejected")},
        )
        found = rows(folder / "out")
        by_path = dict(zip([*STATUSES, "again", "space", "null", "nothing"], found, strict=True))
        rejected = [json.loads(line) for one in (folder / "rejected").iterdir() for line in one.open()]
        yield Done(site, run, by_path, members(folder / "out")), rejected


@pytest.mark.parametrize(("path", "status"), STATUSES.items())
def test_what_a_server_does_has_a_name(done, path, status):
    assert done[0].rows[path]["status"] == status, done[0].rows[path]["error"]
    assert (done[0].rows[path]["error"] is None) == (status == "success")


def test_every_url_is_written_or_dropped_by_its_reason(done):
    account = done[0].run.stages[-1]
    statuses = [row["status"] for row in done[0].rows.values()]
    assert (account.rows_in, account.rows_failed) == (len(statuses), 0)
    assert (
        account.rows_out
        == statuses.count("success")
        == sum(not name.endswith(("txt", "json")) for name in done[0].members)
    )
    assert account.dropped == {status: statuses.count(status) for status in {*statuses} - {"success"}}


def test_urls_that_failed_are_kept_with_their_reason_where_asked_for(done):
    run, rejected = done[0].run, done[1]
    assert len(rejected) == run.stages[-1].rows_dropped
    assert {(one["filter"], one["row"]["status"]) for one in rejected} == {(one, one) for one in run.stages[-1].dropped}


def test_bytes_stay_as_they_were_and_the_extension_is_theirs(done):
    def member(path, extension):
        return done[0].members[f"{done[0].rows[path]['key']}.{extension}"]

    assert member("/plain.jpg", "jpg") == member("/really-a-jpeg.png", "jpg") == member("/compressed", "jpg") == JPEG
    assert member("/upper.JPEG?size=1&x=%20y", "png") == PNG
    assert member("/modern", "webp") == WEBP


def test_a_sample_has_caption_and_json_and_its_row_has_facts(done):
    row = done[0].rows["/plain.jpg"]
    assert (row["key"], row["caption"], row["width"], row["height"], row["bytes"]) == (
        "000000000",
        "caption 0",
        24,
        16,
        len(JPEG),
    )
    assert done[0].members["000000000.txt"] == b"caption 0"
    assert json.loads(done[0].members["000000000.json"]) == {name: row[name] for name in ("url", "caption", "key")}


def test_a_url_that_is_listed_twice_is_fetched_once_and_written_twice(done):
    rows = done[0].rows
    assert [rows[path]["status"] for path in ("again", "space", "null", "nothing")] == [
        "success",
        "success",
        "bad_url",
        "bad_url",
    ]
    assert len(done[0].site.times["/plain.jpg"]) == 3  # its own, the one in other words, the redirect
    assert done[0].members[f"{rows['again']['key']}.jpg"] == JPEG


def test_what_may_pass_is_tried_again_and_what_will_not_is_not(done):
    asked = {path: len(times) for path, times in done[0].site.times.items()}
    assert asked["/busy-for-good"] == asked["/fails-twice.jpg"] == asked["/stalls.jpg"] == asked["/breaks-off.jpg"] == 3
    assert asked["/refused"] == asked["/half.jpg"] == asked["/away-for-an-hour"] == asked["/noai.jpg"] == 1
    assert asked["/circle"] == 9


def test_a_server_that_asks_to_wait_is_given_the_time(done):
    first, second = (moment for moment, _ in done[0].site.times["/busy.jpg"])
    assert second - first >= 1.0


def test_what_is_too_large_is_not_read_to_its_end(done):
    assert done[0].site.sent < 200 * LARGEST  # one of them never ends, and buffers of sockets take megabytes


def test_the_user_agent_says_who_asks(done):
    assert {agent for times in done[0].site.times.values() for _, agent in times} == {f"curator-ray/{__version__}"}
