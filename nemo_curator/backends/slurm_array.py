"""Slurm job arrays: every job of an array takes its share of the source partitions, and missing shares are found."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from nemo_curator.errors import CheckpointError, ContractError, InputError
from nemo_curator.ledger.checkpoint import Checkpoint
from nemo_curator.utils.atomic_io import write_json_atomically, write_json_atomically_if_absent
from nemo_curator.utils.file_utils import get_fs
from nemo_curator.utils.retry_manifest import CompletionManifest, completion_folder, read_completion_manifests

if TYPE_CHECKING:
    from nemo_curator.pipeline.plan import Plan
    from nemo_curator.tasks.tasks import Task

logger = logging.getLogger(__name__)
T = TypeVar("T", bound="Task")
NAMESPACE = "slurm_array"
ENABLED = "NEMO_CURATOR_SLURM_ARRAY_ENABLED"
SHARD_INDEX = "NEMO_CURATOR_SLURM_ARRAY_SHARD_INDEX"
TOTAL_SHARDS = "NEMO_CURATOR_SLURM_ARRAY_TOTAL_SHARDS"
MINIMUM_SHARD_INDEX = "NEMO_CURATOR_SLURM_ARRAY_MINIMUM_SHARD_INDEX"
_YES_OR_NO = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class SlurmArrayConfig:
    """Which shard this process does, of how many. Shards are numbered from `minimum_shard_index`."""

    shard_index: int
    total_shards: int
    minimum_shard_index: int = 0

    def __post_init__(self) -> None:
        if self.total_shards < 1 or self.minimum_shard_index < 0:
            raise ValueError(
                f"{self.total_shards} shards from index {self.minimum_shard_index}; wanted at least 1, from at least 0"
            )
        if self.shard_index not in self.shard_indices:
            raise ValueError(
                f"shard {self.shard_index} is none of the {self.total_shards} shards {self.minimum_shard_index} to "
                f"{self.shard_indices[-1]}: its share of the data would be nothing, and another shard's would be left "
                f"out; set {SHARD_INDEX}, {TOTAL_SHARDS} and {MINIMUM_SHARD_INDEX}"
            )

    @property
    def shard_indices(self) -> range:
        return range(self.minimum_shard_index, self.minimum_shard_index + self.total_shards)

    @classmethod
    def from_env(cls) -> SlurmArrayConfig | None:
        """What the environment asks for; None where it does not ask for a share.

        It asks with NEMO_CURATOR_SLURM_ARRAY_ENABLED=true, or by naming the shard or how many there are; what it does
        not name, Slurm's own variables say. A job that only happens to be in an array does not ask.
        """
        enabled, index, total = _flag(ENABLED), _number(SHARD_INDEX), _number(TOTAL_SHARDS)
        if enabled is False or (enabled is None and index is None and total is None):
            return None
        first = _first_of_array() if index is None and total is None else 0
        index = _number("SLURM_ARRAY_TASK_ID") if index is None else index
        total = _number("SLURM_ARRAY_TASK_COUNT") if total is None else total
        if index is None or total is None:
            raise ValueError(
                "asked for a shard of the data set, but this is no job of a Slurm array, and not both "
                f"{SHARD_INDEX} and {TOTAL_SHARDS} are set; submit with sbatch --array, or set both"
            )
        minimum = _number(MINIMUM_SHARD_INDEX)
        return cls(index, total, first if minimum is None else minimum)


@dataclass(frozen=True)
class SlurmArrayRetryPlan:
    """Shards that have not completed."""

    shard_indices: tuple[int, ...]
    total_shards: int
    minimum_shard_index: int = 0


@dataclass(frozen=True)
class SlurmArrayRetrySubmission:
    """One array to submit. The shard of a job is its index in the array plus `shard_index_offset`."""

    array_indices: tuple[int, ...]
    shard_index_offset: int = 0


def configure_slurm_array_source_filtering(
    shard_index: int, total_shards: int, minimum_shard_index: int = 0
) -> SlurmArrayConfig:
    """Have the runs of this process, and of those it starts, do one shard: sets the environment variables."""
    config = SlurmArrayConfig(shard_index, total_shards, minimum_shard_index)
    os.environ[ENABLED] = "true"
    os.environ[SHARD_INDEX] = str(shard_index)
    os.environ[TOTAL_SHARDS] = str(total_shards)
    os.environ[MINIMUM_SHARD_INDEX] = str(minimum_shard_index)
    return config


def resolve_slurm_array_config(is_source_stage: bool = True) -> SlurmArrayConfig | None:
    """The shard that a stage has to keep to: only the source does, the stages after it get nothing else."""
    return SlurmArrayConfig.from_env() if is_source_stage else None


def is_slurm_array_driver_process() -> bool:
    """Whether this is the process of its job that starts the run, where a script is started on several nodes."""
    return (_number("SLURM_NODEID") or 0) == 0


def slurm_array_shard_for_task(task_id: str, total_shards: int, minimum_shard_index: int = 0) -> int:
    """The one shard that a source task belongs to, whatever other tasks there are."""
    number = int(hashlib.sha256(task_id.encode()).hexdigest()[:16], 16)
    return number % total_shards + minimum_shard_index


def filter_slurm_array_source_tasks(
    tasks: Iterable[T], config: SlurmArrayConfig | None, stage_name: str = "source"
) -> list[T]:
    """Keep the tasks of one shard, by their ids; without a shard, all of them."""
    tasks = list(tasks)
    if config is None:
        return tasks
    if nameless := [task for task in tasks if not task.task_id]:
        raise ContractError(
            f"{stage_name}: {len(nameless)} of {len(tasks)} tasks have no task_id, so no shard is theirs; give each "
            "an id that is the same in every job of the array"
        )
    total, minimum = config.total_shards, config.minimum_shard_index
    return [task for task in tasks if slurm_array_shard_for_task(task.task_id, total, minimum) == config.shard_index]


def build_slurm_array_completion_manifest(
    checkpoint_path: str | os.PathLike, config: SlurmArrayConfig, sources: str = ""
) -> CompletionManifest:
    """The note that a shard is complete; `sources` stands for the source partitions it was a share of."""
    return CompletionManifest(
        checkpoint_path, NAMESPACE, {"shard_index": config.shard_index, **_array(config), "sources": sources}
    )


def find_slurm_array_retries(checkpoint_path: str | os.PathLike) -> SlurmArrayRetryPlan | None:
    """Find the shards that have to run again, or for the first time; None if every shard is complete.

    A shard that completed when the source had other partitions, files came or went since, has to run again too.
    """
    array = _read_array(checkpoint_path)
    if array is None:
        raise InputError(
            f"{os.fspath(checkpoint_path)} has no record of an array: no shard has begun with this checkpoint_path. "
            "Submit the whole array, or give the checkpoint_path of the run"
        )
    found = read_completion_manifests(checkpoint_path, namespace=NAMESPACE)
    complete = {one.payload.get("shard_index") for one in found if array.items() <= one.payload.items()}
    total, minimum = array["total_shards"], array["minimum_shard_index"]
    missing = tuple(index for index in range(minimum, minimum + total) if index not in complete)
    return SlurmArrayRetryPlan(missing, total, minimum) if missing else None


def build_slurm_array_retry_submissions(
    plan: SlurmArrayRetryPlan, max_array_size: int | None = None
) -> tuple[SlurmArrayRetrySubmission, ...]:
    """Put missing shards into arrays to submit.

    `max_array_size` is Slurm's MaxArraySize: every index of an array is below it, so that shards beyond are reached by
    an offset. Without it there is one array, and no offset.
    """
    if max_array_size is not None and max_array_size < 1:
        raise ValueError(f"max_array_size is {max_array_size}; wanted at least 1")
    size = max_array_size or max(plan.shard_indices, default=0) + 1
    groups = groupby(sorted(plan.shard_indices), lambda shard: shard // size * size)
    return tuple(
        SlurmArrayRetrySubmission(tuple(shard - offset for shard in shards), offset) for offset, shards in groups
    )


def format_slurm_array_indices(indices: Iterable[int]) -> str:
    """Write indices as `sbatch --array` takes them.

    >>> format_slurm_array_indices([3, 1, 2, 7, 9, 10])
    '1-3,7,9-10'
    """
    runs: list[list[int]] = []
    for index in sorted(set(indices)):
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


@dataclass
class Shard:
    """What this process does of a run: a share of the source partitions, or all of them where nobody asks for shares.

    `checkpoint` is its own, a folder in the one that all shards were given, so that each has one writer.
    """

    config: SlurmArrayConfig | None
    checkpoint: Checkpoint | None
    _shared_path: str = ""
    _manifest: CompletionManifest | None = None

    def take(self, plan: Plan, tasks: list[Task]) -> list[Task]:
        """Keep this shard's share of what the source has found. It may be nothing."""
        if self.config is None:
            return tasks
        share, sources = tasks, ""
        if plan.source is None:
            logger.warning("initial_tasks are taken as they are: shard %s does all of them", self.config.shard_index)
        else:
            share = filter_slurm_array_source_tasks(tasks, self.config, plan.source.name)
            sources = hashlib.sha256("\n".join(sorted(task.task_id for task in tasks)).encode()).hexdigest()[:16]
            logger.info(
                "shard %s of %s takes %s of %s source partitions",
                *(self.config.shard_index, self.config.total_shards, len(share), len(tasks)),
            )
        if self.checkpoint is not None:
            self._begin(self.config, sources)
        return share

    def complete(self) -> None:
        """Note in the shared checkpoint that the shard is complete."""
        if self._manifest is not None:
            self._manifest.mark_completed()

    def _begin(self, config: SlurmArrayConfig, sources: str) -> None:
        """Note what the source has found, if it has not been noted, and that the shard is no longer complete."""
        array = {**_array(config), "sources": sources}
        if _read_array(self._shared_path) != array:
            write_json_atomically(_array_file(self._shared_path), array)
        self._manifest = build_slurm_array_completion_manifest(self._shared_path, config, sources)
        self._manifest.discard()


