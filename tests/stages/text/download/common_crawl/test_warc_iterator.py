"""Archives become rows: real ones and damaged ones of other projects, and every way to compress and to encode."""

import gzip
import re
import time
import tracemalloc
from pathlib import Path

import brotli
import fsspec
import pytest
import zstandard

from nemo_curator.errors import InputError
from nemo_curator.stages.text.download.common_crawl import (
    CommonCrawlWarcIterator,
    CommonCrawlWetIterator,
    archive,
    payload,
)
from tests.stages.text.download.common_crawl.archives import (
    COMPRESSIONS,
    SUFFIXES,
    chunked,
    deflated,
    http,
    page,
    raw_deflated,
    record,
    responses,
    zstd_frame,
)

SHARED = Path(__file__).parents[6] / "shared" / "data" / "text" / "warc"

FIXTURES = {
    # file: pages, damaged records
    "CC-MAIN-2020-34_clean_subset.warc.gz": (6, 0),
    "commonsites_2024_15resp.warc.gz": (15, 0),
    "warcio/bad.arc": (1, 2),  # lengths of -1 and abc; the second begins where the search for the next one ends
    "warcio/example-bad-non-chunked.warc.gz": (1, 0),  # compressed as a whole
    "warcio/example-bad.warc.gz.bad": (2, 0),  # the same
    "warcio/example-iana.org-chunked.warc": (1, 0),
    "warcio/example-space-in-url.arc": (0, 1),  # its line ends were changed, so that 12 of 1591 bytes are missing
    "warcio/example-trunc.warc": (0, 1),  # announces two bytes fewer than it has
    "warcio/example-wget-bad-target-uri.warc.gz": (1, 0),
    "warcio/example-wrong-chunks.warc.gz": (0, 2),  # one record in two members
    "warcio/example.arc": (1, 0),
    "warcio/example.arc.gz": (1, 0),
    "warcio/example.warc": (1, 0),
    "warcio/example.warc.gz": (1, 0),
    "warcio/post-test.warc.gz": (3, 0),
}
WITHOUT_PAGES = {
    "warcio/example-digest.warc": "4 request",
    "warcio/example-resource.warc.gz": "1 resource, 2 warcinfo",
    "warcio/example-space-in-target-uri.warc.gz": "1 resource, 1 warcinfo",
}


