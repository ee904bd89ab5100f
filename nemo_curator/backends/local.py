"""This machine's processes, and nothing else: no Ray, no ports, no daemon."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, cast

from nemo_curator.backends.base import MAX_ATTEMPTS, BaseExecutor, Partition, give_up
from nemo_curator.backends.local_process import Process
from nemo_curator.backends.local_worker import LocalWorker, Order, Step
from nemo_curator.backends.payload import dumps
from nemo_curator.errors import ContractError, StageSetupError, WorkerDiedError
from nemo_curator.pipeline.plan import PhysicalStage
from nemo_curator.stages.base import ProcessingStage


class LocalExecutor(BaseExecutor):
    """Run source partitions in processes of this machine, each through all stages that need no more than one CPU.

    `num_workers` processes, by default one for each CPU; with 0 everything runs in this process, one partition after
    the other, for debuggers. A stage that asks for more CPUs than one waits until they are free; one that asks for a
    GPU gets one where there is one, and otherwise all CPUs. A process that dies costs only the partition it had, which
    is tried again.
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
        self.num_workers = num_workers
        self.num_gpus = num_gpus

    def run_segment(self, segment: tuple[PhysicalStage, ...], partitions: list[Partition]) -> Iterator[Partition]:
        cpus = count_cpus() if self.num_workers is None else self.num_workers
        gpus = count_gpus() if self.num_gpus is None else self.num_gpus
        steps = cut_into_steps(segment, max(cpus, 1), gpus)
        if cpus == 0:
            return _run_here(steps, partitions)
        return _Schedule(steps, partitions, cpus).run()


def count_cpus() -> int:
    """CPUs that this process may use: affinity and container limits count."""
    from loky import cpu_count

    return cpu_count()


def count_gpus() -> int:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip()])
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


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
        limits.append(int(gpus / share))
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


def _run_here(steps: list[Step], partitions: list[Partition]) -> Iterator[Partition]:
    worker = LocalWorker(steps)
    if problem := worker.prepare_node():
        raise StageSetupError(problem)
    try:
        for partition in partitions:
            for step in range(len(steps)):
                partition = worker.run(Order(step, partition))
            yield partition
    finally:
        worker.teardown()


class _Schedule:
    """Who runs what next: partitions far along go first, and no more CPUs are handed out than there are."""

    def __init__(self, steps: list[Step], partitions: list[Partition], cpus: int):
        self.steps = steps
        self.waiting = [deque(partitions if step == 0 else ()) for step in range(len(steps))]
        self.unfinished = len(partitions)
        self.cpus = self.free_cpus = cpus
        self.pickled = dumps(steps)
        count = cpus if len(steps) > 1 else min(cpus, len(partitions))
        self.processes = [Process(self.pickled, f"worker-{number}") for number in range(count)]
        self.holders: list[list[Process]] = [[] for _ in steps]
        self.running: dict[Process, Order] = {}

    def run(self) -> Iterator[Partition]:
        try:
            self._prepare_node()
            while self.unfinished:
                self._hand_out()
                for ready in wait(list(self.running)):  # type: ignore[arg-type]  # anything with fileno() will do
                    done = self._take(cast("Process", ready))
                    if done is not None:
                        self.unfinished -= 1
                        yield done
            for process in self.processes:
                process.finish()
            for process in self.processes:
                process.end(patience=60.0)
        finally:
            for process in self.processes:
                process.end()

    def _prepare_node(self) -> None:
        stages = [stage for step in self.steps for physical in step.physical for stage in physical.stages]
        if all(type(stage).setup_on_node is ProcessingStage.setup_on_node for stage in stages):
            return
        self.processes[0].send("prepare_node")
        try:
            problem = self.processes[0].receive()
        except WorkerDiedError as error:
            raise StageSetupError(f"a worker died in setup_on_node of {self.steps[0].name}: {error}") from error
        if problem:
            raise StageSetupError(problem)

    def _hand_out(self) -> None:
        for step in reversed(range(len(self.steps))):
            while self.waiting[step]:
                if self.steps[step].cpus > self.free_cpus:
                    return  # wait for CPUs rather than start work further up: what waits here holds memory
                process = self._process_for(step)
                if process is None:
                    break
                self._start(process, step)
            if len(self.waiting[step]) >= 2 * self.cpus and step > 0:
                return

    def _process_for(self, step: int) -> Process | None:
        idle = [process for process in self.processes if process not in self.running]
        holding = [process for process in idle if process in self.holders[step]]
        limit = self.steps[step].max_workers
        if limit is None or holding:
            return next(iter(holding or idle), None)
        return next(iter(idle), None) if len(self.holders[step]) < limit else None

    def _start(self, process: Process, step: int) -> None:
        order = Order(step, self.waiting[step].popleft())
        if process not in self.holders[step]:
            self.holders[step].append(process)
        if share := self.steps[step].gpus:
            order.gpus = _gpus_of(self.holders[step].index(process), share)
        self.free_cpus -= self.steps[step].cpus
        self.running[process] = order
        process.send(order)

    def _take(self, process: Process) -> Partition | None:
        """Take what a process has done; returns the partition once it is through the last step."""
        order = self.running.pop(process)
        self.free_cpus += self.steps[order.step].cpus
        try:
            partition = process.receive()
        except WorkerDiedError as error:
            self._replace(process)
            return self._try_again(order.step, order.partition, error)
        if partition.fatal or partition.lost or order.step == len(self.steps) - 1:
            return partition
        partition.attempts = 0
        self.waiting[order.step + 1].append(partition)
        return None

    def _replace(self, process: Process) -> None:
        process.end()
        new = Process(self.pickled, process.name)
        self.processes[self.processes.index(process)] = new
        for holders in self.holders:
            if process in holders:
                holders[holders.index(process)] = new

    def _try_again(self, step: int, partition: Partition, error: WorkerDiedError) -> Partition | None:
        partition.attempts += 1
        if partition.attempts < MAX_ATTEMPTS:
            self.waiting[step].appendleft(partition)
            return None
        return give_up(partition, self.steps[step].name, error)


def _gpus_of(holder: int, share: float) -> list[int]:
    if share < 1:
        return [int(holder * share)]
    return list(range(holder * int(share), (holder + 1) * int(share)))
