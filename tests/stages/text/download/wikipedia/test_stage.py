"""Which files a dump has, that they arrive whole, and the whole stage over a server on loopback."""

import bz2
import hashlib
import json
import logging
import time
from pathlib import Path

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import InputError, RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.download import WikipediaDownloadExtractStage
from nemo_curator.stages.text.download.base import DownloadError
from nemo_curator.stages.text.download.wikipedia import WikipediaDownloader, WikipediaUrlGenerator, url_generation

JAPANESE = Path(__file__).parents[5].parent / "shared/data/text/wikipedia/jawiki_export0.3_66p.xml.bz2"
# as the server of the dumps lists them
INDEX = """<html><head><title>Index of /enwiki/</title></head><body><h1>Index of /enwiki/</h1><hr><pre>
<a href="../">../</a>
<a href="20240801/">20240801/</a>          01-Sep-2024 01:26    -
<a href="20241001/">20241001/</a>          02-Oct-2024 21:03    -
<a href="20240901/">20240901/</a>          02-Oct-2024 13:40    -
<a href="latest/">latest/</a>            02-Oct-2024 13:40    -
</pre></body></html>"""
DUMP = """<mediawiki version="0.11"><siteinfo></siteinfo>
<page><title>Cat</title><ns>0</ns><id>1</id><revision><text>A '''cat''' is an [[animal]].</text></revision></page>
<page><title>Box</title><ns>0</ns><id>2</id><revision><text>{{box}}</text></revision></page>
<page><title>Talk:Cat</title><ns>1</ns><id>3</id><revision><text>Hm.</text></revision></page>
<page><title>Kitty</title><ns>0</ns><id>4</id><redirect title="Cat" /><revision><text>x</text></revision></page>
</mediawiki>"""


def status(files, state="done", job="articlesmultistreamdump"):
    return json.dumps({"version": "0.8", "jobs": {"articlesdump": {}, job: {"status": state, "files": files}}}).encode()


def files(date="20241001", wiki="enwiki", checksum=None):
    names = [f"{wiki}-{date}-pages-articles-multistream{part}.xml-p{part}.bz2" for part in (1, 2)]
    facts = {"size": 1, "url": "/x", **({"sha1": checksum, "md5": "0"} if checksum else {})}
    return {
        names[0]: facts,
        names[1]: facts,
        f"{wiki}-{date}-pages-articles-multistream-index1.txt-p1.bz2": facts,
    }


def urls(server, date, wiki="enwiki"):
    folder = f"{server.url}/{wiki}/{date}"
    return [f"{folder}/{wiki}-{date}-pages-articles-multistream{part}.xml-p{part}.bz2" for part in (1, 2)]


def generate(server, date=None, language="en"):
    return WikipediaUrlGenerator(language, date, server.url).generate_urls()


def put_status(server, date, data, *answers, **settings):
    server.put(f"/enwiki/{date}/dumpstatus.json", data, *answers, **settings)


def test_the_newest_complete_dump_is_found(server):
    server.put("/enwiki", INDEX.encode())
    put_status(server, "20241001", status(files(), "in-progress"))
    put_status(server, "20240901", status(files("20240901")))
    assert generate(server) == urls(server, "20240901")
    asked = [path for path, _ in server.asked]
    assert asked == ["/enwiki", "/enwiki/20241001/dumpstatus.json", "/enwiki/20240901/dumpstatus.json"]


@pytest.mark.parametrize("code", [404, 408, 429, 503])
def test_a_date_that_cannot_be_had_gives_way_to_an_older_one(server, answer, code, caplog):
    server.put("/enwiki", INDEX.encode())
    put_status(server, "20241001", b"", always=answer(status=code))
    put_status(server, "20240901", b"", always=answer(drop=True))
    put_status(server, "20240801", status(files("20240801")))
    with caplog.at_level(logging.WARNING):
        assert generate(server) == urls(server, "20240801")
    assert f"dump 20241001 is not taken: {server.url}/enwiki/20241001/dumpstatus.json: {code}" in caplog.text


