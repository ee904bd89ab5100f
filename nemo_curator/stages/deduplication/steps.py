"""What the workflows of deduplication share: the files they read, and their pipelines one after the other."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.backends.slurm_array import resolve_slurm_array_config
from nemo_curator.errors import ContractError, InputError
from nemo_curator.ledger.secrets import without_login
from nemo_curator.pipeline.pipeline import Pipeline, default_executor
from nemo_curator.pipeline.workflow import WorkflowRunResult, folder_of_run
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR, IdGeneratorBase, hash_files, ranges_of
from nemo_curator.stages.deduplication.removal import COPIES, REMOVED, RemoveFromFiles, as_listed, root_of, whole_files
from nemo_curator.stages.deduplication.removal_ids import RemovalIds
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.text.io.reader import JsonlReaderStage, ParquetReaderStage
from nemo_curator.stages.text.io.reader.row_numbers import ROW_NUMBERS
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.tasks import Task
from nemo_curator.utils.file_utils import delete_dir, get_default_file_extensions, parse_bytes_string_to_int
from nemo_curator.utils.find_files import find_files
from nemo_curator.utils.hash_utils import get_deterministic_hash
from nemo_curator.utils.storage import ask, kind_of, locate
from nemo_curator.utils.whole_files import put, remove_leftovers

if TYPE_CHECKING:
    from nemo_curator.backends.base import BaseExecutor
    from nemo_curator.ledger.checkpoint import OnChange

logger = logging.getLogger(__name__)

MOST_BLOCK_BYTES = 64 * 2**20
"""The largest partition, whatever block size is given: with larger ones workers would have nothing to do."""
BEFORE = "before.json"
"""In the checkpoint of a step: what the steps before it had made when it began."""
DEDUPLICATED = "deduplicated"
"""The folder, in that of the output, of the data set without duplicates."""
RECORDS = "records"
"""In the metadata of a task: how many records each of its files holds."""


@dataclass
class InputFiles:
    """The files that a workflow reads. `blocksize` is the most of a partition, and does not change the ids."""

    input_path: str | list[str] | None = None
    input_filetype: Literal["parquet", "jsonl"] = "parquet"
    blocksize: int | str | None = None
    files_per_partition: int | None = None
    file_extensions: list[str] | None = None
    read_kwargs: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.input_filetype not in ("parquet", "jsonl"):
            raise ValueError(f"unknown input_filetype {self.input_filetype!r}; wanted 'parquet' or 'jsonl'")

    @property
    def storage_options(self) -> dict[str, Any] | None:
        return (self.read_kwargs or {}).get("storage_options")

    def find(self) -> FilePartitioningStage:
        """The stage that finds the files and cuts them into partitions."""
        if not self.input_path:
            raise ValueError("input_path to the dataset must be provided if initial_tasks are not provided manually.")
        block = None
        if self.files_per_partition is None:
            block = min(parse_bytes_string_to_int(self.blocksize or MOST_BLOCK_BYTES), MOST_BLOCK_BYTES)
        return FilePartitioningStage(
            self.input_path,
            self.files_per_partition,
            block,
            self.file_extensions or get_default_file_extensions(self.input_filetype),
            self.storage_options,
            split_by=self.split_by,
        )

    def reader(
        self, fields: list[str], *, id_field: str | None = None, numbers_field: str = CURATOR_DEDUP_ID_STR
    ) -> JsonlReaderStage | ParquetReaderStage:
        """The stage that reads these columns, and the ids: those of the user, or those that `number_rows` gave.

        The latter are in `numbers_field`, unless the files have a column of that name which is read.
        """
        kind = JsonlReaderStage if self.input_filetype == "jsonl" else ParquetReaderStage
        names = [*fields, *([] if id_field is None or id_field in fields else [id_field])]
        return kind(names, dict(self.read_kwargs or {}), _row_numbers=id_field is None, _ids_field=numbers_field)

    @property
    def split_by(self) -> Literal["byte_range", "row_groups"] | None:
        """How large files may be cut; None where they are read whole."""
        reader = self.reader(["text"])
        if reader.needs_pandas or self.files_per_partition is not None:
            return None
        if self.input_filetype == "parquet":
            return "row_groups"
        return "byte_range" if (self.read_kwargs or {}).get("compression", "infer") == "infer" else None


@dataclass
class CountRecords(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Count the records of each file of a partition; nothing of them is parsed."""

    reader: JsonlReaderStage | ParquetReaderStage
    name: str = "count_records"

    def process(self, task: FileGroupTask) -> FileGroupTask:
        records = [self.reader.count_records(str(path), task.reader_config) for path in task.data]
        metadata = {**task._metadata, "source_files": list(map(str, task.data)), RECORDS: records}
        return FileGroupTask(task.dataset_name, task.data, _metadata=metadata, reader_config=task.reader_config)


