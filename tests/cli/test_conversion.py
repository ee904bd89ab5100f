import gzip
import json
from decimal import Decimal

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from nemo_curator.cli.main import main

RECORDS = [
    {"id": 1, "text": "a", "when": "2024-01-01", "more": {"x": [1]}},
    {"id": 2, "text": None, "code": "00123"},
    {"id": 3, "text": "\u2028é", "more": None},
]


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "deep").mkdir(parents=True)
    write(tmp_path / "in" / "a.jsonl", RECORDS)
    (tmp_path / "in" / "deep" / "b.jsonl.gz").write_bytes(gzip.compress(lines([{"id": 4, "text": "d"}])))
    return tmp_path


def lines(records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def write(path, records):
    path.write_bytes(lines(records))


def read(path):
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return [json.loads(line) for line in data.decode().split("\n")[:-1]]


def convert(*arguments, code=0):
    assert main(["convert", *map(str, arguments)]) == code


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_lines_go_through_parquet_and_come_back_as_they_were(files, capsys):
    convert("in/a.jsonl", "a.parquet")
    assert capsys.readouterr().out == "3 rows of 1 file, in 1 file: a.parquet\n"
    table = pq.read_table("a.parquet")
    assert table.column("when").to_pylist() == ["2024-01-01", None, None]
    convert("a.parquet", "back.jsonl")
    empty = {"id": None, "text": None, "when": None, "more": None, "code": None}
    assert read(files / "back.jsonl") == [{**empty, **record} for record in RECORDS]


def test_a_folder_keeps_names_and_folders(files):
    convert("in", "out", "--format", "parquet", "--compression", "snappy")
    assert names(files / "out") == ["a.parquet", "deep/b.parquet"]
    footer = pq.ParquetFile("out/a.parquet").metadata
    assert footer.row_group(0).column(0).compression == "SNAPPY"
    assert pq.read_schema("out/a.parquet") == pq.read_schema("out/deep/b.parquet")


@pytest.mark.parametrize("method", ["gzip", "zstd", "none"])
def test_compression_is_as_asked_for(files, method):
    ending = {"gzip": ".gz", "zstd": ".zst", "none": ""}[method]
    convert("in", "out", "--compression", method)
    assert names(files / "out") == [f"a.jsonl{ending}", f"deep/b.jsonl{ending}"]
    assert read(files / "out" / f"a.jsonl{ending}") == RECORDS


def test_one_file_holds_all_in_the_order_of_the_files(files):
    convert("in", "all.jsonl.zst")
    assert read(files / "all.jsonl.zst") == [*RECORDS, {"id": 4, "text": "d"}]


@pytest.mark.parametrize(("rows", "expected"), [(1, [1, 1, 1, 1]), (3, [3, 1]), (4, [4]), (100, [4])])
def test_files_of_so_many_rows(files, rows, expected):
    convert("in", "out", "--rows", rows)
    assert [len(read(files / "out" / name)) for name in names(files / "out")] == expected
    assert names(files / "out")[0] == "part-00000.jsonl"


def test_files_of_about_a_size_hold_everything_once(files):
    records = [{"id": number, "text": "x" * (number % 500)} for number in range(2000)]
    write(files / "big.jsonl", records)
    convert("big.jsonl", "out", "--size", "50kB")
    made = [files / "out" / name for name in names(files / "out")]
    assert [record for path in made for record in read(path)] == records
    assert len(made) == pytest.approx((files / "big.jsonl").stat().st_size / 50_000, rel=0.3)


def test_types_that_differ_between_files_become_json_in_all_of_them(files):
    write(files / "in" / "c.jsonl", [{"id": 0.5, "text": "e"}, {"id": "x"}])
    convert("in", "all.parquet")
    assert pq.read_table("all.parquet").column("id").to_pylist() == ["1", "2", "3", "0.5", '"x"', "4"]
    convert("all.parquet", "back.jsonl")
    assert [record["id"] for record in read(files / "back.jsonl")] == [1, 2, 3, 0.5, "x", 4]


def test_types_that_json_has_not_are_written_as_text_or_numbers(files):
    pq.write_table(pa.table({"d": [Decimal("1.5")], "n": pa.array([2**63], pa.uint64())}), "typed.parquet")
    convert("typed.parquet", "typed.jsonl")
    assert (files / "typed.jsonl").read_text() == '{"d":1.5,"n":9223372036854775808}\n'


def test_what_cannot_be_read_is_named_and_the_rest_is_written(files, capsys):
    (files / "bad.jsonl").write_text('{"id": 1}\n{broken\n{"id": 2}\n')
    convert("bad.jsonl", "good.jsonl", "--json", code=1)
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["failed"]) == (2, 1)
    assert "bad.jsonl:2" in report["failures"][0]
    assert read(files / "good.jsonl") == [{"id": 1}, {"id": 2}]


def test_an_output_elsewhere_is_written_by_its_url(files):
    convert("in", "memory://converted/all.parquet")
    with fsspec.open("memory://converted/all.parquet") as file:
        assert pq.read_table(file).num_rows == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nix", "out"], "there is no such file or folder"),
        (["in", "in"], "is read from there"),
        (["in/a.jsonl", "in/a.jsonl"], "is read; write to another file"),
        (["in", "out.jsonl", "--rows", "5"], "is one file; for files of --rows or --size give a folder"),
        (["in", "out", "--rows", "5", "--size", "1MB"], "not both"),
        (["in", "out", "--size", "much"], "is not a number of bytes"),
        (["in", "out", "--format", "parket"], "did you mean 'parquet'?"),
        (["in", "out.jsonl", "--format", "parquet"], "do not go together"),
        (["in", "out.jsonl", "--compression", "gzip"], "do not go together"),
        (["in", "out", "--compression", "snappy"], "jsonl has none, gzip, bz2, xz, zstd"),
    ],
)
def test_wrong_usage_is_one_line_and_writes_nothing(files, arguments, message, capsys):
    before = names(files)
    convert(*arguments, code=2)
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
    assert names(files) == before
