"""Where archives come from: folders and web servers; tests/storage has those of a bucket."""

import pytest

from nemo_curator.errors import InputError
from nemo_curator.stages.text.download.arxiv import ArxivDownloader, ArxivDownloadExtractStage, ArxivUrlGenerator
from tests.stages.text.download.arxiv.papers import document, paper, run, tar


def test_archives_of_a_folder_are_listed_by_name(tmp_path):
    for name in ("b.tar", "a.tar", "manifest.xml"):
        (tmp_path / name).write_bytes(b"")
    assert ArxivUrlGenerator(str(tmp_path)).generate_urls() == [f"{tmp_path}/a.tar", f"{tmp_path}/b.tar"]


@pytest.mark.parametrize(("make", "message"), [(False, "no folder that can be listed"), (True, "among its 0 entries")])
def test_a_folder_without_archives_is_an_error(tmp_path, make, message):
    if make:
        (tmp_path / "src").mkdir()
    with pytest.raises(InputError, match=message):
        ArxivUrlGenerator(str(tmp_path / "src")).generate_urls()


def test_archives_come_from_web_servers_too(server, answer, tmp_path):
    data = tar({"2101.00001.gz": paper(document("\\section{S} s"))})
    url = server.put("/src/a.tar", data, answer(cut_after=700))
    assert ArxivDownloader(str(tmp_path)).download(url) == str(tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_bytes() == data


def test_a_missing_archive_says_so(tmp_path):
    downloader = ArxivDownloader(str(tmp_path))
    assert downloader.download(f"{tmp_path}/src/missing.tar") is None
    assert "missing.tar" in downloader.last_error
    assert list(tmp_path.iterdir()) == []


def test_the_stage_has_the_documented_parameters():
    stage = ArxivDownloadExtractStage()
    assert (stage.name, stage.download_dir, stage.url_limit, stage.record_limit) == (
        "arxiv_pipeline",
        "./arxiv_downloads",
        None,
        None,
    )
    assert (stage.add_filename_column, stage.log_frequency, stage.verbose) == (True, 1000, False)


def test_parts_are_called_by_their_classes(tmp_path):
    parts = ArxivDownloadExtractStage(str(tmp_path)).decompose()
    assert [part.name for part in parts] == [
        "url_generation_arxivurlgenerator",
        "download_arxivdownloader",
        "iterate_extract_arxiviterator_arxivextractor",
    ]
    assert parts[-1].outputs()[1] == ["text", "id", "file_name"]


def test_limits_and_the_name_of_the_column_reach_the_parts(tmp_path):
    papers = {f"2101.0000{number}.gz": paper(document(f"\\section{{S}} {number}")) for number in range(3)}
    rows, _ = run(tmp_path, papers, record_limit=2, add_filename_column="archive")
    assert [(row["id"], row["archive"]) for row in rows] == [
        ("2101.00000", "arXiv_src_2101_001.tar"),
        ("2101.00001", "arXiv_src_2101_001.tar"),
    ]
