"""Damage costs the record it is in, wherever it is, and is counted with its place in the file."""

import gzip
import random
import re
import sys

import pytest

from nemo_curator.stages.text.download.common_crawl import CommonCrawlWarcIterator
from tests.stages.text.download.common_crawl.archives import COMPRESSIONS, http, page, record, responses

RECORDS = responses(30)
PAGES = [page(number) for number in range(30)]
HIT = 12
BY_RECORD = ["gzip", "zstd"]


def damaged(compression, tmp_path, change):
    """Write an archive in which one record is changed; return its path and where that record began."""
    parts = [COMPRESSIONS[compression]([one]) for one in RECORDS]
    parts[HIT] = change(parts[HIT])
    path = tmp_path / "a"
    path.write_bytes(b"".join(parts))
    return path, sum(map(len, parts[:HIT]))


def others(rows):
    return [row["content"] for row in rows] == PAGES[:HIT] + PAGES[HIT + 1 :]


@pytest.mark.parametrize("compression", BY_RECORD)
@pytest.mark.parametrize("seed", range(60))
def test_bytes_that_changed_cost_their_member_only(compression, seed, tmp_path, read):
    draw = random.Random(seed)

    def change(part):
        length = draw.choice([1, 1, 8, 100])
        # 6 bytes of a member of gzip hold its time, its flags of speed and its system, which nobody checks
        start = draw.randrange(10, len(part) - length)
        return (
            part[:start]
            + bytes(byte ^ draw.randrange(1, 256) for byte in part[start:][:length])
            + part[start + length :]
        )

    path, place = damaged(compression, tmp_path, change)
    rows, count = read(CommonCrawlWarcIterator(), path)
    assert others(rows)
    assert count.failed == {"DamagedRecordError": 1}
    assert f"{path}, byte {place}" in count.failures[0].source


@pytest.mark.parametrize("compression", BY_RECORD)
@pytest.mark.parametrize(
    "part", [slice(0, 1), slice(0, 2), slice(0, 300), slice(300, 900), slice(-1, None), slice(-9, None)]
)
def test_bytes_that_are_missing_cost_their_member_only(compression, part, tmp_path, read):
    def change(data):
        start, stop, _ = part.indices(len(data))
        return data[:start] + data[stop:]

    path, _ = damaged(compression, tmp_path, change)
    rows, count = read(CommonCrawlWarcIterator(), path)
    # without the last bytes of its member the page itself may be whole
    assert others([row for row in rows if row["content"] != PAGES[HIT]])
    assert count.failed == {"DamagedRecordError": 1}


@pytest.mark.parametrize("compression", [*BY_RECORD, "plain"])
@pytest.mark.parametrize(
    "junk", [b"\0" * 5000, b"\x1f\x8b\x08\x00" * 50, b"WARC/1.0\r\n", b"\n\nWARC/1.0\r\nx: y\r\n\r\n"]
)
def test_bytes_between_records_cost_none(compression, junk, tmp_path, read):
    parts = [COMPRESSIONS[compression]([one]) for one in RECORDS]
    path = tmp_path / "a"
    path.write_bytes(b"".join(parts[:HIT]) + junk + b"".join(parts[HIT:]))
    rows, count = read(CommonCrawlWarcIterator(), path)
    assert [row["content"] for row in rows] == PAGES
    assert count.rows_failed == (junk != b"WARC/1.0\r\n" or compression != "plain")


def test_without_the_faster_library_the_same_is_read(tmp_path, read, monkeypatch):
    monkeypatch.setitem(sys.modules, "zlib_ng", None)
    path, _ = damaged("gzip", tmp_path, lambda part: part[:500] + bytes(8) + part[508:])
    rows, count = read(CommonCrawlWarcIterator(), path)
    assert others(rows)
    assert count.failed == {"DamagedRecordError": 1}


def broken_headers():
    yield r"WARC/1.0", b"WARX/1.0"
    yield r"WARC/1.0\r\n", b"WARC/1.0"
    yield r"Content-Length: \d+", b"Content-Length: 12"
    yield r"Content-Length: \d+", b"Content-Length: 999999999"
    yield r"Content-Length: \d+", b"Content-Length: 99999999999999999999999"
    yield r"Content-Length: \d+", b"Content-Length: " + b"9" * 5000
    yield r"Content-Length: \d+", b"Content-Length: -5"
    yield r"Content-Length", b"Kontent-Length"
    yield r"WARC-Type: response", b"WARC-Type: rexponse"
    yield r"WARC-Type", b"WARC_Type"
    yield r"WARC-Target-URI", b"WARC-Target_URI"
    yield r"</html>", b"</ht"
    yield r"</html>", b"</html></html>"


