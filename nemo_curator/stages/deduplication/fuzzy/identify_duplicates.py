"""From groups to the ids of the documents that are to be removed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from nemo_curator.ledger import counts
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.deduplication.fuzzy.lsh.lsh import starts_of_runs
from nemo_curator.stages.deduplication.fuzzy.utils import CURATOR_FUZZY_DUPLICATE_GROUP_FIELD
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.parquet_files import start_folder, storage_of, write_table
from nemo_curator.stages.deduplication.shuffle_utils.parts import (
    CollectParts,
    PartBuckets,
    ReadTables,
    buckets_for_parts,
    buckets_of,
)
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.file_utils import refuse_to_empty

DUPLICATE_IDS_SUBDIR = "FuzzyDuplicateIds"


@dataclass
class IdentifyDuplicatesStage(CompositeStage[FileGroupTask, FileGroupTask]):
    """Write the ids of all documents of each group but the lowest: `<output_path>/FuzzyDuplicateIds/part.<n>.parquet`.

    The ids of a file are in order. `total_nparts` is the number of files; without it, there is one for each three tasks
    or so. Between the steps the groups are in buckets, `<output_path>/FuzzyDuplicateIds_buckets`. The settings of a GPU
    do nothing here.
    """

    duplicate_group_field: str = CURATOR_FUZZY_DUPLICATE_GROUP_FIELD
    document_id_field: str = CURATOR_DEDUP_ID_STR
    total_nparts: int | None = None
    output_path: str = "./"
    read_kwargs: dict[str, Any] | None = None
    write_kwargs: dict[str, Any] | None = None
    rmm_pool_size: int | Literal["auto"] | None = "auto"
    spill_memory_limit: int | Literal["auto"] | None = "auto"
    enable_statistics: bool = False
    use_async_memory: bool = True
    name: str = field(default=DUPLICATE_IDS_SUBDIR, kw_only=True)

    def __post_init__(self) -> None:
        super().__init__()
        buckets_for_parts(self.total_nparts)

    def decompose(self) -> list[ProcessingStage]:
        folder = f"{absolute(self.output_path)}/{DUPLICATE_IDS_SUBDIR}"
        names = [self.duplicate_group_field, self.document_id_field]
        return [
            ReadTables(names, storage_of(self.read_kwargs), name="read_groups"),
            PartBuckets(
                f"{folder}_buckets",
                self.duplicate_group_field,
                buckets_for_parts(self.total_nparts),
                mode="overwrite",
                storage_options=storage_of(self.write_kwargs),
                name="bucket_writer of groups",
            ),
            CollectParts(self.total_nparts, tasks_per_part=3, name="collect_parts of groups"),
            WriteDuplicateIds(folder, self.duplicate_group_field, self.document_id_field, self.write_kwargs),
        ]


@dataclass
class WriteDuplicateIds(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Write the ids of a part that are not the lowest of their group."""

    path: str
    group_field: str
    id_field: str
    write_kwargs: dict[str, Any] | None = None
    name: str = "write_duplicate_ids"

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [self.id_field]

    def check_inputs(self, paths: list[str]) -> None:
        """Raise if the run would delete files that it reads."""
        refuse_to_empty(self.path, paths)

    def before_run(self, earlier: bool | None = None) -> bool:
        if earlier is None:
            start_folder(self.path, storage_of(self.write_kwargs))
        return True

    def process(self, task: FileGroupTask) -> FileGroupTask:
        parts, groups = [], 0
        nothing = pa.schema([(self.group_field, pa.int64()), (self.id_field, pa.int64())])
        for bucket in buckets_of(task, nothing, storage_of(self.write_kwargs)):
            bucket = bucket.sort_by([(self.group_field, "ascending"), (self.id_field, "ascending")])
            survivors = starts_of_runs(bucket[self.group_field])
            groups += len(survivors)
            is_removed = np.ones(len(bucket), bool)
            is_removed[survivors] = False
            parts.append(bucket.select([self.id_field]).filter(pa.array(is_removed)))
        ids = pa.concat_tables(parts).sort_by(self.id_field)
        counts.dropped("the one that stays", groups)
        path = f"{self.path}/part.{task._metadata['partition_index']}.parquet"
        settings = {"row_group_size": max(1000, min(len(ids) // 10, 1_000_000)), **(self.write_kwargs or {})}
        write_table(path, ids, settings)
        metadata = {"num_groups": groups, "num_removal_ids": len(ids), "num_rows": len(ids)}
        return FileGroupTask(task.dataset_name, [path], _metadata={**task._metadata, **metadata})
