"""One behaviour, four executors: every test here runs on all of them."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.backends.ray_actor_pool import RayActorPoolExecutor
from nemo_curator.backends.ray_data import RayDataExecutor
from nemo_curator.backends.xenna import XennaExecutor
from nemo_curator.errors import RunFailedError, StageSetupError
from nemo_curator.metrics.runs import RUNS
from nemo_curator.pipeline import Pipeline
from nemo_curator.progress.figures import take
from nemo_curator.progress.words import summary
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks import FailedTask
from nemo_curator.tasks.tasks import Task

ROOT = Path(__file__).parents[2]
ON_RAY = [XennaExecutor, RayDataExecutor, RayActorPoolExecutor]


@pytest.fixture(scope="module")
def ray_session(ray_variables):
    """One session for all tests here: to open and to close it takes longer than most of them."""
    from nemo_curator.core.attachment import environment

    with environment(ray_variables):
        import ray

        ray.init(logging_level="ERROR")
        yield
        ray.shutdown()


@pytest.fixture(params=[LocalExecutor, *(pytest.param(one, marks=pytest.mark.ray) for one in ON_RAY)])
def executor(request):
    if request.param is LocalExecutor:
        return LocalExecutor(num_workers=2)
    request.getfixturevalue("ray_session")
    return request.param()


@dataclass(repr=False, eq=False)
class Numbers(Task[list[int]]):
    """Engines must not care what flows through them."""

    data: list[int] = field(default_factory=list)

    @property
    def num_items(self) -> int:
        return len(self.data)

    def validate(self) -> bool:
        return True


@dataclass
class Source(ProcessingStage):
    """Tasks [0, 1], [2, 3], …"""

    tasks: int = 6
    name: str = "source"

    def process(self, _):
        return [Numbers("numbers", [2 * place, 2 * place + 1]) for place in range(self.tasks)]


@dataclass
class Calculate(ProcessingStage):
    """Call a function on every number."""

    function: object
    name: str = "calculate"

    def process(self, task):
        return Numbers(task.dataset_name, [self.function(number) for number in task.data])


@dataclass
class Return(ProcessingStage):
    """Return what a function makes of the task."""

    function: object
    name: str = "return"

    def process(self, task):
        return self.function(task)


def run(executor, *stages, **settings):
    tasks = Pipeline("test", stages=[Source(), *stages]).run(executor, **settings)
    return [task.data for task in tasks]


def rows(executor):
    return {stage.stage: (stage.rows_in, stage.rows_out, stage.rows_dropped) for stage in executor.last_run.stages}


def shown(executor):
    """What a person has seen of the run in the end, without what took how long."""
    figures = take(executor.progress)
    rows = summary(figures).partition(" failed")
    return rows[0] + rows[1], figures.done, figures.partitions, len(figures.working)


def exported(metric, stage):
    samples = (sample for family in RUNS.collect() for sample in family.samples)
    return sum(one.value for one in samples if (one.name, one.labels.get("stage")) == (metric, stage))


def test_results_come_in_the_order_of_the_source(executor):
    def slow_at_first(number):
        time.sleep(0.1 if number < 4 else 0)
        return number + 1

    tasks = Pipeline(
        "test",
        stages=[
            Source(),
            Calculate(slow_at_first, "one"),
            Calculate(lambda number: -number, "two").with_(batch_size=2),
        ],
    ).run(executor)
    assert [task.data for task in tasks] == [[-1, -2], [-3, -4], [-5, -6], [-7, -8], [-9, -10], [-11, -12]]
    assert [task.task_id for task in tasks] == [f"0_{place}" for place in range(6)]
    assert rows(executor) == {"source": (12, 12, 0), "one": (12, 12, 0), "two": (12, 12, 0)}
    assert executor.last_run.partitions == executor.last_run.partitions_done == 3
    assert shown(executor) == ("test: 12 rows in, 12 out, 0 dropped, 0 failed", 3, 3, 0)
    assert exported("curator_rows_out_total", "two") >= 12


def returns_all_kinds(task):
    kinds = {
        0: lambda: None,
        2: lambda: [task, Numbers("more", [100])],
        4: lambda: (Numbers("lazy", [number]) for number in task.data),
        6: lambda: FailedTask(),
        8: list,
    }
    return kinds.get(task.data[0], lambda: task)()


def test_a_stage_may_return_nothing_a_list_a_generator_or_a_failure(executor):
    assert run(executor, Return(returns_all_kinds), max_failed_fraction=0.5) == [[2, 3], [100], [4], [5], [10, 11]]
    count = executor.last_run.stages[1]
    assert (count.rows_in, count.rows_added, count.rows_out) == (12, 1, 7)
    assert (count.rows_dropped, count.rows_failed) == (4, 2)


@dataclass
class Pairs(ProcessingStage):
    """Join the numbers of the tasks of a call."""

    name: str = "pairs"
    batch_size: int = 4

    def process(self, task):
        raise AssertionError("process_batch is there")

    def process_batch(self, tasks):
        return [Numbers("joined", [number for task in tasks for number in task.data])]


def test_a_stage_gets_as_many_tasks_at_once_as_it_asks_for(executor):
    assert run(executor, Pairs()) == [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11]]
    assert rows(executor)["pairs"] == (12, 12, 0)


def test_an_exception_costs_its_task_and_the_run_fails_in_the_same_words(executor):
    stage = Calculate(lambda number: 1 // (number - 4))
    with pytest.raises(RunFailedError) as expected:
        run(LocalExecutor(num_workers=0), stage)
    with pytest.raises(RunFailedError) as found:
        run(executor, stage)
    assert str(found.value) == str(expected.value)
    assert "calculate: ZeroDivisionError" in str(found.value)
    assert executor.last_run.stages[1].rows_failed == 2


@dataclass
class CannotStart(Calculate):
    def setup(self, _=None):
        raise OSError("no model here")


def test_an_exception_in_setup_names_the_stage(executor):
    with pytest.raises(StageSetupError, match=r"^calculate could not be set up: OSError: no model here$"):
        run(executor, CannotStart(abs))


@dataclass
class Dies(Calculate):
    """Kill the worker at number 4: always, or the first time only if there is a file to remember by."""

    remember: Path | None = None

    def process(self, task):
        if 4 in task.data and (self.remember is None or not self.remember.exists()):
            if self.remember is not None:
                self.remember.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().process(task)


def test_a_partition_whose_worker_dies_is_tried_again(executor, tmp_path):
    stages = Calculate(lambda number: number + 10), Dies(abs, "dies", tmp_path / "died").with_(batch_size=2)
    assert run(executor, *stages) == [[10, 11], [12, 13], [14, 15], [16, 17], [18, 19], [20, 21]]
    assert rows(executor)["dies"] == (12, 12, 0)


def test_partitions_that_end_every_worker_are_lost_alone(executor):
    exits = Calculate(lambda number: sys.exit(3) if number == 8 else number, "exits")
    with pytest.raises(RunFailedError, match="0 rows and 2 of 6 source partitions failed") as found:
        run(executor, Dies(abs, "dies"), exits)
    assert str(found.value).count("dies + exits: WorkerDiedError: its worker process died") == 2
    assert executor.last_run.partitions_done == 4


@dataclass
class Hangs(Dies):
    """Stand still at number 4, the first time."""

    def process(self, task):
        if 4 in task.data and not self.remember.exists():
            self.remember.touch()
            time.sleep(600)
        return Calculate.process(self, task)


def test_a_worker_that_makes_no_progress_is_ended_and_its_partition_tried_again(executor, tmp_path):
    executor.config["stall_limit"] = 4.0
    assert run(executor, Hangs(abs, "hangs", tmp_path / "hung")) == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11]]
    assert (tmp_path / "hung").exists()


def test_a_result_that_cannot_be_pickled_costs_its_partition(executor):
    with pytest.raises(RunFailedError, match="1 of 6 source partitions failed") as found:
        run(executor, Calculate(lambda number: threading.Lock() if number == 4 else number))
    assert "calculate: TypeError: cannot pickle '_thread.lock' object (0_2)" in str(found.value)


@dataclass
class Watched(Calculate):
    """Leave a file for everything that is called, named after the process."""

    folder: Path = Path()

    def note(self, what):
        (self.folder / f"{what}-{os.getpid()}-{time.monotonic_ns()}").touch()

    def setup_on_node(self, node_info=None, worker_metadata=None):
        assert node_info.node_id
        self.note("node")

    def setup(self, worker_metadata=None):
        assert worker_metadata.worker_id
        self.note("setup")

    def teardown(self):
        self.note("teardown")


def test_a_stage_is_set_up_once_and_torn_down(executor, tmp_path):
    stage = Watched(abs, "watched", folder=tmp_path).with_(num_workers=1, resources=Resources(cpus=2))
    assert len(run(executor, stage)) == 6
    calls = [path.name.split("-")[0] for path in sorted(tmp_path.iterdir(), key=lambda path: path.name.split("-")[2])]
    # Xenna kills its workers
    assert calls == ["node", "setup", "teardown"][: 2 if isinstance(executor, XennaExecutor) else 3]


@dataclass
class Total(ProcessingStage):
    """Add up everything there is."""

    name: str = "total"
    is_barrier: bool = True

    def process(self, task):
        return self.process_batch([task])[0]

    def process_batch(self, tasks):
        return [Numbers("total", [sum(number for task in tasks for number in task.data)])]


def test_a_barrier_sees_everything(executor):
    assert run(executor, Calculate(lambda number: number + 1, "one"), Total(), Calculate(float, "two")) == [[78.0]]


def test_tasks_can_be_given(executor):
    given = [Numbers("given", [1]), Numbers("given", [2, 3])]
    tasks = Pipeline("test", stages=[Calculate(lambda number: -number)]).run(executor, given)
    assert [task.data for task in tasks] == [[-1], [-2, -3]]


def test_nothing_may_be_left(executor):
    assert run(executor, Return(lambda task: None), Calculate(abs).with_(batch_size=2)) == []
    assert rows(executor)["return"] == (12, 0, 12)


def test_a_stage_gets_its_variables_and_runs_without_the_gpu_it_wants(executor):
    stage = Calculate(lambda number: os.environ["COLOUR"]).with_(
        resources=Resources(cpus=64, gpus=1), runtime_env={"env_vars": {"COLOUR": "blue"}}
    )
    assert run(executor, Calculate(abs, "first"), stage)[-1] == ["blue", "blue"]


SCRIPT = """
import sys
from dataclasses import dataclass
from loguru import logger
from nemo_curator.backends.{module} import {name}
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import DocumentBatch
import pandas as pd
import sibling

