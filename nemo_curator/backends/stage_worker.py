"""What a worker of any engine holds and is given: stages that run as one, and partitions to take through them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemo_curator.backends.run_stage import run_chain
from nemo_curator.backends.watchdog import watched
from nemo_curator.errors import CuratorError, StageSetupError
from nemo_curator.ledger.counts import Failure, StageCount, describe
from nemo_curator.ledger.samples import Limits
from nemo_curator.pipeline.plan import PhysicalStage

if TYPE_CHECKING:
    from nemo_curator.ledger.rejects import Rejects
    from nemo_curator.stages.base import ProcessingStage
    from nemo_curator.tasks.tasks import Task

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
"""How often a partition is tried when the worker that has it dies."""


@dataclass
class NodeInfo:
    """The machine that a stage is set up on."""

    node_id: str = ""


@dataclass
class WorkerMetadata:
    """The worker that a stage is set up on, and what the engine granted it."""

    worker_id: str = ""
    allocation: Any = None


@dataclass
class Partition:
    """A source partition on its way through the stages, with the account of what happened to it so far."""

    index: int
    tasks: list[Task]
    id: str = ""
    counts: dict[int, StageCount] = field(default_factory=dict)
    rejects: Rejects | None = None
    limits: dict[int, dict[str, Limits]] = field(default_factory=dict)
    """Those of the run as they are when the partition goes to a worker."""
    attempts: int = 0
    lost: Failure | None = None
    """Why the partition was given up."""
    fatal: str | None = None
    """Why the whole run cannot go on."""

    def __post_init__(self) -> None:
        if not self.id:
            first = self.tasks[0].task_id if self.tasks else str(self.index)
            self.id = first if len(self.tasks) < 2 else f"{first}+{len(self.tasks) - 1}"


class StageWorker:
    """What a worker of any engine holds: stages that run as one, set up once."""

    def __init__(self, physical: PhysicalStage):
        self.physical = physical
        self._is_set_up = False

    def setup_on_node(self, node: NodeInfo, worker: WorkerMetadata) -> None:
        for stage in self.physical.stages:
            with watched(self.physical.stall_limit, f"setup_on_node of {stage.name}"):
                _say_which(stage, lambda stage=stage: stage.setup_on_node(node, worker))

    def setup(self, worker: WorkerMetadata | None = None) -> None:
        """Set the stages up. Raises StageSetupError, which travels between processes, whatever a stage raised."""
        if self._is_set_up:
            return
        for stage in self.physical.stages:
            with watched(self.physical.stall_limit, f"setup of {stage.name}"):
                _say_which(stage, lambda stage=stage: stage.setup(worker or WorkerMetadata()))
        self._is_set_up = True

    def run(self, partition: Partition) -> Partition:
        """Take a partition through the stages. Never raises: what went wrong is in the partition."""
        if partition.lost or partition.fatal:
            return partition
        first = self.physical.first
        counts = [
            partition.counts.setdefault(
                first + offset,
                StageCount(
                    stage.name,
                    rejects=[] if partition.rejects else None,
                    limits=partition.limits.get(first + offset, {}),
                ),
            )
            for offset, stage in enumerate(self.physical.stages)
        ]
        try:
            self.setup()
            with watched(self.physical.stall_limit, self.physical.name):
                partition.tasks = list(run_chain(list(self.physical.stages), partition.tasks, counts))
            if partition.rejects:
                partition.rejects.write(partition.id, first, counts)
        except (CuratorError, MemoryError, OSError) as error:
            partition.fatal = f"{self.physical.name}: {error or type(error).__name__}"
        except Exception as error:  # a stage may do anything between its calls
            return give_up(partition, self.physical.name, error)
        return partition

    def teardown(self) -> None:
        if self._is_set_up:
            self._is_set_up = False
            for stage in self.physical.stages:
                try:
                    stage.teardown()
                except Exception:  # the others are torn down all the same, and what was made is there
                    logger.warning("teardown of %s failed", stage.name, exc_info=True)


def give_up(partition: Partition, stage: str, error: Exception) -> Partition:
    """Mark a partition as lost: it was tried as often as it may be."""
    partition.lost = describe(stage, error, source=partition.id, rows=0)
    partition.tasks = []
    return partition


def _say_which(stage: ProcessingStage, do: Any) -> None:
    try:
        do()
    except CuratorError:
        raise
    except Exception as error:  # a set-up may raise anything, also what does not survive pickling
        raise StageSetupError(f"{stage.name} could not be set up: {type(error).__name__}: {error}") from error
