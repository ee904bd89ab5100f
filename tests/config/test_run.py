import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.backends.ray_data import RayDataExecutor
from nemo_curator.backends.xenna import XennaExecutor
from nemo_curator.config.build import build
from nemo_curator.config.run import (
    create_executor_from_yaml,
    create_pipeline_from_yaml,
    create_ray_client_from_yaml,
    main,
    run_config,
)
from nemo_curator.errors import ConfigError
from nemo_curator.pipeline import Pipeline
from nemo_curator.pipeline.workflow import WorkflowBase, WorkflowRunResult
from nemo_curator.stages.text.filters import WordCountFilter

ROOT = Path(__file__).parents[2]
STAGES = """
input_path: ???
output_path: ???
text_field: text
min_words: 2
stages:
  - _target_: nemo_curator.stages.text.io.reader.JsonlReader
    file_paths: ${input_path}
    resources: {cpus: 0.5}
  - _target_: nemo_curator.stages.text.filters.ScoreFilter
    text_field: ${text_field}
    filter_obj: &filter
      _target_: nemo_curator.stages.text.filters.heuristic.WordCountFilter
      min_words: ${min_words}
    resources:
      cpus: 2
  - _target_: nemo_curator.stages.text.io.writer.JsonlWriter
    path: ${output_path}
"""
FILTER = {"_target_": "nemo_curator.stages.text.filters.WordCountFilter", "min_words": 3}


@pytest.fixture
def job(tmp_path):
    (tmp_path / "job.yaml").write_text(STAGES)
    (tmp_path / "in.jsonl").write_text('{"text": "one"}\n{"text": "one two"}\n')
    return tmp_path / "job.yaml"


def values(job):
    return {"input_path": str(job.parent / "in.jsonl"), "output_path": str(job.parent / "out")}


def outputs(job):
    files = sorted((job.parent / "out").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_a_file_runs_from_the_command_line(job, capsys):
    overrides = [f"{key}={value}" for key, value in values(job).items()]
    assert main(["--config-path", str(job.parent), "--config-name", "job", *overrides]) == 0
    assert outputs(job) == [{"text": "one two"}]
    assert "word_count" in capsys.readouterr().out


def test_the_module_runs_as_a_program_and_says_what_is_wrong(job):
    def run(*overrides):
        command = [sys.executable, "-m", "nemo_curator.config.run", "-cp", ".", "-cn", "job.yaml", *overrides]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=job.parent, env=environment, capture_output=True, text=True, check=False)

    wrong = run("input_path=in.jsonl")
    assert (wrong.returncode, wrong.stderr) == (1, "error: values are missing; give output_path=…\n")
    mistyped = run("input_path=in.jsonl", "output_path=out", "stages.1.filter_obj.min_words=many")
    assert mistyped.stderr.endswith("error: job.yaml, line 14: stages.1.filter_obj.min_words is 'many'; wanted int\n")
    done = run("input_path=in.jsonl", "output_path=out", "min_words=1", "+rejected_path=rejects")
    assert done.returncode == 0, done.stderr
    assert outputs(job) == [{"text": "one"}, {"text": "one two"}]


def test_a_pipeline_is_made_with_the_resources_of_its_stages(job):
    text = STAGES.replace("???", "somewhere")
    job.write_text(text)
    pipeline = create_pipeline_from_yaml(job, log_config=False)
    assert isinstance(pipeline, Pipeline)
    assert pipeline.name == "yaml_pipeline"
    assert [stage.name for stage in pipeline.build()][-2:] == ["word_count", "jsonl_writer"]
    reader, *_, filtered, _ = pipeline.stages
    assert (reader.resources.cpus, filtered.resources.cpus) == (0.5, 2)
    assert filtered.filter_obj == [WordCountFilter(min_words=2)]