def test_a_passing_trouble_is_tried_again(server, answer):
    server.put("/enwiki", INDEX.encode(), answer(status=503), answer(drop=True))
    put_status(server, "20241001", status(files()), answer(status=429, headers={"Retry-After": "0"}))
    assert generate(server) == urls(server, "20241001")


BROKEN = [b"<html>", b"[]", b"{}", status({}, "done"), status(files(), job="other"), status([1])]


@pytest.mark.parametrize("data", BROKEN)
def test_no_complete_dump_is_an_error_with_every_reason(server, data):
    server.put("/enwiki", INDEX.encode())
    for date in ("20241001", "20240901", "20240801"):
        put_status(server, date, data)
    with pytest.raises(ValueError, match="has no complete dump") as error:
        generate(server)
    assert all(date in str(error.value) for date in ("20241001", "20240901", "20240801"))


def test_an_index_without_dates_or_not_there_is_an_error(server):
    server.put("/enwiki", b"<html>")
    with pytest.raises(ValueError, match="it links to no dates"):
        generate(server)
    with pytest.raises(DownloadError, match="xxwiki: 404"):
        generate(server, language="xx")


def test_a_date_that_was_asked_for_is_taken_or_is_an_error(server):
    put_status(server, "20240901", status(files("20240901")))
    put_status(server, "20241001", status(files(), "waiting"))
    assert generate(server, "20240901") == urls(server, "20240901")
    with pytest.raises(ValueError, match="'waiting'; wanted 'done'"):
        generate(server, "20241001")
    with pytest.raises(DownloadError, match="404"):
        generate(server, "20230101")


@pytest.mark.parametrize(("language", "wiki"), [("ja", "jawiki"), ("zh-min-nan", "zh_min_nanwiki")])
def test_a_language_has_its_wiki(server, language, wiki):
    date = "20241001"
    server.put(f"/{wiki}/{date}/dumpstatus.json", status(files(date, wiki)))
    assert generate(server, date, language) == urls(server, date, wiki)


@pytest.mark.parametrize(("language", "date"), [("EN", None), ("../x", None), ("en", "2024-10-01"), ("en", "latest")])
def test_what_is_no_language_or_date_is_refused(language, date):
    with pytest.raises(ValueError, match="wanted"):
        WikipediaUrlGenerator(language, date)


@pytest.mark.parametrize("kind", ["sha1", "md5"])
def test_a_download_is_checked_by_the_checksum_of_the_dump(server, tmp_path, kind):
    good, bad = urls(server, "20241001")
    data = bz2.compress(DUMP.encode())
    facts = {kind: hashlib.new(kind, data).hexdigest()}
    put_status(server, "20241001", status({url.rpartition("/")[2]: facts for url in (good, bad)}))
    for url, sent in ((good, data), (bad, data[:-1] + b"x")):
        server.put(url.removeprefix(server.url), sent)
    downloader = WikipediaDownloader(str(tmp_path))
    path = Path(downloader.download(good))
    assert path.name == "enwiki-20241001-enwiki-20241001-pages-articles-multistream1.xml-p1.bz2"
    assert path.read_bytes() == data
    assert downloader.download(bad) is None
    assert "wrong checksum" in downloader.last_error
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert sum(path.endswith(".json") for path, _ in server.asked) == 1


def test_a_file_without_a_list_beside_it_is_downloaded_and_the_log_says_so(server, tmp_path, caplog):
    url = server.put("/mirror/x.xml.bz2", b"data")
    with caplog.at_level(logging.WARNING):
        assert Path(WikipediaDownloader(str(tmp_path)).download(url)).read_bytes() == b"data"
    assert "x.xml.bz2 is not checked by a checksum" in caplog.text


