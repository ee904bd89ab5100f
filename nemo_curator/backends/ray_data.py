"""Ray Data: all stages at once, each in a pool of actors that grows with the work."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from logging import CRITICAL
from typing import Any

from nemo_curator.backends import engine_logs
from nemo_curator.backends.on_ray import RemoteStage
from nemo_curator.backends.ray_executor import RayExecutor, run_in_groups
from nemo_curator.backends.ray_grants import Grant, Node, grant_together
from nemo_curator.backends.stage_worker import MAX_ATTEMPTS, Partition
from nemo_curator.pipeline.plan import PhysicalStage


class RayDataExecutor(RayExecutor):
    """Run all stages at once on Ray Data.

    A worker that dies is replaced, and what it had is tried again. Partitions that fail every time, or that shared a
    worker with one that does, are finished on actors of their own in the end.
    """

    def run_on_ray(
        self, segment: Sequence[PhysicalStage], partitions: list[Partition], nodes: list[Node]
    ) -> Iterator[Partition]:
        yield from run_in_groups(self, "Ray Data", self._stream, segment, partitions, nodes)

    def _stream(self, segment: Sequence[PhysicalStage], payloads: list[bytes], nodes: list[Node]) -> Iterator[bytes]:
        import ray.data  # noqa: F401  # sets its logging up, which is then changed

        # it logs the traceback of every attempt that failed; how it ended is in the account of the run
        try:
            with engine_logs.kept(self.engine_log, "ray.data", CRITICAL), _settings():
                for row in self._dataset(segment, payloads, nodes).iter_rows():
                    yield row["payload"]
        finally:
            gc.collect()  # errors it has met hold on to its actors, and they to their CPUs

    def _dataset(self, segment: Sequence[PhysicalStage], payloads: list[bytes], nodes: list[Node]) -> Any:
        import ray.data

        data: Any = ray.data.from_items([{"payload": one} for one in payloads], override_num_blocks=len(payloads))
        grants = grant_together(segment, nodes, [physical.num_workers for physical in segment])
        for physical, grant in zip(segment, grants):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*ray_remote_args.*")  # max_restarts has no other way in
                data = data.map(
                    _Worker,
                    fn_constructor_args=[RemoteStage(physical, grant.cpus)],
                    compute=_pool(physical, grant, len(payloads)),
                    num_cpus=grant.cpus,
                    num_gpus=grant.gpus,
                    max_restarts=-1,
                    max_task_retries=MAX_ATTEMPTS - 1,
                    **self.remote_options(physical, nodes),
                )
        return data


class _Worker:
    """What runs in the actors of Ray Data. They drop it when they end."""

    def __init__(self, remote: RemoteStage):
        self._remote = remote

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"payload": self._remote.run(row["payload"])[1]}

    def __del__(self) -> None:
        self._remote.teardown()


def _pool(physical: PhysicalStage, grant: Grant, partitions: int) -> Any:
    from ray.data import ActorPoolStrategy

    if grant.is_fixed:
        return ActorPoolStrategy(size=grant.workers)
    settings = physical.ray_settings
    least, most = settings.get("min_workers") or 1, settings.get("max_workers")
    wanted = settings.get("initial_workers") or min(grant.workers, partitions)
    first = max(wanted if most is None else min(wanted, most), least)
    return ActorPoolStrategy(min_size=least, max_size=most, initial_size=first)


@contextmanager
def _settings() -> Iterator[None]:
    """Let a block that fails be missing, instead of ending the run, and show no bars, unless they are wanted."""
    from ray.data import DataContext

    context = DataContext.get_current()
    ours = {"max_errored_blocks": -1}
    if not engine_logs.are_shown():
        ours |= {"enable_progress_bars": False, "print_on_execution_start": False}
    before = {name: getattr(context, name) for name in ours}
    try:
        for name, value in ours.items():
            setattr(context, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)
