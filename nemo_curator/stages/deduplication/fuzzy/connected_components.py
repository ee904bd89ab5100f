"""From edges to groups: documents that lead to one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.kernels.components import join_components
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.fuzzy.utils import CURATOR_FUZZY_DUPLICATE_GROUP_FIELD
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.parquet_files import (
    name_of,
    read_tables,
    start_folder,
    storage_of,
    write_table,
)
from nemo_curator.stages.deduplication.shuffle_utils.parts import gathered
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.file_utils import refuse_to_empty

_EDGES_AT_ONCE = 2**22


@dataclass
class ConnectedComponentsStage(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Give each document the group that it is in: `<output_path>/ConnectedComponentsStage/<source>.parquet`.

    Documents that edges connect, directly or through others, are a group; it is called like its lowest id. All
    documents that have an edge are in memory at once, some 30 bytes for each; edges are read twice, in parts. The
    folder is emptied when the run starts, unless it goes on from a checkpoint.
    """

    output_path: str
    source_field: str | None = None
    destination_field: str | None = None
    read_kwargs: dict[str, Any] | None = None
    write_kwargs: dict[str, Any] | None = None
    name: str = field(default="ConnectedComponentsStage", kw_only=True)

    is_barrier = True

    def __post_init__(self) -> None:
        self.source_field = self.source_field or f"{CURATOR_DEDUP_ID_STR}_x"
        self.destination_field = self.destination_field or f"{CURATOR_DEDUP_ID_STR}_y"

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [CURATOR_DEDUP_ID_STR, CURATOR_FUZZY_DUPLICATE_GROUP_FIELD]

    @property
    def path(self) -> str:
        return f"{absolute(self.output_path)}/{self.name}"

    def check_inputs(self, paths: list[str]) -> None:
        """Raise if the run would delete files that it reads."""
        refuse_to_empty(self.path, paths)

    def before_run(self, earlier: bool | None = None) -> bool:
        if earlier is None:
            start_folder(self.path, storage_of(self.write_kwargs))
        return True

    def process(self, task: FileGroupTask) -> FileGroupTask:
        return self.process_batch([task])[0]

    def process_batch(self, tasks: list[FileGroupTask]) -> list[FileGroupTask]:
        """Find the groups in the edges of all tasks."""
        nodes = pa.array([], pa.int64())
        for one, other in self._edges(tasks):
            nodes = pc.unique(pa.concat_arrays([nodes.cast(one.type) if not len(nodes) else nodes, one, other]))
        nodes = nodes.take(pc.sort_indices(nodes))
        parents = np.arange(len(nodes))
        for one, other in self._edges(tasks):
            parents = join_components(parents, _places(one, nodes), _places(other, nodes))
        columns = {CURATOR_DEDUP_ID_STR: nodes, CURATOR_FUZZY_DUPLICATE_GROUP_FIELD: nodes.take(pa.array(parents))}
        path = f"{self.path}/{name_of(tasks[0])}.parquet"
        counts.seen(len(nodes))
        write_table(path, pa.table(columns), self.write_kwargs)
        metadata = {**tasks[0]._metadata, "num_vertices": len(nodes), "num_rows": len(nodes)}
        return [FileGroupTask(tasks[0].dataset_name, [path], _metadata=metadata)]

    def _edges(self, tasks: list[FileGroupTask]) -> Iterator[tuple[pa.Array, pa.Array]]:
        names = [str(self.source_field), str(self.destination_field)]
        storage = storage_of(self.read_kwargs)
        tables = (table for task in tasks for path in task.data for table in read_tables(path, names, storage, 2**20))
        for table in gathered(tables, _EDGES_AT_ONCE):
            yield table[names[0]].combine_chunks(), table[names[1]].combine_chunks()


def _places(ids: pa.Array, nodes: pa.Array) -> np.ndarray:
    return pc.index_in(ids, value_set=nodes).to_numpy(zero_copy_only=False).astype(np.int64)
