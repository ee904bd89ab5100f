"""What flows through a pipeline: a task is one piece of work with its data."""

from abc import ABC, ABCMeta, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from nemo_curator.utils.performance_utils import StagePerfStats

T = TypeVar("T")


class _BothGenerations(ABCMeta):
    """Accept `Task(task_id, dataset_name, data, …)` (25.09) beside `Task(dataset_name, data, …, task_id=…)`."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        names_first = len(args) >= 2 and isinstance(args[0], str) and isinstance(args[1], str)
        if names_first and (len(args) > 2 or "data" in kwargs):
            kwargs.setdefault("task_id", args[0])
            args = args[1:]
        return super().__call__(*args, **kwargs)


@dataclass(repr=False, eq=False)
class Task(ABC, Generic[T], metaclass=_BothGenerations):
    """One piece of work. Subclasses say how many items it holds and whether it is sound."""

    dataset_name: str
    data: T
    _stage_perf: list[StagePerfStats] = field(default_factory=list)
    _metadata: dict[str, Any] = field(default_factory=dict)
    task_id: str = field(default="", kw_only=True)
    _source_id: str = field(default="", init=False)
    _elided: int = field(default=0, init=False)

    @property
    @abstractmethod
    def num_items(self) -> int:
        """Rows, images, files: whatever this task holds."""

    @abstractmethod
    def validate(self) -> bool:
        """Whether the data is of the right kind and not empty."""

    def add_stage_perf(self, perf: StagePerfStats) -> None:
        self._stage_perf.append(perf)

    def get_deterministic_id(self) -> str | None:
        """An id that depends on the content alone, for tasks that come from a source; None if there is none."""
        return None

    def get_source_id(self) -> str:
        return self.task_id.rpartition("_")[2]

    def _set_task_id(self, parent_task_id: str, suffix: str | int) -> None:
        self.task_id = f"{parent_task_id}_{suffix}" if parent_task_id else str(suffix)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(task_id={self.task_id!r}, dataset_name={self.dataset_name!r})"
