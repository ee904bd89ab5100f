"""What only LocalExecutor does; what it shares with the others is in test_executors.py."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest

from nemo_curator.backends.local import LocalExecutor, count_cpus
from nemo_curator.errors import ContractError, RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.tasks import DocumentBatch, FileGroupTask

ROOT = Path(__file__).parents[2]


@dataclass
class Source(ProcessingStage):
    tasks: int = 6
    name: str = "source"

    def process(self, _):
        return [FileGroupTask("files", [f"{place}.txt"]) for place in range(self.tasks)]


@dataclass
class Call(ProcessingStage):
    """Let the task hold what a function returns."""

    function: object
    name: str = "call"

    def process(self, task):
        return FileGroupTask(task.dataset_name, [self.function()])


def run(*stages, **settings):
    tasks = Pipeline("test", stages=[Source(), *stages]).run(LocalExecutor(**settings))
    return [task.data[0] for task in tasks]


def test_without_workers_everything_runs_in_this_process():
    assert set(run(Call(os.getpid), num_workers=0)) == {os.getpid()}
    assert os.getpid() not in run(Call(os.getpid), num_workers=2)


def test_libraries_of_a_worker_use_one_thread_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert set(run(Call(lambda: os.environ["OMP_NUM_THREADS"]), num_workers=1)) == {"1"}
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert set(run(Call(lambda: os.environ["OMP_NUM_THREADS"]), num_workers=1)) == {"3"}


def arrow_threads():
    import pyarrow

    return pyarrow.cpu_count()


def test_a_stage_has_as_many_threads_as_cpus():
    one, two = Call(arrow_threads), Call(arrow_threads).with_(resources=Resources(cpus=2))
    assert set(run(one, num_workers=2)) == {1}
    assert set(run(two, num_workers=2)) == {2}
    assert set(run(two, num_workers=0)) == {min(2, count_cpus())}


class TwoArgumentsError(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def fail():
    raise TwoArgumentsError("this", "that")


def test_an_exception_that_cannot_be_unpickled_is_told_all_the_same():
    with pytest.raises(RunFailedError, match="call: TwoArgumentsError: this and that"):
        run(Call(fail), num_workers=2)


def test_failures_can_be_ignored():
    assert run(Call(fail), num_workers=0, config={"ignore_failures": True}) == []


@dataclass
class Span(ProcessingStage):
    """Write down when it ran."""

    folder: Path
    name: str

    def process(self, task):
        start = time.monotonic_ns()
        time.sleep(0.05)
        (self.folder / f"{self.name}-{start}-{time.monotonic_ns()}").touch()
        return task


def test_no_more_cpus_are_handed_out_than_there_are(tmp_path):
    wide = Span(tmp_path, "wide").with_(resources=Resources(cpus=2))
    run(Span(tmp_path, "slim"), wide, num_workers=2)
    spans = [(name, int(start), int(end)) for name, start, end in (path.name.split("-") for path in tmp_path.iterdir())]
    assert len(spans) == 12
    for name, start, end in spans:
        beside = [other for other, begin, finish in spans if begin < end and start < finish]
        assert sum({"wide": 2, "slim": 1}[other] for other in beside) <= 2, name


def test_stages_that_cannot_be_loaded_in_a_worker_are_told(tmp_path):
    (tmp_path / "only_here.py").write_text("def one(): return 1")
    sys.path.insert(0, str(tmp_path))
    try:
        import only_here

        stage = Call(only_here.one)
        (tmp_path / "only_here.py").unlink()
        with pytest.raises(RuntimeError, match=r"could not be loaded in a worker: ModuleNotFoundError.*only_here"):
            run(stage, num_workers=1)
    finally:
        sys.path.remove(str(tmp_path))


def test_other_runtime_environments_than_variables_are_refused():
    with pytest.raises(ContractError, match=r"cannot do \['pip'\]"):
        run(Call(int).with_(runtime_env={"pip": ["x"]}), num_workers=1)


SLOW_SCRIPT = """
import signal
import time
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.function_decorators import processing_stage
from nemo_curator.tasks import EmptyTask, FileGroupTask

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it runs in the background ignore it

@processing_stage(name="compute")
def compute(task):
    print("computing\\n", end="", flush=True)  # at once, because two processes write
    end = time.time() + 600
    while time.time() < end:
        pass

tasks = [FileGroupTask(name, [name]) for name in "ab"]
Pipeline("slow", stages=[compute]).run(LocalExecutor(num_workers=2), tasks)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_workers_end_with_the_script(end, tmp_path):
    script = tmp_path / "slow.py"
    script.write_text(SLOW_SCRIPT)
    driver = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    assert [driver.stdout.readline() for _ in range(2)] == ["computing\n"] * 2
    workers = psutil.Process(driver.pid).children(recursive=True)
    assert len(workers) >= 2
    driver.send_signal(end)
    driver.wait(60)
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []


