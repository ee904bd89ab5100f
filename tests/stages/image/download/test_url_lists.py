"""What lists look like, and where they are cut."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.errors import InputError
from nemo_curator.ledger.counts import StageCount, counting
from nemo_curator.stages.image.download.url_lists import ListColumns, cut, find_columns, read_part

URLS = [f"http://example.org/{number}.jpg" for number in range(7)]
CAPTIONS = ["plain", 'a "quoted" one', "two\nlines, and a comma", "é語", "", "\ttab", "last"]


def as_csv(delimiter):
    quoted = ['"' + caption.replace('"', '""') + '"' for caption in CAPTIONS]
    rows = [("id", "Url", "Text"), *zip("0123456", URLS, quoted)]
    return "\r\n".join(delimiter.join(row) for row in rows).encode() + b"\r\n\r\n"


def as_json():
    return b"".join(
        json.dumps({"url": url, "text": text, "x": [1]}).encode() + b"\n" for url, text in zip(URLS, CAPTIONS)
    )


def as_parquet(path):
    table = pa.table({"URL": URLS, "TEXT": CAPTIONS})
    pq.write_table(table, path, row_group_size=2)


WRITERS = {
    "list.csv": lambda path: path.write_bytes(as_csv(",")),
    "list.tsv": lambda path: path.write_bytes(b"\xef\xbb\xbf" + as_csv("\t")),
    "list.csv.gz": lambda path: path.write_bytes(gzip.compress(as_csv(","))),
    "list.jsonl": lambda path: path.write_bytes(as_json()[:-1]),
    "list.jsonl.gz": lambda path: path.write_bytes(gzip.compress(as_json())),
    "list.txt": lambda path: path.write_text("\n\n".join(URLS)),
    "list.parquet": as_parquet,
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("rows", [1, 3, 7, 100])
def test_parts_of_a_list_are_its_rows(tmp_path, name, rows):
    path = str(tmp_path / name)
    WRITERS[name](tmp_path / name)
    columns = find_columns(path, ListColumns(""))
    parts = [read_part(path, part, columns) for part in cut(path, rows)]
    assert [len(part) for part in parts] == [min(rows, 7 - start) for start in range(0, 7, rows)]
    found = [row for part in parts for row in part]
    assert [row[columns.url] for row in found] == URLS
    if columns.caption:
        assert [row[columns.caption] for row in found] == CAPTIONS


def test_columns_are_found_by_their_usual_names_or_as_told(tmp_path):
    path = str(tmp_path / "list.csv")
    (tmp_path / "list.csv").write_text("link,URL,alt,Caption,sha256\n")
    assert find_columns(path, ListColumns("")) == ListColumns("URL", "Caption")
    told = ListColumns("LINK", "alt", "sha256", ["alt"])
    assert find_columns(path, told) == ListColumns("link", "alt", "sha256", ["alt"])
    with pytest.raises(InputError, match=r"wanted the columns \['address'\]; found \['link', 'URL', 'alt', 'Caption'"):
        find_columns(path, ListColumns("address"))


def test_a_quote_within_a_field_is_a_character_and_holds_no_lines_together(tmp_path):
    path = tmp_path / "list.tsv"
    path.write_bytes(b'url\ttext\na\t5" wide\nb\t"""two\nlines"" and more"\nc\t6"\nd\t"shut"" "\n')
    parts = cut(str(path), 1)
    rows = [row for part in parts for row in read_part(str(path), part, ListColumns("url", "text"))]
    assert [row["url"] for row in rows] == ["a", "b", "c", "d"]
    assert [row["text"] for row in rows] == ['5" wide', '"two\nlines" and more', '6"', 'shut" ']
    assert len(parts) == 4


def test_the_first_record_need_not_have_every_column(tmp_path):
    path = tmp_path / "list.jsonl"
    path.write_text('\n{"url": "u"}\n{"url": "v", "text": "a caption"}\n{"URL": "no object"\n')
    assert find_columns(str(path), ListColumns("")) == ListColumns("url", "text")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("list.csv", b"", "wanted a first line with the names of the columns"),
        ("list.jsonl", b"[1]\n", "wanted one object a line"),
        ("list.parquet", b"no parquet", "cannot read its columns"),
    ],
)
def test_what_is_no_list_says_so(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        find_columns(str(tmp_path / name), ListColumns(""))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", b'{"url": "u"}\n{"url"\n{"url": "v"}'),
        ("a.csv", b"url,b\nu,1\n1\nv,2\n"),
        ("b.csv", b"url,b\nu,1\ncaf\xe9,3\nv,2\n"),
    ],
)
def test_a_line_that_cannot_be_parsed_is_set_aside(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    path = str(tmp_path / name)
    with counting(count := StageCount("download")):
        [rows] = [read_part(path, part, ListColumns("url")) for part in cut(path, 100)]
    assert [row["url"] for row in rows] == ["u", "v"]
    assert count.rows_failed == count.rows_seen == 1
