"""Connect the groups of candidates: what is connected is looked at together. Nothing is removed for being connected."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.kernels.components import join_components
from nemo_curator.stages.deduplication.buckets import BucketWriter
from nemo_curator.stages.deduplication.fuzzy.bands import ROW_FIELD
from nemo_curator.stages.deduplication.fuzzy.groups import GROUP_FIELD
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.utils.storage import locate, open_bytes
from nemo_curator.utils.whole_files import put

COMPONENT_FIELD = "_component"
_LABELS_AT_ONCE = 2**16


class Candidates:
    """Every document that shares a band with another, in the order of the ids, and the component it is in.

    A component is named after its first document. That takes 16 bytes of each candidate, and 40 while they are
    connected; documents without a candidate take nothing.
    """

    def __init__(self, rows: np.ndarray, components: np.ndarray):
        self.rows, self.components = rows, components

    @classmethod
    def of(cls, paths: list[str], storage_options: dict | None = None) -> Candidates:
        """Connect the groups in these files, reading one after the other, twice."""
        rows = np.empty(0, np.int64)
        found: list[np.ndarray] = []
        for _, members in _read(paths, storage_options):
            found.append(np.unique(members))
            if sum(map(len, found)) > len(rows):  # as often as the number of candidates has doubled
                rows, found = np.unique(np.concatenate([rows, *found])), []
        rows = np.unique(np.concatenate([rows, *found]))
        parents = np.arange(len(rows))
        for groups, members in _read(paths, storage_options):
            is_next = groups[1:] == groups[:-1]
            places = np.searchsorted(rows, members)
            parents = join_components(parents, places[:-1][is_next], places[1:][is_next])
        return cls(rows, rows[parents])

    def __len__(self) -> int:
        return len(self.rows)

    def component_of(self, rows: np.ndarray) -> np.ndarray:
        """The components of candidates."""
        return self.components[np.searchsorted(self.rows, rows)]

    def any_in(self, first: int, stop: int) -> bool:
        """Whether a document of this range is a candidate."""
        return bool(np.searchsorted(self.rows, first) < np.searchsorted(self.rows, stop))

    def write(self, path: str, storage_options: dict | None = None) -> None:
        sink = pa.BufferOutputStream()
        table = pa.table({ROW_FIELD: self.rows, COMPONENT_FIELD: self.components})
        pq.write_table(table, sink, row_group_size=_LABELS_AT_ONCE, use_dictionary=False)
        put(*locate(path, storage_options), sink.getvalue().to_pybytes())

    def write_groups(self, paths: list[str], writer: BucketWriter) -> None:
        """Put the groups into the buckets of their components, one file after the other."""
        writer.before_run()
        for path, (groups, members) in zip(paths, _read(paths, writer.storage_options)):
            columns = {COMPONENT_FIELD: self.component_of(members), GROUP_FIELD: groups, ROW_FIELD: members}
            batch = DocumentBatch("groups", pa.table(columns), _metadata={"source_files": [path]}, task_id="groups")
            if batch.num_items:
                writer.process(batch)


def read_labels(path: str, first: int, last: int, storage_options: dict | None = None) -> Candidates:
    """The candidates of a range of ids, its end included, from what `Candidates.write` wrote."""
    with open_bytes(path, storage_options) as file:
        table = pq.read_table(file, filters=[(ROW_FIELD, ">=", first), (ROW_FIELD, "<=", last)], use_threads=False)
    return Candidates(table[ROW_FIELD].to_numpy(), table[COMPONENT_FIELD].to_numpy())


def _read(paths: list[str], storage_options: dict | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for path in paths:
        with open_bytes(path, storage_options) as file:
            table = pq.read_table(file, use_threads=False)
        yield table[GROUP_FIELD].to_numpy(), table[ROW_FIELD].to_numpy()
