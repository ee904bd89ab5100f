"""Functions that scripts written for NVIDIA's package import from here, and the settings of stages for Ray."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import ExitStack
from enum import StrEnum
from typing import Any

from nemo_curator.backends.on_ray import RayCluster, find_worker, prepare_nodes
from nemo_curator.backends.ray_grants import find_nodes
from nemo_curator.backends.stage_worker import NodeInfo, WorkerMetadata
from nemo_curator.pipeline.plan import PhysicalStage
from nemo_curator.stages.base import ProcessingStage

NOT_IN_REMOTE_ARGS = {"compute", "max_calls", "num_cpus", "num_gpus"}


class RayStageSpecKeys(StrEnum):
    """The keys of `ray_stage_spec`.

    `is_actor_stage` and `is_fanout_stage` are accepted and change nothing: a stage always runs in actors, and what it
    returns decides. The three kinds of stage that need RAPIDS are refused.
    """

    IS_ACTOR_STAGE = "is_actor_stage"
    IS_FANOUT_STAGE = "is_fanout_stage"
    IS_RAFT_ACTOR = "is_raft_actor"
    IS_LSH_STAGE = "is_lsh_stage"
    IS_SHUFFLE_STAGE = "is_shuffle_stage"
    MAX_CALLS_PER_WORKER = "max_calls_per_worker"
    MIN_WORKERS = "min_workers"
    MAX_WORKERS = "max_workers"
    INITIAL_WORKERS = "initial_workers"
    RAY_REMOTE_ARGS = "ray_remote_args"
    RAY_NUM_CPUS = "ray_num_cpus"


_OF_RAPIDS = (RayStageSpecKeys.IS_RAFT_ACTOR, RayStageSpecKeys.IS_LSH_STAGE, RayStageSpecKeys.IS_SHUFFLE_STAGE)


def check_ray_settings(physical: PhysicalStage) -> None:
    settings = physical.ray_settings
    known = {key.value for key in RayStageSpecKeys}
    if unknown := sorted(str(key) for key in settings.keys() - known):
        raise ValueError(f"{physical.name}: ray_stage_spec has no keys {unknown}; there are {sorted(known)}")
    if of_rapids := [key.value for key in _OF_RAPIDS if settings.get(key)]:
        raise ValueError(f"{physical.name}: {of_rapids} need RAPIDS and its own shuffle, which are not used here")
    if forbidden := sorted(NOT_IN_REMOTE_ARGS & (settings.get("ray_remote_args") or {}).keys()):
        raise ValueError(f"{physical.name}: ray_remote_args may not hold {forbidden}; use resources and num_workers")


def merge_executor_configs(base: dict[str, Any] | None, override: dict[str, Any] | None) -> dict[str, Any]:
    """Merge two configurations: dictionaries key by key, of other values the second wins. Neither is changed."""
    merged = copy.deepcopy(base or {})
    for key, value in (override or {}).items():
        both = isinstance(merged.get(key), dict) and isinstance(value, dict)
        merged[key] = merge_executor_configs(merged[key], value) if both else copy.deepcopy(value)
    return merged


def get_available_cpu_gpu_resources(
    init_and_shutdown: bool = False, ignore_head_node: bool = False
) -> tuple[float, float]:
    """CPUs and GPUs of the cluster. With `init_and_shutdown` it is connected to for the question only."""
    with ExitStack() as stack:
        if init_and_shutdown:
            stack.enter_context(RayCluster()).connect()
        nodes = find_nodes(ignore_head_node)
        return sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)


def check_total_gpu_capacity(num_gpus: float) -> None:
    """Raise if the cluster has fewer GPUs than this."""
    _, gpus = get_available_cpu_gpu_resources()
    if gpus < num_gpus:
        raise ValueError(f"{num_gpus:g} GPUs are wanted; the cluster has {gpus:g}")


def execute_setup_on_node(stages: Sequence[ProcessingStage], ignore_head_node: bool = False) -> None:
    """Run `setup_on_node` of these stages once on every machine of the cluster."""
    prepare_nodes([PhysicalStage(place, (stage,)) for place, stage in enumerate(stages)], find_nodes(ignore_head_node))


def get_worker_metadata_and_node_id() -> tuple[NodeInfo, WorkerMetadata]:
    """The machine and the worker that the calling code runs on."""
    return find_worker()


def register_loguru_serializer() -> None:
    """Let objects that hold a loguru logger travel between Ray's processes: each has its own."""
    import ray
    from loguru import logger

    ray.util.register_serializer(type(logger), serializer=lambda _: None, deserializer=_loguru_logger)


def _loguru_logger(_: None) -> Any:
    from loguru import logger

    return logger
