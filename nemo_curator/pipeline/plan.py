"""From the stages a user writes to those that run: pure functions, no data is touched."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from nemo_curator.errors import ContractError, MissingExtraError, missing_extra
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks.sentinels import EmptyTask, SentinelTask
from nemo_curator.tasks.tasks import Task

_HINTS_FOR_ENGINES = {"is_fanout_stage", "is_actor_stage"}


@dataclass(frozen=True)
class PhysicalStage:
    """Neighbouring stages that run as one on the same worker; `first` is the place of its first in the pipeline."""

    first: int
    stages: tuple[ProcessingStage, ...]
    stall_limit: float | None = None
    """After how many seconds without progress a worker that runs this is given up."""

    @property
    def name(self) -> str:
        return " + ".join(stage.name for stage in self.stages)

    @property
    def _leader(self) -> ProcessingStage:
        """The stage whose demands are those of all: the others have the same, or are light."""
        return next((stage for stage in self.stages if not _joins_others(stage)), self.stages[0])

    @property
    def resources(self) -> Resources:
        return self._leader.resources

    @property
    def batch_size(self) -> int:
        return self._leader.batch_size or 1

    @property
    def num_workers(self) -> int | None:
        return self._leader.num_workers()

    @property
    def runtime_env(self) -> dict[str, Any] | None:
        return self._leader.runtime_env

    @property
    def xenna_settings(self) -> dict[str, Any]:
        return self._leader.xenna_stage_spec()

    @property
    def ray_settings(self) -> dict[str, Any]:
        return self._leader.ray_stage_spec()

    @property
    def is_barrier(self) -> bool:
        return self.stages[0].is_barrier


@dataclass(frozen=True)
class Plan:
    """What runs: logical stages, and the segments of physical stages between barriers.

    The first stage, where it makes tasks out of nothing, is the source; it runs where the run is started.
    """

    name: str
    stages: tuple[ProcessingStage, ...]
    source: ProcessingStage | None
    segments: tuple[tuple[PhysicalStage, ...], ...]
    description: str | None = None


def make_plan(
    stages: list[ProcessingStage],
    *,
    name: str = "pipeline",
    fuse: bool = True,
    tasks: list[Task] | None = None,
    description: str | None = None,
) -> Plan:
    """Flatten, check and cut. Where tasks are given, the first stage gets them instead of making its own."""
    flat = flatten(stages)
    if not flat:
        raise ValueError(f"pipeline {name!r} has no stages; add one with add_stage")
    check_roles(flat)
    check_extras(flat)
    check_contract(flat)
    flat = [stage.followed_by(flat[at + 1 :]) for at, stage in enumerate(flat)]
    source = None if has_data(tasks) or not makes_tasks(flat[0]) else flat[0]
    rest = list(enumerate(flat))[0 if source is None else 1 :]
    segments = tuple(tuple(_fused(segment, fuse)) for segment in _cut(rest))
    return Plan(name, tuple(flat), source, segments, description)


def flatten(stages: Iterable[ProcessingStage]) -> list[ProcessingStage]:
    """Replace composites by their parts, however deep, and put before a stage the one that finds its input."""
    flat: list[ProcessingStage] = []
    for stage in stages:
        if isinstance(stage, CompositeStage):
            flat.extend(flatten(stage.decompose_and_apply_with()))
        else:
            flat.extend(stage.with_source())
    return flat


def check_roles(stages: list[ProcessingStage]) -> None:
    for role in ("is_source_stage", "is_sink_stage"):
        marked = [stage.name for stage in stages if getattr(stage, role)]
        if len(marked) > 1:
            raise ValueError(f"only one stage can be {role}; found {marked}")


def check_extras(stages: list[ProcessingStage]) -> None:
    """Raise if a stage needs a package that is not installed here."""
    for stage in stages:
        for module, extra in stage.requires.items():
            if find_spec(module.partition(".")[0]) is None:
                raise MissingExtraError(f"{stage.name}: {missing_extra(module, extra)}")


def check_contract(
    stages: Sequence[ProcessingStage], columns: Iterable[str] | None = None, read: dict[int, list[str]] | None = None
) -> None:
    """Raise if a stage needs a column or a kind of task that none before it provides.

    `columns` are those of the tasks that the first stage gets; `read` those that the reader at a place will find. A
    stage that names no output columns may add any, so after it nothing is known until the next reader.
    """
    known = None if columns is None else set(columns)
    maker, made_type = stages[0].name, None
    for position, stage in enumerate(stages):
        takes, makes = task_types(stage)
        if position:
            _check_types(stages[position - 1], stage, made_type, takes)
        needed = _spec(stage.inputs())[1]
        if known is not None and (missing := sorted(set(needed) - known)):
            raise ContractError(_explain_missing(stage, maker, missing, known))
        made = set(_spec(stage.outputs())[1])
        if read and position in read:
            known, maker = set(read[position]), stage.name
        elif makes is not None and takes is not makes:
            known, maker = made or None, stage.name
        elif known is not None:
            known = known | made if made else None
        made_type = makes


def task_types(stage: ProcessingStage) -> tuple[type | None, type | None]:
    """The kinds of task that a stage takes and makes, as far as its class says so; None where it does not."""
    for kind in type(stage).__mro__:
        for base in kind.__dict__.get("__orig_bases__", ()):
            origin = typing.get_origin(base)
            if isinstance(origin, type) and issubclass(origin, ProcessingStage):
                taken, made = typing.get_args(base)
                return _task_type(taken), _task_type(made)
    return None, None


def _task_type(argument: Any) -> type | None:
    kind = typing.get_origin(argument) or argument
    return kind if isinstance(kind, type) and issubclass(kind, Task) and kind is not Task else None


def _check_types(before: ProcessingStage, stage: ProcessingStage, made: type | None, taken: type | None) -> None:
    if made is None or taken is None or issubclass(made, taken) or issubclass(taken, made):
        return
    if issubclass(taken, SentinelTask):
        raise ContractError(f"{stage.name} makes tasks out of nothing, so it comes first; found after {before.name}")
    raise ContractError(f"{stage.name} takes {taken.__name__}, but {before.name} makes {made.__name__}")


def _explain_missing(stage: ProcessingStage, maker: str, missing: list[str], known: set[str]) -> str:
    close = difflib.get_close_matches(missing[0], sorted(known), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{stage.name} needs {missing}; columns from {maker}: {sorted(known)}{hint}"


def _spec(spec: Any) -> tuple[list[str], list[str]]:
    return ([], []) if isinstance(spec, dict) else spec


def _cut(stages: list[tuple[int, ProcessingStage]]) -> list[list[tuple[int, ProcessingStage]]]:
    """Cut before and after every stage that must see all tasks."""
    segments: list[list[tuple[int, ProcessingStage]]] = [[]]
    for position, stage in stages:
        if stage.is_barrier and segments[-1]:
            segments.append([])
        segments[-1].append((position, stage))
        if stage.is_barrier:
            segments.append([])
    return [segment for segment in segments if segment]


def _fused(stages: list[tuple[int, ProcessingStage]], fuse: bool) -> list[PhysicalStage]:
    physical: list[PhysicalStage] = []
    for position, stage in stages:
        if fuse and physical and _fit_together(physical[-1], stage):
            physical[-1] = PhysicalStage(physical[-1].first, (*physical[-1].stages, stage))
        else:
            physical.append(PhysicalStage(position, (stage,)))
    return physical


def _fit_together(before: PhysicalStage, stage: ProcessingStage) -> bool:
    """CPU stages with equal demands and no engine settings of their own run as one, and light ones with any."""
    one = before._leader
    if any(other.resources.requires_gpu or _has_own_settings(other) for other in (one, stage)):
        return False
    return _demands(one) == _demands(stage) or _joins_others(one) or _joins_others(stage)


def _joins_others(stage: ProcessingStage) -> bool:
    return stage.is_light and _demands(stage) == (Resources(), None, None, 1) and not _has_own_settings(stage)


def _demands(stage: ProcessingStage) -> tuple:
    return stage.resources, stage.runtime_env, stage.num_workers(), stage.batch_size or 1


def _has_own_settings(stage: ProcessingStage) -> bool:
    return bool(stage.xenna_stage_spec()) or bool(stage.ray_stage_spec().keys() - _HINTS_FOR_ENGINES)


def makes_tasks(stage: ProcessingStage) -> bool:
    """Whether a stage can be the source: it takes an EmptyTask, or does not say what it takes."""
    taken = task_types(stage)[0]
    return taken is None or issubclass(EmptyTask, taken)


def has_data(tasks: list[Task] | None) -> bool:
    """Whether tasks were given that hold something. An EmptyTask, or the class itself, stands for the own source."""
    return tasks is not None and not all(task is EmptyTask or isinstance(task, EmptyTask) for task in tasks)
