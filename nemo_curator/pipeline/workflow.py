"""Several pipelines in a row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nemo_curator.ledger.run import Run
    from nemo_curator.tasks.tasks import Task


@dataclass
class WorkflowRunResult:
    """What the pipelines of a workflow returned, and what it has to say about the whole."""

    workflow_name: str
    pipeline_tasks: dict[str, list[Task]] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    """What happened to every row, for each of the pipelines."""

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


class WorkflowBase(ABC):
    """A job made of several pipelines."""

    @abstractmethod
    def run(self, *args: Any, **kwargs: Any) -> WorkflowRunResult:
        """Run the pipelines, each on what those before it left."""
