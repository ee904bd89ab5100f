"""Archives as files, and single records by their place in an archive, from a server that misbehaves."""

import gzip
import math
import os
import stat
from pathlib import Path

import pyarrow as pa
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import RunFailedError
from nemo_curator.ledger.counts import StageCount, counting
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.download.common_crawl import CommonCrawlWARCDownloader, CommonCrawlWARCReader
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.tasks import DocumentBatch
from tests.stages.text.download.common_crawl.archives import http, page, record

PARTS = [gzip.compress(record("response", number, http(page(number)))) for number in range(8)]
PARTS += [gzip.compress(record("request", 9, b"GET / HTTP/1.1\r\n\r\n"))]
DATA = b"".join(PARTS)
PLACES = [(sum(map(len, PARTS[:number])), len(part)) for number, part in enumerate(PARTS)]


def test_a_file_is_called_as_its_path(server, tmp_path):
    url = server.put("/crawl-data/CC-MAIN-2024-10/segments/1/warc/a.warc.gz", DATA)
    path = CommonCrawlWARCDownloader(str(tmp_path)).download(url)
    assert path == str(tmp_path / "crawl-data-CC-MAIN-2024-10-segments-1-warc-a.warc.gz")
    assert Path(path).read_bytes() == DATA


def test_few_connections_are_opened_from_one_machine(tmp_path):
    assert CommonCrawlWARCDownloader(str(tmp_path)).num_workers_per_node() == 4


