"""From snapshots to documents in real pipelines: everything that was listed is accounted for."""

import gzip
import json
import subprocess
import sys

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.download import CommonCrawlDownloadExtractStage
from nemo_curator.stages.text.download.base import (
    DocumentDownloadStage,
    DocumentIterateExtractStage,
    URLGenerationStage,
)
from nemo_curator.stages.text.download.common_crawl import (
    CommonCrawlWARCDownloader,
    CommonCrawlWarcIterator,
    CommonCrawlWetIterator,
    MainCommonCrawlUrlGenerator,
    NewsCommonCrawlUrlGenerator,
)
from tests.stages.text.download.common_crawl.archives import http, page, record

SNAPSHOT = "CC-MAIN-2024-10"


def listed(server, kind, files):
    """Put archives on the server, with the lists that lead to them."""
    server.put("/collinfo.json", json.dumps([{"id": SNAPSHOT}]).encode())
    folder = f"crawl-data/{SNAPSHOT}"
    for name, records in files.items():
        server.put(f"/{folder}/{name}", b"".join(gzip.compress(one, mtime=0) for one in records))
    paths = "\n".join(f"{folder}/{name}" for name in files)
    server.put(f"/{folder}/{kind}.paths.gz", gzip.compress(paths.encode()))
    return MainCommonCrawlUrlGenerator("2024-10", "2024-10", server.url, index_prefix=server.url, kind=kind)


def responses(numbers):
    return [record("warcinfo", 0, b"a: b"), *(record("response", number, http(page(number))) for number in numbers)]


def stages(urls, folder, iterator):
    return [
        URLGenerationStage(urls),
        DocumentDownloadStage(CommonCrawlWARCDownloader(str(folder))),
        DocumentIterateExtractStage(iterator),
    ]


def test_pages_of_a_snapshot_become_rows_and_damage_is_counted(server, tmp_path):
    urls = listed(server, "warc", {"a.warc.gz": responses(range(3)), "b.warc.gz": responses(range(3, 6))})
    path = f"/crawl-data/{SNAPSHOT}/b.warc.gz"
    data = bytearray(server.files[path])
    data[len(data) // 2] ^= 0xFF
    server.put(path, bytes(data))
    made = Pipeline("test", stages=stages(urls, tmp_path, CommonCrawlWarcIterator()))
    with pytest.raises(RunFailedError, match="DamagedRecordError"):
        made.run(LocalExecutor(num_workers=0))
    tasks = made.run(LocalExecutor(num_workers=0), max_failed_fraction=0.2)
    rows = [row for task in tasks for row in task.to_pyarrow().to_pylist()]
    assert [row["content"] for row in rows] == [page(number) for number in (0, 1, 2, 3, 5)]
    name = f"crawl-data-{SNAPSHOT}-a.warc.gz"
    assert {key: rows[0][key] for key in ("url", "source_id", "file_name")} == {
        "url": "http://example.com/0",
        "source_id": name,
        "file_name": name,
    }
    count = made.last_run.stages[-1]
    assert (count.rows_in, count.rows_out, count.rows_failed, count.imbalance) == (6, 5, 1, 0)
    assert f"crawl-data-{SNAPSHOT}-b.warc.gz, byte " in count.failures[0].source


def test_texts_of_a_snapshot_become_rows(server, tmp_path):
    texts = [record("conversion", number, f"text {number}".encode()) for number in range(3)]
    urls = listed(server, "wet", {"a.warc.wet.gz": texts})
    tasks = Pipeline("test", stages=stages(urls, tmp_path, CommonCrawlWetIterator())).run(LocalExecutor(num_workers=0))
    assert [task.values("text") for task in tasks] == [["text 0", "text 1", "text 2"]]


def test_a_list_that_is_missing_ends_the_run(server, tmp_path):
    urls = listed(server, "warc", {"a.warc.gz": responses([1])})
    del server.files[f"/crawl-data/{SNAPSHOT}/warc.paths.gz"]
    with pytest.raises(Exception, match="404"):
        Pipeline("test", stages=stages(urls, tmp_path, CommonCrawlWarcIterator())).run(LocalExecutor(num_workers=0))


def build(folder, **settings):
    return CommonCrawlDownloadExtractStage("2024-10", "2024-18", str(folder), **settings)


@pytest.mark.parametrize(
    ("settings", "urls", "calls"),
    [
        ({"html_extraction": "justext"}, MainCommonCrawlUrlGenerator, 2),
        ({"html_extraction": "JusText"}, MainCommonCrawlUrlGenerator, 2),
        ({"html_extraction": "resiliparse", "crawl_type": "main"}, MainCommonCrawlUrlGenerator, None),
        ({"html_extraction": "justext", "extractor_max_calls_per_worker": 7}, MainCommonCrawlUrlGenerator, 7),
        ({"crawl_type": "wet"}, MainCommonCrawlUrlGenerator, None),
    ],
)
def test_the_parts_are_those_that_the_parameters_ask_for(tmp_path, settings, urls, calls):
    stage = build(tmp_path, url_limit=3, record_limit=4, add_filename_column="file", **settings)
    assert stage.name == f"common_crawl_{settings.get('crawl_type', 'main')}_pipeline"
    listing, downloading, extracting = stage.decompose()
    assert isinstance(listing.url_generator, urls)
    assert (listing.url_generator.limit, listing.limit) == (3, 3)
    assert isinstance(downloading.downloader, CommonCrawlWARCDownloader)
    assert (extracting.record_limit, extracting.max_calls_per_worker) == (4, calls)
    assert extracting.outputs()[1] == ["url", "warc_id", "source_id", "language", "text", "file"]


def test_news_are_listed_by_months(tmp_path):
    stage = CommonCrawlDownloadExtractStage("2024-01", "2024-03", str(tmp_path), "news", html_extraction="resiliparse")
    assert stage.name == "common_crawl_news_pipeline"
    assert isinstance(stage.url_generator, NewsCommonCrawlUrlGenerator)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"crawl_type": "wat", "html_extraction": "justext"}, "wanted 'main', 'news' or 'wet'"),
        ({"crawl_type": "wet", "html_extraction": "justext"}, "html_extraction and stop_lists have no use"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(tmp_path, settings, problem):
    with pytest.raises(ValueError, match=problem):
        build(tmp_path, **settings)


@pytest.mark.parametrize("html_extraction", ["resiliparse", "justext"])
def test_pages_become_documents(server, tmp_path, html_extraction):
    """All of it, from the list of snapshots to texts."""
    text = " ".join(["This is the text of the page and it is what we want to have of it."] * 20)
    body = f"<html><head><title>t</title></head><body><p>{text}</p></body></html>".encode()
    urls = listed(server, "warc", {"a.warc.gz": [record("response", 1, http(body)), record("request", 2, b"GET /")]})
    stage = build(tmp_path, html_extraction=html_extraction)
    stage.url_generator = urls
    (task,) = Pipeline("test", stages=[stage]).run(LocalExecutor(num_workers=0))
    assert task.get_columns() == ["url", "warc_id", "source_id", "language", "text", "file_name"]
    assert text in task.values("text")[0]


def test_a_download_of_ones_own_loads_nothing_of_common_crawl():
    code = (
        "import sys\nfrom nemo_curator.stages.text.download import DocumentDownloader, URLGenerator\n"
        "print([name for name in sys.modules if 'common_crawl' in name or name in ('brotli', 'zlib_ng')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
