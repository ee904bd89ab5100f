"""What the executors on Ray do beside running stages: clusters, settings, and what they leave behind."""

import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from nemo_curator.backends.ray_actor_pool import RayActorPoolExecutor
from nemo_curator.backends.ray_data import RayDataExecutor
from nemo_curator.backends.utils import (
    RayStageSpecKeys,
    check_total_gpu_capacity,
    get_available_cpu_gpu_resources,
    merge_executor_configs,
)
from nemo_curator.backends.xenna import XennaExecutor
from nemo_curator.errors import ContractError, RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import FileGroupTask

ROOT = Path(__file__).parents[2]
ON_RAY = [XennaExecutor, RayDataExecutor, RayActorPoolExecutor]


@dataclass
class Call(ProcessingStage):
    """Let the task hold what a function returns."""

    function: object
    name: str = "call"

    def process(self, task):
        return FileGroupTask(task.dataset_name, [self.function(task.data[0])])


def run(executor, *stages, tasks=6):
    given = [FileGroupTask("files", [place]) for place in range(tasks)]
    return [task.data[0] for task in Pipeline("test", stages=list(stages)).run(executor, given)]


def die_at_3(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.ray
@pytest.mark.parametrize("kind", ON_RAY)
def test_a_session_of_the_user_is_used_and_left_as_it_was(kind, ray_cluster):
    import ray
    from ray.util.state import list_actors

    ray.init(logging_level="ERROR")
    try:
        with pytest.raises(RunFailedError, match="1 of 3 source partitions"):
            run(kind(), Call(abs, "first"), Call(die_at_3).with_(batch_size=2))
        assert ray.is_initialized()
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and ray.available_resources().get("CPU") != 2:
            time.sleep(0.1)
        assert ray.available_resources()["CPU"] == 2
        mine = ray.get_runtime_context().get_job_id()
        alive = {actor.class_name for actor in list_actors(filters=[("job_id", "=", mine), ("state", "!=", "DEAD")])}
        assert {name for name in alive if "Worker" in name or "Monitor" in name} == set()
    finally:
        ray.shutdown()


PROGRAM = """
import signal
import time
from nemo_curator.backends.{module} import {name}
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.function_decorators import processing_stage
from nemo_curator.tasks import FileGroupTask

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it runs in the background ignore it

@processing_stage(name="work")
def work(task):
    print("working", flush=True)
    time.sleep({seconds})
    return task

tasks = [FileGroupTask("a", ["a"]), FileGroupTask("b", ["b"])]
print(len(Pipeline("p", stages=[work]).run({name}(), tasks, checkpoint_path="checkpoint")))
"""


def processes_with(mark):
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CURATOR_TEST") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            pass
    return found


@pytest.mark.ray
@pytest.mark.parametrize(
    ("kind", "seconds", "end"), [(XennaExecutor, 0, None), (RayActorPoolExecutor, 60, signal.SIGINT)]
)
def test_without_a_cluster_at_hand_a_private_one_comes_and_goes(kind, seconds, end, tmp_path):
    mark = uuid.uuid4().hex
    module = kind.__module__.rpartition(".")[2]
    (tmp_path / "program.py").write_text(PROGRAM.format(module=module, name=kind.__name__, seconds=seconds))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    program = subprocess.Popen(
        [sys.executable, tmp_path / "program.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**kept, "PYTHONPATH": str(ROOT), "CURATOR_TEST": mark},
    )
    if end is None:
        out, errors = program.communicate(timeout=100)
        assert out.splitlines()[-1] == "2", errors
        assert "working" in out
        assert errors == ""
        assert "Connect" in (tmp_path / "checkpoint/logs/engine.log").read_text()
    else:
        while "working" not in program.stdout.readline():
            assert program.poll() is None, program.stderr.read()
        assert len(processes_with(mark)) > 5
        program.send_signal(end)
        program.communicate(timeout=30)
    deadline = time.monotonic() + 10
    while (left := processes_with(mark)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == []


@pytest.mark.ray
def test_xenna_in_batch_mode_gives_the_same(ray_cluster, capfd, monkeypatch):
    executor = XennaExecutor({"execution_mode": "batch", "logging_interval": 0.1, "max_workers_per_stage": 1})
    stages = Call(lambda number: number + 1, "one"), Call(lambda number: 2 * number, "two").with_(batch_size=2)
    monkeypatch.setenv("CURATOR_PROGRESS", "plain")
    assert run(executor, *stages) == [2, 4, 6, 8, 10, 12]
    assert "Stage 00 - one: " in capfd.readouterr().err


@pytest.mark.ray
def test_workers_are_replaced_after_so_many_calls(ray_cluster):
    stage = Call(lambda _: os.getpid()).with_(ray_stage_spec={"max_calls_per_worker": 2}, num_workers=1)
    assert len(set(run(RayActorPoolExecutor(), stage))) == 3


@pytest.mark.ray
def test_progress_is_told(ray_cluster, capfd, monkeypatch):
    monkeypatch.setenv("CURATOR_PROGRESS", "plain")
    stage = Call(lambda _: time.sleep(0.1)).with_(num_workers=1)
    run(RayActorPoolExecutor(progress_interval=0.05), stage)
    assert "call: 1 of 6 partitions" in capfd.readouterr().err
    run(RayActorPoolExecutor(show_progress=False, progress_interval=0.05), stage)
    assert "partitions" not in capfd.readouterr().err


@pytest.mark.ray
def test_an_actor_that_cannot_be_scheduled_holds_nothing_up(ray_cluster):
    import ray

    ray.init(logging_level="ERROR")
    try:

        @ray.remote(num_cpus=1)
        class Hog:
            def ready(self):
                pass

        hog = Hog.remote()
        ray.get(hog.ready.remote())
        assert run(RayActorPoolExecutor(), Call(lambda number: number + 1)) == [1, 2, 3, 4, 5, 6]
        ray.kill(hog)
    finally:
        ray.shutdown()


@pytest.mark.ray
def test_a_single_machine_has_nothing_left_without_its_head(ray_cluster, monkeypatch):
    with pytest.raises(ValueError, match="ignore_head_node leaves no machine"):
        run(RayActorPoolExecutor(ignore_head_node=True), Call(abs))
    monkeypatch.setenv("CURATOR_IGNORE_RAY_HEAD_NODE", "1")
    with pytest.raises(ValueError, match="ignore_head_node"):
        XennaExecutor()


@pytest.mark.ray
def test_the_cluster_can_be_asked(ray_cluster):
    assert get_available_cpu_gpu_resources(init_and_shutdown=True) == (2, 0)
    import ray

    assert not ray.is_initialized()
    ray.init(logging_level="ERROR")
    try:
        check_total_gpu_capacity(0)
        with pytest.raises(ValueError, match="1 GPUs are wanted; the cluster has 0"):
            check_total_gpu_capacity(1)
    finally:
        ray.shutdown()


@pytest.mark.parametrize("kind", [RayDataExecutor, RayActorPoolExecutor])
@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"is_actr_stage": True}, r"ray_stage_spec has no keys \['is_actr_stage'\]"),
        ({"is_raft_actor": True}, "RAPIDS"),
        ({"ray_remote_args": {"num_cpus": 3}}, r"may not hold \['num_cpus'\]"),
    ],
)
def test_settings_that_ray_does_not_have_are_refused_before_anything_runs(kind, spec, problem):
    with pytest.raises(ValueError, match=problem):
        run(kind(), Call(abs).with_(ray_stage_spec=spec))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"xenna_stage_spec": {"slots": 1}}, r"xenna_stage_spec has no \['slots'\]"),
        ({"xenna_stage_spec": {"num_workers_per_node": 1}, "num_workers": 1}, "not both"),
    ],
)
def test_settings_that_xenna_does_not_have_are_refused_before_anything_runs(settings, problem):
    with pytest.raises(ValueError, match=problem):
        run(XennaExecutor(), Call(abs).with_(**settings))


