import ctypes
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import RunFailedError
from nemo_curator.ledger import pulse
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.tasks import DocumentBatch

ROOT = Path(__file__).parents[2]


@dataclass
class Slow(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Take long over texts that say so."""

    how: str = "sleep"
    remember: Path | None = None
    name: str = "slow"

    def process(self, batch):
        if "slow" in batch.text("text").to_pylist() and (self.remember is None or not self.remember.exists()):
            if self.remember is not None:
                self.remember.touch()
            self.wait_for_ever()
        return batch

    def wait_for_ever(self):
        if self.how == "sleep":
            time.sleep(600)
        elif self.how == "holding the GIL":
            ctypes.PyDLL(None).sleep(600)
        else:
            for _ in range(60):
                time.sleep(0.1)
                pulse.beat()


@pytest.fixture
def documents(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for text in ("quick", "slow", "also quick"):
        (folder / f"{text}.jsonl").write_text(json.dumps({"text": text}))
    return folder


def run(documents, stage, limit=4.0):
    pipeline = Pipeline("p", stages=[JsonlReader(str(documents)), stage])
    return pipeline, LocalExecutor({"stall_limit": limit}, num_workers=2)


def test_a_worker_that_is_stuck_is_named_ended_and_its_partition_tried_again(documents, tmp_path, caplog):
    pipeline, executor = run(documents, Slow(remember=tmp_path / "once"))
    assert len(pipeline.run(executor)) == 3
    assert "no progress for 4 s in slow" in caplog.text
    assert "wait_for_ever" in caplog.text


def test_a_partition_that_is_stuck_every_time_is_reported_and_the_others_go_on(documents):
    pipeline, executor = run(documents, Slow(), limit=4.0)
    with pytest.raises(RunFailedError, match="1 of 3 source partitions failed") as error:
        pipeline.run(executor)
    assert "no progress for 4 s in slow" in str(error.value)
    assert executor.last_run.partitions_done == 2


def test_a_library_that_holds_the_interpreter_is_ended_too(documents, tmp_path):
    pipeline, executor = run(documents, Slow(how="holding the GIL", remember=tmp_path / "once"), limit=4.0)
    assert len(pipeline.run(executor)) == 3


def test_a_stage_that_shows_signs_of_life_may_take_as_long_as_it_likes(documents):
    pipeline, executor = run(documents, Slow(how="alive"), limit=4.0)
    assert len(pipeline.run(executor)) == 3


class SlowSetup(Slow):
    """Never ready."""

    def setup(self, _=None):
        time.sleep(600)


def test_a_setup_that_hangs_is_ended(documents):
    pipeline, executor = run(documents / "slow.jsonl", SlowSetup(name="model"), limit=3.0)
    with pytest.raises(RunFailedError, match="no progress for 3 s in setup of model"):
        pipeline.run(executor)


def test_nothing_is_watched_where_there_is_no_limit(documents):
    code = (
        "import sys, threading\n"
        "from nemo_curator.backends.watchdog import watched\n"
        "with watched(None, 'x'): assert threading.active_count() == 1\n"
        "with watched(9.0, 'x'): assert threading.active_count() == 2\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
