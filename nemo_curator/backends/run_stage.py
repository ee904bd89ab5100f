"""One stage on one batch: validate, process, identify, time, count, set failures aside. The same under every engine."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, cast

import numpy as np

from nemo_curator.backends.memory import free_device_memory, is_out_of_memory
from nemo_curator.errors import ContractError, MissingExtraError
from nemo_curator.ledger import pulse
from nemo_curator.ledger.counts import StageCount, counting, describe
from nemo_curator.ledger.machine import resident_bytes
from nemo_curator.ledger.rejects import Reject, missing_rows, rejected
from nemo_curator.stages.base import ProcessingStage, missing_inputs
from nemo_curator.tasks.document import DocumentBatch, concat_batches
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.image import ImageBatch
from nemo_curator.tasks.packing import packed
from nemo_curator.tasks.sentinels import FailedTask, NoneTask, SentinelTask
from nemo_curator.tasks.tasks import Task
from nemo_curator.utils.performance_utils import StagePerfStats
from nemo_curator.utils.retries import retrying

STAGE_ATTEMPTS = 4
"""How often a stage is called on a batch while a storage or service that it asks does not answer."""


def run_chain(stages: list[ProcessingStage], tasks: Iterable[Task], counts: list[StageCount]) -> Iterator[Task]:
    """Take tasks through stages. Each goes as far as it can before the next is made, so that little is held."""
    made = iter(tasks)
    for stage, count in zip(stages, counts, strict=True):
        made = _run_all(stage, made, count)
    return made


def run_stage(stage: ProcessingStage, tasks: list[Task], count: StageCount) -> Iterator[Task]:
    """Yield what a stage makes of some tasks; an exception costs the rows that raised it and no others."""
    items = sum(task.num_items for task in tasks)
    rejects: list[Reject] | None = None if count.rejects is None else []
    size = _bytes(tasks)
    mine = StageCount(stage.name, calls=1, tasks_in=len(tasks), items_in=items, rows_in=items, bytes_in=size)
    mine.rejects, mine.before = rejects, count
    perf = StagePerfStats(stage.name, 0.0, 0.0, size / 2**20, items)
    in_files = all(isinstance(task, FileGroupTask | SentinelTask) for task in tasks)
    out_files = in_files
    kept: list[Task] = []
    pulse.beat(stage.name)
    start = time.perf_counter()
    for made in _results(stage, tasks, mine):
        mine.seconds += time.perf_counter() - start
        mine.tasks_out += 1
        mine.items_out += made.num_items
        mine.bytes_out += _bytes([made])
        out_files = isinstance(made, FileGroupTask)
        perf.process_time = mine.seconds
        made.add_stage_perf(perf)
        if rejects is not None and not in_files:
            kept.append(made)
        yield made
        pulse.beat(stage.name)
        start = time.perf_counter()
    mine.rows_out = mine.items_out
    mine.seconds += time.perf_counter() - start
    perf.process_time = mine.seconds
    perf.custom_metrics.update(stage._consume_custom_metrics())
    mine.peak_memory = resident_bytes()
    unsaid = _settle(mine, in_files, out_files)
    if unsaid and rejects is not None:
        source = _where(tasks[0])
        rejects += [Reject(stage.name, stage.name, row, source=source) for row in missing_rows(tasks, kept, unsaid)]
    count.merge(mine)


def _run_all(stage: ProcessingStage, tasks: Iterator[Task], count: StageCount) -> Iterator[Task]:
    if stage.images_per_call is not None:
        yield from _run_packed(stage, tasks, count, stage.images_per_call)
        return
    size = None if stage.is_barrier else stage.batch_size or 1
    while group := list(islice(tasks, size)):
        yield from run_stage(stage, group, count)


def _run_packed(stage: ProcessingStage, tasks: Iterator[Task], count: StageCount, images: int) -> Iterator[Task]:
    """Give a stage batches of the size that it asks for. The account has them as they came."""
    came = calls = 0

    def coming() -> Iterator[Task]:
        nonlocal came
        for task in tasks:
            came += 1
            yield task

    for batch in packed(coming(), images, stage.bytes_per_call):
        calls += 1
        yield from run_stage(stage, [batch], count)
    count.tasks_in += came - calls


def _results(
    stage: ProcessingStage, tasks: list[Task], count: StageCount, attempts: int = STAGE_ATTEMPTS
) -> Iterator[Task]:
    usable = []
    for task in tasks:
        try:
            is_valid = stage.validate_input(task)
        except Exception as error:  # what a stage says of its inputs may be wrong, too
            _set_aside(stage, task, error, count)
            continue
        if is_valid:
            usable.append(task)
        elif isinstance(task, DocumentBatch) and task.num_items == 0:
            yield task  # a batch without rows need not have columns: it passes by the stages that want them
        else:
            _refuse(stage, task, count)
    if not usable:
        return
    try:
        results, attempt = _call_steadily(stage, usable, count, attempts)
    except MissingExtraError:
        raise
    except Exception as error:  # whatever a user's function raises is set aside with its rows
        yield from _isolate(stage, usable, error, count)
        return
    for position, result in enumerate(_drain(stage, usable, results, attempt)):
        if isinstance(result, FailedTask):
            rows = usable[position].num_items if len(usable) > 1 else sum(task.num_items for task in usable)
            attempt.add_failure(
                describe(stage.name, RuntimeError("the stage says so"), source=_where(usable[0]), rows=rows)
            )
        elif result is not None and not isinstance(result, NoneTask):
            yield result
    _take_reports(count, attempt)


def _call_steadily(
    stage: ProcessingStage, tasks: list[Task], count: StageCount, attempts: int
) -> tuple[Any, StageCount]:
    """Call the stage, again while what it asks does not answer; what it reports of attempts that fail is forgotten."""

    def call() -> tuple[Any, StageCount]:
        attempt = StageCount(stage.name, rejects=None if count.rejects is None else [], before=count.before)
        with counting(attempt):
            # what an attempt has changed in place must not be there for the next
            return _call(stage, [task.copy() if isinstance(task, DocumentBatch) else task for task in tasks]), attempt

    return retrying(call, attempts=attempts)


def _call(stage: ProcessingStage, tasks: list[Task]) -> list[Any] | Iterator[Any]:
    """Call the stage and give its outputs their ids."""
    if stage.supports_batch_processing():
        results = list(stage.process_batch(tasks))
        pairwise = len(results) == len(tasks) and len(tasks) > 1
        for position, made in enumerate(results):
            parent = tasks[position] if pairwise else tasks[0]
            _identify(made, parent, 0 if pairwise else position, is_fanout=not pairwise)
        return results
    results = []
    for task in tasks:
        result = stage.process(task)
        if isinstance(result, Task) or result is None:
            _identify(result, task, 0, is_fanout=False)
            results.append(result)
        elif isinstance(result, list):
            for position, made in enumerate(result):
                _identify(made, task, position, is_fanout=True)
            results.extend(result)
        elif len(tasks) == 1 and isinstance(result, Iterator):
            return _identified(result, task)
        elif isinstance(result, Iterator):
            results.extend(_identified(result, task))
        else:
            raise ContractError(
                f"{stage.name} returned {type(result).__name__}; wanted a task, a list of tasks or None"
            )
    return results


def _drain(
    stage: ProcessingStage, tasks: list[Task], results: list[Any] | Iterator[Any], attempt: StageCount
) -> Iterator[Any]:
    """Yield results; a generator may raise half way, then what it made before stays."""
    results = iter(results)
    rows = 0
    while True:
        try:
            with counting(attempt):
                result = next(results)
        except StopIteration:
            return
        except MissingExtraError:
            raise
        except Exception as error:  # as above
            # rows it has seen and not yielded are lost with it
            lost = max((attempt.rows_seen or 0) - rows - attempt.rows_failed - attempt.rows_dropped, 1)
            attempt.add_failure(describe(stage.name, error, source=_where(tasks[0]), rows=lost))
            if attempt.rows_seen is not None:
                attempt.rows_seen = rows + attempt.rows_failed + attempt.rows_dropped
            return
        rows += result.num_items if isinstance(result, Task) else 0
        yield result


def _isolate(stage: ProcessingStage, tasks: list[Task], error: Exception, count: StageCount) -> Iterator[Task]:
    """Try the parts of what failed, down to one row where the stage treats rows by themselves."""
    if stage.is_barrier:  # what it made of a part would not be what it makes of all
        for task in tasks:
            _set_aside(stage, task, error, count)
        return
    if len(tasks) > 1:
        for task in tasks:
            yield from _results(stage, [task], count, attempts=1)
        return
    task = tasks[0]
    rows = task.num_items
    if isinstance(task, DocumentBatch | ImageBatch) and rows > 1 and _may_be_cut(stage, error):
        half = rows // 2
        parts = [task.slice(0, half), task.slice(half, rows - half)]
        yield from _together(task, [list(_results(stage, [part], count, attempts=1)) for part in parts])
        return
    _set_aside(stage, task, error, count)


def _together(task: Task, parts: list[list[Task]]) -> Iterator[Task]:
    """What a stage made of the parts of a task: one batch of batches, or all under names of their own."""
    made = [result for part in parts for result in part]
    if made and max(map(len, parts)) == 1 and all(isinstance(result, DocumentBatch) for result in made):
        yield concat_batches(cast("list[DocumentBatch]", made))
        return
    if made and max(map(len, parts)) == 1 and all(isinstance(result, ImageBatch) for result in made):
        batches = cast("list[ImageBatch]", made)
        yield batches[0].with_images([image for batch in batches for image in batch.data])
        return
    for position, result in enumerate(made):
        _identify(result, task, position, is_fanout=len(made) > 1)
        yield result


def _set_aside(stage: ProcessingStage, task: Task, error: Exception, count: StageCount) -> None:
    _reject(stage, task, count, f"{type(error).__name__}: {error}")
    rows = max(task.num_items, 1)
    record = _only_row(task) if rows == 1 and isinstance(task, DocumentBatch) else None
    count.add_failure(describe(stage.name, error, source=_where(task), record=record, rows=rows))


def _only_row(batch: DocumentBatch) -> Any:
    try:
        return batch.to_pyarrow().slice(0, 1).to_pylist()[0]
    except Exception:  # a frame may hold objects that Arrow does not know; they are in the error's own words
        return None


def _may_be_cut(stage: ProcessingStage, error: Exception) -> bool:
    if is_out_of_memory(error):
        free_device_memory()
        return stage.is_row_wise or stage.resources.requires_gpu
    return stage.is_row_wise and not isinstance(error, ContractError)


def _reject(stage: ProcessingStage, task: Task, count: StageCount, error: str | None = None) -> None:
    """Keep the rows of a task that did not come through, where somebody wants them."""
    if count.rejects is not None and isinstance(task, DocumentBatch | ImageBatch):
        try:
            rows: list[Any] = [row for row, _ in rejected(task, np.zeros(task.num_items, dtype=bool), None)]
        except Exception as problem:  # as above
            rows = [f"{type(problem).__name__}: {problem}"] * task.num_items
        count.rejects += [Reject(stage.name, stage.name, row, None, error, _where(task)) for row in rows]


def _refuse(stage: ProcessingStage, task: Task, count: StageCount) -> None:
    attributes, columns = stage.input_spec_for_task(task)
    missing = missing_inputs(task, attributes, columns)
    get_columns = getattr(task, "get_columns", list)
    error = ContractError(f"{stage.name} needs {missing}; columns here: {get_columns()}")
    _reject(stage, task, count, str(error))
    count.add_failure(describe(stage.name, error, source=_where(task), rows=max(task.num_items, 1)))


def _identified(results: Iterator[Any], parent: Task) -> Iterator[Any]:
    for position, made in enumerate(results):
        _identify(made, parent, position, is_fanout=True)
        yield made


def _identify(made: Any, parent: Task, position: int, *, is_fanout: bool) -> None:
    """Name a task after its parent.

    A task that came out alone keeps the id, so ids do not depend on the number of stages. Of several the first keeps
    it too and the others get `_1`, `_2`, …; `_elided` remembers the zeros left out, so that no two ids coincide.
    """
    if made is None:
        return
    if not isinstance(made, Task):
        raise ContractError(f"made from {parent!r}: {type(made).__name__}; wanted a task, a list of tasks or None")
    elided, parent_id, perf = parent._elided, parent.task_id, parent._stage_perf
    if position:
        made.task_id, made._elided = f"{parent_id}{'_0' * elided}_{position}", 0
    else:
        made.task_id, made._elided = parent_id, elided + is_fanout
    made._source_id = parent._source_id or made._source_id
    made._stage_perf = list(perf)


def _settle(count: StageCount, in_files: bool, out_files: bool) -> int:
    """Work out the rows of a stage that turns files into rows or rows into files; returns those it dropped unsaid."""
    accounted = count.rows_dropped + count.rows_failed
    count.has_rows = not (in_files and out_files) or count.rows_seen is not None or count.rows_written is not None
    count.bytes_in += count.bytes_read
    count.bytes_out += count.bytes_written
    if count.rows_seen is not None:
        count.rows_in = count.rows_seen
    elif in_files and not out_files:
        count.rows_in = count.rows_out + accounted
    if count.rows_written is not None:
        count.rows_out = count.rows_written
    elif out_files and not in_files:
        count.rows_out = count.rows_in - accounted
    if count.imbalance < 0 and count.rows_seen is None:
        count.rows_added = -count.imbalance
    elif count.imbalance > 0 and not (count.dropped or count.rows_seen or count.rows_written):
        unsaid = count.imbalance
        count.dropped[count.stage] = unsaid
        return unsaid
    return 0


def _take_reports(count: StageCount, attempt: StageCount) -> None:
    count.dropped.update(attempt.dropped)
    for failure in attempt.failures:
        count.failures.append(failure)
    count.failed.update(attempt.failed)
    count.merge_filters(attempt)
    for name in ("rows_joined", "unread", "bytes_read", "bytes_written"):
        setattr(count, name, getattr(count, name) + getattr(attempt, name))
    if count.rejects is not None:
        count.rejects.extend(attempt.rejects or [])
    for name in ("rows_seen", "rows_written"):
        reported = getattr(attempt, name)
        if reported is not None:
            setattr(count, name, (getattr(count, name) or 0) + reported)


def _where(task: Task) -> str:
    """Name the source of a task for people."""
    files = task._metadata.get("source_files") or (task.data if isinstance(task, FileGroupTask) else None)
    part = getattr(task, "reader_config", None) or ""
    return f"{', '.join(map(str, files))}{f' {part}' if part else ''}" if files else task.task_id or repr(task)


def _bytes(tasks: list[Task]) -> int:
    return sum(getattr(task, "nbytes", 0) for task in tasks)