@pytest.mark.skipif(not SHARED.is_dir(), reason="real archives are in ../shared/data/text/warc")
@pytest.mark.parametrize(("name", "expected"), FIXTURES.items())
def test_real_archives_give_their_pages_and_what_is_damaged_is_counted(name, expected, read):
    rows, count = read(CommonCrawlWarcIterator(), SHARED / name)
    assert (len(rows), count.rows_failed) == expected
    assert set(count.failed) <= {"DamagedRecordError"}
    for row in rows:
        assert list(row) == CommonCrawlWarcIterator().output_columns()
        assert row["url"].startswith("http")
        assert re.fullmatch(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", row["warc_id"])
        assert row["source_id"] == Path(name).name
        assert row["content"] or name == "warcio/bad.arc"


@pytest.mark.skipif(not SHARED.is_dir(), reason="real archives are in ../shared/data/text/warc")
@pytest.mark.parametrize(("name", "found"), WITHOUT_PAGES.items())
def test_an_archive_without_pages_is_an_error_that_says_what_it_holds(name, found, read):
    with pytest.raises(InputError, match=f"holds no response records, only {found}"):
        read(CommonCrawlWarcIterator(), SHARED / name)


@pytest.mark.skipif(not SHARED.is_dir(), reason="real archives are in ../shared/data/text/warc")
def test_the_real_list_is_complete():
    files = {str(path.relative_to(SHARED)) for path in SHARED.rglob("*") if path.is_file()}
    assert files == {*FIXTURES, *WITHOUT_PAGES}


@pytest.mark.skipif(not SHARED.is_dir(), reason="real archives are in ../shared/data/text/warc")
@pytest.mark.parametrize("name", ["CC-MAIN-2020-34_clean_subset.warc.gz", "commonsites_2024_15resp.warc.gz"])
def test_pages_are_those_that_warcio_reads(name, read):
    warcio = pytest.importorskip("warcio.archiveiterator", reason="warcio is not installed")
    with (SHARED / name).open("rb") as file:
        pages = [
            (
                one.rec_headers["WARC-Target-URI"].strip("<>"),
                one.http_headers.get_header("Content-Type"),
                one.content_stream().read(),
            )
            for one in warcio.ArchiveIterator(file)
            if one.rec_type == "response"
        ]
    rows, _ = read(CommonCrawlWarcIterator(), SHARED / name)
    assert [(row["url"], row["content_type"], row["content"]) for row in rows] == pages


def mixed(count):
    kinds = ["warcinfo", "request", "response", "metadata", "revisit"]
    made = []
    for number in range(count):
        made += [record(kind, number, http(page(number))) for kind in kinds]
    return made


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_responses_are_read_and_other_records_passed_over(compression, tmp_path, read):
    path = tmp_path / f"a{SUFFIXES[compression]}"
    path.write_bytes(COMPRESSIONS[compression](mixed(40)))
    rows, count = read(CommonCrawlWarcIterator(), path)
    assert count.rows_failed == 0
    assert rows == [
        {
            "url": f"http://example.com/{number}",
            "warc_id": f"00000000-0000-0000-0000-{number:012}",
            "source_id": path.name,
            "content": page(number),
            "content_type": "text/html; charset=utf-8",
        }
        for number in range(40)
    ]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("size", [0, 8000, 300_000])
def test_records_of_any_size_are_read(compression, size, tmp_path, read):
    path = tmp_path / "a"
    path.write_bytes(COMPRESSIONS[compression](responses(5, size=size)))
    rows, _ = read(CommonCrawlWarcIterator(), path)
    assert [row["content"] for row in rows] == [page(number, size) for number in range(5)]


def test_files_are_read_from_where_fsspec_finds_them(read):
    with fsspec.open("memory://crawl/a.warc.gz", "wb") as file:
        file.write(COMPRESSIONS["gzip"](responses(3)))
    rows, _ = read(CommonCrawlWarcIterator(storage_options={}), "memory://crawl/a.warc.gz")
    assert [row["source_id"] for row in rows] == ["a.warc.gz"] * 3


@pytest.mark.parametrize("is_compressed", [False, True])
def test_zstd_with_a_dictionary_is_read(is_compressed, tmp_path, read):
    samples = [one for number in range(300) for one in responses(1, size=200 + number)]
    trained = zstandard.train_dictionary(4000, samples)
    held = zstd_frame(trained.as_bytes()) if is_compressed else trained.as_bytes()
    compressor = zstandard.ZstdCompressor(dict_data=trained)
    frames = b"".join(compressor.compress(one) for one in responses(3))
    padding = b"\x5e\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"abc"
    path = tmp_path / "a.warc.zst"
    path.write_bytes(b"\x5d\x2a\x4d\x18" + len(held).to_bytes(4, "little") + held + frames + padding)
    rows, _ = read(CommonCrawlWarcIterator(), path)
    assert [row["content"] for row in rows] == [page(number) for number in range(3)]


BODY = page(1)


@pytest.mark.parametrize(
    ("headers", "body", "content"),
    [
        ([], BODY, BODY),
        ([], b"", b""),
        (["Transfer-Encoding: chunked"], chunked(BODY), BODY),
        (["Content-Encoding: gzip"], gzip.compress(BODY), BODY),
        (["content-encoding:  X-GZIP "], gzip.compress(BODY), BODY),
        (["Content-Encoding: gzip"], gzip.compress(BODY) + gzip.compress(b"more"), BODY + b"more"),
        (["Content-Encoding: gzip"], gzip.compress(b""), b""),
        (["Content-Encoding: deflate"], deflated(BODY), BODY),
        (["Content-Encoding: deflate"], raw_deflated(BODY), BODY),
        (["Content-Encoding: br"], brotli.compress(BODY), BODY),
        (["Content-Encoding: zstd"], zstd_frame(BODY), BODY),
        (["Content-Encoding: zstd"], zstd_frame(BODY) + zstd_frame(b"more"), BODY + b"more"),
        (["Content-Encoding: gzip, br"], brotli.compress(gzip.compress(BODY)), BODY),
        (["Content-Encoding: gzip", "Transfer-Encoding: chunked"], chunked(gzip.compress(BODY)), BODY),
        (["Content-Encoding: something"], BODY, BODY),
        # crawlers decode bodies and leave the header
        (["Transfer-Encoding: chunked"], BODY, BODY),
        (["Content-Encoding: gzip"], BODY, BODY),
        (["Content-Encoding: br"], BODY, BODY),
        (["Content-Encoding: deflate"], BODY, BODY),
        (["Content-Encoding: zstd"], BODY, BODY),
        # crawlers cut long bodies
        (["Transfer-Encoding: chunked"], chunked(BODY)[:1500], BODY[: 1500 - len("3e8;name=value\r\n") * 2 - 2]),
    ],
)
def test_a_body_is_given_as_a_browser_would_get_it(headers, body, content, tmp_path, read):
    path = tmp_path / "a.warc"
    path.write_bytes(record("response", 1, http(body, *headers)))
    rows, _ = read(CommonCrawlWarcIterator(), path)
    assert [row["content"] for row in rows] == [content]


@pytest.mark.parametrize(
    ("coding", "encode"),
    [("gzip", gzip.compress), ("deflate", deflated), ("br", brotli.compress), ("zstd", zstd_frame)],
)
def test_a_compressed_body_that_was_cut_is_given_as_far_as_it_goes(coding, encode, tmp_path, read):
    body = page(1, 300_000)
    path = tmp_path / "a.warc"
    path.write_bytes(record("response", 1, http(encode(body)[:-5000], f"Content-Encoding: {coding}")))
    rows, _ = read(CommonCrawlWarcIterator(), path)
    assert body.startswith(rows[0]["content"])
    # the others give whole blocks
    assert len(rows[0]["content"]) > (200_000 if coding in ("gzip", "deflate") else -1)


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        (["Content-Encoding: gzip"], gzip.compress(BODY)[:500] + b"\0" * 500, "gzip"),
        (["Content-Encoding: zstd"], zstd_frame(BODY)[:-4] + b"\0\0\0\0", "zstd"),
        (["Transfer-Encoding: chunked"], chunked(BODY)[:1016] + b"no length" * 100, "chunk"),
    ],
)
def test_a_body_with_damage_within_it_is_set_aside(headers, body, reason, tmp_path, read):
    path = tmp_path / "a.warc"
    path.write_bytes(record("response", 1, http(body, *headers)) + b"".join(responses(1)))
    rows, count = read(CommonCrawlWarcIterator(), path)
    assert len(rows) == 1
    assert count.failed == {"DamagedRecordError": 1}
    assert reason in count.failures[0].message


