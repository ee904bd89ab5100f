"""Where no terminal is, a run is shown as lines."""

import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import ConfigError
from nemo_curator.pipeline import Pipeline
from nemo_curator.progress import display
from nemo_curator.stages.base import ProcessingStage

ROOT = Path(__file__).parents[2]


@dataclass
class All(ProcessingStage):
    """See everything at once."""

    name: str = "all"
    is_barrier: bool = True

    def process(self, batch):
        return batch

    def process_batch(self, batches):
        return batches


def run(*stages, tasks, **settings):
    return Pipeline("books", stages=list(stages)).run(LocalExecutor(num_workers=0, **settings), tasks)


@pytest.fixture
def short_intervals(monkeypatch):
    monkeypatch.setattr(display, "FIRST_LINE_S", 0.25)
    monkeypatch.setattr(display, "LINE_S", 0.1)


def test_lines_come_after_a_while_and_one_at_the_end(batches, halve, short_intervals, capfd):
    run(halve(0.1), tasks=batches(6))
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) >= 3
    far = r"books: ([1-9]) of 6 partitions \(\d+%\), 0:00:0\d so far, (0:00:0\d left, )?[\d.]+ [MG]iB; (\d+) rows in, "
    found = next(filter(None, (re.match(far, line) for line in lines)))
    assert int(found[3]) == 4 * int(found[1])
    assert lines[-1].startswith("books: 24 rows in, 12 out, 12 dropped, 0 failed, ")
    assert re.search(r"; 6 partitions in 0:00:0\d$", lines[-1])


def test_a_short_run_says_nothing(batches, halve, capfd):
    run(halve(), tasks=batches(6))
    assert capfd.readouterr().err == ""


def test_the_parts_of_a_run_are_told_one_by_one(batches, halve, short_intervals, capfd):
    run(halve(0.1), All(), halve(0.0, "again"), tasks=batches(4))
    ends = [line for line in capfd.readouterr().err.splitlines() if re.search(r" partitions? in ", line)]
    assert [line.partition(" failed")[0] for line in ends] == [
        "books part 1 of 3: 16 rows in, 8 out, 8 dropped, 0",
        "books part 2 of 3: 8 rows in, 8 out, 0 dropped, 0",
        "books part 3 of 3: 8 rows in, 4 out, 4 dropped, 0",
    ]


@dataclass
class Interrupted(ProcessingStage):
    name: str = "interrupted"

    def process(self, batch):
        raise KeyboardInterrupt


def test_a_run_that_is_interrupted_says_so(batches, halve, short_intervals, capfd):
    with pytest.raises(KeyboardInterrupt):
        run(halve(0.4), Interrupted(), tasks=batches(2))
    last = capfd.readouterr().err.splitlines()[-1]
    assert re.search(r"0 of 2 partitions in 0:00:0\d, ended by KeyboardInterrupt$", last)


def test_progress_can_be_switched_off(batches, halve, short_intervals, capfd, monkeypatch):
    monkeypatch.setenv("CURATOR_PROGRESS", "off")
    run(halve(0.2), tasks=batches(2))
    assert capfd.readouterr().err == ""


def test_a_word_that_means_nothing_is_an_error(batches, halve, monkeypatch):
    monkeypatch.setenv("CURATOR_PROGRESS", "loud")
    with pytest.raises(ConfigError, match="CURATOR_PROGRESS is 'loud'; wanted one of auto, live, plain, off"):
        run(halve(), tasks=batches(1))


def test_of_two_runs_at_once_one_is_shown(batches, halve, short_intervals, capfd):
    threads = [threading.Thread(target=run, args=[halve(0.2)], kwargs={"tasks": batches(3)}) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert capfd.readouterr().err.count(" partitions in ") == 1


@pytest.mark.parametrize("mode", ["live", "plain"])
def test_a_run_without_stderr_is_not_shown_and_ends_well(mode):
    source = """
import time
import pyarrow as pa
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import Score
from nemo_curator.tasks import DocumentBatch
executor = LocalExecutor(num_workers=0)
executor.progress_interval = 0.1
stage = Score(lambda text: time.sleep(0.5) or len(text), "length")
task = DocumentBatch("d", pa.table({"text": ["a", "b"]}))
made = Pipeline("books", stages=[stage]).run(executor, [task])
print(made[0].num_items, "rows")
"""
    command = f'exec "{sys.executable}" -c "$SOURCE" 2>&-'
    variables = {**os.environ, "SOURCE": source, "CURATOR_PROGRESS": mode, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-c", command], env=variables, stdout=subprocess.PIPE, text=True)
    assert (done.returncode, done.stdout) == (0, "2 rows\n")
