"""Removal of duplicates as a step of its own."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nemo_curator.pipeline.workflow import WorkflowBase, WorkflowRunResult
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR, IdGeneratorBase
from nemo_curator.stages.deduplication.steps import InputFiles, Steps
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.text.deduplication.removal import TextDuplicatesRemovalStage
from nemo_curator.stages.text.io.reader import JsonlReaderStage, ParquetReaderStage
from nemo_curator.stages.text.io.writer import JsonlWriter, ParquetWriter
from nemo_curator.stages.text.io.writer.base import BaseWriter
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.file_utils import get_default_file_extensions

if TYPE_CHECKING:
    from nemo_curator.backends.base import BaseExecutor
    from nemo_curator.ledger.checkpoint import OnChange

logger = logging.getLogger(__name__)


@dataclass
class TextDuplicatesRemovalWorkflow(WorkflowBase):
    """Write a data set without the documents whose ids are in the Parquet files of `ids_to_remove_path`.

    The ids are those in the column `id_field`, or with `id_generator_path` those that the identification of duplicates
    gave and wrote there: the files are then found by their paths, however they are grouped. `perform_removal=True` of
    the workflows that find duplicates does the same in one call, and copies files as they are.
    """

    input_path: str | list[str] | None
    ids_to_remove_path: str
    output_path: str
    input_filetype: Literal["parquet", "jsonl"] = "parquet"
    input_fields: list[str] | None = None
    id_field: str = CURATOR_DEDUP_ID_STR
    input_files_per_partition: int | None = None
    input_blocksize: int | str | None = None
    input_file_extensions: list[str] | None = None
    input_task_limit: int | None = None
    input_kwargs: dict[str, Any] | None = None
    duplicate_id_field: str = "id"
    duplicate_id_read_kwargs: dict[str, Any] | None = None
    id_generator_path: str | None = None
    id_generator_storage_options: dict[str, Any] | None = None
    output_file_extension: str | None = None
    output_filetype: Literal["parquet", "jsonl"] = "parquet"
    output_kwargs: dict[str, Any] | None = None
    output_fields: list[str] | None = None
    output_mode: Literal["ignore", "overwrite", "append", "error"] | None = None
    drop_id_field: bool = False

    def __post_init__(self) -> None:
        if self.id_field == CURATOR_DEDUP_ID_STR and self.id_generator_path is None:
            logger.warning(
                "the ids are in the column %s of the input; if it has none, give id_generator_path", self.id_field
            )
        if self.drop_id_field and self.id_field in (self.output_fields or []):
            raise ValueError(f"Cannot drop id_field {self.id_field!r} when it is included in output_fields.")

    def run(
        self,
        executor: BaseExecutor | None = None,
        initial_tasks: list[FileGroupTask] | None = None,
        *,
        checkpoint_path: str | os.PathLike | None = None,
        on_change: OnChange = "error",
        max_failed_fraction: float = 0.0,
        rejected_path: str | os.PathLike | None = None,
        memory_limit: int | str | None = None,
        report_path: str | os.PathLike | None = None,
    ) -> WorkflowRunResult:
        """Remove. The result has `num_duplicates_removed`, the rows that were dropped, and `total_time` in seconds."""
        for what, filetype in (("input", self.input_filetype), ("output", self.output_filetype)):
            if filetype not in ("parquet", "jsonl"):
                raise ValueError(f"Invalid {what} filetype: {filetype}; wanted parquet or jsonl")
        if self.input_path is None and initial_tasks is None:
            raise ValueError("input_path is required when initial_tasks is None")
        steps = Steps(
            "text_duplicates_removal",
            executor,
            checkpoint_path,
            on_change,
            max_failed_fraction,
            rejected_path,
            memory_limit,
            report_path,
        )
        self.last_result = steps.result
        removal = TextDuplicatesRemovalStage(
            self.ids_to_remove_path,
            self.id_field,
            self.duplicate_id_field,
            self.duplicate_id_read_kwargs,
            self.drop_id_field,
        )
        stages: list[ProcessingStage] = [self._reader(), removal, self._writer()]
        with steps:
            written = steps.run("removal", stages, self._tasks(steps, initial_tasks))
            removed = sum(task._metadata.get("num_removed", 0) for task in written)
            steps.result.add_metadata("num_duplicates_removed", removed)
        return steps.result

    def _tasks(self, steps: Steps, initial_tasks: list[FileGroupTask] | None) -> list[FileGroupTask]:
        """The partitions to read, with the ids of their records where the id generator gave them."""
        if initial_tasks is None:
            tasks = steps.run("input_filegroups", [self._source()])
        else:
            tasks = initial_tasks[: self.input_task_limit]
            if len(tasks) < len(initial_tasks):
                logger.warning("input_task_limit: %s of %s initial_tasks are left out", len(tasks), len(initial_tasks))
        if self.id_generator_path is not None:
            known = IdGeneratorBase.from_disk(self.id_generator_path, self.id_generator_storage_options)
            tasks = steps.look_up_ids(self._files, tasks, known)
        return tasks

    def _source(self) -> FilePartitioningStage:
        return FilePartitioningStage(
            self.input_path or [],
            self.input_files_per_partition,
            self.input_blocksize,
            self.input_file_extensions or get_default_file_extensions(self.input_filetype),
            self._files.storage_options,
            self.input_task_limit,
            split_by=self._files.split_by,
        )

    @property
    def _files(self) -> InputFiles:
        return InputFiles(input_filetype=self.input_filetype, read_kwargs=self.input_kwargs)

    def _reader(self) -> JsonlReaderStage | ParquetReaderStage:
        kind = JsonlReaderStage if self.input_filetype == "jsonl" else ParquetReaderStage
        return kind(self.input_fields, dict(self.input_kwargs or {}), _row_numbers=self.id_generator_path is not None)

    def _writer(self) -> BaseWriter:
        kind = JsonlWriter if self.output_filetype == "jsonl" else ParquetWriter
        return kind(
            self.output_path,
            self.output_file_extension or self.output_filetype,
            dict(self.output_kwargs or {}),
            self.output_fields,
            mode=self.output_mode or "ignore",
        )