print("the script runs")
logger.remove()
logger.add(sys.stderr, format="mine: {{message}}")

@dataclass
class Batch(DocumentBatch):
    extra: int = 0

@dataclass
class Make(ProcessingStage):
    name: str = "make"
    def process(self, _):
        return [Batch("d", pd.DataFrame({{"text": [text]}}), extra=1) for text in ("one", "two")]

@dataclass
class Add(ProcessingStage):
    how: object = None
    name: str = "add"
    def process(self, task):
        assert isinstance(task, Batch)
        logger.info("adding")
        print("user print")
        return Batch("d", task.data, extra=self.how(task.extra))

tasks = Pipeline("p", stages=[Make(), Add(how=lambda n: n + sibling.ONE)]).run({name}())
assert all(type(task) is Batch for task in tasks)
print([task.extra for task in tasks])
logger.info("over")
"""


def test_a_script_needs_no_main_guard(executor, tmp_path):
    kind = type(executor)
    (tmp_path / "sibling.py").write_text("ONE = 1")
    (tmp_path / "script.py").write_text(SCRIPT.format(module=kind.__module__.split(".")[-1], name=kind.__name__))
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py"],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "the script runs"
    assert "[2, 2]" in lines
    assert lines.count("the script runs") == 1
    assert any("user print" in line for line in lines)
    assert "mine: over" in done.stderr
    assert "Traceback" not in done.stderr
