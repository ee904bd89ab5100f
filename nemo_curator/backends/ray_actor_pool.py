"""Ray actors, one stage after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nemo_curator.backends.actor_schedule import run_on_actors
from nemo_curator.backends.ray_executor import RayExecutor
from nemo_curator.backends.ray_grants import Node
from nemo_curator.backends.stage_worker import Partition
from nemo_curator.pipeline.plan import PhysicalStage


class RayActorPoolExecutor(RayExecutor):
    """Run each stage on as many Ray actors as fit, and the next when every partition is through.

    An actor that dies costs only the partition it had, which is tried again. `config` may hold a `runtime_env` for
    all stages, and `reserved_cpus` and `reserved_gpus` of the cluster to leave alone. Where there is no terminal for a
    table, a line on stderr tells every `progress_interval` seconds how far the run is; without `show_progress` nothing.
    """

    config_keys = RayExecutor.config_keys | {"reserved_cpus", "reserved_gpus"}

    def __init__(
        self,
        config: dict[str, Any] | None = None,
        ignore_head_node: bool = False,
        show_progress: bool = True,
        progress_interval: float = 10.0,
    ):
        super().__init__(config, ignore_head_node)
        self.show_progress = show_progress
        self.progress_interval = progress_interval

    def run_on_ray(
        self, segment: Sequence[PhysicalStage], partitions: list[Partition], nodes: list[Node]
    ) -> Iterator[Partition]:
        crews = [self.crew(physical, nodes) for physical in segment]
        yield from run_on_actors(crews, partitions, self.progress)
