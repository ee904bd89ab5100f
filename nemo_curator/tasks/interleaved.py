"""Documents in which texts and images alternate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.errors import ContractError
from nemo_curator.tasks.tasks import Task

if TYPE_CHECKING:
    import pandas as pd

INTERLEAVED_SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),
        pa.field("modality", pa.string(), nullable=False),
        pa.field("content_type", pa.string()),
        pa.field("text_content", pa.string()),
        pa.field("binary_content", pa.large_binary()),
        pa.field("source_ref", pa.string()),
        pa.field("materialize_error", pa.string()),
    ]
)
RESERVED_COLUMNS = frozenset(INTERLEAVED_SCHEMA.names)
REQUIRED_COLUMNS = frozenset(field.name for field in INTERLEAVED_SCHEMA if not field.nullable)


@dataclass(repr=False, eq=False)
class InterleavedBatch(Task["pa.Table | pd.DataFrame"]):
    """Samples of texts and images, one row for each text and each image.

    Rows of a sample share a `sample_id`, and `position` counts from 0 within it; the row at -1, of modality "metadata",
    belongs to the sample as a whole. A sample is what counts as an item: filters keep and drop samples.
    """

    dataset_name: str = ""
    data: pa.Table | pd.DataFrame = None

    def __post_init__(self) -> None:
        if self.data is None:
            self.data = INTERLEAVED_SCHEMA.empty_table()

    @property
    def num_items(self) -> int:
        if "sample_id" not in self.get_columns():
            return 0
        return len(pc.unique(self.to_pyarrow().column("sample_id")))

    @property
    def nbytes(self) -> int:
        if isinstance(self.data, pa.Table):
            return self.data.nbytes
        return int(self.data.memory_usage(index=False).sum())

    def count(self, modality: str | None = None) -> int:
        """How many rows there are, or how many of a modality."""
        table = self.to_pyarrow()
        return table.num_rows if modality is None else pc.sum(pc.equal(table.column("modality"), modality)).as_py() or 0

    def get_columns(self) -> list[str]:
        return self.data.column_names if isinstance(self.data, pa.Table) else [str(name) for name in self.data.columns]

    def validate(self) -> bool:
        return set(self.get_columns()) >= REQUIRED_COLUMNS and self.num_items > 0

    def to_pyarrow(self) -> pa.Table:
        return self.data if isinstance(self.data, pa.Table) else pa.Table.from_pandas(self.data, preserve_index=False)

    def to_pandas(self) -> pd.DataFrame:
        """A frame whose columns are Arrow's, so that integers beside nulls stay integers."""
        import pandas as pd

        return self.data.to_pandas(types_mapper=pd.ArrowDtype) if isinstance(self.data, pa.Table) else self.data

    def with_data(self, data: pa.Table | pd.DataFrame) -> InterleavedBatch:
        """The same batch with other rows."""
        new = InterleavedBatch(
            self.dataset_name, data, list(self._stage_perf), dict(self._metadata), task_id=self.task_id
        )
        new._source_id, new._elided = self._source_id, self._elided
        return new


def renumbered(table: pa.Table) -> pa.Table:
    """The rows in the order of samples and positions, the positions counted anew from 0.

    A sample of which only metadata is left goes.
    """
    import numpy as np

    check_required(table)
    is_content = pc.not_equal(table.column("modality"), "metadata")
    with_content = pc.unique(pc.filter(table.column("sample_id"), is_content))
    table = table.filter(pc.is_in(table.column("sample_id"), value_set=with_content))
    table = table.sort_by([("sample_id", "ascending"), ("position", "ascending")])
    content = pc.not_equal(table.column("modality"), "metadata").to_numpy()
    samples = table.column("sample_id").combine_chunks().dictionary_encode().indices.to_numpy()
    before = np.cumsum(content) - content  # rows of content before each row
    starts = np.flatnonzero(np.r_[True, samples[1:] != samples[:-1]]) if len(samples) else np.empty(0, int)
    within = before - np.repeat(before[starts], np.diff(np.r_[starts, len(samples)]))
    positions = pa.array(np.where(content, within, -1), pa.int32())
    return table.set_column(table.schema.get_field_index("position"), "position", positions)


def check_required(table: pa.Table) -> None:
    """Raise ContractError if a column that places a row in its sample is missing, or null somewhere."""
    missing = REQUIRED_COLUMNS - set(table.column_names)
    if missing:
        raise ContractError(f"interleaved data needs the columns {sorted(missing)}; there are {table.column_names}")
    if nulls := {name: count for name in sorted(REQUIRED_COLUMNS) if (count := table.column(name).null_count)}:
        raise ContractError(f"interleaved data has nulls in {nulls}; wanted a value in every row")


def column_of(values: Any) -> pa.Array:
    """A mask as Arrow has it: no row is null."""
    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, pa.bool_(), from_pandas=True)
    return pc.fill_null(array, False)
