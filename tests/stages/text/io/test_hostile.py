"""Inputs made to break a reader: each becomes rows, or is counted as failed with its place. Nothing else happens."""

import base64
import bz2
import gzip
import io
import json
import lzma
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.ledger.counts import StageCount, counting
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.io import JsonlReader, JsonlWriter, ParquetReader, ParquetWriter
from nemo_curator.stages.text.io.reader import JsonlReaderStage, ParquetReaderStage, lines, records
from nemo_curator.stages.text.io.reader import base as reader_base
from nemo_curator.stages.text.io.reader import jsonl as jsonl_module
from nemo_curator.stages.text.io.writer.jsonl import encode
from nemo_curator.tasks import FileGroupTask
from nemo_curator.utils import decompression

GOOD = b'{"a": 1}\n'


def read(stage, *paths, **config):
    """The rows that a stage gives, and its count."""
    made = StageCount(stage.name)
    with counting(made):
        batches = list(stage.process(FileGroupTask("set", [str(path) for path in paths], reader_config=config)))
    assert sum(batch.num_items for batch in batches) + made.rows_failed == (made.rows_seen or 0)
    return [json.loads(line) for batch in batches for line in b"".join(encode(batch)).splitlines()], made


def sources(made):
    return [(failure.source.rpartition("/")[2], failure.rows) for failure in made.failures]


def written(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("line", "row"),
    [
        (b'{"a": "\\u0000", "b\\u0000": "x\\u0000y"}', {"a": "\0", "b\0": "x\0y"}),
        (b'{"a": 1, "b": 2, "a": 3}', {"a": 3, "b": 2}),
        (b'{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        (b'{"a": 1e308, "b": -0.0, "c": 1e-400}', {"a": 1e308, "b": -0.0, "c": 0.0}),
        (b'{"a": NaN, "b": Infinity, "c": 1e400}', {"a": None, "b": None, "c": None}),
        (b'\xef\xbb\xbf{"a": 1}\r', {"a": 1}),
        (b'{"\\ud83d\\ude00": "\\ud83d\\ude00"}', {"\U0001f600": "\U0001f600"}),
        (b'{"": {"": []}}', {"": {"": []}}),
        (b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}", {"a": json.loads("[" * 300 + "]" * 300)}),
        (b" \t" * 1000 + b'{"a": 1}' + b" " * 1000, {"a": 1}),
    ],
)
def test_what_is_odd_and_legal_is_a_row(tmp_path, line, row):
    rows, made = read(JsonlReaderStage(), written(tmp_path / "a.jsonl", line + b"\n" + GOOD))
    assert (rows, made.rows_failed) == ([row, {"a": 1}], 0)


@pytest.mark.parametrize(
    "line",
    [
        b'{"a": "\0"}',
        bytes(1000),
        b'{"a": "\xff"}',
        b'{"\xff": 1}',
        b'{"\\ud800": 1}',
        b'{"a": "\\udc00\\ud800"}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": "\x01"}',
        b'{"a": 0x10}',
        b"{\"a\": 'x'}",
        b'{"a": 1,}',
        b'{"a": 1} {"a": 2}',
        b'{"a": 1}' + GOOD.strip(),
        "\ufeff".encode() + b'{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        b"1",
        b'"text"',
        b"true",
        b"[]",
        b"{",
        b"}",
        b"[" * 100_000,
        b'{"a": ' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a": ' * 100_000 + b"1" + b"}" * 100_000,
    ],
)
def test_what_is_no_record_is_set_aside_and_the_lines_around_it_are_read(tmp_path, line):
    rows, made = read(JsonlReaderStage(), written(tmp_path / "a.jsonl", GOOD + line + b"\n" + GOOD))
    assert rows == [{"a": 1}, {"a": 1}]
    assert sources(made) == [("a.jsonl:2", 1)]


def test_nesting_near_the_limit_of_the_interpreter_is_read_or_set_aside(tmp_path):
    for depth in range(sys.getrecursionlimit() - 150, sys.getrecursionlimit() + 50):
        line = b'{"a": ' + b"[" * depth + b"]" * depth + b"}\n"
        rows, made = read(JsonlReaderStage(), written(tmp_path / "a.jsonl", GOOD + line + GOOD))
        assert len(rows) + made.rows_failed == 3
        assert rows[0] == rows[-1] == {"a": 1}


