"""The steps of a shuffle: rows into buckets, all buckets at once into so many parts, and each part into a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.buckets import MANIFEST, BucketWriter, read_bucket
from nemo_curator.stages.deduplication.parquet_files import read_tables
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.hash_utils import get_deterministic_hash
from nemo_curator.utils.storage import ask, kind_of, locate, open_bytes

LEAST_BUCKETS = 64
EXAMPLE = "example"
"""In the metadata of a part: a file of any part, which says what columns there are."""

_BATCH_ROWS = 2**20


def buckets_for_parts(total_nparts: int | None) -> int:
    """The number of buckets, a power of two, for so many parts or for as many as there will be."""
    if total_nparts is not None and total_nparts < 1:
        raise ValueError(f"total_nparts is {total_nparts}; wanted 1 or more")
    return max(LEAST_BUCKETS, 1 << ((total_nparts or 1) - 1).bit_length())


@dataclass
class ReadTables(ProcessingStage[FileGroupTask, DocumentBatch]):
    """Read some columns of Parquet files that a step before has written, in batches of about a million rows.

    With no columns named all are read.
    """

    columns: list[str]
    storage_options: dict[str, Any] | None = None
    name: str = "read_tables"

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], list(self.columns)

    def process(self, task: FileGroupTask) -> Iterator[DocumentBatch]:
        for table in gathered(self._tables(task), _BATCH_ROWS):
            yield DocumentBatch(task.dataset_name, table, _metadata=dict(task._metadata))

    def _tables(self, task: FileGroupTask) -> Iterator[pa.Table]:
        for path in task.data:
            for table in read_tables(path, self.columns, self.storage_options):
                counts.seen(len(table), table.nbytes)
                yield table


def gathered(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Tables put together until they have so many rows; at least one, if there are any."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(map(len, held)) >= rows:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


class PartBuckets(BucketWriter):
    """Write each row into the bucket of its key, for a shuffle.

    It empties its folder when a run starts, and only where it is one of buckets; other files are an error.
    """

    def before_run(self, earlier: bool | None = None) -> bool:
        fs, place = locate(self._root, self.storage_options)
        if earlier is None and kind_of(fs, place) == "directory":
            names = [name.rpartition("/")[2] for name in ask(fs, "ls", place, detail=False)]
            if names and MANIFEST not in names:
                raise InputError(f"{self.path} is for buckets, and holds other files such as {names[0]}; move them")
        return super().before_run(earlier)


@dataclass
class CollectParts(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Make a task of each part: the files of its buckets in the order of the sources, also where there are none.

    With `num_parts` None they are the largest power of two for which each is made of `tasks_per_part` tasks or more.
    """

    num_parts: int | None
    tasks_per_part: int = 1
    name: str = "collect_parts"

    is_barrier = True

    def process(self, task: FileGroupTask) -> list[FileGroupTask]:
        return self.process_batch([task])

    def process_batch(self, tasks: list[FileGroupTask]) -> list[FileGroupTask]:
        most = max(len(tasks) // self.tasks_per_part, 1)
        number = self.num_parts or min(1 << (most.bit_length() - 1), LEAST_BUCKETS)
        files: list[list[str]] = [[] for _ in range(number)]
        for path in (path for task in tasks for path in task.data):
            files[bucket_of_file(path) % number].append(path)
        example = next((path for paths in files for path in paths), None)
        name = tasks[0].dataset_name
        return [self._task(name, part, number, paths, example) for part, paths in enumerate(files)]

    def _task(self, name: str, part: int, number: int, paths: list[str], example: str | None) -> FileGroupTask:
        place = {"partition_index": part, "total_partitions": number, "source_files": paths[:1], EXAMPLE: example}
        task = FileGroupTask(name, paths, _metadata=place)
        task._source_id = get_deterministic_hash([str(part)], f"of {number}")
        return task


def bucket_of_file(path: str) -> int:
    """The bucket that a file is in, by the name of its folder."""
    return int(path.rpartition("/")[0].rpartition("/")[2])


def buckets_of(
    task: FileGroupTask, schema: pa.Schema, storage_options: dict[str, Any] | None = None
) -> Iterator[pa.Table]:
    """The buckets of a part, each as a table: one at a time is in memory.

    A part without files is a table without rows, with the columns of the other parts, or of `schema`.
    """
    for _, paths in groupby(sorted(task.data, key=bucket_of_file), bucket_of_file):
        yield read_bucket(FileGroupTask(data=list(paths)), storage_options=storage_options)
    if not task.data:
        example = task._metadata.get(EXAMPLE)
        if example is not None:
            with open_bytes(example, storage_options) as file:
                schema = pq.read_schema(file)
        yield schema.empty_table()