def test_environments_that_xenna_cannot_make_are_refused():
    with pytest.raises(ContractError, match=r"but not \['pip'\]"):
        run(XennaExecutor(), Call(abs).with_(runtime_env={"pip": ["x"]}))


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"execution_mode is one of .*, not 'stream'"):
        XennaExecutor({"execution_mode": "stream"})


def test_keys_that_nothing_reads_are_named(caplog):
    RayActorPoolExecutor({"reserved_cpu": 1})
    assert "RayActorPoolExecutor reads no ['reserved_cpu'] in its config" in caplog.text


def test_configurations_are_merged_key_by_key():
    base = {"one": 1, "env": {"a": 1, "b": 2}}
    assert merge_executor_configs(base, {"env": {"b": 3}, "two": 2}) == {"one": 1, "env": {"a": 1, "b": 3}, "two": 2}
    assert base == {"one": 1, "env": {"a": 1, "b": 2}}
    assert merge_executor_configs(None, None) == {}


def test_keys_compare_as_strings():
    assert RayStageSpecKeys.IS_ACTOR_STAGE == "is_actor_stage"
    assert {RayStageSpecKeys.MAX_WORKERS: 1} == {"max_workers": 1}


def test_old_paths_lead_to_the_same_classes():
    from nemo_curator.backends import experimental
    from nemo_curator.backends.experimental import ray_actor_pool, ray_data, utils

    assert experimental.RayDataExecutor is ray_data.RayDataExecutor is RayDataExecutor
    assert experimental.RayActorPoolExecutor is ray_actor_pool.RayActorPoolExecutor is RayActorPoolExecutor
    assert utils.RayStageSpecKeys is RayStageSpecKeys
