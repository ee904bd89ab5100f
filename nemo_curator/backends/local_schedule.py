"""Who runs what next on this machine, and how much memory it may take."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import wait
from typing import cast

from nemo_curator.backends.cards import Cards
from nemo_curator.backends.local_process import TEARDOWN_S, Process
from nemo_curator.backends.local_worker import Note, Order, Step
from nemo_curator.backends.memory import POLL_S, MemoryGuard
from nemo_curator.backends.payload import dumps
from nemo_curator.backends.stage_worker import MAX_ATTEMPTS, Partition, give_up
from nemo_curator.errors import LedgerError, MemoryLimitError, StageSetupError, WorkerDiedError
from nemo_curator.ledger.progress import Progress
from nemo_curator.stages.base import ProcessingStage

logger = logging.getLogger(__name__)


class Schedule:
    """Takes partitions through steps: those far along go first, and no more CPUs are handed out than there are.

    With a limit of memory no more partitions run at once than fit into it; when they take more, the last that began
    is put back.
    """

    def __init__(
        self,
        steps: list[Step],
        partitions: list[Partition],
        cpus: int,
        cards: list[str],
        progress: Progress,
        memory_limit: int | None = None,
        resting: list[Process] | None = None,
    ):
        self.steps = steps
        self.waiting = [deque(partitions if step == 0 else ()) for step in range(len(steps))]
        self.unfinished = len(partitions)
        self.cpus = self.free_cpus = cpus
        self.pickled = dumps(steps)
        self.guard = None if memory_limit is None else MemoryGuard(memory_limit)
        self.most_processes = cpus if len(steps) > 1 else min(cpus, len(partitions))
        self.processes: list[Process] = []
        self.holders: list[list[Process]] = [[] for _ in steps]
        self.cards = Cards(cards)
        self.progress = progress
        self.running: dict[Process, Order] = {}
        may_rest = self.guard is None and not any(step.gpus for step in steps)
        self.resting = resting if may_rest and resting is not None else None

    def run(self) -> Iterator[Partition]:
        try:
            self._prepare_node()
            while self.unfinished:
                self._hand_out()
                if not self.running:
                    raise LedgerError(f"{self.unfinished} partitions are left, and no process may take one of them")
                timeout = None if self.guard is None else POLL_S
                for ready in wait(list(self.running), timeout):  # type: ignore[arg-type]  # all with fileno() will do
                    done = self._take(cast("Process", ready))
                    if done is not None:
                        self.unfinished -= 1
                        yield done
                if self.guard is not None and (done := self._keep_limit(self.guard)) is not None:
                    self.unfinished -= 1
                    yield done
            if self.resting is not None:
                self._rest(self.resting)
            for process in self.processes:
                process.finish()
            for process in self.processes:
                process.end(patience=TEARDOWN_S)
        finally:
            for process in self.processes:
                process.end()

    def _rest(self, resting: list[Process]) -> None:
        """Let the processes wait for another run; those that do not come to it are ended."""
        for process in self.processes:
            process.rest()
        while self.processes:
            process = self.processes[-1]
            if process.rests():
                resting.append(self.processes.pop())
            else:
                self._remove(process)

    def _prepare_node(self) -> None:
        stages = [stage for step in self.steps for physical in step.physical for stage in physical.stages]
        if all(type(stage).setup_on_node is ProcessingStage.setup_on_node for stage in stages):
            return
        process = self._new_process()
        process.send("prepare_node")
        try:
            problem = process.answer()
        except WorkerDiedError as error:
            raise StageSetupError(f"a worker died in setup_on_node of {self.steps[0].name}: {error}") from error
        if problem:
            raise StageSetupError(problem)

    def _hand_out(self) -> None:
        for step in reversed(range(len(self.steps))):
            while self.waiting[step]:
                if self.steps[step].cpus > self.free_cpus or not self._has_room():
                    return  # wait for them rather than start work further up: what waits here holds memory
                if not any(self._start(process, step) for process in self._processes_for(step)):
                    break
            if len(self.waiting[step]) >= 2 * self.cpus and step > 0:
                return

    def _has_room(self) -> bool:
        if self.guard is None:
            return True
        if not self.guard.look(self._pids()) and not self.running:
            self._end_idle()  # what they have kept of earlier partitions is all that can be given back
        return self.guard.has_room()

    def _processes_for(self, step: int) -> Iterator[Process]:
        """Processes that may run a step now: first those that have its stages set up, last a new one."""
        idle = [process for process in self.processes if process not in self.running]
        holders = self.holders[step]
        yield from (process for process in idle if process in holders)
        limit = self.steps[step].max_workers
        if limit is not None and len(holders) >= limit:
            return
        yield from (process for process in idle if process not in holders)
        if not idle and len(self.processes) < self.most_processes:
            yield self._new_process()

    def _new_process(self) -> Process:
        while self.resting:
            process = self.resting.pop()
            if process.is_alive():
                process.begin(self.pickled)
                self.processes.append(process)
                return process
            process.end()
        names = {process.name for process in self.processes}
        name = next(name for number in range(self.most_processes) if (name := f"worker-{number}") not in names)
        self.processes.append(Process(self.pickled, name, keep_memory=self.guard is None))
        return self.processes[-1]

    def _start(self, process: Process, step: int) -> bool:
        """Give a process the next partition that waits for a step, unless it has no GPU for it."""
        cards = None
        if share := self.steps[step].gpus:
            cards = self.cards.take(process, share)
            if cards is None:
                return False
        order = Order(step, self.waiting[step].popleft(), cards)
        if process not in self.holders[step]:
            self.holders[step].append(process)
        self.free_cpus -= self.steps[step].cpus
        self.running[process] = order
        if self.guard is not None:
            self.guard.begin(process.pid)
        self.progress.begin(order.partition.id, self.steps[step].name)
        process.send(order)
        return True

    def _take(self, process: Process) -> Partition | None:
        """Take what a process has done; returns the partition once it is through the last step."""
        try:
            answer = process.receive()
        except WorkerDiedError as error:
            order = self._free(process)
            self._remove(process)
            return self._try_again(order, error)
        if isinstance(answer, Note):
            self.progress.note = answer.text
            return None
        order, partition = self._free(process), cast("Partition", answer)
        if partition.fatal or partition.lost or order.step == len(self.steps) - 1:
            return partition
        partition.attempts = 0
        self.waiting[order.step + 1].append(partition)
        return None

    def _free(self, process: Process) -> Order:
        order = self.running.pop(process)
        self.progress.note = ""
        self.progress.put_back(order.partition.id)
        self.free_cpus += self.steps[order.step].cpus
        process.orders += 1
        if share := self.steps[order.step].gpus:
            self.cards.give_back(process, share)
        if self.guard is not None:
            self.guard.end(process.pid)
        return order

    def _remove(self, process: Process) -> None:
        process.end()
        self.processes.remove(process)
        self.cards.forget(process)
        for holders in self.holders:
            if process in holders:
                holders.remove(process)

    def _try_again(self, order: Order, error: WorkerDiedError) -> Partition | None:
        partition, name = order.partition, self.steps[order.step].name
        partition.attempts += 1
        if partition.attempts >= MAX_ATTEMPTS:
            return give_up(partition, name, error)
        logger.warning("%s, partition %s: %s; it is tried again", name, partition.id, error)
        self.waiting[order.step].appendleft(partition)
        return None

    def _keep_limit(self, guard: MemoryGuard) -> Partition | None:
        """End processes while they use too much memory; returns a partition that needs too much by itself."""
        if guard.look(self._pids()) or self._end_idle() or not self.running:
            return None
        process = list(self.running)[-1]
        used, is_alone, is_fresh = guard.used, len(self.running) == 1, not process.orders
        order = self._free(process)
        self._remove(process)
        if is_alone and is_fresh:
            problem = f"with it alone the run took {used >> 20} MiB; memory_limit is {guard.limit >> 20} MiB"
            problem = f"{problem}. Give a smaller blocksize, or more memory"
            return give_up(order.partition, self.steps[order.step].name, MemoryLimitError(problem))
        guard.most_running = max(len(self.running), 1)
        self.waiting[order.step].appendleft(order.partition)
        return None

    def _end_idle(self) -> bool:
        idle = [process for process in self.processes if process not in self.running]
        for process in idle:
            self._remove(process)
        return bool(idle)

    def _pids(self) -> list[int]:
        return [process.pid for process in self.processes]