def test_headers_may_be_written_in_other_ways(tmp_path, read):
    body = b"HTTP/1.0 200 OK\nCONTENT-TYPE: text/html;\n charset=latin-1\n\n<p>"
    head = b"WARC/1.1\r\nwarc-type:response\r\nWarc-Target-Uri: <http://a.b/\xc3\xa9>\r\ncontent-length: %d\r\n\r\n"
    path = tmp_path / "a.warc"
    path.write_bytes(head % len(body) + body + b"\r\n\r\n\r\n" + head.replace(b"\r", b"") % len(body) + body + b"\n\n")
    rows, _ = read(CommonCrawlWarcIterator(), path)
    assert [(row["url"], row["content_type"], row["content"]) for row in rows] == [
        ("http://a.b/é", "text/html; charset=latin-1", b"<p>")
    ] * 2


@pytest.mark.parametrize("gap", [b"\n\n", b"\n\r\n", b"\r\n\n"])
@pytest.mark.parametrize("first", [b"\n", b"\r\n"])
@pytest.mark.parametrize("body", [b"<p>a\r\n\r\nb</p>", b"<p>ab</p>\r\n"])
def test_ends_of_lines_may_be_of_both_kinds(gap, first, body, tmp_path, read):
    block = b"HTTP/1.1 200 OK" + first + b"Content-Type: text/html" + gap + body
    head = b"WARC/1.1" + first + b"WARC-Type: response\r\nWARC-Target-URI: http://a.b/\nContent-Length: %d" % len(block)
    path = tmp_path / "a.warc"
    path.write_bytes((head + gap + block + b"\n\n") * 3)
    rows, _ = read(CommonCrawlWarcIterator(), path)
    assert [row["content"] for row in rows] == [body] * 3
    assert {row["content_type"] for row in rows} == {"text/html"}


def test_the_members_of_a_body_do_not_unpack_to_more_than_is_read(tmp_path, read, monkeypatch):
    monkeypatch.setattr(payload, "MOST_BLOCK", 100_000)
    member = gzip.compress(bytes(60_000))
    path = tmp_path / "a.warc"
    path.write_bytes(b"".join(record("response", n, http(member * n, "Content-Encoding: gzip")) for n in (1, 2)))
    rows, count = read(CommonCrawlWarcIterator(), path)
    assert [len(row["content"]) for row in rows] == [60_000]
    assert "unpacks to more than 100000 bytes" in count.failures[0].message


