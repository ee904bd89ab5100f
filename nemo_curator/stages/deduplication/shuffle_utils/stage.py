"""The shuffle as a stage of its own: rows with equal keys into the same file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from nemo_curator.stages.base import CompositeStage, ProcessingStage
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


@dataclass
class ShuffleStage(CompositeStage[FileGroupTask, FileGroupTask]):
    """Put the rows of Parquet files with equal keys into the same file: `<output_path>/ShuffleStage/part.<n>.parquet`.

    `shuffle_on` is the column of the keys: integers, text or bytes; of several columns the first is enough. The rows of
    a key are in the order of the sources. Between the steps they are in buckets, `<output_path>/ShuffleStage_buckets`.
    The settings of a GPU do nothing here.
    """

    shuffle_on: str | list[str]
    total_nparts: int | None = None
    output_path: str = "./"
    read_kwargs: dict[str, Any] | None = None
    write_kwargs: dict[str, Any] | None = None
    rmm_pool_size: int | Literal["auto"] | None = "auto"
    spill_memory_limit: int | Literal["auto"] | None = "auto"
    enable_statistics: bool = False
    use_async_memory: bool = True
    name: str = field(default="ShuffleStage", kw_only=True)

    def __post_init__(self) -> None:
        super().__init__()
        buckets_for_parts(self.total_nparts)

    def decompose(self) -> list[ProcessingStage]:
        folder = f"{absolute(self.output_path)}/{self.name}"
        key = self.shuffle_on if isinstance(self.shuffle_on, str) else self.shuffle_on[0]
        return [
            ReadTables(list((self.read_kwargs or {}).get("columns") or []), storage_of(self.read_kwargs)),
            PartBuckets(
                f"{folder}_buckets",
                key,
                buckets_for_parts(self.total_nparts),
                mode="overwrite",
                storage_options=storage_of(self.write_kwargs),
            ),
            CollectParts(self.total_nparts),
            WritePart(folder, self.write_kwargs),
        ]


@dataclass
class WritePart(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Write the rows of a part into one file."""

    path: str
    write_kwargs: dict[str, Any] | None = None
    name: str = "write_part"

    def check_inputs(self, paths: list[str]) -> None:
        """Raise if the run would delete files that it reads."""
        refuse_to_empty(self.path, paths)

    def before_run(self, earlier: bool | None = None) -> bool:
        if earlier is None:
            start_folder(self.path, storage_of(self.write_kwargs))
        return True

    def process(self, task: FileGroupTask) -> FileGroupTask:
        buckets = buckets_of(task, pa.schema([]), storage_of(self.write_kwargs))
        table = pa.concat_tables(list(buckets), promote_options="permissive")
        path = f"{self.path}/part.{task._metadata['partition_index']}.parquet"
        write_table(path, table, self.write_kwargs)
        return FileGroupTask(task.dataset_name, [path], _metadata={**task._metadata, "num_rows": len(table)})
