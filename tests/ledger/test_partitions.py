import json

import pyarrow.parquet as pq
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import LedgerError, RunFailedError
from nemo_curator.ledger.counts import StageCount
from nemo_curator.ledger.partitions import imbalances
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.text.filters import ScoreFilter, WordCountFilter
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.stages.text.modifiers import Modify
from nemo_curator.tasks import DocumentBatch


@pytest.fixture
def documents(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        lines = [json.dumps({"text": "word " * count}) for count in range(10)]
        (folder / f"{number}.jsonl").write_text("\n".join(lines) + ("\n{broken" if number == 1 else ""))
    return folder


class Halves(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Make two batches of one."""

    name = "halves"

    def process(self, batch):
        half = batch.num_items // 2
        return [batch.slice(0, half), batch.slice(half, batch.num_items - half)]


class Both(CompositeStage[DocumentBatch, DocumentBatch]):
    """A composite within a pipeline."""

    name = "both"

    def decompose(self):
        return [ScoreFilter(WordCountFilter(min_words=2)), Halves()]


class Everything(ProcessingStage[DocumentBatch, DocumentBatch]):
    """See all batches at once, and let one in three go."""

    name = "everything"
    is_barrier = True

    def process(self, batch):
        return batch

    def process_batch(self, tasks):
        return [task for place, task in enumerate(tasks) if place % 3]


def job(documents, out, *stages):
    return Pipeline("job", stages=[JsonlReader(str(documents)), *stages, JsonlWriter(str(out))])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("fuse", [True, False])
def test_every_partition_has_a_row_for_every_stage(documents, tmp_path, workers, fuse):
    pipeline = job(documents, tmp_path / "out", Both())
    pipeline.config["fuse"] = fuse
    pipeline.run(LocalExecutor(num_workers=workers), max_failed_fraction=0.1)
    rows = pipeline.last_run.partition_table().to_pylist()
    assert len(rows) == 3 * 4
    assert {row["state"] for row in rows} == {"done"}
    words = [row for row in rows if row["stage"] == "word_count"]
    assert [(row["rows_in"], row["rows_out"], row["dropped"]) for row in words] == [(10, 8, [("word_count", 2)])] * 3
    assert sorted(row["rows_in"] for row in rows if row["stage"] == "jsonl_reader") == [10, 10, 11]
    assert [row["failed"] for row in rows if row["failed"]] == [[("InputError", 1)]]
    assert [(row["tasks_in"], row["tasks_out"]) for row in rows if row["stage"] == "halves"] == [(1, 2)] * 3
    assert all(row["bytes_in"] > 0 for row in rows if row["stage"] != "jsonl_reader")
    for row in rows:
        lost = sum(count for _, count in row["dropped"] + row["failed"])
        assert row["rows_in"] + row["rows_added"] == row["rows_out"] + lost


def test_a_barrier_is_accounted_for(documents, tmp_path):
    pipeline = job(documents, tmp_path / "out", Everything())
    pipeline.run(LocalExecutor(num_workers=2), max_failed_fraction=0.1)
    count = next(stage for stage in pipeline.last_run.stages if stage.stage == "everything")
    assert (count.rows_in, count.rows_out, dict(count.dropped)) == (30, 20, {"everything": 10})
    assert pipeline.last_run.partition_table().num_rows == 3 + 1 + 2


def test_the_account_is_written_to_the_run_folder_also_of_a_run_that_failed(documents, tmp_path):
    pipeline = job(documents, tmp_path / "out", Modify(str.upper))
    with pytest.raises(RunFailedError):
        pipeline.run(LocalExecutor(num_workers=0), checkpoint_path=tmp_path / "run")
    ledger = json.loads((tmp_path / "run" / "ledger.json").read_text())
    assert ledger["error"].startswith("RunFailedError: 1 rows failed")
    assert ledger["partitions"] == {"in": 3, "done": 3, "lost": 0}
    assert [stage["rows_in"] for stage in ledger["stages"]] == [0, 31, 30, 30]
    assert [failure["source"] for failure in ledger["failures"]] == [f"{documents}/1.jsonl:11"]
    assert pq.read_table(tmp_path / "run" / "ledger.parquet").num_rows == 9
    pipeline.last_run.save(tmp_path / "copy")
    assert json.loads((tmp_path / "copy" / "ledger.json").read_text()) == ledger


def counts(*stages):
    made = {}
    for place, numbers in enumerate(stages):
        made[place] = StageCount(f"stage {place}")
        for name, value in numbers.items():
            setattr(made[place], name, value)
    return made


def test_tasks_and_rows_that_get_lost_between_stages_are_found():
    one = {"tasks_out": 2, "items_out": 10}
    assert list(imbalances("p", counts(one, {"tasks_in": 2, "items_in": 10}), None)) == []
    assert "stage 1 got 1 with 10" in next(imbalances("p", counts(one, {"tasks_in": 1, "items_in": 10}), None))
    assert "stage 1 got 2 with 9" in next(imbalances("p", counts(one, {"tasks_in": 2, "items_in": 9}), None))
    assert next(imbalances("p", counts(one), 1)) == "stage 0 made 2 tasks, but 1 arrived (partition p)"
    assert list(imbalances("p", counts(one), 2)) == []


class Forgetful(LocalExecutor):
    """Lose one task on the way back."""

    def run_segment(self, segment, partitions):
        for partition in super().run_segment(segment, partitions):
            partition.tasks = partition.tasks[1:] if partition.index == 1 else partition.tasks
            yield partition


def test_an_engine_that_loses_a_task_fails_the_run(documents, tmp_path):
    with pytest.raises(LedgerError, match=r"jsonl_writer made 1 tasks, but 0 arrived \(partition 0_"):
        job(documents, tmp_path / "out").run(Forgetful(num_workers=0), max_failed_fraction=0.1)
