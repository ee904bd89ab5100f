import gzip
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from nemo_curator.errors import InputError
from nemo_curator.ledger.counts import StageCount, counting
from nemo_curator.stages.text.io.reader import (
    BaseFileReader,
    BaseReader,
    JsonlReader,
    JsonlReaderStage,
    ReaderOutput,
    lines,
)
from nemo_curator.stages.text.io.reader import jsonl as module
from nemo_curator.stages.text.io.writer.jsonl import encode
from nemo_curator.tasks import DocumentBatch, FileGroupTask


def task(*paths, **config):
    metadata = {"source_files": ["a"], "x": 1}
    return FileGroupTask("set", [str(path) for path in paths], reader_config=config, _metadata=metadata)


def read(stage, one):
    made = StageCount(stage.name)
    with counting(made):
        result = stage.process(one)
        batches = [result] if isinstance(result, DocumentBatch) else list(result)
    return batches, made


def rows(batches):
    return [json.loads(line) for batch in batches for line in b"".join(encode(batch)).splitlines()]


def write(path, *records):
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    return path


def test_a_batch_carries_what_its_task_says(tmp_path):
    (batch,), made = read(JsonlReaderStage(), task(write(tmp_path / "a.jsonl", {"a": "é"}), write(tmp_path / "b", {})))
    assert (batch.dataset_name, batch._metadata) == ("set", {"source_files": ["a"], "x": 1})
    assert rows([batch]) == [{"a": "é"}, {}]
    assert made.rows_seen == 2
    assert isinstance(batch.data, pd.DataFrame)


