"""What all executors share: the life of a run. An engine only says how partitions get through physical stages."""

from __future__ import annotations

import logging
import os
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from nemo_curator.backends.failed_task_markers import record_failed_tasks
from nemo_curator.backends.run_stage import run_chain
from nemo_curator.backends.slurm_array import Shard, open_shard
from nemo_curator.backends.stage_worker import NodeInfo, Partition, StageWorker, WorkerMetadata
from nemo_curator.errors import ContractError, InputError, StageSetupError
from nemo_curator.ledger.counts import StageCount
from nemo_curator.ledger.fingerprint import describe_stage
from nemo_curator.ledger.progress import Progress
from nemo_curator.ledger.run import Run
from nemo_curator.ledger.secrets import without_login
from nemo_curator.pipeline.plan import PhysicalStage, Plan, check_contract, make_plan, task_types
from nemo_curator.progress.watch import watch
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.image import ImageBatch
from nemo_curator.tasks.sentinels import EmptyTask
from nemo_curator.utils.whole_files import make_folder

if TYPE_CHECKING:
    from nemo_curator.ledger.checkpoint import Checkpoint
    from nemo_curator.ledger.rejects import Rejects
    from nemo_curator.stages.base import ProcessingStage
    from nemo_curator.tasks.tasks import Task

__all__ = ["BaseExecutor", "NodeInfo", "WorkerMetadata"]

logger = logging.getLogger(__name__)

HELD_BYTES = 2**29
"""How much of the documents that a run returns, or hands over at a barrier, is held in memory."""
STALL_LIMIT_S = 3600.0
"""How long a worker may show no progress, unless the executor's `config` has another `stall_limit`."""


