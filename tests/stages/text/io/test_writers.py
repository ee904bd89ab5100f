import bz2
import datetime
import decimal
import gzip
import json
import lzma
from dataclasses import dataclass
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from nemo_curator.errors import ContractError
from nemo_curator.ledger.counts import StageCount, counting
from nemo_curator.stages.text.io.reader import JsonlReaderStage, ParquetReaderStage
from nemo_curator.stages.text.io.writer import BaseWriter, JsonlWriter, ParquetWriter
from nemo_curator.stages.text.io.writer.base import next_run
from nemo_curator.stages.text.io.writer.utils import get_deterministic_hash
from nemo_curator.tasks import DocumentBatch
from nemo_curator.tasks.json_column import encoded

GOLDEN = {"text": 'é "q"\n', "n": 1.5, "x": None}


def batch(table=None, task_id="0_ab", source="ab", **metadata):
    table = pa.table({"text": ["a", "b"], "n": [1, 2]}) if table is None else table
    made = DocumentBatch.from_arrow(table) if isinstance(table, pa.Table) else DocumentBatch("set", table)
    made.task_id, made._source_id, made._metadata = task_id, source, metadata
    return made


def write(writer, one):
    made = StageCount(writer.name)
    with counting(made):
        return writer.process(one), made


def lines(writer, one):
    return Path(write(writer, one)[0].data[0]).read_text().splitlines()


@pytest.mark.parametrize("make", [pa.Table.from_pylist, pd.DataFrame])
def test_a_row_is_written_as_documented(tmp_path, make):
    assert lines(JsonlWriter(str(tmp_path)), batch(make([GOLDEN]))) == [r'{"text":"é \"q\"\n","n":1.5,"x":null}']


def test_what_was_written_is_told(tmp_path):
    task, made = write(JsonlWriter(str(tmp_path)), batch(partition_index=3))
    assert task.data == [f"{tmp_path}/{get_deterministic_hash(['ab'], '0_ab')}.jsonl"]
    assert task._metadata == {"partition_index": 3, "format": "jsonl", "num_rows": 2, "num_bytes": 38}
    assert made.rows_written == 2
    assert [path.name for path in tmp_path.iterdir()] == [Path(task.data[0]).name]


def test_values_that_json_has_no_type_for_become_the_usual_text(tmp_path):
    table = pa.table(
        {
            "when": [datetime.datetime(2020, 1, 2, 3, 4, 5)],
            "nanos": pa.array([1577836800123456789], pa.timestamp("ns")),
            "day": [datetime.date(2020, 1, 2)],
            "price": [decimal.Decimal("1.10")],
            "bytes": [b"ab"],
            "nan": [float("nan")],
            "vector": pa.array([[1.5, 2.5]], pa.list_(pa.float32(), 2)),
            "struct": [{"a": [{"b": 1}]}],
            "word": pa.array(["w"]).dictionary_encode(),
            "json": encoded(['{"a":  1}']),
            "long": encoded(['{\n"é": 1}']),
        }
    )
    wanted = (
        '{"when":"2020-01-02T03:04:05","nanos":"2020-01-01T00:00:00.123456789","day":"2020-01-02","price":1.10,'
        '"bytes":"YWI=","nan":null,"vector":[1.5,2.5],"struct":{"a":[{"b":1}]},"word":"w","json":{"a":  1},'
        '"long":{"é": 1}}'
    )
    assert lines(JsonlWriter(str(tmp_path)), batch(table)) == [wanted]


def test_a_frame_is_written_without_its_index(tmp_path):
    frame = pd.DataFrame({"text": ["a", "b", "c"], "meta": [{"k": 1}, {"l": [1]}, None]}).iloc[[2, 0]]
    rows = [json.loads(line) for line in lines(JsonlWriter(str(tmp_path)), batch(frame))]
    assert rows == [{"text": "c", "meta": None}, {"text": "a", "meta": {"k": 1}}]
    task, _ = write(ParquetWriter(str(tmp_path)), batch(frame))
    assert pq.read_table(task.data[0]).to_pylist() == [{"text": "c", "meta": None}, {"text": "a", "meta": '{"k": 1}'}]


@pytest.mark.parametrize(("suffix", "method"), [("gz", "gzip"), ("bz2", "bz2"), ("xz", "xz"), ("zst", "zstd")])
def test_compression_and_extension_follow_one_another(tmp_path, suffix, method):
    decompress = {"gz": gzip, "bz2": bz2, "xz": lzma, "zst": zstandard}[suffix].decompress
    contents = []
    for writer in (
        JsonlWriter(str(tmp_path / "a"), file_extension=f"jsonl.{suffix}"),
        JsonlWriter(str(tmp_path / "b"), write_kwargs={"compression": method}),
        JsonlWriter(str(tmp_path / "c"), file_extension=f".jsonl.{suffix}", write_kwargs={"compression": method}),
        JsonlWriter(str(tmp_path / "d"), write_kwargs={"compression": {"method": method}}),
    ):
        (path,) = write(writer, batch())[0].data
        assert path.endswith(f".jsonl.{suffix}")
        data = Path(path).read_bytes()
        contents.append(
            zstandard.ZstdDecompressor().decompressobj().decompress(data) if suffix == "zst" else decompress(data)
        )
    assert set(contents) == {b'{"text":"a","n":1}\n{"text":"b","n":2}\n'}


