"""Tasks without data: the seed of a pipeline, a slot left empty, a slot that failed."""

from dataclasses import dataclass, field

from nemo_curator.tasks.tasks import Task


@dataclass(repr=False, eq=False)
class SentinelTask(Task[None]):
    """A task that stands for something and holds nothing."""

    dataset_name: str = ""
    data: None = None

    @property
    def num_items(self) -> int:
        return 0

    def validate(self) -> bool:
        return True


@dataclass(repr=False, eq=False)
class EmptyTask(SentinelTask):
    """What the first stage of a pipeline gets when no tasks are given. The class itself may stand for an instance."""

    dataset_name: str = "empty"
    task_id: str = field(default="0", kw_only=True)


@dataclass(repr=False, eq=False)
class NoneTask(SentinelTask):
    """A stage returned nothing for this slot: the task was dropped."""

    dataset_name: str = "none"


@dataclass(repr=False, eq=False)
class FailedTask(SentinelTask):
    """A stage could not process this slot; the run counts it as failed."""

    dataset_name: str = "failed"


_EmptyTask = EmptyTask
