import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.errors import InputError
from nemo_curator.ledger.counts import StageCount, counting
from nemo_curator.stages.text.io.reader import ParquetReader, ParquetReaderStage
from nemo_curator.stages.text.io.reader import parquet as module
from nemo_curator.tasks import DocumentBatch, FileGroupTask

TABLE = pa.table({"id": range(1000), "text": [f"text {at}" for at in range(1000)]})


def write(path, table=TABLE, **how):
    pq.write_table(table, path, **how)
    return str(path)


def read(stage, *paths, **config):
    made = StageCount(stage.name)
    with counting(made):
        result = stage.process(FileGroupTask("set", list(paths), reader_config=config, _metadata={"x": 1}))
        return [result] if isinstance(result, DocumentBatch) else list(result), made


def rows(batches):
    return [row for batch in batches for row in batch.to_pyarrow().to_pylist()]


def test_a_file_is_a_batch_that_carries_what_its_task_says(tmp_path):
    (batch,), made = read(ParquetReaderStage(), write(tmp_path / "a.parquet"))
    assert batch.to_pyarrow() == TABLE
    assert (batch.dataset_name, batch._metadata, made.rows_seen) == ("set", {"x": 1}, 1000)
    assert isinstance(batch.data, pd.DataFrame)


def test_a_file_is_read_in_batches_of_bounded_size(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BATCH_BYTES", 8000)
    monkeypatch.setattr(module, "STEP_BYTES", 1000)
    batches, _ = read(ParquetReaderStage(), write(tmp_path / "a.parquet", row_group_size=300))
    assert rows(batches) == TABLE.to_pylist()
    assert len(batches) > 2
    assert all(batch.nbytes <= 8000 for batch in batches)


def test_row_groups_are_read_by_themselves(tmp_path):
    path = write(tmp_path / "a.parquet", row_group_size=300)
    parts = [rows(read(ParquetReaderStage(), path, row_groups=groups)[0]) for groups in ([0], [1, 2], [3])]
    assert [len(part) for part in parts] == [300, 600, 100]
    assert [row for part in parts for row in part] == TABLE.to_pylist()


def test_files_with_other_columns_or_types_become_batches_of_their_own(tmp_path):
    one = write(tmp_path / "a.parquet", pa.table({"a": [1], "b": ["x"]}))
    same = write(tmp_path / "b.parquet", pa.table({"a": [2], "b": pa.array(["y"]).dictionary_encode()}))
    other = write(tmp_path / "c.parquet", pa.table({"a": ["3"]}))
    batches, _ = read(ParquetReaderStage(), one, one, same, other)
    assert [batch.num_items for batch in batches] == [2, 1, 1]
    assert rows(batches)[1:] == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}, {"a": "3"}]
    batches, _ = read(ParquetReaderStage(fields=["b"]), one, other)
    assert rows(batches) == [{"b": "x"}, {"b": None}]


def test_fields_and_filters_choose_columns_and_rows(tmp_path):
    path = write(tmp_path / "a.parquet", row_group_size=100)
    for stage in (
        ParquetReaderStage(["text"], {"filters": [("id", "<", 2)]}),
        ParquetReaderStage(read_kwargs={"columns": ["text"], "filters": [[("id", "==", 0)], [("id", "==", 1)]]}),
    ):
        batches, made = read(stage, path)
        assert rows(batches) == [{"text": "text 0"}, {"text": "text 1"}]
        assert made.rows_seen == 2


def test_settings_of_pandas_make_pandas_read(tmp_path):
    path = write(tmp_path / "a.parquet")
    (batch,), made = read(ParquetReaderStage(["id"], {"dtype_backend": "numpy_nullable"}), path, path)
    assert str(batch.data.dtypes["id"]) == "Int64"
    assert (batch.num_items, made.rows_seen) == (2000, 2000)
    assert ParquetReader(path, read_kwargs={"dtype_backend": "numpy_nullable"}).decompose()[0].split_by is None
    assert ParquetReader(path, read_kwargs={"dtype_backend": "pyarrow"}).decompose()[0].split_by == "row_groups"


def test_row_numbers_that_pandas_left_behind_are_no_column(tmp_path):
    frame = pd.DataFrame({"text": ["a", "b", "c"]}).iloc[[2, 0, 1]]
    frame.to_parquet(tmp_path / "a.parquet")
    assert "__index_level_0__" in pq.read_schema(tmp_path / "a.parquet").names
    (batch,), _ = read(ParquetReaderStage(), str(tmp_path / "a.parquet"))
    assert batch.data.to_dict("records") == [{"text": "c"}, {"text": "a"}, {"text": "b"}]


def test_an_empty_file_is_an_empty_batch_with_its_columns(tmp_path):
    empty = write(tmp_path / "a.parquet", TABLE.slice(0, 0))
    (batch,), made = read(ParquetReaderStage(), empty)
    assert (batch.num_items, batch.get_columns(), made.rows_seen) == (0, ["id", "text"], None)
    (batch,), _ = read(ParquetReaderStage(), write(tmp_path / "b.parquet", pa.table({})))
    assert (batch.num_items, batch.get_columns()) == (0, [])
    batches, _ = read(ParquetReaderStage(), str(tmp_path / "b.parquet"), write(tmp_path / "c.parquet"), empty)
    assert [batch.num_items for batch in batches] == [1000]


def test_a_damaged_file_is_one_failure_that_names_it(tmp_path):
    good, bad = write(tmp_path / "a.parquet"), tmp_path / "b.parquet"
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    bad.write_bytes(data[:-50])
    batches, made = read(ParquetReaderStage(), str(bad), good, str(tmp_path / "gone.parquet"))
    assert rows(batches) == TABLE.to_pylist()
    assert (made.rows_seen, made.rows_failed) == (1002, 2)
    assert [failure.source for failure in made.failures] == [str(bad), str(tmp_path / "gone.parquet")]
    assert ParquetReaderStage().find_columns(FileGroupTask("", [str(bad)])) is None


def test_columns_are_found_in_the_footer(tmp_path):
    one = FileGroupTask("", [write(tmp_path / "a.parquet")])
    assert ParquetReaderStage().find_columns(one) == ["id", "text"]
    assert ParquetReaderStage(fields=["text"]).find_columns(one) == ["text"]
    with pytest.raises(InputError, match=r"a.parquet has no \['txt'\]; its columns are \['id', 'text'\]"):
        ParquetReaderStage(fields=["id", "txt"]).find_columns(one)
    assert ParquetReaderStage().find_columns(FileGroupTask()) is None


def test_a_url_is_read_like_a_file():
    sink = pa.BufferOutputStream()
    pq.write_table(TABLE, sink)
    fsspec.filesystem("memory").pipe_file("/parquet/a.parquet", sink.getvalue().to_pybytes())
    files, reader = ParquetReader("memory://parquet").decompose()
    (task,) = files.process(None)
    (batch,) = reader.process(task)
    assert batch.to_pyarrow() == TABLE


def test_a_reader_is_a_source_and_a_stage():
    files, reader = ParquetReader("in", None, "1MB", ["a"]).decompose_and_apply_with()
    assert (files.blocksize, files.file_extensions, files.split_by) == ("1MB", [".parquet"], "row_groups")
    assert (reader.name, reader.fields) == ("parquet_reader", ["a"])
    assert ParquetReader(input_path="in").decompose()[0].file_paths == "in"
    with pytest.raises(NotImplementedError, match="reads task_type 'document'"):
        ParquetReader("in", task_type="image").decompose()
