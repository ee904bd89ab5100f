"""A stage from a function."""

import inspect
from collections.abc import Callable
from typing import Any

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks.tasks import Task


class FunctionStage(ProcessingStage[Task, Task]):
    """Call a function on each task. It returns a task, a list of tasks, or None to drop the task."""

    def __init__(self, function: Callable[[Any], Any], name: str, resources: Resources, batch_size: int | None):
        self.function = function
        self.name = name
        self.resources = resources
        self.batch_size = batch_size
        self.__doc__ = function.__doc__

    def process(self, task: Task) -> Task | list[Task] | None:
        result = self.function(task)
        for made in result if isinstance(result, list) else [result]:
            if made is not None and made is not task:
                made._metadata = {**task._metadata, **made._metadata}
                made._stage_perf = made._stage_perf or list(task._stage_perf)
        return result

    def __call__(self, task: Task) -> Task | list[Task] | None:
        return self.process(task)


def processing_stage(
    *, name: str, resources: Resources | dict[str, Any] | None = None, batch_size: int | None = None
) -> Callable[[Callable[[Any], Any]], FunctionStage]:
    """Turn a function of one task into a stage.

    Metadata that the function sets is kept; what it does not set is taken from its input.
    """

    def wrap(function: Callable[[Any], Any]) -> FunctionStage:
        parameters = inspect.signature(function).parameters
        if len(parameters) != 1:
            raise ValueError(f"{function.__name__} takes {len(parameters)} parameters; a stage takes one task")
        wanted = Resources(**resources) if isinstance(resources, dict) else resources or Resources()
        return FunctionStage(function, name, wanted, batch_size)

    return wrap