@pytest.mark.parametrize(("extension", "method"), [("jsonl", "zip"), ("jsonl.gz", "zstd")])
def test_compression_that_nobody_could_read_is_refused(extension, method):
    with pytest.raises(ValueError, match=r"cannot compress \.jsonl"):
        JsonlWriter("out", file_extension=extension, write_kwargs={"compression": method})


def test_other_settings_are_those_of_pandas(tmp_path):
    writer = JsonlWriter(str(tmp_path), write_kwargs={"force_ascii": True, "double_precision": 1})
    assert lines(writer, batch(pa.table({"text": ["é"], "n": [1.5]}))) == [r'{"text":"\u00e9","n":1.5}']
    frame = pd.DataFrame({"text": ["a", "b", "c"]}).iloc[[2, 0, 1]]
    task, _ = write(ParquetWriter(str(tmp_path), write_kwargs={"index": True}), batch(frame))
    assert pq.read_schema(task.data[0]).names == ["text", "__index_level_0__"]


def test_parquet_is_compressed_with_zstd_or_as_asked(tmp_path):
    for settings, codec in (
        ({}, "ZSTD"),
        ({"compression": "snappy"}, "SNAPPY"),
        ({"compression": None}, "UNCOMPRESSED"),
    ):
        task, _ = write(
            ParquetWriter(str(tmp_path), write_kwargs={**settings, "engine": "pyarrow", "index": None}), batch()
        )
        assert pq.ParquetFile(task.data[0]).metadata.row_group(0).column(0).compression == codec


def test_parquet_can_be_given_a_schema(tmp_path):
    schema = pa.schema([("n", pa.float64()), ("score", pa.string()), ("text", pa.string())])
    task, _ = write(ParquetWriter(str(tmp_path), write_kwargs={"schema": schema}), batch())
    assert pq.read_table(task.data[0]) == pa.table({"n": [1.0, 2.0], "score": [None, None], "text": ["a", "b"]}, schema)


def test_json_columns_are_text_for_others_and_json_for_us(tmp_path):
    table = pa.table({"meta": encoded(['{"a":[1,"x"]}', None]), "none": pa.nulls(2), "list": [["a"], []]})
    (path,) = write(ParquetWriter(str(tmp_path)), batch(table))[0].data
    assert pd.read_parquet(path)["meta"].tolist()[0] == '{"a":[1,"x"]}'
    stage = ParquetReaderStage()
    (again,) = stage.process(_task(path))
    assert again.to_pyarrow() == table
    assert lines(JsonlWriter(str(tmp_path)), batch(again.to_pyarrow())) == [
        '{"meta":{"a":[1,"x"]},"none":null,"list":["a"]}',
        '{"meta":null,"none":null,"list":[]}',
    ]


def test_fields_are_selected_and_missing_ones_are_named(tmp_path):
    assert lines(JsonlWriter(str(tmp_path), fields=["n"]), batch()) == ['{"n":1}', '{"n":2}']
    writer = JsonlWriter(str(tmp_path), fields=["n", "m"])
    assert writer.inputs() == (["data"], ["n", "m"])
    assert not writer.validate_input(batch())
    with pytest.raises(KeyError, match="m"):
        writer.process(batch())


@pytest.mark.parametrize(("kind", "stage"), [(JsonlWriter, JsonlReaderStage), (ParquetWriter, ParquetReaderStage)])
@pytest.mark.parametrize("table", [pa.table({}), pa.table({"text": pa.array([], pa.string())})])
@pytest.mark.parametrize("fields", [None, ["text"]])
def test_an_empty_batch_is_a_file_that_is_read_again(tmp_path, kind, stage, table, fields):
    writer = kind(str(tmp_path), fields=fields)
    assert writer.validate_input(batch(table))
    task, made = write(writer, batch(table))
    assert (made.rows_written, task._metadata["num_rows"]) == (0, 0)
    (again,) = stage().process(task)
    assert again.num_items == 0


