import json
import logging
import os
import signal
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.backends import slurm_array
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.backends.slurm_array import (
    SlurmArrayConfig,
    SlurmArrayRetryPlan,
    SlurmArrayRetrySubmission,
    build_slurm_array_completion_manifest,
    build_slurm_array_retry_submissions,
    configure_slurm_array_source_filtering,
    filter_slurm_array_source_tasks,
    find_slurm_array_retries,
    format_slurm_array_indices,
    is_slurm_array_driver_process,
    resolve_slurm_array_config,
    slurm_array_shard_for_task,
)
from nemo_curator.errors import CheckpointError, ContractError, InputError, RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.stages.text.modifiers import Modify
from nemo_curator.tasks import DocumentBatch, FileGroupTask

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def outside_slurm(monkeypatch):
    """No test sees a variable of the machine it runs on, and none leaves one behind."""
    mine = [slurm_array.ENABLED, slurm_array.SHARD_INDEX, slurm_array.TOTAL_SHARDS, slurm_array.MINIMUM_SHARD_INDEX]
    for name in [*mine, *(name for name in os.environ if name.startswith("SLURM_"))]:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def job_of_array(monkeypatch, index, count, first=0, last=None):
    numbers = {"ID": index, "COUNT": count, "MIN": first, "MAX": first + count - 1 if last is None else last}
    for name, number in numbers.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(number))


def ask(monkeypatch, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(f"NEMO_CURATOR_SLURM_ARRAY_{name}", value)


# which shard is whose


def test_the_shard_of_a_task_is_the_documented_one():
    task = FileGroupTask(data=["/data/a.jsonl"])
    task._set_task_id("0", task.get_deterministic_id())
    assert task.task_id == "0_55f55dead7fd"
    assert slurm_array_shard_for_task(task.task_id, 4) == 1
    assert slurm_array_shard_for_task(task.task_id, 4, 10) == 11


@given(st.lists(st.text(min_size=1), max_size=50), st.integers(1, 60), st.integers(0, 5))
def test_every_task_falls_to_exactly_one_shard(ids, total, minimum):
    tasks = [FileGroupTask(data=["x"], task_id=name) for name in ids]
    shards = [
        filter_slurm_array_source_tasks(tasks, SlurmArrayConfig(index, total, minimum))
        for index in range(minimum, minimum + total)
    ]
    assert sorted(map(id, chain(*shards))) == sorted(map(id, tasks))
    assert all(shard == [task for task in tasks if task in shard] for shard in shards)


def test_without_a_shard_every_task_stays_and_a_task_without_an_id_has_no_shard():
    tasks = [FileGroupTask(data=["x"], task_id="0_a"), FileGroupTask(data=["y"])]
    assert filter_slurm_array_source_tasks(tasks, None) == tasks
    with pytest.raises(ContractError, match="find_files: 1 of 2 tasks have no task_id"):
        filter_slurm_array_source_tasks(tasks, SlurmArrayConfig(0, 2), "find_files")


@pytest.mark.parametrize("config", [(16, 16), (0, 16, 1), (17, 16, 1), (-1, 2), (0, 0), (0, 1, -1)])
def test_a_shard_that_is_none_of_the_shards_is_an_error(config):
    with pytest.raises(ValueError, match=r"is none of the|wanted at least 1, from at least 0"):
        SlurmArrayConfig(*config)


# what the environment asks for


def test_a_job_of_an_array_that_does_not_ask_gets_no_shard(monkeypatch):
    job_of_array(monkeypatch, 3, 16)
    assert SlurmArrayConfig.from_env() is None
    ask(monkeypatch, ENABLED="false", SHARD_INDEX="1", TOTAL_SHARDS="2")
    assert SlurmArrayConfig.from_env() is None


@pytest.mark.parametrize("yes", ["true", "1", "Yes", " on "])
def test_one_that_asks_gets_the_shard_of_its_index(monkeypatch, yes):
    job_of_array(monkeypatch, 3, 16)
    ask(monkeypatch, ENABLED=yes)
    assert SlurmArrayConfig.from_env() == SlurmArrayConfig(3, 16)
    assert resolve_slurm_array_config(is_source_stage=True) == SlurmArrayConfig(3, 16)
    assert resolve_slurm_array_config(is_source_stage=False) is None


def test_an_array_that_begins_at_one_loses_no_shard(monkeypatch):
    ask(monkeypatch, ENABLED="true")
    shards = set()
    for index in range(1, 11):
        job_of_array(monkeypatch, index, 10, first=1)
        config = SlurmArrayConfig.from_env()
        shards.add(config.shard_index)
    assert shards == set(config.shard_indices)


@pytest.mark.parametrize(
    ("variables", "config"),
    [
        ({"TOTAL_SHARDS": "16"}, (3, 16)),
        ({"SHARD_INDEX": "1"}, (1, 2)),
        ({"SHARD_INDEX": "7", "TOTAL_SHARDS": "16"}, (7, 16)),
        ({"TOTAL_SHARDS": "3", "MINIMUM_SHARD_INDEX": "1"}, (3, 3, 1)),
        ({"ENABLED": "true", "TOTAL_SHARDS": "16"}, (3, 16)),
    ],
)
def test_what_is_named_goes_before_what_slurm_says(monkeypatch, variables, config):
    job_of_array(monkeypatch, 3, 2, first=3, last=9)  # as in --array=3,9
    ask(monkeypatch, **variables)
    assert SlurmArrayConfig.from_env() == SlurmArrayConfig(*config)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ENABLED": "maybe"}, "ENABLED=maybe; wanted true or false"),
        ({"ENABLED": "true"}, "no job of a Slurm array"),
        ({"TOTAL_SHARDS": "4"}, "no job of a Slurm array"),
        ({"SHARD_INDEX": "1", "TOTAL_SHARDS": "4.5"}, "TOTAL_SHARDS=4.5; wanted a whole number"),
        ({"SHARD_INDEX": "-1", "TOTAL_SHARDS": "4"}, "SHARD_INDEX=-1; wanted a whole number"),
        ({"SHARD_INDEX": "4", "TOTAL_SHARDS": "4"}, "shard 4 is none of the 4 shards 0 to 3"),
    ],
)
def test_what_makes_no_sense_is_refused_by_the_name_of_the_variable(monkeypatch, variables, message):
    ask(monkeypatch, **variables)
    with pytest.raises(ValueError, match=message):
        SlurmArrayConfig.from_env()


