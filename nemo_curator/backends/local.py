"""This machine's processes, and nothing else: no Ray, no ports, no daemon."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.backends.cards import find_cards, places
from nemo_curator.backends.local_process import Process
from nemo_curator.backends.local_schedule import Schedule
from nemo_curator.backends.local_worker import LocalWorker, Order, Step
from nemo_curator.backends.stage_worker import Partition
from nemo_curator.errors import ContractError, StageSetupError
from nemo_curator.ledger.progress import Progress
from nemo_curator.pipeline.plan import PhysicalStage
from nemo_curator.tasks.tasks import Task
from nemo_curator.utils.file_utils import parse_bytes_string_to_int


class LocalExecutor(BaseExecutor):
    """Run source partitions in processes of this machine, each through all stages that need no more than one CPU.

    `num_workers` processes, by default one for each CPU; with 0 everything runs in this process, one partition
    after the other, for debuggers. `config` may hold it and `num_gpus` as well, as in YAML. A stage that asks for
    more CPUs than one waits until they are free; one that asks for a GPU gets one where there is one, and otherwise
    all CPUs. A process that dies costs only the partition it had, which is tried again.
    """

    def __init__(
        self,
        config: dict[str, Any] | None = None,
        ignore_head_node: bool = False,
        *,
        num_workers: int | None = None,
        num_gpus: int | None = None,
    ):
        super().__init__(config, ignore_head_node)
        num_workers = self.config.get("num_workers") if num_workers is None else num_workers
        num_gpus = self.config.get("num_gpus") if num_gpus is None else num_gpus
        if num_workers is not None and (not isinstance(num_workers, int) or num_workers < 0):
            raise ValueError(f"num_workers is {num_workers!r}; wanted a number of processes, or 0 for this one alone")
        self.num_workers = num_workers
        self.num_gpus = num_gpus
        self._resting: list[Process] | None = None

    @contextmanager
    def keeping_processes(self) -> Iterator[None]:
        """Let the runs within take turns in the same processes. To start one takes longer than to read 100 MB.

        Those that had a GPU, or a limit of memory to keep, end with their run nevertheless.
        """
        if self._resting is not None:
            yield
            return
        self._resting = []
        try:
            yield
        finally:
            resting, self._resting = self._resting, None
            for process in resting:
                process.end()

    def execute_plan(self, *args: Any, **settings: Any) -> list[Task]:
        with self.keeping_processes():
            return super().execute_plan(*args, **settings)

    def run_segment(self, segment: tuple[PhysicalStage, ...], partitions: list[Partition]) -> Iterator[Partition]:
        cpus = count_cpus() if self.num_workers is None else self.num_workers
        cards = find_cards() if self.num_gpus is None else list(map(str, range(self.num_gpus)))
        steps = cut_into_steps(segment, cpus or count_cpus(), len(cards))
        if cpus == 0:
            return _run_here(steps, partitions, self.progress)
        return Schedule(steps, partitions, cpus, cards, self.progress, self.memory_limit, self._resting).run()

    def _check_memory_limit(self, limit: int | str | None) -> int | None:
        if limit is None:
            return None
        if self.num_workers == 0:
            raise ContractError("memory_limit needs worker processes, which can be ended; num_workers=0 has none")
        return parse_bytes_string_to_int(limit)


def count_cpus() -> int:
    """CPUs that this process may use: affinity and container limits count."""
    from loky import cpu_count

    return cpu_count()


def cut_into_steps(segment: tuple[PhysicalStage, ...], cpus: int, gpus: int) -> list[Step]:
    """Join physical stages that a process can run without asking; those with demands of their own stand alone."""
    steps: list[Step] = []
    for physical in segment:
        _check_runtime_env(physical)
        step = _step(physical, cpus, gpus)
        if steps and _is_plain(step) and _is_plain(steps[-1]):
            steps[-1].physical.append(physical)
        else:
            steps.append(step)
    return steps


def _step(physical: PhysicalStage, cpus: int, gpus: int) -> Step:
    wanted = physical.resources
    share = wanted.gpus or (1.0 if wanted.requires_gpu else 0.0)
    if share and not gpus:
        return Step([physical], cpus, 0.0, 1)
    granted = min(max(math.ceil(wanted.cpus), 1), cpus)
    limits = [limit for limit in (physical.num_workers, physical.xenna_settings.get("num_workers_per_node")) if limit]
    if share:
        share = min(share, gpus)
        limits.append(places(gpus, share))
    return Step([physical], granted, share, min(limits, default=None))


def _is_plain(step: Step) -> bool:
    return step.cpus == 1 and not step.gpus and step.max_workers is None and not step.physical[0].runtime_env


def _check_runtime_env(physical: PhysicalStage) -> None:
    unknown = (physical.runtime_env or {}).keys() - {"env_vars"}
    if unknown:
        raise ContractError(
            f"{physical.name}: LocalExecutor sets env_vars of a runtime_env, but cannot do {sorted(unknown)}; "
            "run it with a Ray executor"
        )


def _run_here(steps: list[Step], partitions: list[Partition], progress: Progress) -> Iterator[Partition]:
    # without a process of its own nothing can be ended
    worker = LocalWorker(
        [replace(step, physical=[replace(one, stall_limit=None) for one in step.physical]) for step in steps]
    )
    if problem := worker.prepare_node():
        raise StageSetupError(problem)
    try:
        for partition in partitions:
            for step in range(len(steps)):
                progress.begin(partition.id, steps[step].name)
                partition = worker.run(Order(step, partition))
            yield partition
    finally:
        worker.teardown()
