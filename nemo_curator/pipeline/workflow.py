"""Several pipelines in a row."""

from __future__ import annotations

import json
import os
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemo_curator.ledger.run import FORMAT, Run, read_record
from nemo_curator.utils.storage import locate
from nemo_curator.utils.whole_files import put

if TYPE_CHECKING:
    from nemo_curator.tasks.tasks import Task

WORKFLOW = "workflow.json"


@dataclass
class WorkflowRunResult:
    """What the pipelines of a workflow returned, and what it has to say about the whole."""

    workflow_name: str
    pipeline_tasks: dict[str, list[Task]] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    """What happened to every row, for each of the pipelines."""
    error: str | None = None
    """Why the workflow did not end well."""

    def add_run(self, name: str, run: Run | None) -> None:
        if run is not None:
            self.runs[name] = run

    def table(self) -> str:
        """The accounts of the pipelines as text."""
        return "\n\n".join(f"{name}\n{run.table()}" for name, run in self.runs.items())

    def _repr_html_(self) -> str:
        from nemo_curator.report.notebook import record_html

        runs = {name: run.to_dict() for name, run in self.runs.items()}
        return record_html({"workflow": self.workflow_name, "metadata": self.metadata, "runs": runs})

    def add_pipeline_tasks(self, name: str, tasks: list[Task] | None) -> None:
        self.pipeline_tasks[name] = list(tasks or [])

    def extend_metadata(self, updates: dict[str, Any]) -> None:
        self.metadata.update(updates)

    def add_metadata(self, key: str, value: Any) -> None:
        self.metadata[key] = value

    def get_metadata(self, key: str) -> Any:
        return self.metadata.get(key)

    def to_dict(self) -> dict[str, Any]:
        """The accounts of the pipelines as plain values, what was found, and a summary of clusters, if there are."""
        metadata = {name: plain(value) for name, value in self.metadata.items() if name != "clusters"}
        return {
            "format": FORMAT,
            "workflow": self.workflow_name,
            "error": self.error,
            "metadata": metadata,
            "runs": {name: run.to_dict() for name, run in self.runs.items()},
            "clusters": self.metadata.get("clusters"),
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> WorkflowRunResult:
        """What `to_dict` made plain; the tasks are not in it."""
        metadata = dict(record["metadata"])
        if record["clusters"] is not None:
            metadata["clusters"] = record["clusters"]
        runs = {name: Run.from_dict(run) for name, run in record["runs"].items()}
        return cls(record["workflow"], metadata=metadata, runs=runs, error=record["error"])

    def save(self, folder: str | os.PathLike) -> None:
        """Write `workflow.json` to a folder or URL, and the record of each pipeline to a folder below `runs`."""
        for number, (name, run) in enumerate(self.runs.items(), 1):
            run.save(folder_of_run(folder, number, name))
        self.save_summary(folder)

    def save_summary(self, folder: str | os.PathLike) -> None:
        """Write `workflow.json` and `report.html`, where the pipelines have written their records themselves."""
        from nemo_curator.report import add_report

        fs, place = locate(os.fspath(folder))
        put(fs, f"{place}/{WORKFLOW}", json.dumps(self.to_dict(), default=str).encode())
        add_report(folder)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> WorkflowRunResult:
        """Read what `save` wrote."""
        return cls.from_dict(read_record(folder, WORKFLOW))


def folder_of_run(folder: str | os.PathLike, number: int, name: str) -> str:
    """Where in the folder of a workflow the record of a pipeline is."""
    return f"{os.fspath(folder).rstrip('/')}/runs/{number:02}-{re.sub(r'[^0-9A-Za-z_.-]', '_', name)}"


class WorkflowBase(ABC):
    """A job made of several pipelines. `last_result` tells what they did, also when `run` has raised."""

    last_result: WorkflowRunResult | None = None

    @abstractmethod
    def run(self, *args: Any, **kwargs: Any) -> WorkflowRunResult:
        """Run the pipelines, each on what those before it left."""


def plain(value: Any) -> Any:
    """A value as JSON has it: what JSON does not know in words."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | float | None) else str(value)
