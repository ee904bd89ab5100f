"""From buckets of hashes to the ids of the documents that are to be removed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.buckets import MANIFEST
from nemo_curator.stages.deduplication.clusters import CLUSTERS_SUBDIR, cluster_table, write_clusters
from nemo_curator.stages.deduplication.exact.hash_documents import EXACT_DUPLICATE_GROUP_FIELD, REST_OF_HASH_FIELD
from nemo_curator.stages.deduplication.index import Index
from nemo_curator.stages.deduplication.keep import KEEP_KEY_FIELD, KeepRule
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.hash_utils import get_deterministic_hash
from nemo_curator.utils.storage import ask, locate, open_bytes
from nemo_curator.utils.whole_files import put

DUPLICATE_IDS_SUBDIR = "ExactDuplicateIds"
ROW_BYTES = 96
"""What a row of a bucket takes while it is compared with the others."""

_PART = re.compile(r"part\.\d+\.parquet")
_STAYS = re.compile(r"\d+/stays\.parquet")


@dataclass
class CollectBuckets(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Make a task of all files of a bucket, or of several buckets, with those of an index that belong to them.

    There are `num_parts` of them, also of buckets without rows: each becomes a file of ids.
    """

    num_buckets: int
    num_parts: int
    id_field: str
    index_folders: list[str] = field(default_factory=list)
    storage_options: dict[str, Any] | None = None
    name: str = "collect_buckets"

    is_barrier = True

    def process(self, task: FileGroupTask) -> list[FileGroupTask]:
        return self.process_batch([task])

    def process_batch(self, tasks: list[FileGroupTask]) -> list[FileGroupTask]:
        files: list[list[str]] = [[] for _ in range(self.num_parts)]
        indexed = [path for folder in self.index_folders for path in self._list(folder)]
        for path in [*indexed, *(path for task in tasks for path in task.data)]:
            files[bucket_of_file(path) * self.num_parts // self.num_buckets].append(path)
        is_text = self._has_text_ids(path for task in tasks for path in task.data)
        return [self._task(part, sorted(paths, key=bucket_of_file), is_text) for part, paths in enumerate(files)]

    def _has_text_ids(self, paths: Iterable[str]) -> bool:
        """Whether ids are text and not numbers: a part without rows cannot know."""
        for path in paths:
            with open_bytes(path, self.storage_options) as file:
                kind = pq.read_schema(file).field(self.id_field).type
            if not pa.types.is_null(kind):
                return pa.types.is_string(kind)
        return False

    def _list(self, folder: str) -> list[str]:
        fs, place = locate(folder, self.storage_options)
        fs.invalidate_cache()
        names = sorted(name[len(place) + 1 :] for name in ask(fs, "find", place))
        return [f"{folder}/{name}" for name in names if _STAYS.fullmatch(name)]

    def _task(self, part: int, paths: list[str], is_text: bool) -> FileGroupTask:
        place = {"partition_index": part, "total_partitions": self.num_parts, "source_files": paths[:1]}
        place |= {"has_text_ids": is_text}
        task = FileGroupTask(data=paths, _metadata=place)
        task._source_id = get_deterministic_hash([str(part)], f"of {self.num_parts}")
        return task


@dataclass
class IdentifyExactDuplicates(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Write the ids of documents whose hash an earlier one in keep order has, and for each which that is.

    Documents of an index come before all others. With `delivery_folder` the documents that stay go there, in the same
    buckets. A bucket that is larger than `memory_bytes` is read several times, and hashes are taken in parts.
    """

    output_path: str
    id_field: str
    buckets_path: str
    keep: KeepRule = field(default_factory=KeepRule)
    delivery_folder: str | None = None
    memory_bytes: int = 2**28
    write_kwargs: dict[str, Any] = field(default_factory=dict)
    name: str = "identify_exact_duplicates"

    def before_run(self, earlier: bool | None = None) -> bool:
        if earlier is None:  # another run may have made more parts
            for folder in (DUPLICATE_IDS_SUBDIR, CLUSTERS_SUBDIR):
                remove_files(f"{absolute(self.output_path)}/{folder}", _PART, self._storage_options)
            if self.delivery_folder:
                Index.withdraw(self.delivery_folder, self._storage_options)
                remove_files(self.delivery_folder, _STAYS, self._storage_options)
        return True

    def process(self, task: FileGroupTask) -> FileGroupTask:
        part = task._metadata["partition_index"]
        none = pa.array([], pa.string() if task._metadata["has_text_ids"] else pa.int64())
        removed = [cluster_table(none, none)]
        rows = 0
        for bucket, paths in groupby(task.data, bucket_of_file):
            stays = []
            for new, old in self._passes(list(paths)):
                found = find_duplicates(new, old, self.id_field, self.keep)
                rows += found.num_rows
                removed.append(found.clusters)
                if self.delivery_folder:
                    stays.append(found.rows.filter(pa.array(found.stays)).select(self._columns))
            if self.delivery_folder:
                self._put(f"{self.delivery_folder}/{bucket}/stays.parquet", pa.concat_tables(stays))
        clusters = pa.concat_tables(removed)
        path, num_ids = self._write_ids(part, clusters["member_id"])
        write_clusters(self.output_path, part, clusters, self._storage_options)
        counts.seen(rows)
        counts.dropped("not a copy", rows - num_ids)
        counts.written(num_ids)
        metadata = {"num_groups": len(clusters["cluster_id"].unique()), "num_removal_ids": num_ids, "num_rows": num_ids}
        return FileGroupTask(task.dataset_name, [path], _metadata={**task._metadata, **metadata, "format": "parquet"})

    def _passes(self, paths: list[str]) -> Iterator[tuple[list[pa.Table], list[pa.Table]]]:
        """The rows of a bucket, new and old, all or in parts that fit into memory; equal hashes are in one part."""
        rows = sum(_count(path, self._storage_options) for path in paths)
        passes = -(-rows * ROW_BYTES // self.memory_bytes) or 1
        for one in range(passes):
            new: list[pa.Table] = []
            old: list[pa.Table] = []
            for path in paths:
                table = _part_of(_read(path, self._storage_options), one, passes)
                (new if path.startswith(f"{absolute(self.buckets_path)}/") else old).append(table)
            yield new, old

    def _write_ids(self, part: int, ids: pa.ChunkedArray) -> tuple[str, int]:
        table = pa.table({self.id_field: ids.combine_chunks()}).sort_by(self.id_field)
        path = f"{absolute(self.output_path)}/{DUPLICATE_IDS_SUBDIR}/part.{part}.parquet"
        self._put(path, table, max(1000, min(len(table) // 10, 1_000_000)))
        return path, len(table)

    def _put(self, path: str, table: pa.Table, rows: int | None = None) -> None:
        given = {key: value for key, value in self.write_kwargs.items() if key != "storage_options"}
        settings = {"compression": "zstd", "row_group_size": given.pop("row_group_size_rows", rows), **given}
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, **settings)
        put(*locate(path, self._storage_options), sink.getvalue().to_pybytes())

    @property
    def _columns(self) -> list[str]:
        return [EXACT_DUPLICATE_GROUP_FIELD, REST_OF_HASH_FIELD, self.id_field]

    @property
    def _storage_options(self) -> dict[str, Any] | None:
        return self.write_kwargs.get("storage_options")


@dataclass(frozen=True)
class Found:
    """Among so many new rows: the clusters, and which of all rows are new ones that stay."""

    num_rows: int
    clusters: pa.Table
    rows: pa.Table
    stays: np.ndarray


def find_duplicates(new: list[pa.Table], old: list[pa.Table], id_field: str, keep: KeepRule) -> Found:
    """Find the rows whose hash is that of an old row or, in keep order, of an earlier one."""
    rows = pa.concat_tables([*new, *old], promote_options="permissive")
    num_new = sum(map(len, new))
    hashes = rows[EXACT_DUPLICATE_GROUP_FIELD].to_numpy()
    places = _repeated(hashes)
    some = rows.take(pa.array(places))
    keys = some[KEEP_KEY_FIELD] if KEEP_KEY_FIELD in some.column_names and keep.by != "first" else None
    ranks = keep.ranks(some[id_field], keys)
    high, low = some[EXACT_DUPLICATE_GROUP_FIELD].to_numpy(), some[REST_OF_HASH_FIELD].to_numpy()
    order = np.lexsort((ranks, places < num_new, low, high))
    high, low = high[order], low[order]
    starts = np.ones(len(order), bool)
    starts[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    survivors = order[starts][np.cumsum(starts) - 1]
    is_removed = ~starts
    ids = some[id_field]
    clusters = cluster_table(ids.take(pa.array(survivors[is_removed])), ids.take(pa.array(order[is_removed])))
    stays = np.ones(len(rows), bool)
    stays[places[order[is_removed]]] = False
    stays[num_new:] = False
    return Found(num_new, clusters, rows, stays)


def bucket_of_file(path: str) -> int:
    """The bucket that a file is in, by the name of its folder."""
    return int(path.rpartition("/")[0].rpartition("/")[2])


def remove_files(folder: str, names: re.Pattern, storage_options: dict[str, Any] | None = None) -> None:
    """Delete the files below a folder whose names, as seen from there, are such; and nothing else."""
    fs, place = locate(folder, storage_options)
    fs.invalidate_cache()
    for path in ask(fs, "find", place) if ask(fs, "exists", place) else []:
        if names.fullmatch(path[len(place) + 1 :]):
            ask(fs, "rm_file", path)


def check_is_ours(folder: str, storage_options: dict[str, Any] | None = None) -> None:
    """Raise if a folder that is to be emptied holds something, and not buckets."""
    fs, place = locate(folder, storage_options)
    fs.invalidate_cache()
    names = ask(fs, "find", place) if ask(fs, "exists", place) else []
    if names and f"{place}/{MANIFEST}" not in names:
        raise InputError(f"{folder} is for buckets, and holds other files such as {names[0]}; move them")


def _repeated(hashes: np.ndarray) -> np.ndarray:
    """The places of values that are there several times, in order."""
    order = np.argsort(hashes)
    by_value = hashes[order]
    is_same = by_value[1:] == by_value[:-1]
    is_repeated = np.zeros(len(hashes), bool)
    is_repeated[1:] |= is_same
    is_repeated[:-1] |= is_same
    return np.sort(order[is_repeated])


def _part_of(table: pa.Table, part: int, parts: int) -> pa.Table:
    if parts == 1:
        return table
    return table.filter(pa.array(table[REST_OF_HASH_FIELD].to_numpy() % np.uint64(parts) == part))


def _count(path: str, storage_options: dict[str, Any] | None) -> int:
    with open_bytes(path, storage_options) as file:
        return pq.read_metadata(file).num_rows


def _read(path: str, storage_options: dict[str, Any] | None) -> pa.Table:
    with open_bytes(path, storage_options) as file:
        return pq.read_table(file, use_threads=False)
