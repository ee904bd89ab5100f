"""Partitions through Ray actors, one physical stage after the other; a partition whose worker dies is tried again.

The engine of RayActorPoolExecutor, and what finishes a run of another engine that a dying worker broke.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from nemo_curator.backends.on_ray import RemoteStage
from nemo_curator.backends.payload import dump_partition, dumps, loads
from nemo_curator.backends.ray_grants import Grant
from nemo_curator.backends.stage_worker import MAX_ATTEMPTS, Partition, give_up
from nemo_curator.errors import StageSetupError, WorkerDiedError
from nemo_curator.ledger.progress import Progress
from nemo_curator.pipeline.plan import PhysicalStage

TEARDOWN_S = 60
logger = logging.getLogger(__name__)


@dataclass
class Crew:
    """The actors of a physical stage: what each is granted, and the options they are made with."""

    physical: PhysicalStage
    grant: Grant
    options: dict[str, Any] = field(default_factory=dict)
    max_workers: int | None = None
    max_calls: int | None = None
    """After how many partitions an actor is replaced by a fresh one."""


def run_on_actors(crews: Sequence[Crew], partitions: Sequence[Partition], progress: Progress) -> Iterator[Partition]:
    """Yield every partition once it is through the last stage, or has come to its end before."""
    items = [_Item(partition) for partition in partitions]
    while items:
        items = yield from _run_once(crews, items, progress)


@dataclass
class _Item:
    """A partition on its way."""

    origin: Partition
    """As it came: where it starts again when a machine takes its data along."""
    payload: Any = None
    """What the last stage made of it: bytes, or a reference to bytes."""
    attempts: int = 0
    restarts: int = 0
    has_ended: bool = False


@dataclass(eq=False)
class _Actor:
    handle: Any
    calls: int = 0


class _Worker:
    """What runs in the actor."""

    def __init__(self, remote: RemoteStage):
        self._remote = remote

    def ready(self) -> None:
        pass

    def run(self, payload: bytes) -> tuple[bool, bytes]:
        return self._remote.run(payload)

    def teardown(self) -> None:
        self._remote.teardown()


def _run_once(crews: Sequence[Crew], items: list[_Item], progress: Progress) -> Generator[Partition, None, list[_Item]]:
    """Take items through all stages; return those that start again because their data is gone."""
    import ray

    gone: list[_Item] = []
    for crew in crews:
        passed = []
        for item in _Schedule(crew, items, gone, progress).run():
            if not item.has_ended and crew is not crews[-1]:
                passed.append(item)
                continue
            try:
                yield loads(_fetch(item.payload))
            except ray.exceptions.ObjectLostError:
                gone.append(item)
        items = passed
    again = []
    for item in gone:
        if item.restarts + 1 < MAX_ATTEMPTS:
            again.append(_Item(item.origin, restarts=item.restarts + 1))
        else:
            yield give_up(item.origin, crew.physical.name, WorkerDiedError("machines died that had its data"))
    return again


def _fetch(payload: Any) -> bytes:
    import ray

    return payload if isinstance(payload, bytes) else ray.get(payload)


class _Schedule:
    """One partition at a time for each actor, so that a death is blamed on the partition that the actor had."""

    def __init__(self, crew: Crew, items: list[_Item], gone: list[_Item], progress: Progress):
        self.crew = crew
        self.name = crew.physical.name
        self.waiting = deque(items)
        self.gone = gone
        self.size = min(crew.grant.workers, crew.max_workers or len(items), len(items))
        self.starting: dict[Any, _Actor] = {}
        self.idle: list[_Actor] = []
        self.busy: dict[Any, tuple[_Actor, _Item, Any]] = {}
        self.deaths_at_start = 0
        self.progress = progress
        self.total, self.done = len(items), 0

    def run(self) -> Iterator[_Item]:
        import ray

        self.remote = RemoteStage(self.crew.physical, self.crew.grant.cpus)
        self.worker_class = ray.remote(max_restarts=0, max_task_retries=0)(_Worker)
        try:
            while self.waiting or self.busy:
                self._hand_out()
                self.progress.note = f"{self.name}: {self.done} of {self.total} partitions"
                ready, _ = ray.wait([*self.starting, *self.busy])
                for reference in ready:
                    if reference in self.starting:
                        self._welcome(reference)
                    elif (done := self._take(reference)) is not None:
                        self.done += 1
                        yield done
            self._tear_down()
        finally:
            for actor in self._actors():
                ray.kill(actor.handle)

    def _actors(self) -> list[_Actor]:
        return [*self.starting.values(), *self.idle, *(actor for actor, *_ in self.busy.values())]

    def _hand_out(self) -> None:
        while self.waiting and self.idle:
            actor, item = self.idle.pop(), self.waiting.popleft()
            payload = dump_partition(item.origin, self.name) if item.payload is None else item.payload
            note, made = actor.handle.run.options(num_returns=2).remote(payload)
            actor.calls += 1
            self.busy[note] = actor, item, made
            self.progress.begin(item.origin.id, self.name)
        # an actor gets work once it runs: one that waits for CPUs must not hold a partition
        for _ in range(min(self.size - len(self._actors()), len(self.waiting) - len(self.starting))):
            grant = self.crew.grant
            options = {"num_cpus": grant.cpus, "num_gpus": grant.gpus, **self.crew.options}
            actor = _Actor(self.worker_class.options(**options).remote(self.remote))
            self.starting[actor.handle.ready.remote()] = actor

    def _welcome(self, reference: Any) -> None:
        import ray

        actor = self.starting.pop(reference)
        try:
            ray.get(reference)
        except ray.exceptions.RayError as error:
            self.deaths_at_start += 1
            if isinstance(error, ray.exceptions.RuntimeEnvSetupError) or self.deaths_at_start >= MAX_ATTEMPTS:
                raise StageSetupError(f"the workers of {self.name} do not start: {error}") from error
        else:
            self.deaths_at_start = 0
            self.idle.append(actor)

    def _take(self, reference: Any) -> _Item | None:
        """Take what an actor has done; returns the item if it is through this stage, or given up."""
        import ray

        actor, item, made = self.busy.pop(reference)
        self.progress.put_back(item.origin.id)
        try:
            item.has_ended = ray.get(reference)
        except ray.exceptions.ObjectLostError:
            self.idle.append(actor)
            self.gone.append(item)
            return None
        except ray.exceptions.RayTaskError as error:
            self.idle.append(actor)
            return self._give_up(item, error.cause or error)
        except ray.exceptions.RayError as error:
            return self._try_again(item, WorkerDiedError(_reason(error)))
        item.payload, item.attempts = made, 0
        self._send_home(actor)
        return item

    def _send_home(self, actor: _Actor) -> None:
        if self.crew.max_calls is None or actor.calls < self.crew.max_calls:
            self.idle.append(actor)
        else:
            actor.handle.teardown.remote()  # it ends by itself afterwards, because nobody knows it any more

    def _try_again(self, item: _Item, error: Exception) -> _Item | None:
        item.attempts += 1
        if item.attempts >= MAX_ATTEMPTS:
            return self._give_up(item, error)
        self.waiting.appendleft(item)
        return None

    def _give_up(self, item: _Item, error: Exception) -> _Item:
        import ray

        partition = item.origin
        if item.payload is not None:
            try:
                partition = loads(_fetch(item.payload))
            except ray.exceptions.RayError:
                logger.debug("only the start of partition %s is left", partition.id)
        item.payload, item.has_ended = dumps(give_up(partition, self.name, error)), True
        return item

    def _tear_down(self) -> None:
        import ray

        endings = [actor.handle.teardown.remote() for actor in self.idle]
        done, late = ray.wait(endings, num_returns=len(endings), timeout=TEARDOWN_S) if endings else ([], [])
        if late:
            logger.warning("%d workers of %s were still in teardown after %d s", len(late), self.name, TEARDOWN_S)
        for ending in done:
            try:
                ray.get(ending)
            except ray.exceptions.RayError as error:
                logger.warning("teardown of %s: %s", self.name, error)


def _reason(error: Exception) -> str:
    """What Ray knows, without its advice."""
    detail = re.search(r"Worker exit detail: ([^.]*)", str(error))
    first_line, *_ = str(error).splitlines() or [type(error).__name__]
    return f"its worker process died: {detail.group(1) if detail else first_line}"
