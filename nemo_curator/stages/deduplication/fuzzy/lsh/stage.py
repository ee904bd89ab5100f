"""From files of signatures to files of buckets: documents that share a band."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.ledger import counts
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.deduplication.fuzzy.lsh.lsh import (
    BAND_FIELD,
    BAND_HASH_FIELD,
    LSHActor,
    as_lists,
    starts_of_runs,
)
from nemo_curator.stages.deduplication.fuzzy.utils import CURATOR_DEFAULT_MINHASH_FIELD, CURATOR_LSH_BUCKET_FIELD
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.parquet_files import read_tables, start_folder, storage_of, write_table
from nemo_curator.stages.deduplication.shuffle_utils.parts import (
    CollectParts,
    PartBuckets,
    buckets_for_parts,
    buckets_of,
    gathered,
)
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.file_utils import refuse_to_empty

_BATCH_ROWS = 2**20


@dataclass
class LSHStage(CompositeStage[FileGroupTask, FileGroupTask]):
    """Group the documents that share a band: `<output_path>/LSHStage/band_<first>-band_<end>/part.<n>.parquet`.

    Each file has a row for each band that several documents share: its name, and their ids in order. Signatures are
    read once, whatever `bands_per_iteration` is: it says how many bands share a folder. `total_nparts` is the number of
    files in each. Between the two steps the bands are in buckets on disk, `<output_path>/LSHStage_buckets`, and one
    bucket at a time is in memory. The settings of a GPU do nothing here.
    """

    num_bands: int
    minhashes_per_band: int
    id_field: str = CURATOR_DEDUP_ID_STR
    minhash_field: str = CURATOR_DEFAULT_MINHASH_FIELD
    output_path: str = "./"
    read_kwargs: dict[str, Any] | None = None
    write_kwargs: dict[str, Any] | None = None
    rmm_pool_size: int | Literal["auto"] | None = "auto"
    spill_memory_limit: int | Literal["auto"] | None = "auto"
    enable_statistics: bool = False
    bands_per_iteration: int = 5
    total_nparts: int | None = None
    use_async_memory: bool = True
    name: str = field(default="LSHStage", kw_only=True)

    def __post_init__(self) -> None:
        super().__init__()
        if self.num_bands < 1 or self.minhashes_per_band < 1:
            raise ValueError(f"wanted 1 band of 1 hash or more; found {self.num_bands} of {self.minhashes_per_band}")
        if not 1 <= self.bands_per_iteration <= self.num_bands:
            raise ValueError(
                f"bands_per_iteration must be between [1, num_bands]: it is {self.bands_per_iteration}, and num_bands "
                f"{self.num_bands}"
            )
        if "columns" in (self.read_kwargs or {}):
            raise ValueError("columns in read_kwargs: the columns are those of the ids and the signatures")
        buckets_for_parts(self.total_nparts)

    def get_band_iterations(self) -> Iterator[tuple[int, int]]:
        """The first band of each folder, and the one behind its last."""
        for first in range(0, self.num_bands, self.bands_per_iteration):
            yield first, min(first + self.bands_per_iteration, self.num_bands)

    def decompose(self) -> list[ProcessingStage]:
        folder = f"{absolute(self.output_path)}/{self.name}"
        storage = storage_of(self.write_kwargs)
        actor = LSHActor(self.num_bands, self.minhashes_per_band, self.id_field, self.minhash_field)
        return [
            CutBands(actor, storage_of(self.read_kwargs)),
            PartBuckets(
                f"{folder}_buckets",
                BAND_HASH_FIELD,
                buckets_for_parts(self.total_nparts),
                mode="overwrite",
                storage_options=storage,
                name="bucket_writer of bands",
            ),
            CollectParts(self.total_nparts, name="collect_parts of bands"),
            WriteSharedBands(folder, list(self.get_band_iterations()), self.id_field, self.write_kwargs),
        ]


@dataclass
class CutBands(ProcessingStage[FileGroupTask, DocumentBatch]):
    """Read signatures and make a row of each band of each document."""

    actor: LSHActor
    storage_options: dict[str, Any] | None = None
    name: str = "cut_bands"

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [BAND_FIELD, BAND_HASH_FIELD, self.actor.id_field]

    def process(self, task: FileGroupTask) -> Iterator[DocumentBatch]:
        for table in gathered(self._bands(task), _BATCH_ROWS):
            yield DocumentBatch(task.dataset_name, table, _metadata=dict(task._metadata))

    def _bands(self, task: FileGroupTask) -> Iterator[pa.Table]:
        for path in task.data:
            for table in read_tables(path, [self.actor.id_field, self.actor.minhash_field], self.storage_options):
                nulls = table[self.actor.minhash_field].null_count
                bands = self.actor.bands(table)
                counts.seen(nulls + len(bands), table.nbytes)
                counts.dropped("no_text", nulls)
                yield bands


@dataclass
class WriteSharedBands(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Write the bands of a part that several documents share, those of each iteration into a folder of its own."""

    path: str
    iterations: list[tuple[int, int]]
    id_field: str
    write_kwargs: dict[str, Any] | None = None
    name: str = "write_shared_bands"

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [CURATOR_LSH_BUCKET_FIELD, self.id_field]

    def check_inputs(self, paths: list[str]) -> None:
        """Raise if the run would delete files that it reads."""
        refuse_to_empty(self.path, paths)

    def before_run(self, earlier: bool | None = None) -> bool:
        if earlier is None:
            start_folder(self.path, storage_of(self.write_kwargs))
        return True

    def process(self, task: FileGroupTask) -> list[FileGroupTask]:
        found: list[list[pa.Table]] = [[] for _ in self.iterations]
        nothing = pa.schema([(BAND_FIELD, pa.int32()), (BAND_HASH_FIELD, pa.uint64()), (self.id_field, pa.int64())])
        for bucket in buckets_of(task, nothing, storage_of(self.write_kwargs)):
            shared = self._shared(bucket)
            for at, (first, end) in enumerate(self.iterations):
                bands = shared[BAND_FIELD].to_numpy()
                found[at].append(shared.filter(pa.array((first <= bands) & (bands < end))))
        return [self._write(task, at, found[at]) for at in range(len(self.iterations))]

    def _shared(self, bucket: pa.Table) -> pa.Table:
        """A row for each band that several documents share: its number, its hash and their ids."""
        bucket = bucket.sort_by([(BAND_HASH_FIELD, "ascending"), (self.id_field, "ascending")])
        starts = starts_of_runs(bucket[BAND_HASH_FIELD])
        sizes = np.diff(starts, append=len(bucket))
        counts.dropped("alone", int((sizes == 1).sum()))
        counts.joined(int((sizes[sizes > 1] - 1).sum()))
        lists = as_lists(bucket[self.id_field], starts)
        first = bucket.select([BAND_FIELD, BAND_HASH_FIELD]).take(pa.array(starts))
        return first.append_column(self.id_field, lists).filter(pa.array(sizes > 1))

    def _write(self, task: FileGroupTask, at: int, tables: list[pa.Table]) -> FileGroupTask:
        first, end = self.iterations[at]
        part = task._metadata["partition_index"]
        path = f"{self.path}/band_{first}-band_{end}/part.{part}.parquet"
        shared = pa.concat_tables(tables)
        names = [
            f"b{band - first}_{value:016x}"
            for band, value in zip(shared[BAND_FIELD].to_pylist(), shared[BAND_HASH_FIELD].to_pylist())
        ]
        columns = [CURATOR_LSH_BUCKET_FIELD, self.id_field]
        table = pa.table([pa.array(names, pa.string()), shared[self.id_field]], names=columns)
        write_table(path, table, self.write_kwargs)
        documents = pc.sum(pc.list_value_length(table[self.id_field])).as_py() or 0
        metadata = {"num_docs": documents, "num_rows": len(table), "output_columns": columns}
        return FileGroupTask(task.dataset_name, [path], _metadata={**task._metadata, **metadata})