@pytest.fixture
def s5cmd(tmp_path, monkeypatch):
    """A program of that name that copies from a folder, and fails where there is nothing."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "s5cmd"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ncp "{tmp_path}/${{2#s3://}}" "$3"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return tmp_path


def test_s5cmd_brings_files_where_it_is_installed(s5cmd):
    (s5cmd / "commoncrawl" / "crawl-data").mkdir(parents=True)
    (s5cmd / "commoncrawl" / "crawl-data" / "a.warc.gz").write_bytes(DATA)
    downloader = CommonCrawlWARCDownloader(str(s5cmd / "out"), use_aws_to_download=True)
    path = downloader.download("https://data.commoncrawl.org/crawl-data/a.warc.gz")
    assert path == str(s5cmd / "out" / "crawl-data-a.warc.gz")
    assert Path(path).read_bytes() == DATA
    assert (s5cmd / "asked").read_text().startswith("cp s3://commoncrawl/crawl-data/a.warc.gz ")
    assert downloader.download("https://data.commoncrawl.org/crawl-data/b.warc.gz") is None
    assert "b.warc.gz" in downloader.last_error


def batch(places=PLACES, file="crawl-data/a.warc.gz"):
    rows = [
        {"n": number, "warc_filename": file, "warc_record_offset": start, "warc_record_length": size}
        for number, (start, size) in enumerate(places)
    ]
    return DocumentBatch.from_arrow(pa.Table.from_pylist(rows))


def fetch(stage, task):
    count = StageCount("fetch")
    stage.setup()
    with counting(count):
        made = stage.process(task)
    stage.teardown()
    return made, count


def reader(server, **settings):
    return CommonCrawlWARCReader(url_prefix=server.url, **settings)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setenv("CURATOR_RETRY_WAIT_S", "0.01")


def test_pages_are_fetched_by_their_place(server):
    server.put("/crawl-data/a.warc.gz", DATA)
    made, count = fetch(reader(server), batch(PLACES[:8]))
    assert made.values("binary_content") == [page(number) for number in range(8)]
    assert count.rows_failed == 0
    assert server.sent == sum(size for _, size in PLACES[:8])
    assert sorted(server.asked) == sorted(
        ("/crawl-data/a.warc.gz", f"bytes={start}-{start + size - 1}") for start, size in PLACES[:8]
    )


def test_a_record_that_is_no_page_is_set_aside_by_name(server):
    server.put("/crawl-data/a.warc.gz", DATA)
    start, size = PLACES[2]
    places = [
        PLACES[0],
        PLACES[8],
        (start, size - 5),
        (start, size + 9),
        (start + 1, size),
        (10**9, 5),
        (start, 0),
        PLACES[7],
    ]
    made, count = fetch(reader(server), batch(places))
    assert made.values("n") == [0, 7]
    assert made.values("binary_content") == [page(0), page(7)]
    messages = {failure.source: failure.message for failure in count.failures}
    assert count.failed == {"DamagedRecordError": 4, "HTTPError": 1, "InputError": 1}
    assert f"crawl-data/a.warc.gz, byte {PLACES[8][0]}" in messages
    assert "the record is a request" in messages[f"crawl-data/a.warc.gz, byte {PLACES[8][0]}"]


@pytest.mark.parametrize(("start", "size"), [(math.nan, 5.0), (0.0, math.inf), (0.5, 5.0), (0, 10**12)])
def test_a_place_that_can_be_none_is_refused_before_anything_is_fetched(start, size, server):
    server.put("/crawl-data/a.warc.gz", DATA)
    _, count = fetch(reader(server), batch([(start, size)]))
    assert count.failed == {"InputError": 1}
    assert f"{size!r}" in count.failures[0].message
    assert not server.asked


def test_rows_that_failed_are_kept_with_a_null(server):
    server.put("/crawl-data/a.warc.gz", DATA)
    made, count = fetch(reader(server, drop_failed=False), batch([PLACES[0], (10**9, 5), PLACES[1]]))
    assert made.values("binary_content") == [page(0), None, page(1)]
    assert count.rows_failed == 0


def test_what_may_pass_is_asked_for_again(server, answer):
    script = [answer(status=503), answer(drop=True), answer(part=100)]
    server.put("/crawl-data/a.warc.gz", DATA, *script)
    made, count = fetch(reader(server, max_workers=1), batch(PLACES[:2]))
    assert made.values("binary_content") == [page(0), page(1)]
    assert len(server.asked) == 5
    server.put("/crawl-data/a.warc.gz", DATA, *script)
    made, count = fetch(reader(server, max_workers=1, max_retries=2), batch(PLACES[:2]))
    assert made.values("n") == [1]
    assert count.failed == {"ShortAnswerError": 1}


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"status": 404}, "HTTPError"),
        ({"ranges": False}, "DownloadError"),
        ({"shift": 3}, "DownloadError"),
        ({"cut_after": 10}, "ShortAnswerError"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_refused(server, answer, how, error):
    server.put("/crawl-data/a.warc.gz", DATA, always=answer(**how))
    made, count = fetch(reader(server, max_retries=1), batch(PLACES[:1]))
    assert made.num_items == 0
    assert count.failed == {error: 1}


def test_an_index_without_rows_stays_without(server):
    made, _ = fetch(reader(server), batch(PLACES[:1]).slice(0, 0))
    assert made.num_items == 0
    assert "binary_content" in made.get_columns()


def test_columns_have_the_names_that_are_given(server):
    server.put("/a", DATA)
    names = ["file", "start", "size"]
    task = DocumentBatch.from_arrow(batch(PLACES[:1], "a").to_pyarrow().rename_columns(["n", *names]))
    stage = reader(
        server,
        warc_filename_col="file",
        warc_record_offset_col="start",
        warc_record_length_col="size",
        binary_content_col="html",
    )
    assert stage.inputs() == (["data"], names)
    assert fetch(stage, task)[0].values("html") == [page(0)]


def test_in_a_run_the_rows_balance(server, tmp_path):
    server.put("/a", DATA)
    lines = [
        f'{{"warc_filename": "{name}", "warc_record_offset": {PLACES[0][0]}, "warc_record_length": {PLACES[0][1]}}}\n'
        for name in ("a", "b")
    ]
    (tmp_path / "index.jsonl").write_text("".join(lines))
    made = Pipeline("test", stages=[JsonlReader(str(tmp_path / "index.jsonl")), reader(server)])
    with pytest.raises(RunFailedError, match="HTTPError"):
        made.run(LocalExecutor(num_workers=0))
    tasks = made.run(LocalExecutor(num_workers=0), max_failed_fraction=0.5)
    assert [task.values("binary_content") for task in tasks] == [[page(0)]]
    count = made.last_run.stages[-1]
    assert (count.rows_in, count.rows_out, count.rows_failed, count.imbalance) == (2, 1, 1, 0)


def test_the_environment_decides_what_is_not_given(monkeypatch):
    for name, value in (("CC_USE_S3", "true"), ("CC_S3_BUCKET", "mirror"), ("CC_S3_KEY_PREFIX", "copy/of")):
        monkeypatch.setenv(name, value)
    stage = CommonCrawlWARCReader()
    assert (stage.use_s3, stage.s3_bucket, stage.s3_key_prefix) == (True, "mirror", "copy/of")
    stage = CommonCrawlWARCReader(use_s3=False, s3_bucket="mine", s3_key_prefix="")
    assert (stage.use_s3, stage.s3_bucket, stage.s3_key_prefix) == (False, "mine", "")
    for name in ("CC_USE_S3", "CC_S3_BUCKET", "CC_S3_KEY_PREFIX"):
        monkeypatch.delenv(name)
    stage = CommonCrawlWARCReader()
    assert (stage.use_s3, stage.s3_bucket, stage.s3_key_prefix) == (False, "commoncrawl", "")
