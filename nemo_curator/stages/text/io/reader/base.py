"""What all readers of documents share, and the two hooks for readers of your own."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from nemo_curator.errors import CheckpointError, InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR, GeneratorAddress
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.text.io.reader.row_numbers import RowNumbers, row_numbers_of
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

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
    _row_numbers: bool = field(default=False, kw_only=True)
    """Whether the ids are the row numbers that the tasks carry."""
    _ids_field: str = field(default=CURATOR_DEDUP_ID_STR, kw_only=True)
    """The column of the ids: another one where the files may have a column of this name."""
    _generator: GeneratorAddress | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.name = self.name or type(self).__name__
        self.read_kwargs = dict(self.read_kwargs or {})
        if self._generate_ids and self._assign_ids:
            raise ValueError(f"{self.name}: give _generate_ids or _assign_ids, not both")

    def before_run(self, earlier: str | None = None) -> str | None:
        if not self._generate_ids and not self._assign_ids:
            return None
        self._generator = GeneratorAddress.here()
        if self._generate_ids and earlier is not None and not self._generator.size():
            raise CheckpointError(
                f"{self.name}: the ids that the earlier attempt gave are gone with its id generator, and would be "
                "given to other records; start anew with another checkpoint_path"
            )
        return "generated" if self._generate_ids else None

    @abstractmethod
    def read_task(self, task: FileGroupTask, read_kwargs: dict[str, Any], fields: list[str] | None) -> ReaderOutput:
        """Read the files of a task; with `fields`, only these columns."""

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], self._names or []

    def count_records(self, path: str, reader_config: dict[str, Any]) -> int:
        """How many records a file holds, or the part of it that `reader_config` names."""
        raise NotImplementedError(f"{self.name} cannot count the records of {path} without reading it")

    def process(self, task: FileGroupTask) -> DocumentBatch | Iterator[DocumentBatch]:
        made = self.read_task(task, dict(self.read_kwargs), self.fields)
        batch = DocumentBatch(task.dataset_name, made.data, _metadata={**task._metadata, **(made.metadata or {})})
        if not batch.num_items and not self.allow_empty:
            raise InputError(f"{self.name}: no documents in {', '.join(task.data)}")
        counts.seen(batch.num_items)
        return self._with_ids(batch, task)

    @property
    def _made(self) -> list[str]:
        """The columns that are made beside those of the files: the ids. One of that name that is read stays."""
        numbers_rows = self._generate_ids or self._assign_ids or self._row_numbers
        return [self._ids_field] if numbers_rows and self._ids_field not in (self.fields or []) else []

    @property
    def _names(self) -> list[str] | None:
        """The columns that are made; None where those of the files are."""
        return self.fields and [*self.fields, *self._made]

    def _with_made(self, found: list[str]) -> list[str]:
        """The columns that are made of files with these."""
        if self._ids_field in found and self._made and self.fields is None:
            logger.warning("%s: the files have a column %s, which stays", self.name, self._ids_field)
        return self._names or [*dict.fromkeys([*found, *self._made])]

    def _numbered_files(self, task: FileGroupTask) -> Iterator[tuple[str, RowNumbers | None]]:
        """The files of a task, each with the ids of its records, all of which must be taken in the end."""
        numbers = self._numbers(task)
        yield from zip(map(str, task.data), numbers)
        for one in {id(one): one for one in numbers if one is not None}.values():
            one.check_all_taken()

    def _numbers(self, task: FileGroupTask) -> list[RowNumbers] | list[None]:
        """For each file of a task the ids of its records; one object for all where they follow one another."""
        if not self._made:
            return [None] * len(task.data)
        source = ", ".join(map(str, task.data))
        numbers = [RowNumbers(ids.start, ids.stop, source, self._ids_field) for ids in self._ids(task)]
        return numbers * len(task.data) if len(numbers) == 1 else numbers

    def _ids(self, task: FileGroupTask, rows: int | None = None) -> list[range]:
        """The ids of the records of a task, or of each of its files. `rows` are those of the task where it is read."""
        if self._row_numbers:
            return row_numbers_of(task)
        generator = self._generator or GeneratorAddress.here()
        paths = list(map(str, task.data))
        part = [f"{key}={value}" for key, value in task.reader_config.items()]
        if not self._generate_ids:
            return [range(first, last + 1) for first, last in generator.ranges_of([*paths, *part])]
        if rows is None:
            rows = sum(self.count_records(path, task.reader_config) for path in paths)
        first = generator.register([*paths, *part], rows)
        return [range(first, first + rows)]

    def _with_ids(self, batch: DocumentBatch, task: FileGroupTask) -> DocumentBatch:
        """Give ids to the records of a task, which were read at once."""
        if not self._made or self._ids_field in batch.get_columns():
            return batch
        ids = np.concatenate([np.arange(some.start, some.stop) for some in self._ids(task, batch.num_items)])
        if len(ids) != batch.num_items:
            raise InputError(
                f"{self.name}: {', '.join(map(str, task.data))} has {batch.num_items} records and {len(ids)} ids; read "
                "it with the settings, and in the state, in which it got them"
            )
        return batch.with_column(self._ids_field, ids)


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
    """The stage that finds the files of a composite reader, from the parameters that all of them have.

    Ids are known by whole files.
    """
    if reader.task_type != "document":
        raise NotImplementedError(f"{reader.name} reads task_type 'document', not {reader.task_type!r}")
    return FilePartitioningStage(
        file_paths=reader.file_paths,
        files_per_partition=reader.files_per_partition,
        blocksize=reader.blocksize,
        file_extensions=reader.file_extensions,
        storage_options=(reader.read_kwargs or {}).get("storage_options"),
        split_by=None if reader._generate_ids or reader._assign_ids else split_by,
    )