@pytest.mark.parametrize("first", [b'["a": 1}', b"[", b"{", b"[1]", b'[{"a": 1}]x'])
def test_a_damaged_first_line_is_no_other_kind_of_file(tmp_path, first):
    data = first + b"\n" + GOOD * 5
    rows, made = read(JsonlReaderStage(), written(tmp_path / "a.jsonl", data))
    if first == b"[":  # as a pretty-printed array begins
        assert (rows, made.rows_failed) == ([], 1)
    else:
        assert (rows, made.rows_failed) == ([{"a": 1}] * 5, 1)


def test_types_may_change_with_every_line_batch_and_file(tmp_path, monkeypatch):
    values = [
        1,
        "a",
        None,
        [1],
        {"b": 1},
        2.5,
        2**70,
        True,
        [],
        [[]],
        ["a"],
        [None],
        [{"c": None}],
        "",
        2**63,
        -(2**63),
    ]
    monkeypatch.setattr(jsonl_module, "BATCH_BYTES", 40)
    monkeypatch.setattr(lines, "CHUNK_BYTES", 15)
    planted = [{"x": one} for one in values] + [{"y": one} for one in values]
    paths = [
        written(tmp_path / f"{at}.jsonl", b"".join(json.dumps(row).encode() + b"\n" for row in planted[at::3]))
        for at in range(3)
    ]
    rows, made = read(JsonlReaderStage(), *paths)
    assert (rows, made.rows_failed) == ([row for at in range(3) for row in planted[at::3]], 0)


def test_records_that_share_no_keys_cost_time_and_memory_in_proportion(tmp_path):
    planted = [{f"k{at}": at} for at in range(3_000)]
    path = written(tmp_path / "a.jsonl", b"".join(json.dumps(row).encode() + b"\n" for row in planted))
    stage = JsonlReaderStage()
    batches = list(stage.process(FileGroupTask("set", [str(path)])))
    assert sum(batch.num_items for batch in batches) == len(planted)
    assert all(batch.num_items * len(batch.get_columns()) <= reader_base.BATCH_CELLS for batch in batches)
    assert [json.loads(line) for line in b"".join(encode(batches[-1])).splitlines()] == planted[
        -batches[-1].num_items :
    ]


