import json
import os
import threading
import time
from dataclasses import dataclass

import numpy as np
import psutil
import pyarrow as pa
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.backends.memory import is_out_of_memory, measure
from nemo_curator.backends.ray_actor_pool import RayActorPoolExecutor
from nemo_curator.errors import ContractError, RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.tasks import DocumentBatch, FileGroupTask, ImageBatch, ImageObject

MIB = 2**20


@dataclass
class Fill(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Use as many MiB as the task is called, for a while."""

    name: str = "fill"

    def process(self, task):
        blocks = []
        for _ in range(0, int(task.data[0]), 16):
            blocks.append(np.ones(16 * MIB, np.uint8))
            time.sleep(0.05)
        time.sleep(0.3)
        return task


class Peak:
    """The most memory that this process and the children it starts use meanwhile, each page counted once."""

    def __enter__(self):
        self._older = set(psutil.Process().children(recursive=True))  # a Ray cluster of other tests
        self.most, self._ended = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _watch(self):
        me = psutil.Process()
        while not self._ended.wait(0.02):
            used = 0
            for process in {me, *me.children(recursive=True)} - self._older:
                try:
                    used += process.memory_full_info().pss
                except psutil.Error:
                    continue
            self.most = max(self.most, used)


def fill(*sizes):
    return Pipeline("p", stages=[Fill()]), [FileGroupTask("d", [str(size)]) for size in sizes]


def test_a_limit_is_kept_by_running_fewer_partitions_at_once():
    own = psutil.Process().memory_full_info().pss
    pipeline, tasks = fill(*[300] * 6)
    limit = own + 660 * MIB
    with Peak() as peak:
        made = pipeline.run(LocalExecutor(num_workers=3), tasks, memory_limit=limit)
    assert len(made) == 6
    assert peak.most <= own + 800 * MIB
    assert peak.most > own + 300 * MIB


def test_a_partition_that_needs_more_than_the_limit_by_itself_is_reported_and_the_others_go_on():
    own = psutil.Process().memory_full_info().pss
    pipeline, tasks = fill(50, 1500, 50)
    executor = LocalExecutor(num_workers=2)
    with Peak() as peak, pytest.raises(RunFailedError, match="1 of 3 source partitions failed") as error:
        pipeline.run(executor, tasks, memory_limit=f"{(own >> 20) + 600}MiB")
    assert "MemoryLimitError: with it alone the run took" in str(error.value)
    assert "Give a smaller blocksize" in str(error.value)
    assert executor.last_run.partitions_done == 2
    assert peak.most <= own + 900 * MIB


def test_a_limit_needs_an_executor_that_can_keep_it():
    pipeline, tasks = fill(1)
    with pytest.raises(ContractError, match="RayActorPoolExecutor keeps no memory_limit"):
        pipeline.run(RayActorPoolExecutor(), tasks, memory_limit="1GiB")
    with pytest.raises(ContractError, match="num_workers=0 has none"):
        pipeline.run(LocalExecutor(num_workers=0), tasks, memory_limit="1GiB")


def test_a_process_that_is_gone_uses_nothing():
    assert measure(os.getpid())[0] > 10 * MIB
    assert measure(2**22 + 1) == (0, 0)


class Model(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Has room for three rows at a time."""

    name = "model"
    error: Exception = MemoryError()
    sizes: list[int]

    def process(self, batch):
        self.sizes.append(batch.num_items)
        if batch.num_items > 3 or "huge" in batch.text("text").to_pylist():
            raise self.error
        return batch.with_column("seen", [len(self.sizes)] * batch.num_items)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate"), pa.ArrowMemoryError("malloc")]
)
def test_a_batch_that_does_not_fit_into_a_model_is_halved_until_it_does(tmp_path, error):
    texts = [f"text {number}" for number in range(10)]
    texts[4] = "huge"
    (tmp_path / "in.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
    model = Model()
    model.error, model.sizes, model.resources = error, [], Resources(gpus=1)
    pipeline = Pipeline("p", stages=[JsonlReader(str(tmp_path / "in.jsonl")), model])
    [made] = pipeline.run(LocalExecutor(num_workers=0), max_failed_fraction=0.1)
    assert made.text("text").to_pylist() == [text for text in texts if text != "huge"]
    assert model.sizes[:3] == [10, 5, 2]
    assert pipeline.last_run.stages[-1].failed == {type(error).__name__: 1}


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_what_a_run_returns_lies_in_files_beyond_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("nemo_curator.backends.base.HELD_BYTES", 5000)
    for number in range(4):
        rows = [json.dumps({"text": f"{number} " + "x" * 1000, "n": None if line % 2 else line}) for line in range(4)]
        (tmp_path / f"{number}.jsonl").write_text("\n".join([*rows, '{"other": {"a": 1}}']))
    before = pa.total_allocated_bytes()
    made = Pipeline("p", stages=[JsonlReader(str(tmp_path))]).run(LocalExecutor(num_workers=0))
    assert pa.total_allocated_bytes() - before < 12_000
    assert [task.data["text"].tolist()[0][0] for task in made] == ["0", "1", "2", "3"]
    assert made[3].data["other"].tolist()[-1] == {"a": 1}


def test_images_that_a_run_returns_lie_in_files_beyond_a_limit(monkeypatch):
    monkeypatch.setattr("nemo_curator.backends.base.HELD_BYTES", 5000)
    batches = [
        ImageBatch(
            "set", [ImageObject(image_id=str(at), image_bytes=bytes([at]) * 2000) for at in range(part, part + 2)]
        )
        for part in (0, 2, 4)
    ]

    class Pass(ProcessingStage[ImageBatch, ImageBatch]):
        name = "pass"

        def process(self, task):
            return task

    made = Pipeline("p", stages=[Pass()]).run(LocalExecutor(num_workers=0), batches)
    held = [isinstance(image.__dict__["_bytes"], bytes) for batch in made for image in batch.data]
    assert held == [True] * 2 + [False] * 4
    assert [image.image_bytes[0] for batch in made for image in batch.data] == list(range(6))
