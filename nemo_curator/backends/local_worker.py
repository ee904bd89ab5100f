"""The other side of LocalExecutor: a process that runs partitions until it is told to stop."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import TextIOWrapper
from multiprocessing.connection import Connection

from nemo_curator.backends import watchdog
from nemo_curator.backends.payload import dump_partition, dumps, loads
from nemo_curator.backends.stage_worker import NodeInfo, Partition, StageWorker, WorkerMetadata
from nemo_curator.backends.threads import use_threads
from nemo_curator.errors import CuratorError
from nemo_curator.kernels import compile as compiling
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
    """Run a step on a partition, on these GPUs."""

    step: int
    partition: Partition
    gpus: list[str] | None = None


@dataclass
class Note:
    """What a worker does before it goes on with its order, for people."""

    text: str


@dataclass
class Stalled:
    """Comes in place of a partition, from a worker that then ends."""

    problem: str


def work(connection: Connection, steps: bytes, name: str, parent: int) -> None:
    """Run orders until the connection closes or there is none; "prepare_node" sets the machine up for all steps.

    "rest" tears the stages down; the steps of another run may follow it, as they came.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what stages print is seen when they print it
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    watchdog.tell = lambda problem: connection.send_bytes(dumps(Stalled(problem)))
    compiling.tell = lambda what: connection.send_bytes(dumps(Note(what)))
    with suppress(EOFError, ConnectionError):  # the run is over
        following: bytes | None = steps
        while following is not None:
            following = _work_on(connection, following, name)
    connection.close()
    os._exit(0)  # the run would wait while the interpreter takes itself apart


def _work_on(connection: Connection, steps: bytes, name: str) -> bytes | None:
    """Run the orders of one run; returns the steps of the next, which finds the variables that this one found."""
    variables = dict(os.environ)
    try:
        worker = LocalWorker(loads(steps), name)
    except Exception as error:  # unpickling runs imports and the user's code
        _refuse(connection, f"the stages could not be loaded in a worker: {type(error).__name__}: {error}")
        return None
    try:
        while (order := loads(connection.recv_bytes())) not in (None, "rest"):
            if order == "prepare_node":
                connection.send_bytes(dumps(worker.prepare_node()))
            else:
                connection.send_bytes(dump_partition(worker.run(order), worker.steps[order.step].name))
    finally:
        worker.teardown()
        os.environ.clear()
        os.environ.update(variables)
        sys.stdout.flush()
        sys.stderr.flush()
    if order is None:
        return None
    connection.send_bytes(dumps(order))
    return connection.recv_bytes()


class LocalWorker:
    """Runs orders. Used by the worker processes, and by the executor itself when it runs without any."""

    def __init__(self, steps: list[Step], name: str = "local"):
        self.steps = steps
        self.metadata = WorkerMetadata(name)
        self._stages = [[StageWorker(physical) for physical in step.physical] for step in steps]

    def run(self, order: Order) -> Partition:
        if order.gpus is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(order.gpus)
            self.metadata.allocation = order.gpus
        partition = order.partition
        for stage in self._stages[order.step]:
            with _variables_of(stage.physical):
                try:
                    stage.setup(self.metadata)
                except CuratorError as error:
                    partition.fatal = str(error)
                    return partition
                use_threads(self.steps[order.step].cpus)
                partition = stage.run(partition)
        return partition

    def prepare_node(self) -> str | None:
        """Run `setup_on_node` of every stage; returns what went wrong."""
        node = NodeInfo("local")
        try:
            for stage in (stage for stages in self._stages for stage in stages):
                with _variables_of(stage.physical):
                    stage.setup_on_node(node, self.metadata)
        except CuratorError as error:
            return str(error)
        return None

    def teardown(self) -> None:
        for stage in (stage for stages in self._stages for stage in stages):
            stage.teardown()


@contextmanager
def _variables_of(physical: PhysicalStage) -> Iterator[None]:
    """The variables that a stage asks for, for it alone."""
    values = (physical.runtime_env or {}).get("env_vars", {})
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _refuse(connection: Connection, problem: str) -> None:
    with suppress(EOFError):
        order = loads(connection.recv_bytes())
        if order == "prepare_node":
            connection.send_bytes(dumps(problem))
        elif order is not None:
            order.partition.fatal = problem
            connection.send_bytes(dumps(order.partition))


def _end_with(parent: int) -> None:
    # a worker that computes does not notice a closed pipe: without this it outlives a killed script
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
