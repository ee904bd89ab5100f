"""Articles out of dumps: real ones, of several versions, damaged in every way, and larger than memory should be."""

import bz2
import logging
import os
import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from nemo_curator.errors import InputError
from nemo_curator.ledger.counts import StageCount, counting
from nemo_curator.stages.text.download.base import DocumentIterateExtractStage
from nemo_curator.stages.text.download.wikipedia import WikipediaExtractor, WikipediaIterator, dump_bytes, dump_pages
from nemo_curator.tasks import FileGroupTask

ROOT = Path(__file__).parents[5]
DUMPS = ROOT.parent / "shared/data/text/wikipedia"
ENGLISH, JAPANESE = "enwiki_pages_articles_361p.xml.bz2", "jawiki_export0.3_66p.xml.bz2"

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-{version}/" version="{version}" xml:lang="en">
  <siteinfo><namespaces><namespace key="0" case="first-letter" /><namespace key="1">Diskussion</namespace>
  <namespace key="4">Wikipedia &amp; Co</namespace></namespaces></siteinfo>
"""
FOOT = "</mediawiki>\n"


def page(number, text="Text", title=None, extra="<ns>0</ns>"):
    title = escape(title or f"Title {number}")
    return (
        f"  <page>\n    <title>{title}</title>\n    {extra}\n    <id>{number}</id>\n    <revision>\n      <id>9</id>\n"
        f'      <text xml:space="preserve">{escape(text)}</text>\n    </revision>\n  </page>\n'
    )


def dump(*pages, version="0.11"):
    return (HEAD.format(version=version) + "".join(pages) + FOOT).encode()


def multistream(*groups):
    return b"".join(bz2.compress(group) for group in groups)


def iterate(path, data=None, language="en"):
    """Iterate a file as a stage does; return the ids, and what was counted beside them."""
    if data is not None:
        path.write_bytes(data)
    count = StageCount("test")
    with counting(count):
        ids = [record["id"] for record in WikipediaIterator(language).iterate(str(path))]
    assert (count.rows_seen or 0) == count.rows_failed
    return ids, count


def real(name):
    if not (DUMPS / name).exists():
        pytest.skip(f"{DUMPS / name} is not here")
    return DUMPS / name


def test_an_english_dump_becomes_documents():
    task = FileGroupTask(data=[str(real(ENGLISH))])
    stage = DocumentIterateExtractStage(WikipediaIterator(), WikipediaExtractor(), record_limit=20)
    rows = [row for batch in stage.process(task) for row in batch.to_pyarrow().to_pylist()]
    assert len(rows) == 20
    assert list(rows[0]) == ["text", "title", "id", "url", "language", "source_id", "file_name"]
    assert rows[0]["text"].startswith("Anarchism is a political philosophy that advocates stateless societies")
    del rows[0]["text"]
    assert rows[0] == {
        "title": "Anarchism",
        "id": "12",
        "url": "https://en.wikipedia.org/wiki/Anarchism",
        "language": "en",
        "source_id": ENGLISH,
        "file_name": ENGLISH,
    }


def test_a_dump_of_2006_has_no_namespaces_at_its_pages_and_is_understood():
    records = list(WikipediaIterator("ja").iterate(str(real(JAPANESE))))
    assert [record["title"] for record in records[:4]] == ["アンパサンド", "エスペラント", "言語", "日本語"]
    assert records[2]["url"] == "https://ja.wikipedia.org/wiki/%E8%A8%80%E8%AA%9E"
    assert not [record["title"] for record in records if record["title"].startswith(("Wikipedia:", "Template:"))]
    text = WikipediaExtractor("ja").extract(records[3])["text"]
    assert text.startswith("日本語（にほんご）は、狭義の日本民族（大和民族）の言語であり")


@pytest.mark.parametrize(
    ("name", "number"), [(ENGLISH, 215), ("enwiki-table-markup.xml.bz2", 5), ("testcorpus.xml.bz2", 9)]
)
def test_real_dumps_are_read_whole(name, number):
    ids, count = iterate(real(name))
    assert len(ids) == number
    assert count.rows_failed == 0


def test_only_articles_come_through(tmp_path):
    pages = [
        page(1),
        page(2, extra="<ns>1</ns>", title="Talk:Title"),
        page(3, extra='<ns>0</ns><redirect title="x" />'),
        page(4, "#REDIRECT [[x]]"),
        page(5, ""),
        page(6, " \n"),
        page(7, extra="", title="Diskussion:x"),
        page(8, extra="", title="Wikipedia & Co:x"),
        page(9, extra="", title="Mission: Impossible"),
        page(10, "#転送 [[x]]", extra=""),
        page(11, "# [[item]]"),
    ]
    assert iterate(tmp_path / "x.xml", dump(*pages))[0] == ["1", "9", "11"]


@pytest.mark.parametrize("version", ["0.3", "0.10", "0.11"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "iso-8859-1"])
def test_any_version_and_encoding_reads_the_same(tmp_path, version, encoding):
    text = '<?xml version="1.0" encoding="iso-8859-1"?>' if encoding == "iso-8859-1" else ""
    text += dump(page(1, "é <b> &"), page(2), version=version).decode()
    (tmp_path / "x.xml").write_bytes(text.encode(encoding))
    first, second = WikipediaIterator().iterate(str(tmp_path / "x.xml"))
    assert (first["raw_content"], second["id"]) == ("é <b> &", "2")


@pytest.mark.parametrize("chunk", [1, 7, 2**18])
def test_where_the_pieces_end_does_not_matter(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(dump_bytes, "CHUNK", chunk)
    data = dump(*map(page, range(5)))
    assert iterate(tmp_path / "x.xml", data)[0] == list("01234")
    assert iterate(tmp_path / "x.bz2", multistream(data[:700], data[700:]))[0] == list("01234")


def test_a_broken_page_costs_itself(tmp_path):
    broken = page(2).replace("<title>", "<titel>")
    untitled = page(3).replace("title>", "name>")
    elsewhere = page(5, extra="<ns>zero</ns>")
    ids, count = iterate(tmp_path / "x.xml", dump(page(1), broken, untitled, page(4), elsewhere))
    assert ids == ["1", "4"]
    assert count.failed == {"ParseError": 1, "InputError": 2}
    assert count.failures[0].source == f"{tmp_path / 'x.xml'}, page 2"


def test_a_page_without_its_end_costs_itself(tmp_path):
    ids, count = iterate(tmp_path / "x.xml", dump(page(1), page(2).replace("</page>", ""), page(3)))
    assert (ids, count.rows_failed) == (["1", "3"], 1)


def test_bytes_that_are_no_text_cost_their_page(tmp_path):
    data = dump(page(1), page(2, "MARK"), page(3)).replace(b"MARK", b"\xff\xfe")
    ids, count = iterate(tmp_path / "x.xml", data)
    assert (ids, count.failed) == (["1", "3"], {"ParseError": 1})


def test_a_page_beyond_the_limit_is_set_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(dump_pages, "LARGEST_PAGE", 10_000)
    monkeypatch.setattr(dump_bytes, "CHUNK", 1000)
    ids, count = iterate(tmp_path / "x.xml", dump(page(1), page(2, "x" * 50_000), page(3)))
    assert (ids, count.rows_failed) == (["1", "3"], 1)
    assert "more than 10000 bytes" in count.failures[0].message


@pytest.mark.parametrize("compress", [False, True])
def test_a_file_that_ends_within_a_page_is_counted(tmp_path, compress):
    data = dump(page(1), page(2), page(3))
    data = data[: data.rindex(b"</text>")]
    ids, count = iterate(tmp_path / "x", bz2.compress(data) if compress else data)
    assert (ids, count.rows_failed) == (["1", "2"], 1)
    assert "ends within a page" in count.failures[0].message


def test_a_compressed_file_that_is_cut_off_is_counted(tmp_path):
    data = multistream(dump(page(1))[:-13], page(2, os.urandom(5000).hex()).encode())
    ids, count = iterate(tmp_path / "x.bz2", data[:-1000])
    assert (ids, count.rows_failed) == (["1"], 1)
    assert "ends within a bz2 stream" in count.failures[0].message


def test_a_dump_that_lacks_its_end_alone_is_read_and_named_in_the_log(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        ids, count = iterate(tmp_path / "x.xml", dump(page(1)).replace(FOOT.encode(), b""))
    assert (ids, count.rows_failed) == (["1"], 0)
    assert "does not end with </mediawiki>" in caplog.text


def streams():
    head, foot = HEAD.format(version="0.11").encode(), FOOT.encode()
    groups = [[page(10 * group + item, os.urandom(300).hex()) for item in range(3)] for group in range(1, 5)]
    return [bz2.compress(part) for part in (head, *("".join(group).encode() for group in groups), foot)]


@pytest.mark.parametrize("place", [0.2, 0.5, 0.9])
def test_a_damaged_stream_costs_its_pages_and_the_next_goes_on(tmp_path, place):
    parts = streams()
    damaged = bytearray(parts[2])
    damaged[int(place * len(damaged))] ^= 0xFF
    ids, count = iterate(tmp_path / "x.bz2", b"".join([*parts[:2], bytes(damaged), *parts[3:]]))
    assert ids == ["10", "11", "12", "30", "31", "32", "40", "41", "42"]
    assert count.rows_failed >= 1
    assert "damaged bz2 stream" in count.failures[0].message


def test_bytes_between_streams_are_counted_and_padding_is_not(tmp_path):
    parts = streams()
    ids, count = iterate(tmp_path / "x.bz2", b"".join([*parts[:2], b"garbage", *parts[2:], b"\0" * 512]))
    assert (len(ids), count.rows_failed) == (12, 1)


def test_no_text_of_a_block_with_a_wrong_checksum_comes_through(tmp_path):
    good = dump(*(page(number, os.urandom(2000).hex()) for number in range(500)))
    whole = bz2.compress(good)
    damaged = bytearray(whole)
    damaged[len(whole) * 9 // 10] ^= 0x10
    (tmp_path / "x.bz2").write_bytes(damaged)
    with counting(StageCount("test")):
        records = list(WikipediaIterator().iterate(str(tmp_path / "x.bz2")))
    assert len(records) > 50
    assert all(f">{record['raw_content']}<".encode() in good for record in records)


@pytest.mark.parametrize(("name", "data"), [("x.bz2", b"<html>"), ("x.xml", b"<html>error</html>"), ("x.xml", b"")])
def test_what_is_no_dump_is_an_error(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=r"x\.(bz2|xml)"):
        list(WikipediaIterator().iterate(str(tmp_path / name)))


def test_a_dump_without_pages_is_empty(tmp_path):
    assert iterate(tmp_path / "x.xml", dump())[0] == []


@pytest.mark.parametrize(("compress", "few", "many"), [(False, 5, 110), (True, 2, 8)])
def test_memory_stays_flat_however_long_the_dump_is(tmp_path, compress, few, many):
    part = "".join(page(number, os.urandom(5000).hex()) for number in range(100)).encode()
    part = bz2.compress(part) if compress else part
    head = HEAD.format(version="0.11").encode()
    code = (
        "import resource, sys; from nemo_curator.stages.text.download.wikipedia import WikipediaIterator\n"
        "for path in sys.argv[1:]:\n"
        "    print(sum(1 for _ in WikipediaIterator().iterate(path)), "
        "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    paths = [tmp_path / "few", tmp_path / "many"]
    for path, times in zip(paths, (few, many), strict=True):
        with path.open("wb") as file:
            file.write(bz2.compress(head) if compress else head)
            file.writelines(part for _ in range(times))
    run = [sys.executable, "-c", code, *map(str, paths)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(run, capture_output=True, text=True, check=True, env=environment)
    numbers, found = zip(*(map(int, line.split()) for line in done.stdout.splitlines()), strict=True)
    assert numbers == (100 * few, 100 * many)
    assert found[1] < 1.1 * found[0]


def test_messages_come_at_every_so_many_articles(tmp_path, caplog):
    (tmp_path / "x.xml").write_bytes(dump(*map(page, range(10))))
    with caplog.at_level(logging.INFO):
        list(WikipediaIterator(log_frequency=4).iterate(str(tmp_path / "x.xml")))
    assert [message.partition(": ")[2] for message in caplog.messages] == ["4 articles so far", "8 articles so far"]
    with pytest.raises(ValueError, match="wanted at least 1"):
        WikipediaIterator(log_frequency=0)
