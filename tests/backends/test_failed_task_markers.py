import json

import pyarrow as pa
import pytest

from nemo_curator.backends.failed_task_markers import FAILED_TASKS_DIR
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.modifiers import Modify
from nemo_curator.tasks import DocumentBatch


def refuse_b(text):
    if text == "b":
        raise KeyError("no b here")
    return text


def run(texts, **options):
    tasks = [DocumentBatch(dataset_name="d", data=pa.table({"text": texts}))]
    return Pipeline("letters", stages=[Modify(refuse_b)]).run(LocalExecutor(num_workers=0), tasks, **options)


def test_a_run_with_failures_leaves_a_file_that_says_what_failed(tmp_path, monkeypatch):
    folder = tmp_path / "not" / "there yet"
    monkeypatch.setenv(FAILED_TASKS_DIR, str(folder))
    with pytest.raises(RunFailedError):
        run(["a", "b", "c", "b"])
    found = json.loads((folder / "failed_tasks.json").read_text())
    failures = found.pop("failures")
    assert found == {
        "pipeline": "letters",
        "rows_failed": 2,
        "partitions": 1,
        "partitions_failed": 0,
        "failed": {"refuse_b": {"KeyError": 2}},
    }
    assert [(one["error"], one["record"], one["rows"]) for one in failures] == [("KeyError", "{'text': 'b'}", 1)] * 2


def test_failures_that_are_allowed_are_marked_too(tmp_path, monkeypatch):
    monkeypatch.setenv(FAILED_TASKS_DIR, str(tmp_path))
    run(["a", "b"], max_failed_fraction=0.5)
    assert json.loads((tmp_path / "failed_tasks.json").read_text())["rows_failed"] == 1


def test_a_run_without_failures_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv(FAILED_TASKS_DIR, str(tmp_path))
    run(["a"])
    assert list(tmp_path.iterdir()) == []


def test_a_marker_that_cannot_be_written_does_not_hide_what_failed(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(FAILED_TASKS_DIR, str(tmp_path / "file"))
    with pytest.raises(OSError) as error:
        run(["b"])
    assert isinstance(error.value.__context__, RunFailedError)