@dataclass
class Steps:
    """The pipelines of a workflow: each with a folder of its own in the checkpoint; `result` has what they did."""

    workflow: str
    executor: BaseExecutor | None = None
    checkpoint_path: str | os.PathLike | None = None
    on_change: OnChange = "error"
    max_failed_fraction: float = 0.0
    rejected_path: str | os.PathLike | None = None
    memory_limit: int | str | None = None
    report_path: str | os.PathLike | None = None
    keep_processes: bool = False
    """Whether the pipelines take turns in the same processes, where they are processes of this machine."""
    result: WorkflowRunResult = field(init=False)
    num_rows: int = field(default=0, init=False)
    """The records that `number_rows` found."""

    def __post_init__(self) -> None:
        if resolve_slurm_array_config() is not None:
            raise ContractError(
                f"{self.workflow} must see all documents, and a job of a Slurm array sees its share; set "
                "NEMO_CURATOR_SLURM_ARRAY_ENABLED=false and run it as one job, on several nodes with SlurmRayClient"
            )
        self.result = WorkflowRunResult(self.workflow)
        self._start = time.perf_counter()
        self._within = ExitStack()
        self._made: list[list[Any]] = []

    def __enter__(self) -> Steps:
        if self.keep_processes:
            self.executor = self.executor or default_executor()
            if isinstance(self.executor, LocalExecutor):
                self._within.enter_context(self.executor.keeping_processes())
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Write the record of the whole; the pipelines have written theirs."""
        self._within.close()
        if error is not None:
            self.result.error = without_login(f"{type(error).__name__}: {error}")
        try:
            if self.report_path is not None:
                self.result.save_summary(self.report_path)
        except Exception:  # whatever a storage raises, the error of the run is the one to see
            if error is None:
                raise
            logger.warning("the record could not be written to %s", self.report_path, exc_info=True)

    def run(
        self,
        name: str,
        stages: list[ProcessingStage],
        tasks: list[Any] | None = None,
        *,
        executor: BaseExecutor | None = None,
        max_failed_fraction: float | None = None,
    ) -> list[Any]:
        """Run a pipeline; its tasks, its account, and `<name>_time` in seconds go into the result."""
        if tasks is not None and not tasks:
            raise InputError(f"{self.workflow}: {name} has nothing to work on")
        pipeline = Pipeline(f"{self.workflow}: {name}", stages=stages)
        most = self.max_failed_fraction if max_failed_fraction is None else max_failed_fraction
        start = time.perf_counter()
        try:
            made = pipeline.run(
                executor or self.executor,
                tasks,
                self._checkpoint(name),
                max_failed_fraction=most,
                on_change=self.on_change,
                rejected_path=_within(self.rejected_path, name),
                memory_limit=self.memory_limit,
                report_path=self._folder_of_record(name),
            )
        finally:
            end = time.perf_counter()
            self.result.add_run(name, pipeline.last_run)
            self.result.extend_metadata({f"{name}_time": end - start, "total_time": end - self._start})
        self.result.add_pipeline_tasks(name, made)
        self._note_made(name)
        return made

    def _folder_of_record(self, name: str) -> str | None:
        return None if self.report_path is None else folder_of_run(self.report_path, len(self.result.runs) + 1, name)

    def _checkpoint(self, name: str) -> str | None:
        """The folder in the checkpoint of a step. What is there is forgotten if a step before made something anew."""
        folder = _within(self.checkpoint_path, name)
        if folder is None:
            return None
        fs, place = locate(folder)
        if kind_of(fs, f"{place}/{BEFORE}") == "file" and not self.goes_on(name):
            delete_dir(folder)
        put(fs, f"{place}/{BEFORE}", json.dumps(self._made).encode())
        return folder

    def goes_on(self, name: str) -> bool:
        """Whether the next step was begun by an earlier attempt, and nothing before it has been made anew since.

        Otherwise whatever an earlier attempt of the step has left in its folders is not to be read.
        """
        folder = _within(self.checkpoint_path, name)
        if folder is None:
            return False
        fs, place = locate(f"{folder}/{BEFORE}")
        return kind_of(fs, place) == "file" and ask(fs, "cat_file", place) == json.dumps(self._made).encode()

    def _note_made(self, name: str) -> None:
        """Note what tells whether a step has made anything since: its settings, and its records."""
        if (folder := _within(self.checkpoint_path, name)) is not None:
            fs, place = locate(folder)
            settings = json.loads(ask(fs, "cat_file", f"{place}/run.json"))["stages"]
            digest = hashlib.sha256(json.dumps(settings).encode())
            for path in sorted(one.path for one in find_files(folder, recurse=False)):
                if path.rpartition("/")[2].startswith("done-"):
                    digest.update(ask(fs, "cat_file", locate(path)[1]))
            self._made.append([name, digest.hexdigest()])

    def find_files(self, files: InputFiles, initial_tasks: list[Task] | None = None) -> list[FileGroupTask]:
        """The partitions that a workflow reads: those given, or those that are found."""
        if initial_tasks is None:
            return self.run("input_filegroups", [files.find()])
        if files.input_path is not None:
            logger.warning("%s: initial_tasks are given, so input_path is not looked at", self.workflow)
        tasks = [task for task in initial_tasks if isinstance(task, FileGroupTask)]
        if strange := [task for task in initial_tasks if not isinstance(task, FileGroupTask)]:
            raise ValueError(f"initial_tasks are FileGroupTasks, which name the files to read; found {strange[0]!r}")
        return tasks

    def number_rows(
        self, files: InputFiles, initial_tasks: list[Task] | None = None, *, first_id: int = 0
    ) -> list[FileGroupTask]:
        """Give every record its id: its number in the order of the paths, and of the places in a file.

        Lines that cannot be parsed are counted, so the ids depend on the files alone: not on the block size, the
        executor, or on what failed. Returns the partitions; `files.reader` reads them with their ids. They are called
        after their ids, too: files that come to lie before others change those, and what was made of them is void.
        """
        tasks = self.find_files(files, initial_tasks)
        counted = self._count(files, tasks)
        parts: dict[tuple, tuple[FileGroupTask, int]] = {}
        for task in counted:
            for at, path in enumerate(map(str, task.data)):
                part = path, *_place(task)
                if parts.setdefault(part, (task, at)) != (task, at):
                    raise InputError(f"{path} is in the initial_tasks twice: each of its records would have two ids")
            task._metadata[ROW_NUMBERS] = [[0, 0] for _ in task.data]
        next_id = first_id
        for part in sorted(parts):
            task, at = parts[part]
            first, next_id = next_id, next_id + task._metadata[RECORDS][at]
            task._metadata[ROW_NUMBERS][at] = [first, next_id]
        self.num_rows = next_id - first_id
        for task in counted:
            task.task_id = f"{task.task_id}-{get_deterministic_hash([], str(task._metadata[ROW_NUMBERS]))}"
        return counted

    def look_up_ids(self, files: InputFiles, tasks: list[FileGroupTask], known: IdGeneratorBase) -> list[FileGroupTask]:
        """Give every record the id that an id generator gave it: by the group of files it is in, or by its file.

        The records of files that are read in parts are counted.
        """
        has_parts = any(task.reader_config for task in tasks)
        made = self._count(files, tasks) if has_parts else [copy.copy(task) for task in tasks]
        numbered: dict[str, range] = {}
        for task in sorted(made, key=lambda task: (str(task.data[0]), *_place(task))):
            paths = list(map(str, task.data))
            ids = [range(first, last + 1) for first, last in ranges_of(paths, str(Path.cwd()), known)]
            if task.reader_config:
                of_file = numbered.get(paths[0], ids[0])
                stop = of_file.start + task._metadata[RECORDS][0]
                ids, numbered[paths[0]] = [range(of_file.start, stop)], range(stop, of_file.stop)
            task._metadata = {**task._metadata, ROW_NUMBERS: [[some.start, some.stop] for some in ids]}
        if wrong := [path for path, left in numbered.items() if left.start != left.stop]:
            raise InputError(f"{wrong[0]} has another number of records than when it got its ids: it has changed")
        return made

    def _count(self, files: InputFiles, tasks: list[FileGroupTask]) -> list[FileGroupTask]:
        counted = self.run("row_numbers", [CountRecords(files.reader(["text"]))], tasks, max_failed_fraction=0.0)
        if len(counted) != len(tasks):
            raise InputError(f"{self.workflow}: {len(tasks) - len(counted)} partitions could not be counted; run again")
        return counted

    def remove(
        self,
        files: InputFiles,
        tasks: list[FileGroupTask],
        ids_path: str | None,
        output_path: str,
        *,
        id_field: str | None = None,
        ids_field: str | None = None,
        ids_storage_options: dict[str, Any] | None = None,
        storage_options: dict[str, Any] | None = None,
        are_records: bool = False,
    ) -> int:
        """Copy the files to `<output_path>/deduplicated` without the documents that have one of the ids.

        `ids_path` is a folder of Parquet files with the ids; without one all documents stay. The ids are row numbers,
        which the tasks carry, or with `id_field` those in that column. Lines are parsed once more unless a step before
        has parsed them all (`are_records`). Returns how many documents were removed.
        """
        paths = [str(path) for task in tasks for path in task.data]
        to_copy = whole_files(tasks, root_of(files.input_path, paths, files.storage_options))
        storage_options = storage_options or files.storage_options
        folder = as_listed(f"{absolute(output_path)}/{DEDUPLICATED}", storage_options)
        copies = {f"{folder}/{name}" for task in to_copy for name in task._metadata[COPIES]}
        check_copies(folder, copies, paths, storage_options)
        ids = None
        if ids_path is not None:
            fields = [ids_field or id_field or CURATOR_DEDUP_ID_STR]
            ids = RemovalIds(ids_path, fields, ids_storage_options or storage_options)
            if self.memory_limit is not None:
                ids.most_bytes = min(ids.most_bytes, parse_bytes_string_to_int(self.memory_limit) // 16)
        stage = RemoveFromFiles(folder, files.reader([]), ids, id_field, storage_options, are_records)
        made = self.run("removal", [stage], to_copy)
        for place in {path.rpartition("/")[0] for path in copies}:
            remove_leftovers(place)  # of workers that were killed
        removed = sum(task._metadata[REMOVED] for task in made)
        if ids is not None and removed > (known := ids.open().num_ids):
            self._delete(copies, storage_options)
            raise InputError(
                f"{known} documents are duplicates, and {removed} have one of their ids: {id_field!r} is not unique, "
                f"and documents that are no duplicates would be lost, so nothing is in {folder}; let ids be assigned"
            )
        self.result.add_metadata("num_duplicates_removed", removed)
        return removed

    def _delete(self, paths: set[str], storage_options: dict[str, Any] | None) -> None:
        for path in paths:
            fs, place = locate(path, storage_options)
            if kind_of(fs, place) == "file":
                ask(fs, "rm_file", place)

    def write_ids(self, tasks: list[FileGroupTask], path: str, storage_options: dict[str, Any] | None = None) -> None:
        """Write which ids the records of each file have, as the id generator does."""
        ids = IdGeneratorBase()
        for task in tasks:
            for file, (first, stop) in zip(map(str, task.data), task._metadata[ROW_NUMBERS], strict=True):
                known = ids.batch_registry.get(hash_files(file), (first, stop - 1))
                ids.batch_registry[hash_files(file)] = (min(first, known[0]), max(stop - 1, known[1]))
                ids.next_id = max(ids.next_id, stop)
        ids.to_disk(path, storage_options)


def check_copies(folder: str, copies: set[str], inputs: list[str], storage_options: dict[str, Any] | None) -> None:
    """Raise if copies would be written over the input, or beside files that are none."""
    if inside := [path for path in inputs if path.startswith(f"{folder}/")]:
        raise ValueError(f"cannot write the copy of {inside[0]} to {folder}, which it is in; give another output_path")
    fs, place = locate(folder, storage_options)
    if kind_of(fs, place) is None:
        return
    if strange := [one.path for one in find_files(folder, storage_options) if one.path not in copies]:
        raise FileExistsError(f"{folder} holds {strange[0]}, which is no copy of an input; empty the folder")


def _place(task: FileGroupTask) -> tuple[int, ...]:
    """Where in its file a partition begins."""
    config = task.reader_config
    return tuple(chain(config.get("byte_range", [0])[:1], config.get("row_groups", [0])[:1]))


def _within(folder: str | os.PathLike | None, name: str) -> str | None:
    return None if folder is None else f"{os.fspath(folder).rstrip('/')}/{name}"
