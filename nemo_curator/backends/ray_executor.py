"""What the three executors on Ray share: a cluster for the run, and every machine prepared before the first stage."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from nemo_curator.backends.actor_schedule import Crew, run_on_actors
from nemo_curator.backends.base import BaseExecutor
from nemo_curator.backends.engine_logs import engine_log
from nemo_curator.backends.on_ray import RayCluster, prepare_nodes
from nemo_curator.backends.payload import dump_partition, loads
from nemo_curator.backends.ray_grants import Node, cut_to_fit, find_nodes, grant_alone, tell_shortages
from nemo_curator.backends.stage_worker import Partition
from nemo_curator.backends.utils import check_ray_settings, merge_executor_configs
from nemo_curator.pipeline.plan import PhysicalStage, Plan
from nemo_curator.tasks.tasks import Task

logger = logging.getLogger(__name__)


class RayExecutor(BaseExecutor):
    """Runs on the Ray cluster at hand (a started RayClient, RAY_ADDRESS, or `ray.init()`), else on a private one.

    A private cluster listens on loopback only and ends with the run. One at hand is never stopped.
    """

    config_keys: ClassVar[frozenset[str]] = frozenset({"ignore_failures", "runtime_env", "stall_limit"})

    def __init__(self, config: dict[str, Any] | None = None, ignore_head_node: bool = False):
        super().__init__(config, ignore_head_node)
        if unknown := sorted(self.config.keys() - self.config_keys):
            logger.warning(
                "%s reads no %s in its config; it reads %s", type(self).__name__, unknown, sorted(self.config_keys)
            )

    @abstractmethod
    def run_on_ray(
        self, segment: Sequence[PhysicalStage], partitions: list[Partition], nodes: list[Node]
    ) -> Iterator[Partition]:
        """As `run_segment`, with a cluster there and its machines prepared."""

    def check_settings(self, physical: PhysicalStage) -> None:
        """Raise if the stage has settings for this engine that do not exist."""
        check_ray_settings(physical)

    def execute_plan(self, plan: Plan, initial_tasks: list[Task] | None = None, **options: Any) -> list[Task]:
        for physical in (physical for segment in plan.segments for physical in segment):
            self.check_settings(physical)
        checkpoint = options.get("checkpoint")
        self.engine_log = engine_log(options.get("report_path") or (checkpoint and checkpoint.path))
        with RayCluster(self.engine_log) as self._cluster:
            return super().execute_plan(plan, initial_tasks, **options)

    def run_segment(self, segment: tuple[PhysicalStage, ...], partitions: list[Partition]) -> Iterator[Partition]:
        self._cluster.connect()
        nodes = find_nodes(self.ignore_head_node)
        tell_shortages(segment, nodes)
        prepare_nodes(segment, nodes)
        yield from self.run_on_ray(segment, partitions, nodes)

    def crew(self, physical: PhysicalStage, nodes: Sequence[Node]) -> Crew:
        """Actors for a stage that has the cluster to itself."""
        settings = physical.ray_settings
        reserved = self.config.get("reserved_cpus", 0.0), self.config.get("reserved_gpus", 0.0)
        grant = grant_alone(physical, nodes, physical.num_workers, *reserved)
        return Crew(
            physical,
            grant,
            self.remote_options(physical, nodes),
            settings.get("max_workers"),
            settings.get("max_calls_per_worker"),
        )

    def remote_options(self, physical: PhysicalStage, nodes: Sequence[Node]) -> dict[str, Any]:
        """How Ray is to make the workers of a stage, beside what they are granted."""
        options: dict[str, Any] = {}
        if env := merge_executor_configs(self.config.get("runtime_env"), physical.runtime_env):
            options["runtime_env"] = env
        if self.ignore_head_node:
            options["label_selector"] = {"ray.io/node-id": f"in({','.join(node.id for node in nodes)})"}
        return {**options, **(physical.ray_settings.get("ray_remote_args") or {})}


def run_in_groups(
    executor: RayExecutor,
    engine: str,
    stream: Callable[[Sequence[PhysicalStage], list[bytes], list[Node]], Iterator[bytes]],
    segment: Sequence[PhysicalStage],
    partitions: list[Partition],
    nodes: list[Node],
) -> Iterator[Partition]:
    """Take partitions through an engine that runs stages at the same time, as many at once as have their GPUs."""
    groups = cut_to_fit(segment, nodes)
    for group in groups:
        passed = []
        for partition in _through(executor, engine, stream, group, partitions, nodes):
            if group is groups[-1] or partition.fatal or partition.lost:
                yield partition
            else:
                passed.append(partition)
        partitions = passed


def _through(
    executor: RayExecutor,
    engine: str,
    stream: Callable[[Sequence[PhysicalStage], list[bytes], list[Node]], Iterator[bytes]],
    group: Sequence[PhysicalStage],
    partitions: list[Partition],
    nodes: list[Node],
) -> Iterator[Partition]:
    """What the engine leaves unfinished goes on on actors, where a death costs no more than a partition."""
    import ray

    left = {partition.index: partition for partition in partitions}
    reason = "a worker died more than once"
    try:
        for payload in stream(group, [dump_partition(one, group[0].name) for one in partitions], nodes):
            partition = loads(payload)
            del left[partition.index]
            yield partition
    except ray.exceptions.RayError as error:
        reason = type(error).__name__
    if left:
        logger.warning(
            "%s left %d of %d partitions unfinished (%s): they go on on Ray actors, one stage after the other",
            *(engine, len(left), len(partitions), reason),
        )
        crews = [executor.crew(physical, nodes) for physical in group]
        yield from run_on_actors(crews, list(left.values()), executor.progress)
