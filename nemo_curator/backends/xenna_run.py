"""Xenna with its thread, its logs and its end under control."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from nemo_curator.backends import engine_logs
from nemo_curator.backends.on_ray import QUIET_XENNA, RemoteStage
from nemo_curator.backends.ray_grants import Grant
from nemo_curator.backends.stage_worker import WorkerMetadata
from nemo_curator.errors import CuratorError
from nemo_curator.ledger.progress import Progress

STOP_S = 20
WORKER_VARIABLES = {
    # Ray would hide the cards that Xenna gives to a worker
    "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1",
}


class XennaStage:
    """What runs in Xenna's workers; `xenna.Stage` is added to its bases once that is imported."""

    def __init__(self, remote: RemoteStage, grant: Grant, env: dict[str, Any]):
        self._remote = remote
        self._grant = grant
        self._env = env

    @property
    def required_resources(self) -> Any:
        from cosmos_xenna.pipelines.v1 import Resources

        return Resources(cpus=self._grant.cpus, gpus=self._grant.gpus)

    @property
    def env_info(self) -> Any:
        from cosmos_xenna.pipelines.v1 import CondaEnv, RuntimeEnv

        conda = self._env.get("conda")
        return RuntimeEnv(
            CondaEnv(conda) if conda else None, {**_log_variable(), **WORKER_VARIABLES, **self._env.get("env_vars", {})}
        )

    def setup(self, worker_metadata: Any) -> None:
        logging.getLogger("ray").setLevel(logging.ERROR)  # it warns of how Xenna gets its data
        with suppress(CuratorError):  # it comes again with the first partition, which takes it to the driver
            self._remote.setup(WorkerMetadata(worker_metadata.worker_id, worker_metadata.allocation))

    def process_data(self, in_data: list[bytes]) -> list[bytes]:
        return [self._remote.run(payload)[1] for payload in in_data]


def _log_variable() -> dict[str, str]:
    return {} if engine_logs.are_shown() else {"PYTHON_LOG": QUIET_XENNA}


def import_xenna() -> Any:
    """Import Xenna, which would take away loguru's sinks and add one of its own, and silence it."""
    from loguru import logger

    if not engine_logs.are_shown():
        logger.disable("cosmos_xenna")
    logger.__dict__.update(remove=lambda *_, **__: None, add=lambda *_, **__: 0)
    try:
        import cosmos_xenna.pipelines.v1 as xenna
    finally:
        del logger.__dict__["remove"], logger.__dict__["add"]
    return xenna


def run_xenna(spec: Any, progress: Progress) -> Iterator[bytes]:
    """Yield what comes out of the last stage as it is made; closing the iterator stops Xenna and its workers."""
    results: queue.SimpleQueue = queue.SimpleQueue()
    stopped = threading.Event()
    threading.Thread(target=_run, args=(spec, results, stopped, progress), name="xenna", daemon=True).start()
    ending = None
    try:
        while isinstance(result := results.get(), bytes):
            yield result
        ending = result
        if isinstance(ending, BaseException):
            raise ending
    finally:
        stopped.set()
        with suppress(queue.Empty):
            while ending is None and isinstance(results.get(timeout=STOP_S), bytes):
                pass


class _Ended:
    """Comes after the last result."""


def _run(spec: Any, results: queue.SimpleQueue, stopped: threading.Event, progress: Progress) -> None:
    from cosmos_xenna.pipelines import v1
    from cosmos_xenna.pipelines.private import monitoring
    from cosmos_xenna.ray_utils import cluster

    xenna: Any = v1
    # results come through the queue in streaming mode, and all at once in the end in batch mode
    spec.serving_queues = xenna.ServingQueues(source=None, sink=results)
    monitor = _replaced(monitoring, "PipelineMonitor", partial(_Monitor, stopped, progress))
    connected = _replaced(cluster, "init_or_connect_to_cluster", lambda: None)
    try:
        with monitor, connected:
            for result in xenna.run_pipeline(spec) or []:
                results.put(result)
    except BaseException as error:
        results.put(error)
    else:
        results.put(_Ended())


@contextmanager
def _replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


class _StoppedError(Exception):
    """The driver no longer wants results."""


class _Monitor:
    """Takes the place of Xenna's monitor, which occupies a CPU on every machine, needs Ray's dashboard even when it
    is told to say nothing, and leaves a process behind.
    """

    def __init__(
        self, stopped: threading.Event, progress: Progress, _interval: float, total: int, pools: list[Any], _: Any
    ):
        self.stopped = stopped
        self.progress = progress
        self.total = total
        self.pools = pools
        self.done = [0] * len(pools)

    def __enter__(self) -> _Monitor:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is not None:
            for pool in self.pools:
                pool.stop()

    def update(self, input_len: int, ext_output_lens: list[int], task_metadata_per_pool: list[list[Any]]) -> bool:
        """Called in every turn of Xenna's loop, with what the stages have finished since the last."""
        if self.stopped.is_set():
            raise _StoppedError
        self.done = [before + len(more) for before, more in zip(self.done, task_metadata_per_pool)]
        self.progress.note = ", ".join(map(self._tell, self.pools, self.done))
        return False

    def _tell(self, pool: Any, done: int) -> str:
        return f"{pool.name}: {done} of {self.total} partitions ({pool.num_ready_actors} workers)"