def test_an_array_with_gaps_is_refused(monkeypatch):
    job_of_array(monkeypatch, 0, 16, last=30)  # as in --array=0-30:2
    ask(monkeypatch, ENABLED="true")
    with pytest.raises(ValueError, match=r"have indices from 0 to 30, with gaps.*--array=0-15"):
        SlurmArrayConfig.from_env()


def test_a_script_can_choose_its_shard(monkeypatch):
    job_of_array(monkeypatch, 3, 16)
    assert configure_slurm_array_source_filtering(5, 8, 2) == SlurmArrayConfig.from_env() == SlurmArrayConfig(5, 8, 2)
    with pytest.raises(ValueError, match="none of the"):
        configure_slurm_array_source_filtering(1, 8, 2)
    assert SlurmArrayConfig.from_env() == SlurmArrayConfig(5, 8, 2)


@pytest.mark.parametrize(("node", "is_driver"), [(None, True), ("0", True), ("1", False)])
def test_the_first_node_of_a_job_drives(monkeypatch, node, is_driver):
    if node is not None:
        monkeypatch.setenv("SLURM_NODEID", node)
    assert is_slurm_array_driver_process() is is_driver


# what is missing


@pytest.mark.parametrize(
    ("indices", "text"), [([3, 1, 2, 7, 9, 10], "1-3,7,9-10"), ([], ""), ([5, 5], "5"), (range(0, 7, 2), "0,2,4,6")]
)
def test_indices_are_written_as_sbatch_takes_them(indices, text):
    assert format_slurm_array_indices(indices) == text