def test_positional_and_partial_parameters_are_as_in_hydra():
    made = build({"_target_": FILTER["_target_"], "_args_": [7, 9], "_convert_": "all"})
    assert made == WordCountFilter(min_words=7, max_words=9)
    assert build({**FILTER, "_partial_": True})(max_words=5) == WordCountFilter(3, 5)


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"_target_": "os.system"}, "os.system is not of nemo_curator"),
        ({"_target_": "nemo_curator.core.client.subprocess.Popen"}, "subprocess"),
        ({"_target_": "nemo_curator.core.client.Path"}, "is no class of nemo_curator"),
        ({"_target_": "nemo_curator.utils.file_utils.create_or_overwrite_dir", "path": "x"}, "is no class"),
        ({"_target_": "nemo_curatorevil.X"}, "is not of nemo_curator"),
        ({"_target_": "WordCountFilter"}, "wanted the full name of a class"),
        ({"_target_": "nemo_curator.stages.text.filters.WordcountFilter"}, "did you mean 'WordCountFilter'"),
        ({"_target_": "nemo_curator.stages.txt.filters.X"}, "No module named"),
        ({**FILTER, "min_word": 3}, "WordCountFilter has no parameter 'min_word'; did you mean 'min_words'"),
        ({**FILTER, "_args_": [1]}, "multiple values for argument 'min_words'"),
        ({**FILTER, "_recursive_": False}, "_recursive_ is False"),
        ({"_target_": "nemo_curator.stages.text.filters.ScoreFilter"}, "missing a required argument: 'filter_obj'"),
        ({"_target_": "nemo_curator.stages.text.filters.ScoreFilter", "filter_obj": []}, "filter_obj is an empty list"),
    ],
)
def test_what_cannot_be_built_is_refused_with_its_place(described, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build({"list": [described]}, "stages.0")
    assert str(caught.value).startswith("stages.0.list.0")


def test_a_package_of_your_own_is_built_when_it_is_allowed(tmp_path, monkeypatch):
    (tmp_path / "mine_for_a_test.py").write_text(
        "from nemo_curator.stages.text.filters import DocumentFilter\n\n"
        "class Mine(DocumentFilter):\n    def score_document(self, text):\n        return 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    described = {"_target_": "mine_for_a_test.Mine"}
    with pytest.raises(ConfigError, match="--allow PACKAGE"):
        build(described)
    assert build(described, allowed=("mine_for_a_test",)).score_document("") == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "wanted 'stages' or 'workflow', found"),
        ({"stagse": [FILTER]}, "did you mean 'stages'"),
        ({"stages": [FILTER], "workflow": [FILTER]}, r"found \['stages', 'workflow'\]"),
        ({"stages": [FILTER]}, "stages.0: .* is a WordCountFilter; wanted a stage"),
        ({"stages": [3]}, "stages.0 is 3; wanted the name of a class"),
        ({"stages": FILTER}, "stages is a dict; wanted a list"),
        ({"workflow": [FILTER, FILTER]}, "workflow has 2 items; wanted one"),
    ],
)
def test_a_configuration_without_a_pipeline_says_so(config, message):
    with pytest.raises(ConfigError, match=message):
        create_pipeline_from_yaml(config)
    with pytest.raises(RuntimeError):  # what the documentation says it raises
        create_pipeline_from_yaml(config)


def test_a_workflow_is_returned_as_it_is():
    assert create_pipeline_from_yaml({"workflow": [FILTER]}) == WordCountFilter(min_words=3)


class Recording(WorkflowBase):
    """Remembers what it was run with."""

    def run(self, initial_tasks=None, executor=None, *, checkpoint_path=None):
        self.given = initial_tasks, type(executor), checkpoint_path
        return WorkflowRunResult("recording")


def test_a_workflow_gets_the_executor_and_the_settings_of_a_run():
    described = {"workflow": [{"_target_": f"{__name__}.Recording"}], "backend": "local", "checkpoint_path": "folder"}
    made = run_config(described, allowed=(__name__.partition(".")[0],))
    assert made.given == (None, LocalExecutor, "folder")
    with pytest.raises(ConfigError, match=r"Recording takes no \['memory_limit'\]; it takes"):
        run_config({**described, "memory_limit": "1GiB"}, allowed=(__name__.partition(".")[0],))


def test_an_executor_is_made_only_where_one_is_named():
    assert create_executor_from_yaml({}) is None
    assert isinstance(create_executor_from_yaml({"backend": "${engine}", "engine": "ray_data"}), RayDataExecutor)
    assert isinstance(create_executor_from_yaml({"backend": "local"}), LocalExecutor)
    local = create_executor_from_yaml({"backend": "local", "executor_config": {"num_workers": 0, "num_gpus": 1}})
    assert (local.num_workers, local.num_gpus) == (0, 1)
    assert create_executor_from_yaml({"executor_config": {"num_workers": 0}}).num_workers == 0
    with pytest.raises(ConfigError, match=r"executor_config is \[1\]; wanted keys with values"):
        create_executor_from_yaml({"backend": "local", "executor_config": [1]})
    assert LocalExecutor({"num_workers": 0}, num_workers=2).num_workers == 2
    with pytest.raises(ConfigError, match="num_workers is 'all'; wanted a number of processes"):
        create_executor_from_yaml({"backend": "local", "executor_config": {"num_workers": "all"}})
    xenna = create_executor_from_yaml({"execution_mode": "batch", "executor_config": {"logging_interval": 5}})
    assert isinstance(xenna, XennaExecutor)
    assert xenna.config == {"logging_interval": 5, "execution_mode": "batch"}
    with pytest.raises(ConfigError, match="did you mean 'xenna'"):
        create_executor_from_yaml({"backend": "xena"})
    with pytest.raises(ConfigError, match="execution_mode is 'fast'"):
        create_executor_from_yaml({"execution_mode": "fast"})


def test_a_client_is_made_as_described_or_with_its_defaults(caplog):
    assert create_ray_client_from_yaml({"cpus": 2, "ray_client": {"num_cpus": "${cpus}"}}).num_cpus == 2
    assert create_ray_client_from_yaml({}).num_cpus is None
    assert "no ray_client" in caplog.text
