"""What every stage is granted of a cluster: requests larger than what there is are cut to what there is."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nemo_curator.pipeline.plan import PhysicalStage

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Node:
    """A machine of the cluster."""

    id: str
    cpus: float
    gpus: float = 0.0
    is_head: bool = False


@dataclass(frozen=True)
class Grant:
    """What each worker of a stage gets, and how many workers there are: exactly, or at most."""

    cpus: float
    gpus: float
    workers: int
    is_fixed: bool = False


def find_nodes(ignore_head_node: bool = False) -> list[Node]:
    """The machines that take work."""
    import ray

    nodes = []
    for node in ray.nodes():
        has = node["Resources"]
        if node["Alive"] and has.get("CPU"):
            is_head = "node:__internal_head__" in has
            nodes.append(Node(node["NodeID"], has["CPU"], has.get("GPU", 0.0), is_head))
    if ignore_head_node:
        nodes = [node for node in nodes if not node.is_head]
        if not nodes:
            raise ValueError("ignore_head_node leaves no machine with CPUs; add nodes to the cluster, or do not set it")
    if not nodes:
        raise ValueError("no machine of the Ray cluster has CPUs; start it with num_cpus above 0")
    return nodes


def grant_alone(
    physical: PhysicalStage,
    nodes: Sequence[Node],
    workers: int | None = None,
    reserved_cpus: float = 0.0,
    reserved_gpus: float = 0.0,
) -> Grant:
    """What a stage gets that has the cluster to itself. `workers` is the number it wants, None as many as fit."""
    cpus, gpus = _request(physical, nodes)
    most = sum(_workers_on(node, cpus, gpus) for node in nodes)
    if reserved_cpus:
        most = min(most, int((sum(node.cpus for node in nodes) - reserved_cpus) / (cpus or 1.0)))
    if reserved_gpus and gpus:
        most = min(most, int((sum(node.gpus for node in nodes) - reserved_gpus) / gpus))
    most = max(most, 1)
    if not workers:
        return Grant(cpus, gpus, most)
    if workers > most:
        logger.warning("%s wants %d workers; %d fit into the cluster, so it gets them", physical.name, workers, most)
    return Grant(cpus, gpus, min(workers, most), is_fixed=True)


def grant_together(
    segment: Sequence[PhysicalStage],
    nodes: Sequence[Node],
    workers: Sequence[int | None],
    max_workers: int | None = None,
) -> list[Grant]:
    """What stages get that all run at the same time: if they do not fit, each gets the same share of its CPUs."""
    grants = [
        _among_others(physical, nodes, len(segment), wanted, max_workers) for physical, wanted in zip(segment, workers)
    ]
    total = sum(node.cpus for node in nodes)
    wanted = sum(_claimed(grant) for grant in grants)
    share = min(1.0, total / wanted) if wanted else 1.0
    while not _fits([_scaled(grant, share) for grant in grants], nodes) and share > 0.01:
        share *= 0.9
    if share < 1.0:
        logger.warning(
            "%d stages want %g CPUs at the same time; there are %g, so each gets %d %% of its CPUs",
            *(len(segment), wanted, total, round(100 * share)),
        )
    return [_scaled(grant, share) for grant in grants]


def cut_to_fit(segment: Sequence[PhysicalStage], nodes: Sequence[Node]) -> list[list[PhysicalStage]]:
    """Cut stages into groups whose GPUs are there at the same time: a card cannot be cut as a CPU can."""
    groups: list[list[PhysicalStage]] = []
    left = 0.0
    for physical in segment:
        _, gpus = _request(physical, nodes)
        claim = gpus * (physical.num_workers or 1)
        if not groups or claim > left:
            groups.append([])
            left = sum(node.gpus for node in nodes)
        groups[-1].append(physical)
        left -= claim
    return groups


def tell_shortages(segment: Sequence[PhysicalStage], nodes: Sequence[Node]) -> None:
    """Say which stages get less than they want, because no machine has it."""
    for physical in segment:
        cpus, gpus = _request(physical, nodes)
        if physical.resources.requires_gpu and not gpus:
            logger.warning("%s wants a GPU; there is none in the cluster, so it runs on CPUs", physical.name)
        elif cpus < physical.resources.cpus or gpus < physical.resources.gpus:
            logger.warning(
                "%s wants %g CPUs and %g GPUs for a worker; no machine has them, so it gets %g and %g",
                *(physical.name, physical.resources.cpus, physical.resources.gpus, cpus, gpus),
            )


def _request(physical: PhysicalStage, nodes: Sequence[Node]) -> tuple[float, float]:
    """The CPUs and GPUs of one worker, cut to what the largest machine has; all its CPUs in place of a GPU."""
    wanted = physical.resources
    most_gpus = max(node.gpus for node in nodes)
    if wanted.requires_gpu and not most_gpus:
        return max(node.cpus for node in nodes), 0.0
    gpus = min(wanted.gpus or (1.0 if wanted.requires_gpu else 0.0), most_gpus)
    cpus = float(physical.ray_settings.get("ray_num_cpus", wanted.cpus))
    return min(cpus, max(node.cpus for node in nodes if node.gpus >= gpus)), gpus


def _among_others(
    physical: PhysicalStage, nodes: Sequence[Node], stages: int, wanted: int | None, max_workers: int | None
) -> Grant:
    cpus, gpus = _request(physical, nodes)
    on_gpus = sum(int(node.gpus / gpus + 1e-6) for node in nodes) if gpus else math.inf
    if wanted:
        return Grant(cpus, gpus, int(min(wanted, on_gpus)), is_fixed=True)
    share = sum(node.cpus for node in nodes) / stages / (cpus or 1.0)
    if not cpus and not gpus:
        return Grant(0.01, 0.0, max(int(share), 1), is_fixed=True)  # of a stage for nothing there is no end
    workers = max(int(min(share, on_gpus)), 1)
    if max_workers is not None and max_workers < min(share * stages, on_gpus):
        return Grant(cpus, gpus, min(workers, max_workers), is_fixed=True)
    return Grant(cpus, gpus, workers)


def _workers_on(node: Node, cpus: float, gpus: float) -> int:
    return int(min(node.cpus / (cpus or 1.0), node.gpus / gpus if gpus else math.inf) + 1e-6)


def _claimed(grant: Grant) -> float:
    return grant.cpus * (grant.workers if grant.is_fixed else 1)


def _scaled(grant: Grant, share: float) -> Grant:
    if share == 1.0:
        return grant
    return replace(grant, cpus=max(math.floor(100 * share * grant.cpus) / 100, 0.01) if grant.cpus else 0.0)


def _fits(grants: Sequence[Grant], nodes: Sequence[Node]) -> bool:
    """Whether one worker of each, or all where their number is fixed, can be placed: largest first."""
    left = [(node.cpus, node.gpus) for node in nodes]
    workers = [grant for grant in grants for _ in range(grant.workers if grant.is_fixed else 1)]
    for grant in sorted(workers, key=lambda grant: (grant.gpus, grant.cpus), reverse=True):
        for place, (cpus, gpus) in enumerate(left):
            if grant.cpus <= cpus + 1e-6 and grant.gpus <= gpus + 1e-6:
                left[place] = (cpus - grant.cpus, gpus - grant.gpus)
                break
        else:
            return False
    return True