class Interrupted(JsonlWriter):
    """Is killed while it writes, the first time."""

    def write_data(self, task, file_path):
        super().write_data(task, file_path)
        if "kill" in task.text("text").to_pylist() and not (Path(self.path) / "killed").exists():
            (Path(self.path) / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_while_it_writes_leaves_nothing_behind(tmp_path):
    for text in ("a", "kill", "b"):
        (tmp_path / f"{text}.jsonl").write_text(json.dumps({"text": text}))
    out = tmp_path / "out"
    made = Pipeline("p", stages=[JsonlReader(str(tmp_path)), Interrupted(str(out))]).run(LocalExecutor(num_workers=1))
    names = {Path(task.data[0]).name for task in made}
    assert {path.name for path in out.iterdir()} == names | {"killed"}
    assert len(names) == 3


class Big:
    """Takes a while to send, during which its worker is killed, the first time."""

    def __init__(self, folder):
        self.folder, self.data = folder, bytes(40_000_000)


@dataclass
class KilledWhileSending(ProcessingStage):
    folder: Path = Path()
    name: str = "sends"

    def process(self, task):
        if task.data == ["1.txt"] and not (self.folder / "once").exists():
            (self.folder / "once").touch()
            threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGKILL)).start()
            task._metadata["big"] = Big(self.folder)
        return task


def test_a_worker_that_is_killed_while_it_sends_costs_its_partition_a_retry(tmp_path):
    made = run(KilledWhileSending(tmp_path), num_workers=2)
    assert len(made) == 6


def test_a_negative_number_of_processes_is_refused():
    with pytest.raises(ValueError, match="num_workers is -1"):
        LocalExecutor(num_workers=-1)


def test_tasks_that_share_an_id_are_refused():
    tasks = [FileGroupTask("d", ["a"], task_id="k"), FileGroupTask("d", ["b"], task_id="k")]
    with pytest.raises(ContractError, match=r"share the ids \['k'\]"):
        Pipeline("p", stages=[Call(int)]).run(LocalExecutor(num_workers=0), tasks)


@dataclass
class OnNode(ProcessingStage):
    """Note a variable in both set-ups, and in a stage that did not ask for it."""

    folder: Path = Path()
    name: str = "on_node"

    def setup_on_node(self, node_info=None, worker_metadata=None):
        (self.folder / f"{self.name}-node").write_text(str(os.environ.get("MODELS")))

    def process(self, task):
        (self.folder / f"{self.name}-process").write_text(str(os.environ.get("MODELS")))
        return task


def test_a_stage_has_its_variables_in_every_call_and_no_other_stage_has_them(tmp_path):
    asks = OnNode(tmp_path, "asks").with_(runtime_env={"env_vars": {"MODELS": "/models"}})
    run(asks, OnNode(tmp_path, "other"), num_workers=1)
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"asks-node": "/models", "asks-process": "/models", "other-node": "None", "other-process": "None"}


@dataclass
class Torn(Call):
    """Note when it is torn down."""

    folder: Path = Path()

    def teardown(self):
        (self.folder / self.name).touch()


@dataclass
class Rude(Call):
    """Leave a variable behind."""

    def process(self, task):
        found = os.environ.get("LEFT_BY_A_STAGE")
        os.environ["LEFT_BY_A_STAGE"] = self.name
        return FileGroupTask(task.dataset_name, [os.getpid(), found])


def test_processes_that_are_kept_forget_the_variables_that_a_run_has_set():
    executor = LocalExecutor(num_workers=2)
    with executor.keeping_processes():
        first = Pipeline("test", stages=[Source(8), Rude(os.getpid, "first")]).run(executor)
        second = Pipeline("test", stages=[Source(8), Rude(os.getpid, "second")]).run(executor)
    assert {task.data[0] for task in first} == {task.data[0] for task in second}
    assert "first" not in {task.data[1] for task in second}


def test_runs_take_turns_in_the_same_processes_where_they_are_kept(tmp_path):
    executor = LocalExecutor(num_workers=1)

    def pids(name):
        stages = [Source(), Torn(os.getpid, name, tmp_path)]
        return {task.data[0] for task in Pipeline("test", stages=stages).run(executor)}

    with executor.keeping_processes():
        first = pids("first")
        assert (tmp_path / "first").exists()
        assert pids("second") == first
        psutil.Process(*first).kill()
        while psutil.Process(*first).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        (third,) = pids("third")
        assert third not in first
    assert not psutil.pid_exists(third)
    assert pids("alone") != {third}


class CountsWords(ProcessingStage[DocumentBatch, DocumentBatch]):
    name = "counts words"

    def process(self, task):
        from nemo_curator.kernels.words import count_words

        counted = count_words(np.frombuffer(b"a bc", np.uint8), np.array([0, 4]))
        return task.with_column("words", counted)


def test_a_run_that_waits_for_kernels_to_be_compiled_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("CURATOR_PROGRESS", "plain")
    executor = LocalExecutor(num_workers=1)
    executor.progress_interval = 0.05
    batches = [DocumentBatch("d", pa.table({"text": ["a bc"]})) for _ in range(2)]
    made = Pipeline("first", stages=[CountsWords()]).run(executor, batches)
    assert [batch.to_pyarrow()["words"].to_pylist() for batch in made] == [[2], [2]]
    said = [
        line.endswith("; compiling count_words, once on this machine") for line in capsys.readouterr().err.splitlines()
    ]
    assert any(said)
    assert not said[-1]
