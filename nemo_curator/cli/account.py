"""Run what was made for a command, and print what became of every row, also where the run fails."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from nemo_curator.cli.output import print_json, quiet_stdout
from nemo_curator.cli.record import RunFolder, telling
from nemo_curator.errors import CheckpointError, ConfigError, ContractError, InputError
from nemo_curator.pipeline import Pipeline
from nemo_curator.pipeline.workflow import WorkflowRunResult

_USAGE = (CheckpointError, ConfigError, ContractError, InputError)
_LONG = ("scores", "samples")
"""What of a stage is in the record alone."""


def run_pipeline(pipeline: Pipeline, start: Callable[[str | None], Any], folder: RunFolder, *, as_json: bool) -> None:
    """Run a pipeline and print its account; `start` gets the folder of the record."""

    def tell() -> None:
        run = pipeline.last_run
        if run is not None and run.partitions:  # it did begin
            folder.has_begun = True
            print_json(_short(run.to_dict())) if as_json else print(run.table())

    with telling(folder):
        try:
            with quiet_stdout(as_json):
                start(folder.path)
        except BaseException:
            with suppress(OSError, UnicodeError):  # it may not get to anybody, and the error is what counts
                tell()
            raise
        tell()


def run_workflow(
    workflow: Any,
    start: Callable[[str | None], WorkflowRunResult],
    folder: RunFolder,
    tell: Callable[[WorkflowRunResult], None] | None = None,
    *,
    as_json: bool,
) -> None:
    """Run a workflow and print the accounts of its steps; if it ends well, what `tell` says instead."""
    with telling(folder):
        try:
            with quiet_stdout(as_json):
                result = start(folder.path)
        except BaseException as error:
            made = getattr(workflow, "last_result", None)
            if made is not None and _has_begun(made, error):
                folder.has_begun = True
                with suppress(OSError, UnicodeError):  # as above
                    _print_steps(made, as_json=as_json)
            raise
        folder.has_begun = True
        (tell or partial(_print_steps, as_json=as_json))(result)


def _has_begun(result: WorkflowRunResult, error: BaseException) -> bool:
    """Whether there is anything to tell of: not if what was asked for is wrong, and that shows before a step begins."""
    partitions = [run.partitions for run in result.runs.values()]
    return any(partitions[-1:] if isinstance(error, _USAGE) else partitions)


def _print_steps(result: WorkflowRunResult, *, as_json: bool) -> None:
    if not as_json:
        print(result.table())
        return
    account = result.to_dict()
    print_json({**account, "runs": {name: _short(run) for name, run in account["runs"].items()}})


def _short(run: dict[str, Any]) -> dict[str, Any]:
    stages = [{name: value for name, value in stage.items() if name not in _LONG} for stage in run["stages"]]
    return {**run, "stages": stages}
