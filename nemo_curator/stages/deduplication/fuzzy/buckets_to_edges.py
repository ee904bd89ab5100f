"""From buckets to edges: what connects documents that share a band."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.parquet_files import (
    name_of,
    read_tables,
    start_folder,
    storage_of,
    write_table,
)
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.file_utils import refuse_to_empty


@dataclass
class BucketsToEdgesStage(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Connect the documents of each bucket, one to the next: `<output_path>/BucketsToEdgesStage/<source>.parquet`.

    The columns are the id with `_x` and with `_y` behind its name. Of the settings for reading, `storage_options` is
    used. The folder is emptied when the run starts, unless it goes on from a checkpoint.
    """

    output_path: str
    document_id_field: str = CURATOR_DEDUP_ID_STR
    read_kwargs: dict[str, Any] | None = None
    write_kwargs: dict[str, Any] | None = None
    name: str = field(default="BucketsToEdgesStage", kw_only=True)

    def __post_init__(self) -> None:
        if unused := sorted(set(self.read_kwargs or {}) - {"storage_options"}):
            warnings.warn(f"{self.name}: {unused} in read_kwargs are not used; storage_options is", stacklevel=3)

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], self._names

    @property
    def path(self) -> str:
        return f"{absolute(self.output_path)}/{self.name}"

    @property
    def _names(self) -> list[str]:
        return [f"{self.document_id_field}_x", f"{self.document_id_field}_y"]

    def check_inputs(self, paths: list[str]) -> None:
        """Raise if the run would delete files that it reads."""
        refuse_to_empty(self.path, paths)

    def before_run(self, earlier: bool | None = None) -> bool:
        if earlier is None:
            start_folder(self.path, storage_of(self.write_kwargs))
        return True

    def process(self, task: FileGroupTask) -> FileGroupTask:
        edges = []
        for path in task.data:
            for table in read_tables(path, [self.document_id_field], storage_of(self.read_kwargs)):
                edges.append(self._edges(table))
                counts.seen(len(edges[-1]), table.nbytes)
        table = pa.concat_tables(edges)
        path = f"{self.path}/{name_of(task)}.parquet"
        write_table(path, table, self.write_kwargs)
        return FileGroupTask(task.dataset_name, [path], _metadata={**task._metadata, "num_rows": len(table)})

    def _edges(self, buckets: pa.Table) -> pa.Table:
        lists = buckets[self.document_id_field].combine_chunks()
        ids = lists.flatten()
        ends = np.cumsum(lists.value_lengths().to_numpy(zero_copy_only=False))
        within = np.ones(max(len(ids) - 1, 0), bool)
        within[ends[:-1] - 1] = False
        starts = pa.array(np.flatnonzero(within))
        return pa.table([ids.take(starts), ids[1:].take(starts)], names=self._names)