def test_names_depend_on_the_batch_and_nothing_else(tmp_path):
    writer = JsonlWriter(str(tmp_path))

    def name(*args, **kwargs):
        return Path(write(writer, batch(*args, **kwargs))[0].data[0]).stem

    assert name() == name(pa.table({"text": ["other"]}))
    assert len({name(), name(task_id="0_ab_1"), name(task_id="0_cd", source="cd")}) == 3
    one = name(task_id="", source="", source_files=["a"])
    assert one == name(task_id="", source="", source_files=["a"])
    assert one != name(pa.table({"text": ["other"]}), task_id="", source="", source_files=["a"])


def test_nothing_happens_before_the_run_and_modes_do_what_they_are_called(tmp_path):
    folder = tmp_path / "out"
    for mode in ("ignore", "overwrite", "append", "error"):
        JsonlWriter(str(folder), mode=mode)
        assert not folder.exists()
    JsonlWriter(str(folder), mode="error").before_run()
    (folder / "old").touch()
    JsonlWriter(str(folder)).before_run()
    assert (folder / "old").exists()
    with pytest.raises(FileExistsError, match="it is not empty"):
        JsonlWriter(str(folder), mode="error").before_run()
    JsonlWriter(str(folder), mode="overwrite").before_run()
    assert list(folder.iterdir()) == []
    with pytest.raises(ValueError, match="jsonl_writer: unknown mode 'w'; known are ignore"):
        JsonlWriter(str(folder), mode="w")


def test_appending_touches_nothing_and_repeats_its_own_names(tmp_path):
    paths = []
    for _ in range(3):
        writer = JsonlWriter(str(tmp_path), mode="append")
        writer.before_run()
        paths += [write(writer, batch())[0].data[0] for _ in range(2)]
    stem = get_deterministic_hash(["ab"], "0_ab")
    assert [Path(path).name for path in paths[::2]] == [f"{stem}.jsonl", f"{stem}-1.jsonl", f"{stem}-2.jsonl"]
    assert paths[::2] == paths[1::2]
    assert next_run(["readme", "0123456789ab-7.jsonl.gz", "0123456789ab.jsonl"]) == "-8"
    assert next_run(["readme"]) == ""
    with pytest.raises(NotImplementedError, match="no append mode"):
        JsonlWriter(str(tmp_path), mode="append", append_mode_implemented=False).before_run()


def test_a_folder_that_holds_the_input_is_not_emptied(tmp_path):
    writer = JsonlWriter(str(tmp_path / "data"), mode="overwrite")
    writer.check_inputs([str(tmp_path / "in.jsonl"), "s3://data/x"])
    with pytest.raises(ValueError, match=r"data/in\.jsonl is there; write to a folder of its own"):
        writer.check_inputs([str(tmp_path / "data" / "in.jsonl")])
    JsonlWriter(str(tmp_path / "data")).check_inputs([str(tmp_path / "data" / "in.jsonl")])


@dataclass
class Lines(BaseWriter):
    """Write only the texts."""

    file_extension: str = "txt"
    fail: bool = False

    def write_data(self, task, file_path):
        Path(file_path).write_text("\n".join(task.data["text"]))
        if self.fail:
            raise OSError("the disk is full")


def test_a_writer_of_ones_own_defines_a_hook_and_never_shows_half_a_file(tmp_path):
    task, made = write(Lines(str(tmp_path)), batch())
    assert (Path(task.data[0]).read_text(), made.rows_written) == ("a\nb", 2)
    with pytest.raises(OSError, match="full"):
        write(Lines(str(tmp_path / "other"), fail=True), batch())
    assert list((tmp_path / "other").iterdir()) == []


def test_a_url_is_written_like_a_file():
    fs = fsspec.filesystem("memory")
    for writer in (JsonlWriter("memory://out/", mode="overwrite"), ParquetWriter("memory://out", mode="append")):
        writer.before_run()
        (path,) = write(writer, batch())[0].data
        assert path.startswith("memory://out/")
        assert fs.exists(path)
    assert len(fs.ls("/out")) == 2
    assert path.endswith("-1.parquet")


def test_a_column_of_another_kind_than_arrow_knows_is_an_error_that_says_so(tmp_path):
    with pytest.raises((NotImplementedError, ContractError, TypeError)):
        write(JsonlWriter(str(tmp_path)), batch(pd.DataFrame({"x": [object(), np.nan]})))


def _task(path):
    from nemo_curator.tasks import FileGroupTask

    return FileGroupTask("", [path])


def test_many_rows_are_written_in_steps(tmp_path):
    table = pa.table({"id": range(5000), "gap": [None] * 5000})
    absent = pa.table({"gap": [at % 2 == 0 for at in range(5000)]})
    one = DocumentBatch.from_arrow(table, absent=absent)
    one.task_id = "x"
    rows = [json.loads(line) for line in lines(JsonlWriter(str(tmp_path)), one)]
    assert rows == [{"id": at} if at % 2 == 0 else {"id": at, "gap": None} for at in range(5000)]
