"""Group the documents that share a band: each group once, however many bands its members share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.buckets import read_bucket
from nemo_curator.stages.deduplication.fuzzy.bands import BAND_FIELD, ROW_FIELD
from nemo_curator.stages.deduplication.fuzzy.delivery import Part, read_parts
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.storage import locate
from nemo_curator.utils.whole_files import put

GROUP_FIELD = "_group"
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


@dataclass
class GroupStage(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Write the groups of a bucket of bands: (group, id of a member), and nothing of documents that are alone.

    A group is named after its members, so groups of other bands with the same members have the same name. What
    `earlier` deliveries have in this bucket is in the groups, too; groups without a new document are left out.
    """

    path: str
    earlier: list[Part]
    first_new: int = 0
    storage_options: dict[str, Any] | None = None
    name: str = "groups"

    def process(self, task: FileGroupTask) -> FileGroupTask:
        table = read_bucket(task, [BAND_FIELD, ROW_FIELD], self.storage_options)
        bucket, num_buckets = task._metadata["bucket"], task._metadata["num_buckets"]
        old = read_parts(self.earlier, bucket, num_buckets, BAND_FIELD, self.storage_options)
        counts.seen(sum(map(len, old)))
        table = pa.concat_tables([table.cast(_BANDS), *(each.cast(_BANDS) for each in old)])
        bands, rows = (table[name].to_numpy() for name in (BAND_FIELD, ROW_FIELD))
        groups, members, joined = group_rows(bands, rows, self.first_new)
        counts.joined(joined)
        counts.dropped("alone", len(rows) - len(members) - joined)
        path = f"{self.path}/{bucket:05d}.parquet"
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({GROUP_FIELD: groups, ROW_FIELD: members}), sink, compression="zstd")
        put(*locate(path, self.storage_options), sink.getvalue().to_pybytes())
        counts.written(len(members))
        return FileGroupTask(task.dataset_name, [path], _metadata={**task._metadata, "num_rows": len(members)})


_BANDS = pa.schema([(BAND_FIELD, pa.uint64()), (ROW_FIELD, pa.int64())])


def group_rows(bands: np.ndarray, rows: np.ndarray, first_new: int = 0) -> tuple[np.ndarray, np.ndarray, int]:
    """Find the rows that share a band: the group and the row of each member, and how many were in groups found twice.

    Groups without a row of `first_new` or later are left out.
    """
    is_shared = _repeated(bands)
    bands, rows = bands[is_shared], rows[is_shared]
    order = np.lexsort((rows, bands))
    bands, rows = bands[order], rows[order]
    starts, sizes = _runs(bands)
    # the rows of a group are in order: its last one tells whether any is new
    counts_ = (sizes > 1) & (rows[starts + sizes - 1] >= first_new) if len(rows) else np.zeros(0, bool)
    kept = np.repeat(counts_, sizes)
    rows, sizes = rows[kept], sizes[counts_]
    if not len(rows):
        return np.empty(0, np.uint64), rows, 0
    starts = np.cumsum(sizes) - sizes
    names = _mixed(np.add.reduceat(_mixed(rows.view(np.uint64)), starts) ^ _mixed(sizes.astype(np.uint64)))
    _, first = np.unique(names, return_index=True)
    is_first = np.zeros(len(names), bool)
    is_first[first] = True
    once = np.repeat(is_first, sizes)
    return np.repeat(names, sizes)[once], rows[once], int((~once).sum())


def _repeated(values: np.ndarray) -> np.ndarray:
    """Which values are there several times. Most bands are not, and need not be put in order with their rows."""
    order = np.argsort(values)
    ordered = values[order]
    is_same = ordered[1:] == ordered[:-1]
    found = np.zeros(len(values), bool)
    found[order[1:][is_same]] = True
    found[order[:-1][is_same]] = True
    return found


def _runs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where runs of the same value start, and how long they are."""
    if not len(values):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return starts, np.diff(starts, append=len(values))


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Spread numbers over 64 bits."""
    numbers = numbers * _SPREAD + np.uint64(0x632BE59BD9B4E019)
    numbers = (numbers ^ (numbers >> np.uint64(31))) * np.uint64(0xD6E8FEB86659FD93)
    return numbers ^ (numbers >> np.uint64(32))