@given(st.sets(st.integers(0, 5000), max_size=40), st.none() | st.integers(1, 1500))
def test_submissions_reach_every_missing_shard_within_slurms_bound(shards, most):
    plan = SlurmArrayRetryPlan(tuple(shards), 5001)
    submissions = build_slurm_array_retry_submissions(plan, most)
    reached = [index + one.shard_index_offset for one in submissions for index in one.array_indices]
    assert reached == sorted(shards)
    assert all(one.array_indices and (most is None or max(one.array_indices) < most) for one in submissions)
    assert most is not None or len(submissions) == bool(shards)


def test_shards_that_slurm_can_number_keep_their_numbers():
    plan = SlurmArrayRetryPlan((2, 999, 1000, 2005), 3000)
    assert build_slurm_array_retry_submissions(plan, max_array_size=1000) == (
        SlurmArrayRetrySubmission((2, 999), 0),
        SlurmArrayRetrySubmission((0,), 1000),
        SlurmArrayRetrySubmission((5,), 2000),
    )
    with pytest.raises(ValueError, match="max_array_size is 0"):
        build_slurm_array_retry_submissions(plan, max_array_size=0)


def test_a_folder_without_an_array_is_an_error_and_not_a_success(tmp_path):
    with pytest.raises(InputError, match="has no record of an array"):
        find_slurm_array_retries(tmp_path / "elsewhere")


# runs


@pytest.fixture
def documents(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(12):
        lines = [json.dumps({"text": f"file {number} line {line}"}) for line in range(10)]
        (folder / f"{number}.jsonl").write_text("\n".join(lines))
    return folder


def job(tmp_path, *, out="out", mode="ignore", extra=()):
    stages = [JsonlReader(str(tmp_path / "in")), Modify(str.upper), *extra, JsonlWriter(str(tmp_path / out), mode=mode)]
    return Pipeline("job", stages=stages)


def run_shard(tmp_path, index, total, *, minimum=0, checkpoint="checkpoint", **options):
    configure_slurm_array_source_filtering(index, total, minimum)
    where = checkpoint if "://" in checkpoint else tmp_path / checkpoint
    pipeline = job(tmp_path, **options)
    pipeline.run(LocalExecutor(num_workers=0), checkpoint_path=where)
    return pipeline.last_run


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.startswith(".")}


def missing(tmp_path, checkpoint="checkpoint"):
    plan = find_slurm_array_retries(checkpoint if "://" in checkpoint else tmp_path / checkpoint)
    return () if plan is None else plan.shard_indices


@pytest.mark.parametrize("where", ["checkpoint", "memory://"])
def test_shards_make_together_what_one_run_makes_and_the_missing_ones_are_known(documents, tmp_path, where):
    checkpoint = f"{where}{tmp_path.name}" if "://" in where else where
    job(tmp_path, out="whole").run(LocalExecutor(num_workers=0))
    for done, index in enumerate([2, 0, 1]):
        run_shard(tmp_path, index, 3, checkpoint=checkpoint)
        assert missing(tmp_path, checkpoint) == tuple(sorted([[0, 1], [1], []][done]))
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert len(files(tmp_path / "out")) == 12


def test_a_shard_to_which_nothing_falls_is_complete(documents, tmp_path):
    ran = [run_shard(tmp_path, index, 40, minimum=1).partitions for index in range(1, 41)]
    assert sum(ran) == 12
    assert ran.count(0) >= 28
    assert missing(tmp_path) == ()
    assert len(files(tmp_path / "out")) == 12


def test_a_shard_with_failures_beyond_what_is_allowed_is_not_complete(documents, tmp_path):
    (documents / "4.jsonl").write_text('{"text": "good"}\n{"text": bad}\n')
    configure_slurm_array_source_filtering(0, 1)
    for allowed, expected in ((0.0, (0,)), (0.5, ()), (0.0, (0,))):
        try:
            job(tmp_path).run(
                LocalExecutor(num_workers=0), checkpoint_path=tmp_path / "checkpoint", max_failed_fraction=allowed
            )
        except RunFailedError:
            assert not allowed
        assert missing(tmp_path) == expected