@pytest.mark.parametrize(
    ("coding", "encode"),
    [("gzip", gzip.compress), ("deflate", deflated), ("br", brotli.compress), ("zstd", zstd_frame)],
)
def test_a_body_that_unpacks_to_too_much_is_set_aside_and_not_cut(coding, encode, tmp_path, read, monkeypatch):
    monkeypatch.setattr(payload, "MOST_BLOCK", 1_000_000)
    path = tmp_path / "a.warc"
    path.write_bytes(record("response", 1, http(encode(bytes(3_000_000)), f"Content-Encoding: {coding}")))
    rows, count = read(CommonCrawlWarcIterator(), path)
    assert not rows
    assert "unpacks to more than" in count.failures[0].message


def test_a_body_of_many_members_takes_no_longer_than_their_length_asks_for(tmp_path, read):
    path = tmp_path / "a.warc"
    path.write_bytes(
        record("response", 1, http(gzip.compress(b"") * 400_000 + gzip.compress(BODY), "Content-Encoding: gzip"))
    )
    start = time.process_time()
    rows, _ = read(CommonCrawlWarcIterator(), path)
    assert rows[0]["content"] == BODY
    assert time.process_time() - start < 20  # it took 100 s


def test_a_response_that_is_no_page_of_the_web_is_given_as_it_is(tmp_path, read):
    path = tmp_path / "a.warc"
    path.write_bytes(record("response", 1, b"example.com 127.0.0.1", "Content-Type: text/dns"))
    rows, _ = read(CommonCrawlWarcIterator(), path)
    assert (rows[0]["content"], rows[0]["content_type"]) == (b"example.com 127.0.0.1", None)


def test_a_record_without_id_gets_the_same_each_time(tmp_path, read):
    path = tmp_path / "a.warc"
    path.write_bytes(re.sub(rb"WARC-Record-ID[^\n]*\n", b"", b"".join(responses(3))))
    first, second = (read(CommonCrawlWarcIterator(), path)[0] for _ in range(2))
    assert first == second
    assert len({row["warc_id"] for row in first}) == 3


@pytest.mark.parametrize(
    "data", [b"<html>not found</html>", b"\x1f\x8b\x08\x00garbage", gzip.compress(b"text"), b"PK" * 9]
)
def test_a_file_that_is_no_archive_is_counted(data, tmp_path, read):
    path = tmp_path / "a.warc.gz"
    path.write_bytes(data)
    rows, count = read(CommonCrawlWarcIterator(), path)
    assert (rows, count.rows_failed) == ([], 1)


def test_an_empty_file_is_an_error(tmp_path, read):
    (tmp_path / "a.warc.gz").touch()
    with pytest.raises(InputError, match="is empty"):
        read(CommonCrawlWarcIterator(), tmp_path / "a.warc.gz")


def test_outside_a_run_damage_raises(tmp_path):
    path = tmp_path / "a.warc"
    path.write_bytes(b"".join(responses(2))[:-100])
    rows = CommonCrawlWarcIterator().iterate(str(path))
    assert next(rows)["content"] == page(0)
    with pytest.raises(InputError, match=r"the record ends after \d+ of \d+ bytes"):
        next(rows)


def wet(number, text, *headers):
    return record("conversion", number, text, "Content-Type: text/plain", *headers)


def test_texts_of_a_wet_file_are_read(tmp_path, read):
    texts = [
        wet(1, "Grüße".encode(), "WARC-Identified-Content-Language: deu,eng"),
        wet(2, b"plain"),
        wet(3, b"\xff\xfe"),
    ]
    path = tmp_path / "a.warc.wet.gz"
    path.write_bytes(COMPRESSIONS["gzip"]([record("warcinfo", 0, b"a: b"), *texts]))
    rows, count = read(CommonCrawlWetIterator(), path)
    assert [(row["url"], row["language"], row["text"]) for row in rows] == [
        ("http://example.com/1", "deu,eng", "Grüße"),
        ("http://example.com/2", None, "plain"),
    ]
    assert count.failed == {"DamagedRecordError": 1}
    assert list(rows[0]) == CommonCrawlWetIterator().output_columns()
    with pytest.raises(InputError, match="no response records, only 3 conversion, 1 warcinfo"):
        read(CommonCrawlWarcIterator(), path)


def test_what_a_hostile_member_unpacks_to_does_not_come_into_memory(tmp_path, read, monkeypatch):
    monkeypatch.setattr(archive, "MOST_BLOCK", 10**6)
    bomb = gzip.compress(b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 20000000\r\n\r\n" + bytes(20_000_000))
    path = tmp_path / "a.warc.gz"
    path.write_bytes(bomb + COMPRESSIONS["gzip"](responses(1)))
    tracemalloc.start()
    rows, count = read(CommonCrawlWarcIterator(), path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(rows) == 1
    assert "the record has 20000000 bytes" in count.failures[0].message
    assert peak < 15_000_000
