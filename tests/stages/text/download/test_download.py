"""URLs become files, each once, and a download that fails is counted, whatever way a user's downloader fails."""

from dataclasses import dataclass

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.download import DocumentDownloader, URLGenerator, download_file
from nemo_curator.stages.text.download.base import DocumentDownloadStage, URLGenerationStage
from nemo_curator.tasks import EmptyTask

DATA = b"0123456789" * 10


@dataclass
class Urls(URLGenerator):
    urls: list[str]

    def generate_urls(self):
        return self.urls


class ByLastPart(DocumentDownloader):
    def _get_output_filename(self, url):
        return url.rpartition("/")[2]


def pipeline(urls, downloader):
    return Pipeline("test", stages=[URLGenerationStage(Urls(urls)), DocumentDownloadStage(downloader)])


def test_a_finished_file_is_not_fetched_again(server, tmp_path):
    url = server.put("/x", DATA)
    for _ in range(2):
        assert ByLastPart(str(tmp_path)).download(url) == str(tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == DATA
    assert len(server.asked) == 1


def test_an_empty_file_of_that_name_is_fetched_again(server, tmp_path):
    (tmp_path / "x").touch()
    assert ByLastPart(str(tmp_path)).download(server.put("/x", DATA)) == str(tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == DATA


def test_a_killed_download_goes_on_with_the_next_downloader(server, answer, tmp_path):
    url = server.put("/x", DATA, answer(cut_after=40))
    downloader = Impatient(str(tmp_path))
    assert downloader.download(url) is None
    assert "gave up after 1 attempts" in downloader.last_error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.tmp", "x.tmp.etag"]
    assert ByLastPart(str(tmp_path)).download(url) == str(tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == DATA
    assert server.sent == len(DATA)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


class Impatient(ByLastPart):
    def _download_to_path(self, url, path):
        download_file(url, path, retries=0)
        return True, None


class Refuses(ByLastPart):
    def _download_to_path(self, url, path):
        return False, "the bucket is closed"


class Pretends(ByLastPart):
    def _download_to_path(self, url, path):
        return True, None


class Breaks(ByLastPart):
    def _download_to_path(self, url, path):
        raise KeyError("no such bucket")


class ReturnsNone(ByLastPart):
    def download(self, url):
        return None


@pytest.mark.parametrize(
    ("downloader", "reason"),
    [
        (Refuses, "the bucket is closed"),
        (Pretends, "FileNotFoundError"),
        (Breaks, "no such bucket"),
        (ReturnsNone, "the downloader returned None"),
    ],
)
def test_whatever_way_a_users_downloader_fails_each_url_is_counted(tmp_path, downloader, reason):
    made = pipeline(["u:a", "u:b"], downloader(str(tmp_path)))
    with pytest.raises(RunFailedError, match=reason):
        made.run(LocalExecutor(num_workers=0))
    count = made.last_run.stages[1]
    assert (count.rows_in, count.rows_out, count.rows_failed) == (2, 0, 2)


@pytest.mark.parametrize("name", ["../x", "/etc/x", ".", ""])
def test_a_file_name_cannot_leave_the_folder(tmp_path, name):
    class Elsewhere(ByLastPart):
        def _get_output_filename(self, url):
            return name

    with pytest.raises(ValueError, match="outside of"):
        Elsewhere(str(tmp_path / "raw")).download("http://127.0.0.1/x")


def test_a_url_listed_twice_is_taken_once(server, tmp_path):
    url = server.put("/x", DATA)
    made = pipeline([url, url], ByLastPart(str(tmp_path)))
    assert [task.data for task in made.run(LocalExecutor(num_workers=0))] == [[str(tmp_path / "x")]]
    assert made.last_run.stages[0].dropped == {"repeated_url": 1}


class TwoAtATime(ByLastPart):
    def num_workers_per_node(self):
        return 2


def test_a_downloader_may_limit_its_workers_on_each_machine(tmp_path):
    stage = DocumentDownloadStage(TwoAtATime(str(tmp_path)))
    assert stage.xenna_stage_spec() == {"num_workers_per_node": 2}


def test_a_task_carries_its_url_and_then_its_file(server, tmp_path):
    url = server.put("/x", DATA)
    (task,) = URLGenerationStage(Urls([url])).process(EmptyTask())
    assert (task.data, task._metadata) == ([url], {"source_url": url})
    local = DocumentDownloadStage(ByLastPart(str(tmp_path))).process(task)
    path = str(tmp_path / "x")
    assert (local.data, local._metadata) == ([path], {"source_url": url, "source_files": [path]})
