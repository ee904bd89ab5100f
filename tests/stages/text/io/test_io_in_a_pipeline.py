"""Readers and writers in a real run: the account balances, and nothing is lost, added or changed."""

import gzip
import json
from pathlib import Path

import pytest
import zstandard

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import ContractError, InputError, RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.function_decorators import processing_stage
from nemo_curator.stages.text.filters import ScoreFilter, WordCountFilter
from nemo_curator.stages.text.io import JsonlReader, JsonlWriter, ParquetReader, ParquetWriter
from nemo_curator.stages.text.io.reader import JsonlReaderStage
from nemo_curator.tasks import DocumentBatch, EmptyTask

REAL = Path(__file__).parents[5] / "shared" / "data" / "text" / "jsonl"
RECORDS = [
    {"id": f"{at:05d}", "text": "words é 語 " * (at % 9), "n": at if at % 3 else None, "meta": {"a": [at, "x"]}}
    for at in range(3000)
]
for one in RECORDS[::7]:
    del one["n"]


@pytest.fixture
def folder(tmp_path):
    """The records in a plain file, a gz and a zst."""
    data = [[json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in RECORDS[at::3]] for at in range(3)]
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "a.jsonl").write_bytes(b"".join(data[0]))
    (tmp_path / "in" / "sub" / "b.jsonl.gz").write_bytes(gzip.compress(b"".join(data[1])))
    (tmp_path / "in" / "c d é.jsonl.zst").write_bytes(zstandard.compress(b"".join(data[2])))
    return tmp_path


def run(*stages, workers=0, **how):
    pipeline = Pipeline("io", stages=list(stages))
    try:
        return pipeline.run(LocalExecutor(num_workers=workers), **how), pipeline.last_run
    finally:
        if pipeline.last_run:
            assert all(stage.imbalance == 0 for stage in pipeline.last_run.stages)


def records_in(folder, suffix="jsonl"):
    return [json.loads(line) for path in sorted(folder.glob(f"*.{suffix}")) for line in path.read_text().splitlines()]


def by_id(records):
    return sorted(records, key=lambda record: record["id"])


@pytest.mark.parametrize("workers", [0, 2])
def test_documents_go_through_files_unchanged_and_are_counted(folder, workers):
    tasks, account = run(
        JsonlReader(str(folder / "in"), blocksize="20kB"), JsonlWriter(str(folder / "out")), workers=workers
    )
    assert by_id(records_in(folder / "out")) == RECORDS
    assert sum(task._metadata["num_rows"] for task in tasks) == len(RECORDS)
    assert sorted(task.data[0] for task in tasks) == sorted(map(str, (folder / "out").iterdir()))
    table = [line.split()[:5] for line in account.table().splitlines()]
    assert ["jsonl_reader", "3000", "3000", "0", "0"] in table
    assert ["jsonl_writer", "3000", "3000", "0", "0"] in table


def test_names_are_the_same_wherever_the_folder_lies_and_whatever_stages_there_are(folder):
    for out, stages in (("one", []), ("two", [ScoreFilter(WordCountFilter(min_words=0))])):
        run(JsonlReader(str(folder / "in"), blocksize="20kB"), *stages, JsonlWriter(str(folder / out)))
    (folder / "in").rename(folder / "moved")
    run(JsonlReader(str(folder / "moved"), blocksize="20kB"), JsonlWriter(str(folder / "three")), workers=2)
    one, two, three = (
        {path.name: path.read_bytes() for path in (folder / out).iterdir()} for out in ("one", "two", "three")
    )
    assert one == two == three
    assert len(one) > 3


def test_documents_go_through_parquet(folder):
    run(JsonlReader(str(folder / "in")), ParquetWriter(str(folder / "parquet")))
    run(ParquetReader(str(folder / "parquet")), JsonlWriter(str(folder / "out")))
    assert by_id(records_in(folder / "out")) == [
        record if "n" in record else {**record, "n": None} for record in RECORDS
    ]


def test_bad_lines_fail_the_run_unless_allowed_and_everything_else_is_written(folder):
    with (folder / "in" / "a.jsonl").open("ab") as file:
        file.write(b'{"id": \n\xff\xff\n')
    stages = JsonlReader(str(folder / "in"), blocksize="20kB"), JsonlWriter(str(folder / "out"))
    with pytest.raises(
        RunFailedError, match=r"2 rows failed; what was written stays\.(.|\n)*a\.jsonl at byte"
    ) as caught:
        run(*stages)
    assert "UnicodeDecodeError" in str(caught.value)
    assert by_id(records_in(folder / "out")) == RECORDS
    _, account = run(*stages, max_failed_fraction=0.01)
    assert account.rows_failed == 2


def test_an_archive_that_is_cut_off_fails_the_run_and_what_comes_before_is_written(folder):
    path = folder / "in" / "sub" / "b.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RunFailedError, match=r"the gzip stream is cut off after byte"):
        run(JsonlReader(str(folder / "in")), JsonlWriter(str(folder / "out")))
    assert 2000 < len(records_in(folder / "out")) < 3000