def open_shard(plan: Plan, checkpoint: Checkpoint | None) -> Shard:
    """Find out what this process has to do of a run; raises if the run cannot be divided."""
    config = resolve_slurm_array_config()
    if config is None:
        if "SLURM_ARRAY_TASK_ID" in os.environ and _flag(ENABLED) is None:
            logger.warning("this job of a Slurm array does the whole data set; for its share set %s=true", ENABLED)
        return Shard(None, checkpoint)
    _check_divisible(plan)
    if checkpoint is None:
        return Shard(config, None)
    _join_array(checkpoint.path, config)
    folder = f"{checkpoint.path.rstrip('/')}/shard-{config.shard_index:04}-of-{config.total_shards:04}"
    return Shard(config, Checkpoint(folder, checkpoint.on_change), checkpoint.path)


def _check_divisible(plan: Plan) -> None:
    for stage in plan.stages:
        if stage.is_barrier:
            raise ContractError(f"{stage.name} must see every task, and a shard has only its share; run it undivided")
        mode = getattr(stage, "mode", None)
        if mode in ("overwrite", "error"):
            what = "delete what the others wrote" if mode == "overwrite" else "refuse to write beside the others"
            raise ContractError(
                f"{stage.name}: mode={mode!r} in a run that is divided into shards: each would {what}; use "
                "mode='ignore', and begin with an empty folder"
            )


