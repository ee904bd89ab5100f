"""What an index keeps of the documents that stay: their bands in buckets, and their signatures or shingles.

<delivery>/bands/buckets.json, <delivery>/bands/<bucket>.parquet    hash of a band, id
<delivery>/documents/<part>.parquet                                 id, the user's id, signature, shingles
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.buckets import MANIFEST, bucket_of, read_bucket
from nemo_curator.stages.deduplication.fuzzy.bands import BAND_FIELD, ROW_FIELD
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.storage import ask, kind_of, locate, open_bytes
from nemo_curator.utils.whole_files import put

BANDS, DOCUMENTS = "bands", "documents"


@dataclass(frozen=True)
class Part:
    """The bands of a delivery: their folder, and the number of its buckets."""

    path: str
    num_buckets: int

    @classmethod
    def of(cls, delivery_path: str, storage_options: dict[str, Any] | None) -> Part:
        path = f"{delivery_path}/{BANDS}"
        fs, place = locate(f"{path}/{MANIFEST}", storage_options)
        try:
            return cls(path, json.loads(ask(fs, "cat_file", place))["num_buckets"])
        except FileNotFoundError as error:
            raise InputError(f"{path} has no {MANIFEST}: files of the index are gone; make it anew") from error


def read_parts(
    parts: list[Part], bucket: int, num_buckets: int, key_field: str, storage_options: dict[str, Any] | None
) -> list[pa.Table]:
    """Read one of `num_buckets` buckets of deliveries, with whatever number of buckets each was written."""
    tables = []
    for part in parts:
        number = part.num_buckets
        for each in range(bucket, number, num_buckets) if number > num_buckets else [bucket % number]:
            table = read_if_there(f"{part.path}/{each:05d}.parquet", storage_options)
            if table is not None and number < num_buckets:
                table = table.filter(pa.array(bucket_of(table[key_field], num_buckets) == bucket))
            tables += [] if table is None else [table]
    return tables


@dataclass
class DeliverBands(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Write the bands of a bucket into a delivery, but for those of documents that were removed."""

    path: str
    removed_path: str
    storage_options: dict[str, Any] | None = None
    index_options: dict[str, Any] | None = None
    name: str = "index_bands"

    def process(self, task: FileGroupTask) -> FileGroupTask:
        table = read_bucket(task, None, self.storage_options)
        kept = without(table, self.removed_path, self.storage_options).sort_by(
            [(BAND_FIELD, "ascending"), (ROW_FIELD, "ascending")]
        )
        counts.dropped("removed", len(table) - len(kept))
        path = f"{self.path}/{BANDS}/{task._metadata['bucket']:05d}.parquet"
        return _written(task, path, kept, self.index_options)


@dataclass
class DeliverDocuments(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Write the signatures of documents into a delivery, but for those of documents that were removed."""

    path: str
    removed_path: str
    storage_options: dict[str, Any] | None = None
    index_options: dict[str, Any] | None = None
    name: str = "index_documents"

    def process(self, task: FileGroupTask) -> FileGroupTask:
        (source,) = task.data
        with open_bytes(source, self.storage_options) as file:
            table = pq.read_table(file, use_threads=False)
        counts.seen(len(table))
        kept = without(table, self.removed_path, self.storage_options).sort_by(ROW_FIELD)
        counts.dropped("removed", len(table) - len(kept))
        path = f"{self.path}/{DOCUMENTS}/{source.rpartition('/')[2]}"
        return _written(task, path, kept, self.index_options, row_group_size=2**10, use_dictionary=False)


def without(table: pa.Table, removed_path: str, storage_options: dict[str, Any] | None) -> pa.Table:
    """The rows of documents that were not removed; `removed_path` is a file of their ids in order."""
    removed = read_rows(removed_path, storage_options)
    rows = table[ROW_FIELD].to_numpy()
    if not len(removed):
        return table
    at = np.minimum(np.searchsorted(removed, rows), len(removed) - 1)
    return table.filter(pa.array(removed[at] != rows))


def read_rows(path: str, storage_options: dict[str, Any] | None) -> np.ndarray:
    with open_bytes(path, storage_options) as file:
        return pq.read_table(file, columns=[ROW_FIELD], use_threads=False)[ROW_FIELD].to_numpy()


def files_in(path: str, storage_options: dict[str, Any] | None) -> list[str]:
    """The Parquet files in a folder, in the order of their names."""
    fs, place = locate(path, storage_options)
    fs.invalidate_cache()
    if kind_of(fs, place) is None:
        return []
    names = sorted(name.rpartition("/")[2] for name in ask(fs, "find", place))
    return [f"{path}/{name}" for name in names if name.endswith(".parquet") and not name.startswith(".")]


def read_if_there(path: str, storage_options: dict[str, Any] | None) -> pa.Table | None:
    try:
        with open_bytes(path, storage_options) as file:
            return pq.read_table(file, use_threads=False)
    except FileNotFoundError:
        return None  # nothing has fallen into this bucket


def _written(
    task: FileGroupTask, path: str, table: pa.Table, storage_options: dict[str, Any] | None, **settings: Any
) -> FileGroupTask:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **{"compression": "zstd", **settings})
    put(*locate(path, storage_options), sink.getvalue().to_pybytes())
    counts.written(len(table))
    return FileGroupTask(task.dataset_name, [path], _metadata={**task._metadata, "num_rows": len(table)})
