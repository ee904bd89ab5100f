"""arXiv's bucket, whose readers pay for what they ask for."""

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import InputError, RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.download.arxiv import ArxivDownloader, ArxivDownloadExtractStage, ArxivUrlGenerator
from tests.stages.text.download.arxiv.papers import document, paper, tar

NAMES = ["arXiv_src_2101_001.tar", "arXiv_src_2101_002.tar"]


@pytest.fixture
def bucket(store, variables):
    """The URL of a folder like arXiv's: archives, and other files beside them."""
    fs, url = store
    for number, name in enumerate(NAMES):
        data = tar({f"2101/2101.0000{number}.gz": paper(document(f"\\section{{S}} {number}"))})
        fs.pipe_file(f"{url}/src/{name}", data)
    fs.pipe_file(f"{url}/src/arXiv_src_manifest.xml", b"<xml/>")
    return fs, f"{url}/src/"


def test_papers_come_from_a_bucket_and_every_request_says_who_pays(bucket, proxy, tmp_path):
    _, url = bucket
    proxy.make()
    pipeline = Pipeline("arxiv", stages=[ArxivDownloadExtractStage(str(tmp_path), url_prefix=url)])
    rows = [row for task in pipeline.run(LocalExecutor(num_workers=0)) for row in task.to_pyarrow().to_pylist()]
    assert [(row["id"], row["text"], row["file_name"]) for row in rows] == [
        (f"2101.0000{number}", f"\\section{{S}} {number}", name) for number, name in enumerate(NAMES)
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == NAMES
    assert proxy.counts["requester pays"] == proxy.counts["requests"] > 4


def test_archives_are_listed_by_name_and_nothing_else_is(bucket):
    _, url = bucket
    assert ArxivUrlGenerator(url).generate_urls() == [f"{url}{name}" for name in NAMES]


@pytest.mark.parametrize(("folder", "message"), [("nowhere/", "no folder that can be listed"), ("other/", "no .tar")])
def test_a_place_without_archives_is_an_error(bucket, folder, message):
    fs, url = bucket
    fs.pipe_file(f"{url}other/readme", b"x")
    with pytest.raises(InputError, match=message):
        ArxivUrlGenerator(f"{url}{folder}").generate_urls()


def test_a_download_that_breaks_off_goes_on_where_it_was(bucket, proxy, tmp_path):
    fs, url = bucket
    data = bytes(range(256)) * 2**16  # four pieces
    fs.pipe_file(f"{url}large.tar", data)
    proxy.make(persistent=("large.tar",), after=3, methods=("GET",))
    downloader = ArxivDownloader(str(tmp_path))
    assert downloader.download(f"{url}large.tar") is None
    assert "large.tar: OSError: [Errno 121] We encountered an internal error" in downloader.last_error
    arrived = (tmp_path / "large.tar.tmp").stat().st_size
    assert 0 < arrived < len(data)
    proxy.make()
    assert downloader.download(f"{url}large.tar") == str(tmp_path / "large.tar")
    assert (tmp_path / "large.tar").read_bytes() == data
    assert proxy.counts["bytes"] < len(data) - arrived + 2**20
    assert [path.name for path in tmp_path.iterdir()] == ["large.tar"]


def test_parts_of_two_versions_are_never_put_together(bucket, tmp_path):
    fs, url = bucket
    (tmp_path / "a.tar.tmp").write_bytes(b"old")
    (tmp_path / "a.tar.tmp.etag").write_text('"of another version"')
    fs.pipe_file(f"{url}a.tar", b"a new version")
    assert ArxivDownloader(str(tmp_path)).download(f"{url}a.tar") == str(tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_bytes() == b"a new version"


def test_an_archive_that_is_refused_is_counted_and_the_others_go_on(bucket, proxy, tmp_path):
    _, url = bucket
    proxy.make(persistent=(NAMES[0],))
    pipeline = Pipeline("arxiv", stages=[ArxivDownloadExtractStage(str(tmp_path), url_prefix=url)])
    with pytest.raises(RunFailedError, match=NAMES[0]):
        pipeline.run(LocalExecutor(num_workers=0))
    download, iterate = pipeline.last_run.stages[1:]
    assert (download.rows_in, download.rows_out, download.rows_failed, iterate.rows_out) == (2, 1, 1, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAMES[1]]