def test_shards_are_missing_also_when_none_got_as_far_as_its_input(tmp_path):
    with pytest.raises(InputError):
        run_shard(tmp_path, 1, 4)
    assert missing(tmp_path) == (0, 1, 2, 3)


def test_files_that_came_later_make_shards_incomplete_until_each_has_seen_them(documents, tmp_path):
    for index in range(3):
        run_shard(tmp_path, index, 3)
    (documents / "new.jsonl").write_text('{"text": "one more"}\n')
    run_shard(tmp_path, 1, 3)
    assert missing(tmp_path) == (0, 2)
    for index in (0, 2):
        run_shard(tmp_path, index, 3)
    assert missing(tmp_path) == ()
    assert len(files(tmp_path / "out")) == 13


@pytest.mark.parametrize(("total", "minimum"), [(4, 0), (3, 1)])
def test_another_number_of_shards_under_the_same_checkpoint_is_refused(documents, tmp_path, total, minimum):
    run_shard(tmp_path, 2, 3)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CheckpointError, match=r"belongs to an array of 3 shards from index 0.*TOTAL_SHARDS=3"):
        run_shard(tmp_path, 2, total, minimum=minimum)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_record_of_the_array_that_is_damaged_is_named(documents, tmp_path):
    run_shard(tmp_path, 2, 3)
    record = tmp_path / "checkpoint/.nemo_curator_metadata/.slurm_array_completion/run.json"
    record.write_text("{}")
    with pytest.raises(InputError, match=r"run\.json does not say how many shards there are"):
        find_slurm_array_retries(tmp_path / "checkpoint")


@pytest.mark.parametrize("mode", ["overwrite", "error"])
def test_a_writer_that_would_delete_or_refuse_what_other_shards_wrote_is_refused(documents, tmp_path, mode):
    run_shard(tmp_path, 0, 3)
    before = files(tmp_path / "out")
    with pytest.raises(ContractError, match=rf"jsonl_writer: mode='{mode}'.*use mode='ignore'"):
        run_shard(tmp_path, 1, 3, mode=mode)
    assert files(tmp_path / "out") == before
    run_shard(tmp_path, 1, 3)  # the refusal has left nothing behind that the corrected run would stumble over


