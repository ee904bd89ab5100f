import io
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nemo_curator.errors import InputError
from nemo_curator.stages.text.download.base import DownloadError
from nemo_curator.stages.text.filters import ScoreFilter
from nemo_curator.stages.text.filters.histogram import HistogramFilter
from nemo_curator.stages.text.filters.histogram.histogram import FOLDER

LATIN = "".join(f"{character} 100\n" for character in "etaoinshrdlu ") + "] 5\nq 1\nz 1\n"
CYRILLIC = "о 9\nа 8\n] 1\nы 1\n"


def archive(path, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.size = len(content.encode())
                tar.addfile(member, io.BytesIO(content.encode()))
            else:
                member.type, member.linkname = content
                tar.addfile(member)


class Handler(SimpleHTTPRequestHandler):
    asked = 0

    def do_GET(self):
        type(self).asked += 1
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "site"
    folder.mkdir()
    archive(folder / "h.tar.gz", {f"{FOLDER}/en": LATIN, f"./{FOLDER}/ru": CYRILLIC, "README": "no"})
    Handler.asked = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def make(site, tmp_path, name="h.tar.gz", **settings):
    return HistogramFilter(cache_dir=str(tmp_path / "cache"), url=f"{site}{name}", **settings)


@pytest.mark.parametrize(
    ("text", "score"),
    [("eats 9999", 0), ("eats9", 0), ("eats 9eat", 1), ("\n eats \t", 1), ("zqzq", 0), ("", 0), (" \n", 0), ("語", 0)],
)
def test_documents_in_the_usual_characters_score_one(site, tmp_path, text, score):
    one = make(site, tmp_path)
    ScoreFilter(one).setup_on_node()
    assert one.score_document(text) == score
    assert one.keep_document(score) is bool(score)


def test_usual_is_what_comes_before_the_threshold(site, tmp_path):
    assert make(site, tmp_path, lang="ru").score_document("оааы") == 0
    assert make(site, tmp_path, lang="ru", threshold_char="x").score_document("оааы") == 1
    assert make(site, tmp_path, lang="ru", threshold=0.5).score_document("оааы") == 1


def test_histograms_are_fetched_once_and_nothing_else_stays(site, tmp_path):
    for _ in range(2):
        stage = ScoreFilter(make(site, tmp_path))
        stage.setup_on_node()
        stage.setup()
    ScoreFilter(make(site, tmp_path, lang="ru")).setup_on_node()
    assert Handler.asked == 1
    files = [str(path.relative_to(tmp_path / "cache")) for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert sorted(files) == [f"histograms/{FOLDER}/en", f"histograms/{FOLDER}/ru"]


def test_building_a_filter_fetches_nothing(site, tmp_path):
    make(site, tmp_path)
    assert Handler.asked == 0
    assert not (tmp_path / "cache").exists()


def test_a_folder_of_the_users_needs_no_server(tmp_path):
    folder = tmp_path / "histograms" / FOLDER
    folder.mkdir(parents=True)
    (folder / "xx").write_text("a\nb\n")
    one = HistogramFilter("xx", cache_dir=str(tmp_path), url="http://127.0.0.1:1/none")
    one.model_check_or_download()
    assert (one.score_document("abab"), one.score_document("abcd")) == (1, 0)


def test_what_an_earlier_program_left_half_done_is_completed(site, tmp_path):
    (tmp_path / "cache" / "histograms" / FOLDER).mkdir(parents=True)
    assert make(site, tmp_path).score_document("eat") == 1


def test_a_language_without_a_histogram_is_named(site, tmp_path):
    with pytest.raises(InputError, match=r"there is no histogram for 'xx'; there are \['en', 'ru'\]"):
        ScoreFilter(make(site, tmp_path, lang="xx")).setup_on_node()


def test_an_archive_cannot_write_elsewhere(site, tmp_path):
    evil = {
        f"{FOLDER}/../evil": "x",
        f"{FOLDER}/..": "x",
        "/evil": "x",
        f"{FOLDER}/link": (tarfile.SYMTYPE, "/etc/passwd"),
        f"{FOLDER}/deep/er": "x",
        f"{FOLDER}/en": LATIN,
    }
    archive(tmp_path / "site" / "evil.tar.gz", evil)
    make(site, tmp_path, "evil.tar.gz").model_check_or_download()
    assert sorted(path.name for path in (tmp_path / "cache").rglob("*") if not path.is_dir()) == ["en"]


@pytest.mark.parametrize("cut", [0, 10, 60])
def test_a_broken_archive_is_an_error_and_leaves_no_half_file(site, tmp_path, cut):
    whole = (tmp_path / "site" / "h.tar.gz").read_bytes()
    (tmp_path / "site" / "cut.tar.gz").write_bytes(whole[:cut])
    with pytest.raises(InputError, match="is not the archive of histograms"):
        make(site, tmp_path, "cut.tar.gz").model_check_or_download()
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_a_server_without_the_archive_is_named(site, tmp_path):
    with pytest.raises(DownloadError, match="404"):
        make(site, tmp_path, "none.tar.gz").model_check_or_download()
