"""Embeddings as rows of a matrix, each of length one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from nemo_curator.errors import ContractError, InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.text.io.reader.jsonl import JsonlReaderStage
from nemo_curator.stages.text.io.reader.parquet import ParquetReaderStage
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.json_column import decoded, is_json
from nemo_curator.utils.file_utils import check_disallowed_kwargs

MISSING = "has no embedding"
READERS: dict[str, type[ParquetReaderStage] | type[JsonlReaderStage]] = {
    "parquet": ParquetReaderStage,
    "jsonl": JsonlReaderStage,
}


@dataclass(frozen=True)
class Embedded:
    """Rows with a usable embedding: the matrix, their other columns, and why each other row has none."""

    vectors: np.ndarray
    columns: pa.Table
    problems: dict[int, str]
    total: int


@dataclass
class EmbeddingReader:
    """Reads ids, embeddings and further columns of Parquet or JSON Lines, some MiB at a time."""

    id_field: str
    embedding_field: str
    metadata_fields: list[str] = field(default_factory=list)
    filetype: str = "parquet"
    read_kwargs: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.filetype not in READERS:
            raise ValueError(f"unknown file type {self.filetype!r}; known are {sorted(READERS)}")
        check_disallowed_kwargs(self.read_kwargs, ["columns", "assign_id"])

    def read(self, task: FileGroupTask, dimensions: int | None = None) -> Iterator[Embedded]:
        """The rows of some files. One without a usable embedding or an id is reported as failed."""
        for path in task.data:
            made = self.reader().process(FileGroupTask(task.dataset_name, [path], reader_config=task.reader_config))
            for batch in [made] if isinstance(made, DocumentBatch) else made:
                if batch.num_items:
                    table = batch.to_pyarrow()
                    others = table.drop_columns([self.embedding_field])
                    found = unit_rows(table[self.embedding_field], others, dimensions)
                    yield self._with_ids(self._reported(found, table, path), path)

    def reader(self) -> ParquetReaderStage | JsonlReaderStage:
        fields = list(dict.fromkeys([self.id_field, self.embedding_field, *self.metadata_fields]))
        return READERS[self.filetype](fields, dict(self.read_kwargs))

    def check_columns(self, task: FileGroupTask) -> None:
        """Raise if the first file of a task has no column of embeddings or ids."""
        found = self.reader().find_columns(task)  # raises if it can tell that one is missing
        if found is not None and (missing := {self.id_field, self.embedding_field} - set(found)):
            raise ContractError(f"{task.data[0]} has no {sorted(missing)}; its columns are {found}")

    def _reported(self, found: Embedded, table: pa.Table, path: str) -> Embedded:
        for row, problem in found.problems.items():
            record = {self.id_field: table[self.id_field][row].as_py()}
            counts.failed(InputError(f"{self.embedding_field} {problem}"), source=path, record=record)
        return found

    def _with_ids(self, found: Embedded, path: str) -> Embedded:
        ids = found.columns[self.id_field]
        if not ids.null_count:
            return found
        counts.failed(InputError(f"{self.id_field} is missing"), source=path, rows=ids.null_count)
        there = ids.is_valid().to_numpy()
        return Embedded(found.vectors[there], found.columns.filter(there), found.problems, found.total)


def unit_rows(column: pa.ChunkedArray | pa.Array, columns: pa.Table, dimensions: int | None = None) -> Embedded:
    """Scale embeddings to length one, in single precision, and leave out those that cannot be: what is missing, has
    another number of dimensions (by default, than most here), holds a value that is no finite number, or is all zeros.
    """
    lists = Lists.of(column)
    if dimensions is None:
        dimensions = usual(lists.lengths[~lists.is_null])
    problems = {int(row): MISSING for row in np.flatnonzero(lists.is_null)}
    wrong = ~lists.is_null & (lists.lengths != dimensions)
    problems |= {int(row): f"has {lists.lengths[row]} dimensions, not {dimensions}" for row in np.flatnonzero(wrong)}
    rows = np.flatnonzero(~lists.is_null & ~wrong)
    vectors, largest = _scaled(lists.matrix(rows, dimensions))
    problems |= {int(rows[at]): "is all zeros" for at in np.flatnonzero(largest == 0)}
    problems |= {int(rows[at]): "holds what is no finite number" for at in np.flatnonzero(~np.isfinite(largest))}
    good = np.isfinite(largest) & (largest > 0)
    if good.all() and len(rows) == len(columns):
        return Embedded(vectors, columns, {}, len(columns))
    kept = columns.take(rows[good]) if columns.num_columns else columns
    return Embedded(vectors[good], kept, dict(sorted(problems.items())), len(lists.lengths))


def usual(lengths: Iterable[int]) -> int:
    """The most frequent length; of equally frequent ones the smallest, and 0 of none."""
    found = Counter(int(length) for length in lengths if length)
    return min(found, key=lambda length: (-found[length], length)) if found else 0


@dataclass(frozen=True)
class Lists:
    """A column of lists of numbers: the numbers of all end to end, and where each list is."""

    values: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    is_null: np.ndarray

    @classmethod
    def of(cls, column: pa.ChunkedArray | pa.Array) -> Lists:
        array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks)
        if is_json(array.type):
            array = _from_json(array)
        elif isinstance(array, pa.ExtensionArray):
            array = array.storage
        kind = array.type
        is_null = array.is_null().to_numpy(zero_copy_only=False)
        if pa.types.is_null(kind):
            nothing = np.zeros(len(array), np.int64)
            return cls(np.empty(0, np.float32), nothing, nothing, is_null)
        if pa.types.is_fixed_size_list(kind):
            starts = (np.arange(len(array)) + array.offset) * kind.list_size
            lengths = np.full(len(array), kind.list_size, np.int64)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            offsets = array.offsets.to_numpy().astype(np.int64)
            starts, lengths = offsets[:-1], np.diff(offsets)
        else:
            raise ContractError(f"embeddings are lists of numbers, not {kind}")
        inner = kind.value_type
        if not (pa.types.is_floating(inner) or pa.types.is_integer(inner) or pa.types.is_null(inner)):
            raise ContractError(f"embeddings are lists of numbers, not of {inner}")
        values = array.values.cast(pa.float32()) if pa.types.is_null(inner) else array.values
        return cls(values.to_numpy(zero_copy_only=False), starts, lengths, is_null)  # a null among numbers is NaN

    def matrix(self, rows: np.ndarray, dimensions: int) -> np.ndarray:
        """The lists of these rows, which have as many numbers each."""
        if not len(rows) or not dimensions:
            return np.empty((len(rows), dimensions), np.float32)
        start, stop = self.starts[rows[0]], self.starts[rows[-1]] + dimensions
        if stop - start == len(rows) * dimensions:
            return self.values[start:stop].reshape(len(rows), dimensions)
        return self.values[self.starts[rows][:, None] + np.arange(dimensions)]


def _from_json(array: pa.Array) -> pa.Array:
    """Lists that travelled as JSON, because not all values are of one type. What is no list of numbers is null."""

    def numbers(value: Any) -> list[float] | None:
        if not isinstance(value, list) or not all(isinstance(one, int | float | None) for one in value):
            return None
        return [float("nan") if one is None else float(one) for one in value]

    return pa.array([numbers(value) for value in decoded(array)], pa.list_(pa.float64()))


def _scaled(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of length one, and the largest value of each before; first by that, so that no square is infinite or 0."""
    if not matrix.size:
        return matrix.astype(np.float32), np.zeros(len(matrix))
    matrix = matrix if matrix.dtype in (np.float32, np.float64) else matrix.astype(np.float32)
    largest = np.abs(matrix).max(1)
    scale = np.where(np.isfinite(largest) & (largest > 0), largest, 1)
    with np.errstate(invalid="ignore", over="ignore"):  # of rows that are left out
        rows = np.divide(matrix, scale[:, None])
        rows /= np.maximum(np.sqrt(np.einsum("ij,ij->i", rows, rows)), np.finfo(rows.dtype).tiny)[:, None]
    return rows.astype(np.float32, copy=False), largest
