"""The statistics that tasks carry, put together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nemo_curator.tasks.tasks import Task
from nemo_curator.utils.performance_utils import StagePerfStats


class TaskPerfUtils:
    """Times and counts by stage, from a list of tasks, a mapping of pipelines to tasks, or a workflow's result."""

    @staticmethod
    def collect_stage_metrics(tasks: Any) -> dict[str, dict[str, np.ndarray]]:
        """Gather every metric of every call: `{stage: {metric: values}}`. A call that made many tasks counts once."""
        gathered: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for perf in _calls(task for _, some in _pipelines(tasks) for task in some):
            for metric, value in perf.items():
                gathered[perf.stage_name][metric].append(value)
        return {
            stage: {metric: np.asarray(values, dtype=float) for metric, values in metrics.items()}
            for stage, metrics in gathered.items()
        }

    @staticmethod
    def aggregate_task_metrics(tasks: Any, prefix: str | None = None) -> dict[str, float]:
        """Sum, mean and standard deviation, named `[prefix_][pipeline_]stage_metric_{sum,mean,std}`."""
        made: dict[str, float] = {}
        for pipeline, some in _pipelines(tasks):
            start = "".join(f"{part}_" for part in (prefix, pipeline) if part)
            for stage, metrics in TaskPerfUtils.collect_stage_metrics(some).items():
                for metric, values in metrics.items():
                    for name, value in (("sum", values.sum()), ("mean", values.mean()), ("std", values.std())):
                        made[f"{start}{stage}_{metric}_{name}"] = float(value)
        return made

    @staticmethod
    def get_aggregated_stage_stat(tasks: Any, stage_prefix: str, stat: str) -> float:
        """Add up one metric over the stages whose names begin with `stage_prefix`."""
        metrics = TaskPerfUtils.collect_stage_metrics(tasks)
        return float(
            sum(
                values[stat].sum()
                for stage, values in metrics.items()
                if stage.startswith(stage_prefix) and stat in values
            )
        )


def _pipelines(tasks: Any) -> Iterator[tuple[str | None, list[Task]]]:
    tasks = getattr(tasks, "pipeline_tasks", tasks)
    if isinstance(tasks, Mapping):
        yield from tasks.get("pipeline_tasks", tasks).items()
    else:
        yield None, tasks or []


def _calls(tasks: Iterator[Task]) -> Iterator[StagePerfStats]:
    seen: set[int] = set()
    for task in tasks:
        for perf in task._stage_perf:
            if id(perf) not in seen:
                seen.add(id(perf))
                yield perf
