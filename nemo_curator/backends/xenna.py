"""Xenna: all stages at once, with workers moved to where the work is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from nemo_curator.backends import engine_logs
from nemo_curator.backends.on_ray import RemoteStage
from nemo_curator.backends.ray_executor import RayExecutor, run_in_groups
from nemo_curator.backends.ray_grants import Grant, Node, find_nodes, grant_together
from nemo_curator.backends.stage_worker import Partition
from nemo_curator.backends.utils import merge_executor_configs
from nemo_curator.backends.xenna_run import XennaStage, import_xenna, run_xenna
from nemo_curator.errors import ContractError, MissingExtraError
from nemo_curator.pipeline.plan import PhysicalStage

MODES = ("streaming", "batch")
STAGE_SETTINGS = frozenset(
    {
        "num_workers_per_node",
        "num_setup_attempts_python",
        "num_run_attempts_python",
        "ignore_failures",
        "reset_workers_on_failure",
        "slots_per_actor",
        "worker_max_lifetime_m",
        "worker_restart_interval_m",
        "max_setup_failure_percentage",
        "over_provision_factor",
    }
)


class XennaExecutor(RayExecutor):
    """Run on Xenna: all stages at once (`execution_mode="streaming"`), or one after the other (`"batch"`).

    Every `autoscale_interval_s` Xenna moves workers to the stages that are behind, up to `max_workers_per_stage`. It
    uses `cpu_allocation_percentage` of each machine's CPUs. Where there is no terminal for a table, a line on stderr
    tells every `logging_interval` seconds how far the stages are.

    A worker that dies ends Xenna's run; what it has not finished goes on on plain Ray actors. Xenna kills its
    workers when it is done with them, so it runs no `teardown`.
    """

    config_keys = RayExecutor.config_keys | {
        "logging_interval",
        "execution_mode",
        "cpu_allocation_percentage",
        "autoscale_interval_s",
        "max_workers_per_stage",
    }

    def __init__(self, config: dict[str, Any] | None = None, ignore_head_node: bool = False):
        super().__init__(config, ignore_head_node)
        if self.ignore_head_node:
            raise ValueError(
                "Xenna uses every machine, the head too; leave ignore_head_node to the other Ray executors"
            )
        if (mode := self.config.get("execution_mode", "streaming")) not in MODES:
            raise ValueError(f"execution_mode is one of {MODES}, not {mode!r}")
        self.progress_interval = self.config.get("logging_interval")

    def check_settings(self, physical: PhysicalStage) -> None:
        settings = physical.xenna_settings
        if unknown := sorted(settings.keys() - STAGE_SETTINGS):
            raise ValueError(f"{physical.name}: xenna_stage_spec has no {unknown}; there are {sorted(STAGE_SETTINGS)}")
        if physical.num_workers and settings.get("num_workers_per_node"):
            raise ValueError(f"{physical.name}: give num_workers or num_workers_per_node, not both")
        env = {**(self.config.get("runtime_env") or {}), **(physical.runtime_env or {})}
        if unknown := sorted(env.keys() - {"env_vars", "conda"}):
            raise ContractError(
                f"{physical.name}: Xenna knows env_vars and conda of a runtime_env, but not {unknown}; "
                "run it with RayActorPoolExecutor"
            )

    def run_on_ray(
        self, segment: Sequence[PhysicalStage], partitions: list[Partition], nodes: list[Node]
    ) -> Iterator[Partition]:
        share = self._cpu_share(nodes)
        usable = [replace(node, cpus=math.floor(share * node.cpus)) for node in nodes]
        yield from run_in_groups(self, "Xenna", self._stream, segment, partitions, usable)

    def _cpu_share(self, nodes: Sequence[Node]) -> float:
        """The share of each machine's CPUs that is used; one CPU at least."""
        one_cpu = 1.0 / max(node.cpus for node in nodes) + 1e-9
        return max(self.config.get("cpu_allocation_percentage", 1.0), one_cpu)

    def _stream(self, segment: Sequence[PhysicalStage], payloads: list[bytes], nodes: list[Node]) -> Iterator[bytes]:
        xenna = import_xenna()
        is_batch = self.config.get("execution_mode") == "batch"
        level = xenna.VerbosityLevel.INFO if engine_logs.are_shown() else xenna.VerbosityLevel.NONE
        streaming = xenna.StreamingSpecificSpec(
            autoscale_interval_s=self.config.get("autoscale_interval_s", 180.0),
            executor_verbosity_level=level,
        )
        config = xenna.PipelineConfig(
            execution_mode=xenna.ExecutionMode.BATCH if is_batch else xenna.ExecutionMode.STREAMING,
            ignore_failures=self.config.get("ignore_failures", False),
            logging_interval_s=self.config.get("logging_interval", 60),
            return_last_stage_outputs=True,
            cpu_allocation_percentage=self._cpu_share(find_nodes()),
            actor_pool_verbosity_level=level,
            monitoring_verbosity_level=level,
            mode_specific=None if is_batch else streaming,
        )
        stages = [
            self._stage_spec(xenna, physical, grant)
            for physical, grant in zip(segment, self._grants(segment, nodes, is_batch))
        ]
        yield from run_xenna(xenna.PipelineSpec(input_data=payloads, stages=stages, config=config), self.progress)

    def _grants(self, segment: Sequence[PhysicalStage], nodes: list[Node], is_batch: bool) -> list[Grant]:
        workers = [
            physical.num_workers
            or math.ceil(physical.xenna_settings.get("num_workers_per_node", 0) * len(nodes))
            or None
            for physical in segment
        ]
        most = self.config.get("max_workers_per_stage")
        if not is_batch:
            return grant_together(segment, nodes, workers, most)
        return [grant_together([physical], nodes, [wanted], most)[0] for physical, wanted in zip(segment, workers)]

    def _stage_spec(self, xenna: Any, physical: PhysicalStage, grant: Grant) -> Any:
        if grant.gpus and find_spec("pynvml") is None:
            raise MissingExtraError("Xenna finds GPUs through pynvml; get it with: pip install nvidia-ml-py")
        env = merge_executor_configs(self.config.get("runtime_env"), physical.runtime_env)
        settings = {key: value for key, value in physical.xenna_settings.items() if key != "num_workers_per_node"}
        # Xenna names a stage after its class
        stage = type(physical.name, (XennaStage, xenna.Stage), {})(RemoteStage(physical, grant.cpus), grant, env)
        return xenna.StageSpec(stage, num_workers=grant.workers if grant.is_fixed else None, **settings)