class BaseExecutor(ABC):
    """Runs a plan. After a run, `last_run` tells what happened to every row."""

    show_progress = True
    progress_interval: float | None = None
    """Seconds between the lines that tell of the progress where no table can be drawn."""

    def __init__(self, config: dict[str, Any] | None = None, ignore_head_node: bool = False):
        self.config = config or {}
        self.ignore_head_node = ignore_head_node or _is_true(os.environ.get("CURATOR_IGNORE_RAY_HEAD_NODE", ""))
        self.last_run: Run | None = None
        self.memory_limit: int | None = None

    @abstractmethod
    def run_segment(self, segment: tuple[PhysicalStage, ...], partitions: list[Partition]) -> Iterable[Partition]:
        """Take every partition through every physical stage; yield each once, in any order."""

    def execute(self, stages: list[ProcessingStage], initial_tasks: list[Task] | None = None) -> list[Task]:
        """Run stages and return what the last one made."""
        return self.execute_plan(make_plan(stages, tasks=initial_tasks), initial_tasks)

    def execute_plan(
        self,
        plan: Plan,
        initial_tasks: list[Task] | None = None,
        *,
        max_failed_fraction: float = 0.0,
        checkpoint: Checkpoint | None = None,
        rejects: Rejects | None = None,
        memory_limit: int | str | None = None,
        report_path: str | os.PathLike | None = None,
    ) -> list[Task]:
        self.memory_limit = self._check_memory_limit(memory_limit)
        if report_path is not None:
            make_folder(report_path)  # not after hours of work
        stages = [StageCount(stage.name) for stage in plan.stages]
        run = self.last_run = Run(
            plan.name, type(self).__name__, stages, settings=[describe_stage(stage) for stage in plan.stages]
        )
        run.description = plan.description
        self.progress = Progress(run, len(plan.segments))
        start = time.perf_counter()
        shard = open_shard(plan, checkpoint)
        try:
            with watch(self.progress, self.progress_interval, is_shown=self.show_progress):
                tasks = self._run_plan(plan, initial_tasks, run, shard, rejects)
            run.seconds = time.perf_counter() - start
            run.check(1.0 if self.config.get("ignore_failures") else max_failed_fraction)
        except BaseException as error:
            run.error = without_login(f"{type(error).__name__}: {error}")
            raise
        finally:
            run.seconds = time.perf_counter() - start
            record_failed_tasks(run)
            _save(run, shard.checkpoint, report_path)
        shard.complete()
        return tasks

    def _run_plan(
        self,
        plan: Plan,
        initial_tasks: list[Task] | None,
        run: Run,
        shard: Shard,
        rejects: Rejects | None,
    ) -> list[Task]:
        checkpoint = shard.checkpoint
        states = checkpoint.open(plan.stages) if checkpoint else {}
        tasks = shard.take(plan, start_tasks(plan, initial_tasks, run))
        _check_inputs_stay(plan, tasks)
        if checkpoint and plan.segments:
            sources = {one.id: list(one.tasks) for one in _partitions(plan.segments[0], tasks)}
            checkpoint.check_inputs(sources, getattr(plan.source, "storage_options", None))
        for place, stage in enumerate(plan.stages):
            states[str(place)] = stage.before_run(states.get(str(place)))
        if checkpoint:
            checkpoint.keep_states(states)
        stall_limit = self.config.get("stall_limit", STALL_LIMIT_S)
        for number, stages in enumerate(plan.segments):
            segment = tuple(replace(physical, stall_limit=stall_limit) for physical in stages)
            partitions = [replace(one, rejects=rejects, limits=run.limits) for one in _partitions(segment, tasks)]
            run.partitions += len(partitions)
            tasks = self._run_segment(number, segment, partitions, run, checkpoint)
        for stage in plan.stages:
            stage.after_run()
        if rejects:
            rejects.clear_up()
        if checkpoint:
            checkpoint.end()
        return tasks

    def _check_memory_limit(self, limit: int | str | None) -> int | None:
        if limit is not None:
            raise ContractError(
                f"{type(self).__name__} keeps no memory_limit: Ray has a monitor of its own. Run on LocalExecutor, or "
                "start Ray with RAY_memory_usage_threshold"
            )
        return None

    def _most_held(self) -> int:
        return HELD_BYTES if self.memory_limit is None else min(HELD_BYTES, self.memory_limit // 8)

    def _run_segment(
        self,
        number: int,
        segment: tuple[PhysicalStage, ...],
        partitions: list[Partition],
        run: Run,
        checkpoint: Checkpoint | None,
    ) -> list[Task]:
        kept = [one for one in partitions if checkpoint and checkpoint.has(number, one.id)]
        there = {one.index for one in kept}
        first, last = segment[0].first if number else 0, segment[-1]
        places = range(first, last.first + len(last.stages))
        self.progress.begin_segment(places, first < segment[0].first, len(partitions), len(kept))
        left = [one for one in partitions if one.index not in there]
        if left and checkpoint:
            checkpoint.forget_after(number)
        done = self.run_segment(segment, left) if left else iter(())
        try:
            loaded = _loaded(number, kept, checkpoint, self.progress)
            recorded = _recorded(number, done, checkpoint, run)
            return _gathered(chain(loaded, recorded), run, self.progress, self._most_held())
        finally:
            if isinstance(done, Generator):
                done.close()  # ends workers now: the traceback of an error would keep them
            if checkpoint:
                checkpoint.flush()


def start_tasks(plan: Plan, initial_tasks: list[Task] | None, run: Run) -> list[Task]:
    """List what the source finds, name it, and check that its columns are those that the stages want."""
    if plan.source is None:
        if not initial_tasks:
            first = plan.stages[0]
            taken = task_types(first)[0]
            remedy = getattr(
                first, "remedy_without_tasks", "begin the pipeline with a reader, or give run() initial_tasks"
            )
            raise ContractError(f"{first.name} takes {taken.__name__ if taken else 'tasks'}; {remedy}")
        for position, task in enumerate(initial_tasks):
            if not task.task_id:
                task._set_task_id("0", position)
        if twice := [name for name, times in Counter(task.task_id for task in initial_tasks).items() if times > 1]:
            raise ContractError(
                f"initial_tasks share the ids {twice[:3]}, after which files are named; give each its own"
            )
        columns = getattr(initial_tasks[0], "get_columns", None)
        check_contract(plan.stages, columns=columns() if columns else None)
        _check_columns_read(plan, initial_tasks, 0)
        return initial_tasks
    worker = StageWorker(PhysicalStage(0, (plan.source,)))
    worker.setup()
    try:
        seed = EmptyTask()
        tasks = list(run_chain([plan.source], [seed], run.stages[:1]))
    finally:
        worker.teardown()
    if not tasks:
        failures = run.stages[0].failures
        raise InputError(failures[0].message if failures else f"{plan.source.name} found nothing to read")
    for position, task in enumerate(tasks):
        own = task._source_id or task.get_deterministic_id()
        task._set_task_id("0", position if own is None else own)
        task._source_id, task._elided = task.get_source_id(), 0
    _check_columns_read(plan, tasks, 1)
    return tasks


def _save(run: Run, checkpoint: Checkpoint | None, report_path: str | os.PathLike | None) -> None:
    of_checkpoint = checkpoint.path if checkpoint and checkpoint.is_open else None
    for folder in (of_checkpoint, report_path):
        try:
            if folder is not None:
                run.save(folder)
        except Exception:  # whatever a storage raises, the error of the run is the one to see
            if run.error is None:
                raise
            logger.warning("the account of the run could not be written to %s", folder, exc_info=True)


def _check_columns_read(plan: Plan, tasks: list[Task], place: int) -> None:
    """Check what the reader at this place will find in the first file."""
    reader = plan.stages[place] if len(plan.stages) > place else None
    find_columns = getattr(reader, "find_columns", None)
    columns = find_columns(tasks[0]) if find_columns and isinstance(tasks[0], FileGroupTask) else None
    if columns is not None:
        check_contract(plan.stages, read={place: columns})


def _check_inputs_stay(plan: Plan, tasks: list[Task]) -> None:
    paths = [path for task in tasks if isinstance(task, FileGroupTask) for path in task.data]
    for stage in plan.stages:
        check_inputs = getattr(stage, "check_inputs", None)
        if check_inputs is not None:
            check_inputs(paths)


def _loaded(
    number: int, kept: list[Partition], checkpoint: Checkpoint | None, progress: Progress
) -> Iterator[Partition]:
    """What an earlier attempt made of partitions, one by one: all together may not fit into memory."""
    for partition in kept if checkpoint else ():
        tasks, counts = checkpoint.load(number, partition.id)  # type: ignore[union-attr]
        yield replace(partition, tasks=tasks, counts=counts)
    progress.begin_work()


def _recorded(number: int, done: Iterable[Partition], checkpoint: Checkpoint | None, run: Run) -> Iterator[Partition]:
    for partition in done:
        if checkpoint and not partition.lost and not partition.fatal:
            checkpoint.add(number, partition.id, partition.tasks, partition.counts, run.limits)
        yield partition


def _partitions(segment: tuple[PhysicalStage, ...], tasks: list[Task]) -> list[Partition]:
    """Make partitions: one task each, as many as a stage wants at once, or all where it must see everything."""
    size = len(tasks) if segment[0].is_barrier else max(physical.batch_size for physical in segment)
    starts = range(0, len(tasks), max(size, 1))
    return [Partition(index, tasks[start : start + size]) for index, start in enumerate(starts)]


def _gathered(done: Iterable[Partition], run: Run, progress: Progress, most_held: int) -> list[Task]:
    """Add up the accounts of the partitions and put their tasks into the order of the source.

    Of documents and images beyond `most_held` bytes the data goes to files.
    """
    tasks: dict[int, list[Task]] = {}
    names: set[str] = set()
    held = 0
    for partition in done:
        with progress.finishing(partition.id):
            run.add(partition.id, partition.counts, len(partition.tasks), partition.lost)
        if partition.fatal:
            raise StageSetupError(partition.fatal)
        for place, task in enumerate(partition.tasks):
            if task.task_id in names:
                run.imbalances.append(f"two tasks are called {task.task_id}: the files of one are those of the other")
            names.add(task.task_id)
            if isinstance(task, DocumentBatch | ImageBatch):
                held += task.nbytes
                partition.tasks[place] = task if held <= most_held else task.on_disk()
        tasks[partition.index] = partition.tasks
    return [task for index in sorted(tasks) for task in tasks[index]]


def _is_true(text: str) -> bool:
    return text.strip().lower() in {"1", "true", "yes"}
