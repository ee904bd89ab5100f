"""Run what was made for a command, and print what became of every row, also where the run fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nemo_curator.cli.output import print_json, quiet_stdout
from nemo_curator.pipeline import Pipeline
from nemo_curator.pipeline.workflow import WorkflowRunResult


def run_pipeline(pipeline: Pipeline, start: Callable[[], Any], *, as_json: bool) -> None:
    """Run a pipeline and print its account."""
    try:
        with quiet_stdout(as_json):
            start()
    finally:
        if pipeline.last_run is not None and pipeline.last_run.partitions:  # it did begin
            print_json(pipeline.last_run.to_dict()) if as_json else print(pipeline.last_run.table())


def run_workflow(start: Callable[[], WorkflowRunResult], *, as_json: bool) -> WorkflowRunResult:
    """Run a workflow and print the accounts of its steps."""
    with quiet_stdout(as_json):
        result = start()
    if as_json:
        runs = {name: run.to_dict() for name, run in result.runs.items()}
        print_json({"workflow": result.workflow_name, "metadata": plain(result.metadata), "runs": runs})
    else:
        print(result.table())
    return result


def plain(value: Any) -> Any:
    """A value as JSON has it: what JSON does not know in words."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | float | None) else str(value)