def test_a_record_of_very_many_keys_is_set_aside(tmp_path):
    many, most = ({f"k{at}": at for at in range(count)} for count in (records.MOST_KEYS + 1, records.MOST_KEYS))
    data = json.dumps(many).encode() + b"\n" + json.dumps(most).encode() + b"\n"
    rows, made = read(JsonlReaderStage(), written(tmp_path / "a.jsonl", data))
    assert rows == [most]
    assert made.failures[0].message == "a record of 16385 keys; wanted at most 16384"
    assert sources(made) == [("a.jsonl:1", 1)]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_line_beyond_the_limit_is_named_and_passed_by(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(lines, "LINE_BYTES", 2000)
    monkeypatch.setattr(lines, "CHUNK_BYTES", 300)
    monkeypatch.setattr(lines, "STEP_BYTES", 50)
    monkeypatch.setattr(decompression, "PIECE_BYTES", 200)
    sizes = [10, 2000, 2001, 5, 9000, 9000, 1999, 3, 2500]
    planted = [b'{"a": "' + b"x" * (size - 10) + b'"}\n' if size > 10 else GOOD for size in sizes]
    data = b"".join(planted)[:-1] + b" "  # no newline at the end
    path = written(tmp_path / f"a.jsonl{suffix}", gzip.compress(data) if suffix else data)
    kept = [json.loads(line) for line in planted if len(line) <= 2000]
    wrong = [number for number, line in enumerate(planted, 1) if len(line) > 2000]
    rows, made = read(JsonlReaderStage(), path)
    assert rows == kept
    assert sources(made) == [(f"a.jsonl{suffix}:{number}", 1) for number in wrong]
    start = sum(map(len, planted[:2]))
    assert made.failures[0].message == f"{path}: the line at byte {start} has 2001 bytes; wanted at most 2000"
    if not suffix:
        for cut in (*range(1, 2100, 7), *range(2100, len(data), 501)):
            parts = [read(JsonlReaderStage(), path, byte_range=part) for part in ((0, cut), (cut, len(data)))]
            assert [row for rows, _ in parts for row in rows] == kept
            assert sum(made.rows_failed for _, made in parts) == len(wrong)


def test_a_line_of_a_hundred_megabytes_is_read(tmp_path):
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(GOOD + b'{"a": "')
        for _ in range(100):
            file.write(b"x" * 10**6)
        file.write(b'"}\n' + GOOD)
    made = StageCount("reader")
    with counting(made):
        batches = list(JsonlReaderStage().process(FileGroupTask("set", [str(path)])))
    assert made.rows_failed == 0
    assert [len(str(value)) for batch in batches for value in batch.values("a")] == [1, 10**8, 1]


BOMB = """
import resource, sys
from nemo_curator.ledger.counts import StageCount, counting
from nemo_curator.stages.text.io.reader import JsonlReaderStage
from nemo_curator.tasks import FileGroupTask
made = StageCount("reader")
rows = 0
task = FileGroupTask("bomb", [sys.argv[1]])
stage = JsonlReaderStage()
stage.find_columns(task)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with counting(made):
    for batch in stage.process(task):
        rows += batch.num_items
print(rows, made.rows_failed, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
SQUEEZE = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstandard.compress}


@pytest.mark.parametrize("suffix", SQUEEZE)
def test_a_bomb_of_zeros_is_one_failed_line_and_takes_little_memory(tmp_path, suffix):
    path = written(tmp_path / f"bomb.jsonl{suffix}", SQUEEZE[suffix](bytes(2**25)) * 10)
    assert path.stat().st_size < 2**20
    rows, failed, grown = bomb(path)
    assert (rows, failed) == (0, 1)
    assert grown < 100 + lines.LINE_BYTES // 2**20


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_bomb_of_one_repeated_line_takes_little_memory(tmp_path, suffix):
    line = b'{"text": "' + b"a" * 2**20 + b'"}\n'
    path = written(tmp_path / f"bomb.jsonl{suffix}", SQUEEZE[suffix](line * 30) * 10)
    assert path.stat().st_size < 2**20
    rows, failed, grown = bomb(path)
    assert (rows, failed) == (300, 0)
    assert grown < 200


def bomb(path):
    done = subprocess.run([sys.executable, "-c", BOMB, str(path)], capture_output=True, text=True, check=True)
    return map(int, done.stdout.split())


def test_a_frame_of_zstd_that_is_nothing_but_repetition_comes_in_pieces():
    block = (2**17 << 3 | 1 << 1).to_bytes(3, "little") + b"x"  # 128 KiB of one byte in four
    frame = b"\x28\xb5\x2f\xfd\x00\x58" + block * 4096
    sizes = []
    with pytest.raises(ValueError, match="the zstd stream is cut off after byte"):
        sizes.extend(map(len, decompression.decompressed(io.BytesIO(frame), "zstd", "bomb.zst")))
    assert sum(sizes) == 2**29
    assert max(sizes) <= 17 * 2**20


def test_a_frame_of_zstd_that_wants_more_memory_than_allowed_is_refused(tmp_path):
    window = 22 << 3  # 4 GiB
    frame = b"\x28\xb5\x2f\xfd\x00" + bytes([window]) + (5 << 3 | 1).to_bytes(3, "little") + b"{}\n{}"
    for allowed in (False, True):
        data = frame if not allowed else frame.replace(bytes([window]), bytes([7 << 3]), 1)
        rows, made = read(JsonlReaderStage(), written(tmp_path / "a.jsonl.zst", data))
        assert (len(rows), made.rows_failed) == ((2, 0) if allowed else (0, 1))
    assert (
        read(JsonlReaderStage(), written(tmp_path / "b.jsonl.zst", frame))[1]
        .failures[0]
        .message.endswith("Frame requires too much memory for decoding")
    )


TABLE = pa.table({"id": range(1000), "text": [f"text {at}" for at in range(1000)]})


def parquet(table=TABLE, **how):
    sink = io.BytesIO()
    pq.write_table(table, sink, **{"row_group_size": 100, "write_page_checksum": True, **how})
    return sink.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"", b"PAR1", b"PAR1PAR1", b"no Parquet at all" * 100, bytes(10_000), parquet()[:-1], parquet()[:-100]],
    ids=["empty", "magic", "two magics", "text", "zeros", "a byte less", "no footer"],
)
def test_what_is_no_parquet_is_one_failure_and_the_next_file_is_read(tmp_path, data):
    paths = written(tmp_path / "a.parquet", data), written(tmp_path / "b.parquet", parquet())
    rows, made = read(ParquetReaderStage(), *paths)
    assert rows == TABLE.to_pylist()
    assert sources(made) == [("a.parquet", 1)]
    assert ParquetReaderStage().find_columns(FileGroupTask("", [str(paths[0])])) is None


def test_a_flipped_bit_in_a_page_is_noticed_and_the_rows_that_are_lost_are_counted(tmp_path):
    data = bytearray(parquet(compression="none", use_dictionary=False))
    data[data.index(b"text 450") + 6] ^= 1
    path = written(tmp_path / "a.parquet", data)
    rows, made = read(ParquetReaderStage(), path)
    assert rows == TABLE.slice(0, 400).to_pylist()
    assert sources(made) == [("a.parquet, row group 4, after row 400", 600)]
    assert "CRC checksum verification failed" in made.failures[0].message
    rows, made = read(ParquetReaderStage(), path, row_groups=[3, 4])
    assert (len(rows), made.rows_failed) == (100, 100)


def test_our_writer_gives_pages_their_checksums(tmp_path):
    tasks = Pipeline(
        "write",
        stages=[
            ParquetReader(str(written(tmp_path / "a.parquet", parquet()))),
            ParquetWriter(str(tmp_path / "out"), write_kwargs={"compression": None, "use_dictionary": False}),
        ],
    ).run(LocalExecutor(num_workers=0))
    path = tmp_path / "out" / tasks[0].data[0]
    data = bytearray(path.read_bytes())
    data[data.index(b"text 450") + 6] ^= 1
    path.write_bytes(data)
    rows, made = read(ParquetReaderStage(), path)
    assert (rows, made.rows_failed) == ([], 1000)


def test_columns_of_one_name_are_refused_where_they_are_wanted(tmp_path):
    twice = pa.table([[1, 2], ["x", "y"], ["z", "z"]], names=["id", "text", "text"])
    path = written(tmp_path / "a.parquet", parquet(twice))
    rows, made = read(ParquetReaderStage(), path)
    assert (rows, sources(made)) == ([], [("a.parquet", 2)])
    assert "has several columns called 'text'" in made.failures[0].message
    assert read(ParquetReaderStage(fields=["id"]), path)[0] == [{"id": 1}, {"id": 2}]


def test_a_column_that_is_only_called_like_a_row_number_is_kept(tmp_path):
    path = written(tmp_path / "a.parquet", parquet(pa.table({"__index_level_0__": ["a"], "x": [1]})))
    assert read(ParquetReaderStage(), path)[0] == [{"__index_level_0__": "a", "x": 1}]


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()), pa.null()],
    ids=str,
)
def test_texts_of_any_type_are_texts(tmp_path, kind):
    column = pa.nulls(3) if kind == pa.null() else pa.array(["a", None, "é"]).cast(kind)
    path = written(tmp_path / "a.parquet", parquet(pa.table({"text": column})))
    (batch,) = ParquetReaderStage().process(FileGroupTask("set", [str(path)]))
    wanted = ["", "", ""] if kind == pa.null() else ["a", "", "é"]
    assert batch.text("text").texts() == wanted
    assert batch.filter([False, False, True]).text("text").texts() == wanted[2:]


def test_text_that_is_no_text_and_json_that_is_none_cost_their_rows(tmp_path):
    texts = pa.Array.from_buffers(pa.string(), 4, pa.array([b"a", b"\xff", b"b", b"\xc3"]).buffers())
    marked = pa.field("json", pa.string(), metadata={b"nemo_curator": b"json"})
    schema = pa.schema([pa.field("text", pa.string()), marked])
    table = pa.table([texts, ['{"a": 1}', "1", '}\n{"in": 1', None]], schema=schema)
    rows, made = read(ParquetReaderStage(), written(tmp_path / "a.parquet", parquet(table)))
    assert rows == [{"text": "a", "json": {"a": 1}}]
    assert sources(made) == [("a.parquet, row 1", 1), ("a.parquet, row 3", 1), ("a.parquet, row 2", 1)]
    assert [failure.message for failure in made.failures] == [
        "not UTF-8: column 'text'",
        "not UTF-8: column 'text'",
        "not JSON: column 'json'",
    ]


def test_a_column_that_is_marked_as_json_and_is_no_text_is_what_it_is(tmp_path):
    schema = pa.schema([pa.field("json", pa.int64(), metadata={b"nemo_curator": b"json"})])
    path = written(tmp_path / "a.parquet", parquet(pa.table([[1, None]], schema=schema)))
    assert read(ParquetReaderStage(), path)[0] == [{"json": 1}, {"json": None}]


def thrift(number):
    """How a footer writes a number."""
    number, out = number << 1, b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


@pytest.mark.parametrize("claimed", [1000, 2**20, 2**31, 2**40, 2**62])
def test_a_footer_that_claims_more_rows_than_there_are(tmp_path, claimed):
    data = parquet(pa.table({"x": [7] * 777}), row_group_size=1000, write_statistics=False, store_schema=False)
    length = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - length : -8].replace(thrift(777), thrift(claimed))
    assert footer.count(thrift(claimed)) >= 3  # the column, the row group and the file
    data = data[: -8 - length] + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    path = written(tmp_path / "a.parquet", data)
    start = time.perf_counter()
    rows, made = read(ParquetReaderStage(), path)
    assert len(rows) in (0, 777)
    assert len(rows) + made.rows_failed == claimed
    assert time.perf_counter() - start < 10


ABORTS = (
    "H4sIAAAAAAACA01PMY7CMBAcW8FKcUVAXiuWXKSJRREQIIGuuIaeAt0PDIoExR0hBO6qPIUH8ErWoqGYWWlnd2Z3u/6eU0Ka9IYLRoAAECLtCL"
    "FfMWWkSLkVxmKXizAcsioZWojBQ1JiqyVyddkf6p9AEpSWMk+6+r8rsXE8Z7R11nk4+rBLqMy+VGLB9Kb3nz59N7dVPCUagZMlvnhfWQ8drXqj"
    "fWp6jIsmtOdr3U32TTMJbXv6K251ezmefovFajqbzq2L2XfGlp98AlSCW/TpAAAA"
)
"""A file, as gzip in base64, on which pyarrow 26 ends the process when asked for `row_group(0).column(0)`."""


def test_a_footer_that_ends_pyarrow_does_not_end_a_run(tmp_path):
    path = written(tmp_path / "a.parquet", gzip.decompress(base64.b64decode(ABORTS)))
    code = f"""
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.io import ParquetReader
pipeline = Pipeline("hostile", stages=[ParquetReader({str(path)!r}, blocksize=100)])
pipeline.run(LocalExecutor(num_workers=0), max_failed_fraction=1.0)
print(pipeline.last_run.rows_failed)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 1


def test_writers_set_aside_what_they_cannot_write(tmp_path):
    table = pa.table({"when": pa.array([2**60, 1], pa.duration("s")), "text": ["a", "b"]})
    path = written(tmp_path / "a.parquet", parquet(table))
    pipeline = Pipeline("odd", stages=[ParquetReader(str(path)), JsonlWriter(str(tmp_path / "out"))])
    pipeline.run(LocalExecutor(num_workers=0), max_failed_fraction=1.0)
    assert pipeline.last_run.rows_failed == 2
    pipeline.last_run.check(1.0)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.jsonl.bz2", "a.jsonl.xz", "a.parquet"])
@pytest.mark.parametrize(
    "data",
    [b"", bytes(5000), b"\xff" * 5000, b"{" * 5000, b"\n" * 5000],
    ids=["empty", "zeros", "ones", "braces", "lines"],
)
def test_the_first_file_may_be_anything(tmp_path, name, data):
    written(tmp_path / name, data)
    suffix = name.removeprefix("a.").removesuffix(".parquet")
    reader = ParquetReader if name.endswith("parquet") else JsonlReader
    written(tmp_path / "b.parquet", parquet()) if reader is ParquetReader else written(tmp_path / "b.jsonl", GOOD)
    pipeline = Pipeline("first", stages=[reader(str(tmp_path)), JsonlWriter(str(tmp_path / "out"))])
    pipeline.run(LocalExecutor(num_workers=0), max_failed_fraction=1.0)
    account = pipeline.last_run
    is_nothing = suffix == "jsonl" and not data.strip()
    assert account.rows_failed == (0 if is_nothing else 1)
    assert account.stages[2].rows_out == (1000 if reader is ParquetReader else 1)


def test_a_large_value_that_repeats_is_read_a_few_rows_at_a_time(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["x" * 1_000_000] * 200}), path)
    assert path.stat().st_size < 1_000_000
    sizes = [batch.num_items for batch in ParquetReaderStage().process(FileGroupTask("d", [str(path)]))]
    assert sum(sizes) == 200
    assert max(sizes) <= 70