def test_a_missing_input_is_an_error_before_anything_is_deleted(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "earlier").touch()
    with pytest.raises(InputError, match="gone: there is no such file or folder"):
        run(JsonlReader(str(tmp_path / "gone")), JsonlWriter(str(out), mode="overwrite"))
    assert (out / "earlier").exists()


def test_a_misspelt_column_is_an_error_before_anything_is_deleted(folder):
    (folder / "out").mkdir()
    (folder / "out" / "earlier").touch()
    with pytest.raises(ContractError, match=r"columns from jsonl_reader: .*did you mean 'text'"):
        run(
            JsonlReader(str(folder / "in")),
            ScoreFilter(WordCountFilter(), text_field="texts"),
            JsonlWriter(str(folder / "out"), mode="overwrite"),
        )
    with pytest.raises(ContractError, match=r"jsonl_writer needs \['txt'\]"):
        run(JsonlReader(str(folder / "in")), JsonlWriter(str(folder / "out"), fields=["id", "txt"]))
    assert (folder / "out" / "earlier").exists()


def test_the_folder_of_the_input_is_never_emptied(folder):
    for out in (folder / "in", folder / "in" / "sub", folder):
        with pytest.raises(ValueError, match="refused to empty"):
            run(JsonlReader(str(folder / "in")), JsonlWriter(str(out), mode="overwrite"))
    assert len(list((folder / "in").rglob("*.jsonl*"))) == 3


def test_documents_keep_what_pandas_does_not_touch(folder):
    @processing_stage(name="touch")
    def touch(batch: DocumentBatch) -> DocumentBatch:
        batch.data["new"] = 1
        return batch

    run(JsonlReader(str(folder / "in")), touch, JsonlWriter(str(folder / "out")))
    wanted = [{**record, "n": record.get("n"), "new": 1} for record in RECORDS]
    assert by_id(records_in(folder / "out")) == wanted


def test_a_text_that_is_a_number_costs_its_own_row_and_no_other(folder):
    with (folder / "in" / "a.jsonl").open("a") as file:
        file.write('{"id": "x", "text": 123}\n{"id": "99999", "text": null}\n')
    with pytest.raises(RunFailedError, match=r"1 rows failed.*(.|\n)*column 'text' holds 123, which is not text"):
        run(
            JsonlReader(str(folder / "in")),
            ScoreFilter(WordCountFilter(min_words=0)),
            JsonlWriter(str(folder / "out")),
        )
    assert by_id(records_in(folder / "out")) == [*RECORDS, {"id": "99999", "text": None}]


def test_what_everything_was_dropped_from_is_read_again(folder):
    run(
        JsonlReader(str(folder / "in")),
        ScoreFilter(WordCountFilter(min_words=10**6)),
        JsonlWriter(str(folder / "none")),
    )
    tasks, account = run(JsonlReader(str(folder / "none")), JsonlWriter(str(folder / "again")))
    assert len(tasks) == 3
    assert account.stages[1].rows_out == 0


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real documents at {REAL}")
@pytest.mark.parametrize("workers", [0, 2])
def test_real_documents_come_back_as_they_were(tmp_path, workers):
    run(
        JsonlReader(str(REAL), blocksize="100kB"),
        JsonlWriter(str(tmp_path), file_extension="jsonl.gz"),
        workers=workers,
    )
    opened = {path: gzip.open if path.suffix == ".gz" else open for path in [*REAL.iterdir(), *tmp_path.iterdir()]}

    def canonical(folder):
        for path, open_it in opened.items():
            if path.parent == folder:
                with open_it(path, "rt", encoding="utf-8") as file:
                    yield from (json.dumps(json.loads(line), sort_keys=True) for line in file)

    assert sorted(canonical(REAL)) == sorted(canonical(tmp_path))


def test_a_file_that_is_gone_when_it_is_to_be_read_fails_the_run_whatever_share_is_allowed(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text('{"text": "x"}\n' * 100)
    tasks = JsonlReader(str(tmp_path)).decompose()[0].process(EmptyTask())
    (tmp_path / "b.jsonl").unlink()
    pipeline = Pipeline("p", stages=[JsonlReaderStage()])
    with pytest.raises(RunFailedError, match="1 sources could not be read to their end"):
        pipeline.run(LocalExecutor(num_workers=0), tasks, max_failed_fraction=1.0)
    assert pipeline.last_run.stages[0].rows_out == 100


def test_bytes_are_counted_where_they_are_read_and_written(tmp_path):
    lines = '{"text":"some words"}\n' * 50
    (tmp_path / "a.jsonl").write_text(lines)
    pipeline = Pipeline("p", stages=[JsonlReader(str(tmp_path / "a.jsonl")), JsonlWriter(str(tmp_path / "out"))])
    pipeline.run(LocalExecutor(num_workers=0))
    reader, writer = pipeline.last_run.stages[1:]
    assert (reader.bytes_in, writer.bytes_out) == (len(lines), len(lines))
    assert reader.bytes_out == writer.bytes_in > 0