def _join_array(checkpoint_path: str, config: SlurmArrayConfig) -> None:
    """Note how many shards there are, or raise if the checkpoint belongs to an array with others."""
    array = _array(config)
    write_json_atomically_if_absent(_array_file(checkpoint_path), {**array, "sources": ""})
    found = _read_array(checkpoint_path)
    if found is not None and not array.items() <= found.items():
        raise CheckpointError(
            f"{checkpoint_path} belongs to an array of {found['total_shards']} shards from index "
            f"{found['minimum_shard_index']}; this is shard {config.shard_index} of {config.total_shards} from index "
            f"{config.minimum_shard_index}. To run again what is missing set {TOTAL_SHARDS}={found['total_shards']} "
            f"and {MINIMUM_SHARD_INDEX}={found['minimum_shard_index']}; for another number of shards give another "
            "checkpoint_path"
        )


def _array(config: SlurmArrayConfig) -> dict[str, Any]:
    return {"total_shards": config.total_shards, "minimum_shard_index": config.minimum_shard_index}


def _array_file(checkpoint_path: str | os.PathLike) -> str:
    return f"{completion_folder(checkpoint_path, NAMESPACE)}/run.json"


def _read_array(checkpoint_path: str | os.PathLike) -> dict[str, Any] | None:
    path = _array_file(checkpoint_path)
    try:
        found = json.loads(get_fs(path).cat_file(path))
        return {key: found[key] for key in ("total_shards", "minimum_shard_index", "sources")}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} does not say how many shards there are ({error!r}); give another checkpoint_path"
        ) from error


def _first_of_array() -> int:
    """The first index of this job's array; raises if its indices have gaps, for shards have none."""
    first, last, count = (_number(f"SLURM_ARRAY_TASK_{what}") for what in ("MIN", "MAX", "COUNT"))
    if first is not None and last is not None and count is not None and last - first + 1 != count:
        raise ValueError(
            f"the {count} jobs of this array have indices from {first} to {last}, with gaps, so they are not the "
            f"shards; submit with --array=0-{count - 1}, or set {TOTAL_SHARDS} to the number of shards"
        )
    return first or 0


def _flag(variable: str) -> bool | None:
    text = os.environ.get(variable, "").strip().lower()
    if text and text not in _YES_OR_NO:
        raise ValueError(f"{variable}={text}; wanted true or false")
    return _YES_OR_NO.get(text)


def _number(variable: str) -> int | None:
    text = os.environ.get(variable, "").strip()
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError(f"{variable}={text}; wanted a whole number, from 0 on")
    return int(text) if text else None