def test_byte_order_mark_line_ends_blank_lines_and_a_missing_last_newline_do_no_harm(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n \n{"a": 2}')
    batches, made = read(JsonlReaderStage(), task(tmp_path / "a.jsonl"))
    assert rows(batches) == [{"a": 1}, {"a": 2}]
    assert (made.rows_seen, made.rows_failed) == (2, 0)


@pytest.mark.parametrize("data", [b"", b"\n", b"  \n\r\n"])
def test_an_empty_file_is_an_empty_batch(tmp_path, data):
    (tmp_path / "a.jsonl").write_bytes(data)
    (batch,), _ = read(JsonlReaderStage(), task(tmp_path / "a.jsonl"))
    assert (batch.num_items, batch.get_columns()) == (0, [])
    (batch,), _ = read(JsonlReaderStage(fields=["a"]), task(tmp_path / "a.jsonl"))
    assert (batch.num_items, batch.get_columns()) == (0, ["a"])


def test_a_large_file_becomes_batches_of_bounded_size(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BATCH_BYTES", 1000)
    monkeypatch.setattr(lines, "CHUNK_BYTES", 200)
    records = [{"id": at, "text": "x" * (5000 if at == 50 else 40)} for at in range(100)]
    batches, made = read(JsonlReaderStage(), task(write(tmp_path / "a.jsonl", *records)))
    assert rows(batches) == records
    assert made.rows_seen == 100
    assert len(batches) > 5
    assert all(batch.nbytes < 1500 or 5000 < batch.nbytes < 5600 for batch in batches)


def test_the_ranges_of_a_file_are_read_as_the_whole(tmp_path):
    records = [{"id": at, "text": "é" * (at % 50)} for at in range(200)]
    path = write(tmp_path / "a.jsonl", *records)
    cuts = [0, 1, 500, 501, 3000, path.stat().st_size]
    batches = []
    for cut in pairwise(cuts):
        batches += read(JsonlReaderStage(), task(path, byte_range=cut))[0]
    assert rows(batches) == records
    assert len(batches) == 5


def test_bad_lines_are_named_by_number_or_by_place_and_the_rest_goes_on(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n\nnope\n{"a": 2}\n[3]\n{"a": 4}')
    batches, made = read(JsonlReaderStage(), task(path))
    assert rows(batches) == [{"a": 1}, {"a": 2}, {"a": 4}]
    assert [failure.source for failure in made.failures] == [f"{path}:3", f"{path}:5"]
    assert made.failures[0].record == "'nope'"
    batches, made = read(JsonlReaderStage(), task(path, byte_range=(5, 28)))
    assert rows(batches) == [{"a": 2}]
    assert [failure.source for failure in made.failures] == [f"{path} at byte 10", f"{path} at byte 24"]
    assert (made.rows_seen, sum(batch.num_items for batch in batches) + made.rows_failed) == (3, 3)


def test_outside_a_run_a_bad_line_raises(tmp_path):
    (tmp_path / "a.jsonl").write_text("nope\n")
    with pytest.raises(InputError, match="not JSON: Expecting value at character 1"):
        list(JsonlReaderStage().process(task(tmp_path / "a.jsonl")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1}]', "is a JSON array; wanted one object a line, which jq -c"),
        ('\n [\n {"a": 1}\n]', "is a JSON array"),
        ('{\n "a": 1\n}\n', "holds an object over several lines; wanted one a line"),
    ],
)
def test_another_kind_of_json_is_refused_with_a_remedy(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    for config in ({}, {"byte_range": (3, len(text))}):
        batches, made = read(JsonlReaderStage(), task(tmp_path / "a.json", **config))
        assert rows(batches) == []
        assert message in made.failures[0].message
        assert (made.rows_seen, made.rows_failed) == (1, 1)


def test_a_cut_off_archive_gives_what_comes_before(tmp_path):
    records = [{"id": at} for at in range(5000)]
    whole = gzip.compress(write(tmp_path / "a", *records).read_bytes())
    (tmp_path / "a.jsonl.gz").write_bytes(whole[: len(whole) * 2 // 3])
    batches, made = read(JsonlReaderStage(), task(tmp_path / "a.jsonl.gz", write(tmp_path / "b.jsonl", {"id": -1})))
    found = rows(batches)
    assert 1000 < len(found) < 5000
    assert found == [*records[: len(found) - 1], {"id": -1}]
    (failure,) = made.failures
    assert "a.jsonl.gz: the gzip stream is cut off after byte" in failure.message
    assert failure.source == f"{tmp_path}/a.jsonl.gz:{len(found)}"
    assert made.rows_seen == len(found) + 1


def test_a_file_that_is_gone_is_one_failure(tmp_path):
    batches, made = read(JsonlReaderStage(), task(tmp_path / "gone.jsonl", write(tmp_path / "b.jsonl", {"id": 1})))
    assert rows(batches) == [{"id": 1}]
    assert (made.failures[0].error, made.rows_seen) == ("FileNotFoundError", 2)


def test_types_that_change_between_batches_break_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BATCH_BYTES", 30)
    monkeypatch.setattr(lines, "CHUNK_BYTES", 10)
    records = [{"x": value} for value in (1, "a", None, [1], {"b": 1}, 2.5, 2**70, True)]
    batches, _ = read(JsonlReaderStage(), task(write(tmp_path / "a.jsonl", *records)))
    assert len({str(batch.to_pyarrow().schema) for batch in batches}) > 2
    assert rows(batches) == records


def test_columns_are_found_from_the_first_lines(tmp_path):
    path = write(tmp_path / "a.jsonl", {"a": 1}, {"b": {"c": 1}})
    assert JsonlReaderStage().find_columns(task(path)) == ["a", "b"]
    assert JsonlReaderStage(fields=["b"]).find_columns(task(path)) == ["b"]
    assert JsonlReaderStage(fields=["b", "rare"]).find_columns(task(path)) == ["b", "rare"]
    with pytest.raises(InputError, match=r"a.jsonl has none of \['text'\]; its columns are \['a', 'b'\]"):
        JsonlReaderStage(fields=["text"]).find_columns(task(path))


@pytest.mark.parametrize("data", [b"", b"nope\n\xff\n", b"[" * 9999, b'{"a": "' + b"x" * 2**19, b"\x1f\x8b\x08"])
def test_of_an_odd_file_no_columns_are_known(tmp_path, data):
    for name in ("a.jsonl", "a.jsonl.gz", "a.jsonl.zst"):
        (tmp_path / name).write_bytes(data)
        assert JsonlReaderStage().find_columns(task(tmp_path / name)) is None
    assert JsonlReaderStage().find_columns(task(tmp_path / "gone")) is None
    assert JsonlReaderStage().find_columns(task()) is None


def test_settings_of_pandas_make_pandas_read(tmp_path):
    path = write(tmp_path / "a.jsonl", {"id": "00123", "day": "2020-01-01"}, {"id": "7", "day": "x"})
    (batch,), made = read(JsonlReaderStage(read_kwargs={"nrows": 1}), task(path))
    assert batch.data.to_dict("records") == [{"id": "00123", "day": "2020-01-01"}]
    assert made.rows_seen == 1
    (batch,), _ = read(JsonlReaderStage(read_kwargs={"dtype": {"id": "int64"}}, fields=["id"]), task(path))
    assert batch.data["id"].tolist() == [123, 7]
    assert JsonlReader(str(path), read_kwargs={"nrows": 1}).decompose()[0].split_by is None


@pytest.mark.parametrize(
    "settings",
    [
        {"lines": True},
        {"dtype": False, "convert_dates": False},
        {"compression": "infer"},
        {"storage_options": {"a": 1}},
    ],
)
def test_settings_that_ask_for_what_is_done_anyway_change_nothing(tmp_path, settings):
    reader = JsonlReader(str(tmp_path), read_kwargs=settings)
    assert reader.decompose()[0].split_by == "byte_range"
    assert reader.decompose()[0].storage_options == settings.get("storage_options")


def test_a_reader_is_a_source_and_a_stage():
    files, reader = JsonlReader("in", 2, None, ["a"], file_extensions=[".x"]).decompose_and_apply_with()
    assert (files.file_paths, files.files_per_partition, files.file_extensions) == ("in", 2, [".x"])
    assert (files.name, reader.name, reader.fields) == ("file_partitioning", "jsonl_reader", ["a"])
    assert JsonlReader(input_file_path="in").decompose()[0].file_paths == "in"
    assert JsonlReader("in").decompose()[0].file_extensions == [".jsonl", ".json"]
    renamed = JsonlReader("in").with_({"jsonl_reader": {"batch_size": 3}}).decompose_and_apply_with()
    assert renamed[1].batch_size == 3


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"task_type": "image"}, NotImplementedError, "reads task_type 'document', not 'image'"),
        ({"_generate_ids": True, "_assign_ids": True}, ValueError, "not both"),
        ({"read_kwargs": {"lines": False}}, ValueError, "reads one object a line"),
        ({"blocksize": 1, "files_per_partition": 1}, ValueError, "not both"),
    ],
)
def test_what_a_reader_cannot_do_is_said_when_it_is_planned(settings, error, message):
    with pytest.raises(error, match=message):
        JsonlReader("in", **settings).decompose()


@dataclass
class Words(BaseFileReader):
    """Read text files, one document a line."""

    name: str = "words"

    def read_data(self, file_paths, read_kwargs, fields):
        return pa.table({"text": [line for path in file_paths for line in Path(path).read_text().splitlines()]})


class Nothing(BaseReader):
    """Read nothing at all."""

    def read_task(self, task, read_kwargs, fields):
        return ReaderOutput(None, {"n": 0})


def test_a_reader_of_ones_own_defines_a_hook(tmp_path):
    (tmp_path / "a.txt").write_text("a\nb\n")
    (batch,), made = read(Words(), task(tmp_path / "a.txt"))
    assert batch.data["text"].to_pylist() == ["a", "b"]
    assert made.rows_seen == 2
    (batch,), _ = read(Nothing(), task())
    assert (batch.num_items, batch._metadata["n"], Nothing().name) == (0, 0, "Nothing")
    with pytest.raises(InputError, match="Nothing: no documents in"):
        Nothing(allow_empty=False).process(task(tmp_path / "a.txt"))
