"""Exact deduplication from files to files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from nemo_curator.errors import InputError
from nemo_curator.pipeline.workflow import WorkflowBase, WorkflowRunResult
from nemo_curator.stages.deduplication.buckets import MOST_BUCKETS, buckets_for
from nemo_curator.stages.deduplication.clusters import summarize_clusters, write_sources
from nemo_curator.stages.deduplication.exact.duplicates import ROW_BYTES, check_is_ours
from nemo_curator.stages.deduplication.exact.hash_documents import NO_TEXT
from nemo_curator.stages.deduplication.exact.identification import (
    BUCKETS_SUBDIR,
    MOST_BUCKET_BYTES,
    ExactDuplicateIdentification,
    check_ids,
)
from nemo_curator.stages.deduplication.hashing import check_hashing
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.index import Delivery, Index
from nemo_curator.stages.deduplication.keep import Keep, keep_rule
from nemo_curator.stages.deduplication.steps import InputFiles, Steps
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.utils.file_utils import parse_bytes_string_to_int
from nemo_curator.utils.storage import ask, locate

if TYPE_CHECKING:
    from nemo_curator.backends.base import BaseExecutor
    from nemo_curator.ledger.checkpoint import OnChange
    from nemo_curator.tasks.file_group import FileGroupTask
    from nemo_curator.tasks.tasks import Task

ID_GENERATOR_OUTPUT_FILENAME = "exact_id_generator.json"
INDEX_BUCKETS = 16
"""Buckets of an index: for good, whatever it grows to. Those that outgrow the memory are read in parts."""

_PARTITIONS_A_BUCKET = 8
"""Where nobody has counted the documents: how many partitions fill a bucket."""


@dataclass
class ExactDeduplicationWorkflow(WorkflowBase):
    """Find documents whose texts are the same, and with `perform_removal` write the data set without them.

    The ids to remove are in `<output_path>/ExactDuplicateIds`, why they are removed in `<output_path>/clusters` (see
    `explain`), and with `perform_removal` what stays is in `<output_path>/deduplicated`, in the files, format and
    columns of the input. What `keep`, `hash_method` and `normalize` mean is told by `ExactDuplicateIdentification`.

    With `index_path` the documents are also compared with those of earlier deliveries, which always stay and are not
    read again, and are remembered for later ones unless `extend_index` is false. The settings of a GPU do nothing here.

    Example:
        >>> workflow = ExactDeduplicationWorkflow("unique/", "documents/", "jsonl", perform_removal=True)
        >>> workflow.keep, workflow.hash_method
        ('first', 'md5')
    """

    output_path: str
    input_path: str | list[str] | None = None
    input_filetype: Literal["parquet", "jsonl"] = "parquet"
    input_blocksize: str | int = "2GiB"
    identification_batchsize: int = 1
    input_file_extensions: list[str] | None = None
    read_kwargs: dict[str, Any] | None = None
    write_kwargs: dict[str, Any] | None = None
    assign_id: bool = True
    id_field: str | None = None
    text_field: str = "text"
    perform_removal: bool = False
    total_nparts: int | None = None
    rmm_pool_size: int | Literal["auto"] | None = "auto"
    spill_memory_limit: int | Literal["auto"] | None = "auto"
    env_vars: dict[str, Any] | None = None
    use_async_memory: bool = True
    keep: Keep = field(default="first", kw_only=True)
    hash_method: str = field(default="md5", kw_only=True)
    normalize: str | Sequence[str] | None = field(default=None, kw_only=True)
    index_path: str | None = field(default=None, kw_only=True)
    extend_index: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        check_ids(self.assign_id, self.id_field)
        check_hashing(self.hash_method, self.normalize)
        if self.assign_id and keep_rule(self.keep).column == CURATOR_DEDUP_ID_STR:
            raise ValueError(f"keep names {CURATOR_DEDUP_ID_STR}, where row numbers are; give it as id_field")
        keep_rule(self.keep)
        self._files()
        if self.index_path and max(1, self.total_nparts or 1) > INDEX_BUCKETS:
            raise ValueError(f"with index_path total_nparts is at most {INDEX_BUCKETS}; found {self.total_nparts}")

    def run(
        self,
        initial_tasks: list[Task] | None = None,
        executor: BaseExecutor | None = None,
        *,
        checkpoint_path: str | os.PathLike | None = None,
        on_change: OnChange = "error",
        max_failed_fraction: float = 0.0,
        rejected_path: str | os.PathLike | None = None,
        memory_limit: int | str | None = None,
        report_path: str | os.PathLike | None = None,
    ) -> WorkflowRunResult:
        """Deduplicate the files of `input_path`, or those of `initial_tasks`; the other settings are `Pipeline.run`'s.

        `metadata` of what it returns has `num_duplicates`, a summary of `clusters`, and seconds for each step.
        """
        if initial_tasks is not None and self.input_path is not None:
            warnings.warn("initial_tasks are given, so input_path is ignored", stacklevel=2)
        steps = Steps(
            "exact_deduplication",
            executor,
            checkpoint_path,
            on_change,
            max_failed_fraction,
            rejected_path,
            memory_limit,
            report_path,
            keep_processes=True,
        )
        self.last_result = steps.result
        with steps:
            return self._run(steps, initial_tasks)

    def _run(self, steps: Steps, initial_tasks: list[Task] | None) -> WorkflowRunResult:
        index, delivery = self._index()
        tasks = self._tasks(steps, initial_tasks, delivery.first_id if delivery else 0)
        keep_rule(self.keep).check_sources(tasks)
        identify = self._identification(steps, tasks, index, delivery)
        found = steps.run("identification", [identify], tasks)
        self._check_texts(steps)
        self._say_where(steps, tasks, index)
        if self.perform_removal:
            steps.remove(
                self._files(),
                tasks,
                identify.duplicate_ids_path,
                self.output_path,
                id_field=self.id_field,
                ids_storage_options=self._storage_options,
                storage_options=self._storage_options,
                are_records=self._are_records(steps),
            )
        if index and delivery and self.extend_index:
            if self.assign_id:
                write_sources(index.folder(delivery), tasks, storage_options=self._storage_options)
            index.add(replace(delivery, num_rows=steps.num_rows))
        if steps.checkpoint_path is None:
            self._delete_buckets()
        clusters = summarize_clusters(self.output_path, storage_options=self._storage_options)
        steps.result.extend_metadata(
            {
                "num_duplicates": sum(task._metadata["num_removal_ids"] for task in found),
                "id_generator_path": self._id_generator_path if self.assign_id else None,
                "clusters": clusters.to_dict(),
            }
        )
        return steps.result

    def _files(self) -> InputFiles:
        return InputFiles(
            self.input_path,
            self.input_filetype,
            self.input_blocksize,
            file_extensions=self.input_file_extensions,
            read_kwargs=self.read_kwargs,
        )

    def _tasks(self, steps: Steps, initial_tasks: list[Task] | None, first_id: int) -> list[FileGroupTask]:
        """What is read, with the ids of its rows where they are ours."""
        if not self.assign_id:
            return steps.find_files(self._files(), initial_tasks)
        return steps.number_rows(self._files(), initial_tasks, first_id=first_id)

    def _index(self) -> tuple[Index | None, Delivery | None]:
        if self.index_path is None:
            return None, None
        settings = {
            "hash_method": self.hash_method,
            "normalize": sorted(check_hashing(self.hash_method, self.normalize)),
            "ids": "row numbers" if self.assign_id else f"column {self.id_field}",
            "num_buckets": INDEX_BUCKETS,
        }
        index = Index.open(self.index_path, "exact", settings, self._storage_options)
        return index, index.begin(self.output_path)

    def _identification(
        self,
        steps: Steps,
        tasks: list[FileGroupTask],
        index: Index | None,
        delivery: Delivery | None,
    ) -> ExactDuplicateIdentification:
        memory = MOST_BUCKET_BYTES
        if steps.memory_limit is not None:
            memory = min(memory, parse_bytes_string_to_int(steps.memory_limit) // 8)
        num_buckets = len(tasks) // _PARTITIONS_A_BUCKET or 1
        if self.assign_id:
            num_buckets = buckets_for(steps.num_rows * ROW_BYTES, memory)
        if index:
            num_buckets = INDEX_BUCKETS
        return ExactDuplicateIdentification(
            self.text_field,
            self.output_path,
            self.input_filetype,
            self.read_kwargs,
            self.write_kwargs,
            self.assign_id,
            self.id_field,
            self.total_nparts and max(1, self.total_nparts),
            hash_method=self.hash_method,
            normalize=self.normalize,
            keep=self.keep,
            num_buckets=min(num_buckets, MOST_BUCKETS),
            memory_bytes=memory,
            index_folders=[index.folder(one) for one in index.deliveries] if index else [],
            delivery_folder=index.folder(delivery) if index and delivery and self.extend_index else None,
            env_vars=self.env_vars,
            partitions_at_once=self.identification_batchsize,
            has_row_numbers=self.assign_id,
        )

    def _check_texts(self, steps: Steps) -> None:
        """Raise if there are documents, and none has a text: the name of the column is wrong."""
        stage = steps.result.runs["identification"].stages[0]
        if stage.rows_in and stage.dropped[NO_TEXT] == stage.rows_in:
            raise InputError(
                f"none of {stage.rows_in} documents has a text in column {self.text_field!r}; give text_field"
            )

    def _are_records(self, steps: Steps) -> bool:
        """Whether all lines were parsed as JSON by the reader that is as strict as the removal."""
        stage = steps.result.runs["identification"].stages[0]
        is_strict = not self._files().reader([self.text_field]).needs_pandas
        return is_strict and not stage.rows_failed and not stage.unread

    def _say_where(self, steps: Steps, tasks: list[FileGroupTask], index: Index | None) -> None:
        """Write which ids the rows of which files have."""
        if not self.assign_id:
            return
        earlier = [index.folder(one) for one in index.deliveries] if index else []
        write_sources(self.output_path, tasks, earlier, self._storage_options)
        steps.write_ids(tasks, self._id_generator_path, self._storage_options)

    def _delete_buckets(self) -> None:
        folder = f"{absolute(self.output_path)}/{BUCKETS_SUBDIR}"
        check_is_ours(folder, self._storage_options)
        fs, place = locate(folder, self._storage_options)
        if ask(fs, "exists", place):
            ask(fs, "rm", place, recursive=True)

    @property
    def _id_generator_path(self) -> str:
        return f"{absolute(self.output_path)}/{ID_GENERATOR_OUTPUT_FILENAME}"

    @property
    def _storage_options(self) -> dict[str, Any] | None:
        return (self.write_kwargs or {}).get("storage_options")