class Everything(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Must see every task."""

    name = "everything"
    is_barrier = True

    def process(self, task):
        return task


def test_a_stage_that_must_see_every_task_is_refused(documents, tmp_path):
    with pytest.raises(ContractError, match="everything must see every task, and a shard has only its share"):
        run_shard(tmp_path, 0, 3, extra=[Everything()])


def test_tasks_that_are_given_are_not_divided(tmp_path, caplog):
    configure_slurm_array_source_filtering(0, 3)
    tasks = [DocumentBatch(dataset_name="d", data=pa.table({"text": ["a"]})) for _ in range(6)]
    made = Pipeline("p", stages=[Modify(str.upper)]).run(LocalExecutor(num_workers=0), initial_tasks=tasks)
    assert len(made) == 6
    assert "initial_tasks are taken as they are: shard 0 does all of them" in caplog.text


def test_a_job_of_an_array_that_does_not_ask_does_everything_and_says_so_once(documents, tmp_path, monkeypatch, caplog):
    job_of_array(monkeypatch, 3, 16)
    job(tmp_path).run(LocalExecutor(num_workers=0), checkpoint_path=tmp_path / "checkpoint")
    assert len(files(tmp_path / "out")) == 12
    said = [record.message for record in caplog.records if "Slurm array" in record.message]
    assert said == [f"this job of a Slurm array does the whole data set; for its share set {slurm_array.ENABLED}=true"]


def test_a_shard_says_how_much_is_its_own(documents, tmp_path, caplog):
    with caplog.at_level(logging.INFO, slurm_array.__name__):
        ran = run_shard(tmp_path, 0, 2)
    assert f"shard 0 of 2 takes {ran.partitions} of 12 source partitions" in caplog.text


def test_the_note_of_a_shard_lies_where_it_is_documented(tmp_path):
    manifest = build_slurm_array_completion_manifest(tmp_path, SlurmArrayConfig(3, 16))
    folder = f"{tmp_path}/.nemo_curator_metadata/.slurm_array_completion/"
    assert manifest.path.startswith(f"{folder}completed_slurm_array_")
    manifest.mark_completed()
    found = json.loads(Path(manifest.path).read_text())
    expected = {"shard_index": 3, "total_shards": 16, "minimum_shard_index": 0, "status": "completed"}
    assert expected.items() <= found.items()


# a whole array, each job a process of its own

SCRIPT = """
import os, sys, time
from pathlib import Path

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.stages.text.modifiers import Modify

def slow(text):
    time.sleep(float(os.environ.get("PAUSE", "0")))
    return text.upper()

folder, out, checkpoint = map(Path, sys.argv[1:])
pipeline = Pipeline("job", stages=[JsonlReader(str(folder)), Modify(slow), JsonlWriter(str(out))])
pipeline.run(LocalExecutor(num_workers=1), checkpoint_path=checkpoint)
"""


@pytest.fixture
def start(tmp_path):
    """Start the script in a process of its own; what still runs when the test is over is ended."""
    script, started = tmp_path / "script.py", []
    script.write_text(SCRIPT)

    def begin(out, checkpoint, variables):
        process = subprocess.Popen(
            [sys.executable, script, tmp_path / "in", tmp_path / out, tmp_path / checkpoint],
            env={**os.environ, "PYTHONPATH": str(ROOT), **{name: str(value) for name, value in variables.items()}},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        with process:
            process.kill()


def ended_well(process):
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said


def wait_for(condition, process):
    for _ in range(2000):
        if condition():
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    raise AssertionError("waited in vain")


@pytest.mark.slow
def test_an_array_of_which_one_job_is_killed_ends_with_the_bytes_of_one_run(documents, tmp_path, start):
    ended_well(start("whole", "other", {}))
    array = {"SLURM_ARRAY_TASK_COUNT": 4, "SLURM_ARRAY_TASK_MIN": 1, "SLURM_ARRAY_TASK_MAX": 4}
    asked = {**array, slurm_array.ENABLED: "true"}
    jobs = {
        index: start("out", "checkpoint", {**asked, "SLURM_ARRAY_TASK_ID": index, "PAUSE": 0.1 if index == 3 else 0})
        for index in (1, 2, 3, 4)
    }
    victim = jobs.pop(3)
    wait_for(lambda: list(tmp_path.glob("checkpoint/shard-0003-of-0004/done-*")), victim)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    for one in jobs.values():
        ended_well(one)

    plan = find_slurm_array_retries(tmp_path / "checkpoint")
    assert plan == SlurmArrayRetryPlan((3,), 4, 1)
    assert len(files(tmp_path / "out")) < 12
    [submission] = build_slurm_array_retry_submissions(plan, max_array_size=2)
    assert submission == SlurmArrayRetrySubmission((1,), 2)
    again = {
        "SLURM_ARRAY_TASK_ID": 1,
        "SLURM_ARRAY_TASK_COUNT": 1,
        slurm_array.SHARD_INDEX: 1 + submission.shard_index_offset,
        slurm_array.TOTAL_SHARDS: plan.total_shards,
        slurm_array.MINIMUM_SHARD_INDEX: plan.minimum_shard_index,
    }
    ended_well(start("out", "checkpoint", again))
    assert find_slurm_array_retries(tmp_path / "checkpoint") is None
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    records = sorted(tmp_path.glob("checkpoint/shard-*/run.json"))
    attempts = [json.loads(record.read_text())["attempts"] for record in records]
    assert attempts == [1, 1, 2, 1]
