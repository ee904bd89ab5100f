"""What the three engines on Ray share: the cluster of a run, and what one of its workers does."""

from __future__ import annotations

import gc
import logging
import os
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nemo_curator.backends import engine_logs
from nemo_curator.backends.payload import dump_partition, dumps, loads
from nemo_curator.backends.ray_grants import Node
from nemo_curator.backends.stage_worker import NodeInfo, StageWorker, WorkerMetadata
from nemo_curator.backends.threads import ONE_THREAD, use_threads
from nemo_curator.core.client import RayClient
from nemo_curator.core.utils import QUIET_XENNA
from nemo_curator.errors import CuratorError, StageSetupError
from nemo_curator.pipeline.plan import PhysicalStage
from nemo_curator.stages.base import ProcessingStage

VARIABLES = {
    # the thread with which Ray Data gathers usage data ends this process if it is at it during ray.shutdown()
    "RAY_DATA_USAGE_DISABLED": "1",
}


class RayCluster:
    """The cluster of a run: the one at hand, or a private one that ends with the run."""

    def __init__(self, log: Path | None = None) -> None:
        self.log = log
        """Where what Ray says of itself is kept."""
        self._undo = ExitStack()
        self._is_connected = False

    def connect(self) -> None:
        """Attach this process. A session that the user has opened is used, and stays open."""
        if self._is_connected:
            return
        python_log = "debug" if engine_logs.are_shown() else QUIET_XENNA
        self._undo.enter_context(_variables({**VARIABLES, "PYTHON_LOG": python_log}))
        self._undo.enter_context(RayClient())
        if not engine_logs.are_shown():
            # of this process alone: Ray Data's actors make its C++ complain
            self._undo.enter_context(_variables({"RAY_BACKEND_LOG_LEVEL": "fatal"}))
        import ray

        self._undo.enter_context(engine_logs.kept(self.log, "ray"))
        if not ray.is_initialized():
            with engine_logs.stderr_to(self.log):
                ray.init(logging_level=logging.INFO, logging_format=engine_logs.FORMAT)
            self._undo.callback(ray.shutdown)
            self._undo.callback(gc.collect)  # what errors still hold of the session must not outlive it
        self._undo.enter_context(engine_logs.only_lines_of_workers())
        self._is_connected = True

    def __enter__(self) -> RayCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_connected = False
        self._undo.close()


class RemoteStage:
    """A physical stage on a worker of any engine on Ray: the payload of a partition in, that of its results out.

    The stage travels pickled, so that the worker sets its number of threads before any library is imported.
    """

    def __init__(self, physical: PhysicalStage, cpus: float):
        self.name = physical.name
        self.cpus = cpus
        self._pickled = dumps(physical)
        self._worker: StageWorker | None = None

    def setup(self, metadata: WorkerMetadata | None = None) -> None:
        if self._worker is None:
            self._worker = _load(self._pickled, self.name)
        self._worker.setup(metadata or find_worker()[1])
        use_threads(max(int(self.cpus), 1))

    def setup_on_node(self) -> None:
        _load(self._pickled, self.name).setup_on_node(*find_worker())

    def run(self, payload: bytes) -> tuple[bool, bytes]:
        """Return whether the partition has come to its end, and the payload."""
        partition = loads(payload)
        try:
            self.setup()
            assert self._worker is not None
            partition = self._worker.run(partition)
        except CuratorError as error:
            partition.fatal = str(error)
        except Exception:
            raise  # the engine deals with it; what follows is for what is no Exception
        except BaseException:
            # sys.exit ends a worker; in a thread, as Xenna runs this, it would leave the run waiting for ever
            traceback.print_exc()
            os._exit(1)
        payload = dump_partition(partition, self.name)
        return bool(partition.fatal or partition.lost), payload

    def teardown(self) -> None:
        if self._worker is not None:
            self._worker.teardown()


def _load(pickled: bytes, name: str) -> StageWorker:
    for variable in ONE_THREAD:
        os.environ.setdefault(variable, "1")
    if gpus := _gpus():
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    try:
        return StageWorker(loads(pickled))
    except Exception as error:  # unpickling runs imports and the user's code
        problem = f"{name} could not be loaded in a worker: {type(error).__name__}: {error}"
        raise StageSetupError(problem) from error


def _gpus() -> list[str]:
    # Xenna's clusters tell Ray not to show a worker its cards
    import ray

    return ray.get_runtime_context().get_accelerator_ids().get("GPU", [])


def find_worker() -> tuple[NodeInfo, WorkerMetadata]:
    """The machine and the worker that this process is."""
    import ray

    context = ray.get_runtime_context()
    return NodeInfo(context.get_node_id()), WorkerMetadata(context.get_actor_id() or context.get_worker_id())


def prepare_nodes(segment: Sequence[PhysicalStage], nodes: Sequence[Node]) -> None:
    """Run `setup_on_node` once on every machine, one physical stage after the other, if any stage has something to do.

    It is not given the stage's GPUs: it must run on machines without one, too.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    for physical in segment:
        if all(type(stage).setup_on_node is ProcessingStage.setup_on_node for stage in physical.stages):
            continue
        task = ray.remote(num_cpus=0, max_retries=0, runtime_env=physical.runtime_env or {})(_setup_on_node)
        remote = RemoteStage(physical, 1.0)
        problems = [
            task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)).remote(remote)
            for node in nodes
        ]
        try:
            for problem in filter(None, ray.get(problems)):
                raise StageSetupError(problem)
        except ray.exceptions.RayError as error:
            raise StageSetupError(f"a worker died in setup_on_node of {physical.name}: {error}") from error


def _setup_on_node(remote: RemoteStage) -> str | None:
    try:
        remote.setup_on_node()
    except CuratorError as error:
        return str(error)
    return None


@contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    """Set variables that are not set."""
    new = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            os.environ.pop(name, None)