def test_two_downloads_run_on_a_machine(tmp_path):
    stages = WikipediaDownloadExtractStage(download_dir=str(tmp_path)).decompose()
    assert stages[1].xenna_stage_spec() == {"num_workers_per_node": 2}


def put_dump(server, date="20241001"):
    data = bz2.compress(DUMP.encode())
    put_status(server, date, status(files(date, checksum=hashlib.sha1(data).hexdigest())))
    for url in urls(server, date):
        server.put(url.removeprefix(server.url), data)


def test_the_stage_downloads_a_dump_and_makes_documents(server, tmp_path):
    put_dump(server)
    stage = WikipediaDownloadExtractStage("en", str(tmp_path), "20241001", server.url)
    made = Pipeline("test", stages=[stage])
    batches = made.run(LocalExecutor(num_workers=2))
    rows = [row for batch in batches for row in batch.to_pyarrow().to_pylist()]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [(row["id"], row["text"], row["file_name"]) for row in rows] == [
        (identifier, text, name) for name in names for identifier, text in [("1", "A cat is an animal."), ("2", "")]
    ]
    assert rows[0]["url"] == "https://en.wikipedia.org/wiki/Cat"
    assert rows[0]["source_id"] == names[0]
    assert (made.last_run.stages[-1].rows_in, made.last_run.stages[-1].rows_out) == (4, 4)


def test_a_real_dump_in_another_language_goes_all_the_way(server, tmp_path):
    if not JAPANESE.exists():
        pytest.skip(f"{JAPANESE} is not here")
    date = "20061201"
    name = f"jawiki-{date}-pages-articles-multistream.xml.bz2"
    data = JAPANESE.read_bytes()
    server.put(f"/jawiki/{date}/dumpstatus.json", status({name: {"sha1": hashlib.sha1(data).hexdigest()}}))
    server.put(f"/jawiki/{date}/{name}", data)
    stage = WikipediaDownloadExtractStage("ja", str(tmp_path), date, server.url, record_limit=5)
    (batch,) = Pipeline("test", stages=[stage]).run(LocalExecutor(num_workers=0))
    assert batch.column("title").to_pylist()[:2] == ["アンパサンド", "エスペラント"]
    assert batch.column("language").to_pylist() == ["ja"] * 5


def test_a_file_that_does_not_arrive_fails_the_run_and_the_other_is_read(server, answer, tmp_path):
    put_dump(server)
    server.always[urls(server, "20241001")[1].removeprefix(server.url)] = answer(status=403)
    made = Pipeline("test", stages=[WikipediaDownloadExtractStage("en", str(tmp_path), "20241001", server.url)])
    with pytest.raises(RunFailedError, match="403"):
        made.run(LocalExecutor(num_workers=0))
    assert made.last_run.stages[-1].rows_out == 2


def test_limits_names_and_parameters_are_the_documented_ones(server, tmp_path):
    put_dump(server)
    stage = WikipediaDownloadExtractStage(
        language="en",
        download_dir=str(tmp_path),
        dump_date="20241001",
        wikidumps_index_prefix=server.url,
        verbose=True,
        url_limit=1,
        record_limit=1,
        add_filename_column="origin",
        log_frequency=1,
    )
    assert stage.name == "wikipedia_en_pipeline"
    (batch,) = Pipeline("test", stages=[stage]).run(LocalExecutor(num_workers=0))
    assert batch.get_columns() == ["text", "title", "id", "url", "language", "source_id", "origin"]
    assert batch.column("title").to_pylist() == ["Cat"]


def test_no_answer_is_waited_for_without_end(server, answer, monkeypatch):
    monkeypatch.setattr(url_generation, "RETRIES", 1)
    put_status(server, "20241001", b"", always=answer(status=503))
    start = time.monotonic()
    with pytest.raises((InputError, DownloadError), match="503"):
        generate(server, "20241001")
    assert time.monotonic() - start < 5