@pytest.mark.parametrize("compression", ["plain", "gzip", "gzip_whole", "zstd_whole"])
@pytest.mark.parametrize(("wanted", "given"), list(broken_headers()))
def test_a_wrong_header_costs_its_record_only(compression, wanted, given, tmp_path, read):
    records = list(RECORDS)
    records[HIT] = re.sub(wanted.encode(), given, records[HIT], count=1)
    assert records[HIT] != RECORDS[HIT]
    path = tmp_path / "a"
    path.write_bytes(COMPRESSIONS[compression](records))
    rows, count = read(CommonCrawlWarcIterator(), path)
    assert others(rows)
    assert count.failed == {"DamagedRecordError": 1}
    if compression == "plain":
        assert f"byte {sum(map(len, RECORDS[:HIT]))}" in count.failures[0].source


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("missing", [1, 5, 10, 700, 1500])
def test_a_file_that_breaks_off_costs_its_last_record(compression, missing, tmp_path, read):
    data = COMPRESSIONS[compression](RECORDS)
    path = tmp_path / "a"
    path.write_bytes(data[:-missing])
    rows, count = read(CommonCrawlWarcIterator(), path)
    whole = 30 if compression == "plain" and missing < 5 else 29
    if compression in ("gzip_whole", "zstd_whole"):
        assert [row["content"] for row in rows] == PAGES[: len(rows)]
        assert len(rows) >= (28 if compression == "gzip_whole" else 0)
        assert count.rows_failed == 1
    else:
        assert [row["content"] for row in rows] == PAGES[:whole]
        assert count.rows_failed == 30 - whole


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_damage_within_a_file_that_is_compressed_as_a_whole_keeps_what_is_before_it(share, tmp_path, read):
    data = bytearray(COMPRESSIONS["gzip_whole"](RECORDS * 20))
    at = int(len(data) * share)
    data[at : at + 40] = bytes(40)
    path = tmp_path / "a"
    path.write_bytes(data)
    rows, count = read(CommonCrawlWarcIterator(), path)
    assert count.rows_failed >= 1
    assert len(rows) >= 600 * share - 3
    assert [row["content"] for row in rows[:-1]] == (PAGES * 20)[: len(rows) - 1]


def test_a_member_after_one_that_is_damaged_as_a_whole_is_found(tmp_path, read):
    first = bytearray(COMPRESSIONS["gzip_whole"](RECORDS))
    first[len(first) // 2] ^= 0xFF
    path = tmp_path / "a"
    path.write_bytes(bytes(first) + gzip.compress(record("response", 99, http(b"last"))))
    rows, count = read(CommonCrawlWarcIterator(), path)
    assert rows[-1]["content"] == b"last"
    assert len(rows) > 10
    assert count.rows_failed >= 1


def test_every_cut_of_an_archive_ends_with_all_that_was_whole(tmp_path, read):
    parts = [gzip.compress(one, mtime=0) for one in responses(2, size=60)]
    data, ends = b"".join(parts), [sum(map(len, parts[:number])) for number in range(3)]
    path = tmp_path / "a"
    for cut in range(1, len(data) + 1):
        path.write_bytes(data[:cut])
        rows, count = read(CommonCrawlWarcIterator(), path)
        assert len(rows) == sum(end <= cut for end in ends[1:])
        assert count.rows_failed == (cut not in ends)


def test_a_damaged_request_is_counted_and_the_pages_are_kept(tmp_path, read):
    parts = [
        gzip.compress(record("request", 1, b"GET / HTTP/1.1\r\n\r\n"), mtime=0),
        gzip.compress(RECORDS[0], mtime=0),
    ]
    path = tmp_path / "a"
    path.write_bytes(parts[0][:40] + b"\0" + parts[0][41:] + parts[1])
    rows, count = read(CommonCrawlWarcIterator(), path)
    assert [row["content"] for row in rows] == PAGES[:1]
    assert count.rows_failed == 1


ARC = b"filedesc://a.arc 0.0.0.0 20240101000000 text/plain 10\n1 0 X\nabcd\n"


def arc(number):
    block = http(page(number))
    return b"http://example.com/%d 127.0.0.1 20240101000000 text/html %d\n" % (number, len(block)) + block + b"\n"


@pytest.mark.parametrize("compress", [bytes, lambda data: gzip.compress(data, mtime=0)])
def test_a_damaged_record_of_an_arc_costs_itself(compress, tmp_path, read):
    parts = [compress(part) for part in (ARC, *map(arc, range(5)))]
    parts[3] = compress(arc(2).replace(b" 20240101000000 ", b" 2024 "))
    path = tmp_path / "a.arc"
    path.write_bytes(b"".join(parts))
    rows, count = read(CommonCrawlWarcIterator(), path)
    assert [row["content"] for row in rows] == [PAGES[0], PAGES[1], PAGES[3], PAGES[4]]
    assert count.rows_failed == 1
