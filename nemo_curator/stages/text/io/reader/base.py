"""What all readers of documents share, and the two hooks for readers of your own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.text.io.reader.row_numbers import RowNumbers, numbers_of
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask

if TYPE_CHECKING:
    import pandas as pd

BATCH_BYTES = 18 * 2**20
"""The most bytes of a file that become one batch: a block of 16 MiB, and the line that hangs over its end."""
BATCH_CELLS = 2**22
"""The most rows times columns of a batch. Only records that share few keys come near it."""


@dataclass
class ReaderOutput:
    """What a reader makes of a group of files. `metadata` is added to that of the group."""

    data: pa.Table | pd.DataFrame | None
    metadata: dict[str, Any] | None = None


@dataclass
class BaseReader(ProcessingStage[FileGroupTask, DocumentBatch]):
    """Read a group of files into documents. A reader of your own defines `read_task`."""

    fields: list[str] | None = None
    read_kwargs: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    _generate_ids: bool = False
    _assign_ids: bool = False
    allow_empty: bool = True

    def __post_init__(self) -> None:
        self.name = self.name or type(self).__name__
        self.read_kwargs = dict(self.read_kwargs or {})
        if self._generate_ids and self._assign_ids:
            raise ValueError(f"{self.name}: give _generate_ids or _assign_ids, not both")

    @abstractmethod
    def read_task(self, task: FileGroupTask, read_kwargs: dict[str, Any], fields: list[str] | None) -> ReaderOutput:
        """Read the files of a task; with `fields`, only these columns."""

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], self._names or []

    def process(self, task: FileGroupTask) -> DocumentBatch | Iterator[DocumentBatch]:
        made = self.read_task(task, dict(self.read_kwargs), self.fields)
        batch = DocumentBatch(task.dataset_name, made.data, _metadata={**task._metadata, **(made.metadata or {})})
        if self._numbers_rows and CURATOR_DEDUP_ID_STR not in batch.get_columns():
            batch = batch.with_column(CURATOR_DEDUP_ID_STR, self._all_numbers(task, batch.num_items))
        if not batch.num_items and not self.allow_empty:
            raise InputError(f"{self.name}: no documents in {', '.join(task.data)}")
        counts.seen(batch.num_items)
        return batch

    @property
    def _numbers_rows(self) -> bool:
        """Whether the records get a column with their numbers. One of that name that is read stays as it is."""
        return (self._generate_ids or self._assign_ids) and CURATOR_DEDUP_ID_STR not in (self.fields or [])

    @property
    def _names(self) -> list[str] | None:
        """The columns that are made; None where those of the files are."""
        return self.fields and [*self.fields, *self._made]

    @property
    def _made(self) -> list[str]:
        """The columns that are made beside those of the files."""
        return [CURATOR_DEDUP_ID_STR] if self._numbers_rows else []

    def _numbers(self, task: FileGroupTask) -> list[RowNumbers] | list[None]:
        """For each file of a task the numbers of its records."""
        if not self._numbers_rows:
            return [None] * len(task.data)
        numbers = numbers_of(task)
        if numbers is None:
            raise InputError(f"{self.name}: {', '.join(task.data)} was not numbered; count its records first")
        return numbers

    def _all_numbers(self, task: FileGroupTask, rows: int) -> np.ndarray:
        """The numbers of all records of a task, which were read at once."""
        numbers = [one for one in self._numbers(task) if one is not None]
        counted = [np.arange(one.next, one.stop) for one in numbers]
        if sum(map(len, counted)) != rows:
            raise InputError(
                f"{self.name}: {', '.join(task.data)} has {rows} records and {sum(map(len, counted))} numbers; read it "
                "with the settings, and in the state, in which it was counted"
            )
        return np.concatenate(counted)


@dataclass
class BaseFileReader(BaseReader):
    """Read a group of files into documents. A reader of your own defines `read_data`."""

    def read_task(self, task: FileGroupTask, read_kwargs: dict[str, Any], fields: list[str] | None) -> ReaderOutput:
        return ReaderOutput(self.read_data(task.data, read_kwargs, fields))

    @abstractmethod
    def read_data(
        self, file_paths: list[str], read_kwargs: dict[str, Any], fields: list[str] | None
    ) -> pa.Table | pd.DataFrame | None:
        """Read files; with `fields`, only these columns."""


def find_files_of(reader: Any, *, split_by: Literal["byte_range", "row_groups"] | None) -> FilePartitioningStage:
    """The stage that finds the files of a composite reader, from the parameters that all of them have."""
    if reader.task_type != "document":
        raise NotImplementedError(f"{reader.name} reads task_type 'document', not {reader.task_type!r}")
    return FilePartitioningStage(
        file_paths=reader.file_paths,
        files_per_partition=reader.files_per_partition,
        blocksize=reader.blocksize,
        file_extensions=reader.file_extensions,
        storage_options=(reader.read_kwargs or {}).get("storage_options"),
        split_by=split_by,
    )
