"""The other side of LocalExecutor: a process that runs partitions until it is told to stop."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

import cloudpickle

from nemo_curator.backends.base import NodeInfo, Partition, StageWorker, WorkerMetadata
from nemo_curator.errors import CuratorError
from nemo_curator.pipeline.plan import PhysicalStage


@dataclass
class Step:
    """Physical stages that one process runs without asking, and what they take of the machine."""

    physical: list[PhysicalStage]
    cpus: int = 1
    gpus: float = 0.0
    max_workers: int | None = None

    @property
    def name(self) -> str:
        return " | ".join(physical.name for physical in self.physical)


@dataclass
class Order:
    """What the executor asks of a worker: run a step on a partition, or prepare the machine for all steps."""

    step: int = 0
    partition: Partition | None = None
    gpus: list[int] | None = None


def work(connection: Connection, steps: bytes, name: str, parent: int) -> None:
    """Run orders until the connection closes or an order is None."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    worker = LocalWorker(pickle.loads(steps), name)
    try:
        while (order := pickle.loads(connection.recv_bytes())) is not None:
            connection.send_bytes(dumps(worker.do(order)))
    except EOFError:
        pass
    finally:
        worker.teardown()
        connection.close()


class LocalWorker:
    """Runs orders. Used by the worker processes, and by the executor itself when it runs without any."""

    def __init__(self, steps: list[Step], name: str = "local"):
        self.steps = steps
        self.metadata = WorkerMetadata(name)
        self._stages = [[StageWorker(physical) for physical in step.physical] for step in steps]

    def do(self, order: Order) -> Partition | str | None:
        """Run the order. To prepare the machine returns None, or what went wrong."""
        if order.partition is None:
            return self.prepare_node()
        if order.gpus is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, order.gpus))
            self.metadata.allocation = order.gpus
        partition = order.partition
        for stage in self._stages[order.step]:
            try:
                os.environ.update((stage.physical.runtime_env or {}).get("env_vars", {}))
                stage.setup(self.metadata)
            except CuratorError as error:
                partition.fatal = str(error)
                return partition
            use_threads(self.steps[order.step].cpus)
            partition = stage.run(partition)
        return partition

    def prepare_node(self) -> str | None:
        node = NodeInfo("local")
        try:
            for stage in (stage for stages in self._stages for stage in stages):
                stage.setup_on_node(node, self.metadata)
        except CuratorError as error:
            return str(error)
        return None

    def teardown(self) -> None:
        for stage in (stage for stages in self._stages for stage in stages):
            stage.teardown()


def dumps(value: object) -> bytes:
    return cloudpickle.dumps(value, protocol=5)


def use_threads(cpus: int) -> None:
    """Let the libraries of this process use as many threads as the step was granted CPUs."""
    if arrow := sys.modules.get("pyarrow"):
        arrow.set_cpu_count(cpus)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(cpus)


def _end_with(parent: int) -> None:
    # a worker that computes does not notice a closed pipe: without this it outlives a killed script
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
