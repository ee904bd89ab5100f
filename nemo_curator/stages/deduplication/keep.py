"""Which of several documents that are the same stays: an order over documents, of which the first stays.

It depends on the documents alone, not on workers, executors or the order in which files are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.errors import ContractError, InputError
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.text.io.reader.row_numbers import ROW_NUMBERS
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.json_column import decoded, is_json
from nemo_curator.utils.client_utils import is_remote_url, local_path

Keep: TypeAlias = str | Mapping[str, Any]
"""`"first"`, `"longest"`, `{"column": name, "descending": bool}`, or `{"sources": [folder or file, …]}`."""

KEEP_KEY_FIELD = "_keep_key"
"""The column with what documents are ordered by, where it is not the id."""

_WANTED = (
    '"first", "longest", {"column": name, "descending": true or false} or {"sources": [the preferred folder, the next]}'
)


@dataclass(frozen=True)
class KeepRule:
    """An order over documents. Where it does not decide, and among documents without a value, the lower id stays.

    Example:
        >>> rule = keep_rule({"column": "score", "descending": True})
        >>> rule.ranks(pa.array([7, 8, 9]), pa.array([0.5, None, 0.9])).tolist()
        [1, 2, 0]
    """

    by: str = "first"
    column: str | None = None
    descending: bool = False
    sources: tuple[str, ...] = ()

    @property
    def fields(self) -> list[str]:
        """The columns that are read for it, besides the text."""
        return [] if self.column is None else [self.column]

    def keys(self, batch: DocumentBatch, text_field: str, row_field: str = CURATOR_DEDUP_ID_STR) -> pa.Array | None:
        """What the documents of a batch are ordered by; None where the id alone decides. Lengths are characters.

        A batch of several files says in its metadata which they are, and which row numbers are in each; `row_field` has
        those of the documents.
        """
        if self.sources:
            paths = list(map(str, batch._metadata["source_files"]))
            places = pa.array([self._place_of(path) for path in paths], pa.int64())
            return places.take(pa.array(_files_of(batch, len(paths), row_field)))
        if self.column is not None:
            return _comparable(batch.column(self.column), self.column)
        return pa.array(batch.text(text_field).lengths) if self.by == "longest" else None

    def check_sources(self, tasks: Iterable[FileGroupTask]) -> None:
        """Raise if there is a source that none of the files is in: its name is wrong."""
        paths = {_location(str(path)) for task in tasks for path in task.data} if self.sources else set()
        for source in self.sources:
            if not any(_is_within(path, _location(source)) for path in paths):
                raise InputError(
                    f"keep: no file that is read is in the source {source}; one is {min(paths, default='not there')}. "
                    "Give folders and files as they are in input_path, and leave out those that are not read"
                )

    def _place_of(self, path: str) -> int | None:
        """The place of the first source that a file is in; those that are in none come last."""
        location = _location(path)
        return next((at for at, one in enumerate(self.sources) if _is_within(location, _location(one))), None)

    def ranks(self, ids: pa.Array | pa.ChunkedArray, keys: pa.Array | pa.ChunkedArray | None = None) -> np.ndarray:
        """A number for each document; of any documents the one with the smallest stays."""
        if keys is None and pa.types.is_integer(ids.type):
            return ids.to_numpy()
        by_key = [] if keys is None else [("key", "descending" if self.descending else "ascending")]
        table = pa.table({"id": ids} if keys is None else {"id": ids, "key": keys})
        order = pc.sort_indices(table, sort_keys=[*by_key, ("id", "ascending")])  # nulls last
        ranks = np.empty(len(table), np.int64)
        ranks[order.to_numpy()] = np.arange(len(table))
        return ranks


def keep_rule(keep: Keep | KeepRule) -> KeepRule:
    """Make the order that `keep` names.

    `"first"` keeps the lowest id, `"longest"` the most characters, `{"column": name, "descending": bool}` the lowest
    value of a column of numbers, times or text, or the highest, and `{"sources": [folder or file, …]}` what is in the
    source that is named first.
    """
    if isinstance(keep, KeepRule):
        return keep
    if keep == "first":
        return KeepRule()
    if keep == "longest":
        return KeepRule("longest", descending=True)
    if isinstance(keep, Mapping) and set(keep) in ({"column"}, {"column", "descending"}):
        column, descending = keep["column"], keep.get("descending", False)
        if isinstance(column, str) and isinstance(descending, bool):
            return KeepRule("column", column, descending)
    if isinstance(keep, Mapping) and set(keep) == {"sources"} and not isinstance(keep["sources"], str):
        sources = tuple(map(str, keep["sources"] or ()))
        if sources:
            return KeepRule("sources", sources=sources)
    raise ValueError(f"keep is {keep!r}; wanted {_WANTED}")


def _files_of(batch: DocumentBatch, num_files: int, row_field: str) -> np.ndarray:
    """Which of its files each document of a batch is from."""
    if num_files == 1:
        return np.zeros(batch.num_items, np.int64)
    firsts, stops = np.array(batch._metadata[ROW_NUMBERS], np.int64).T
    order = np.lexsort((stops, firsts))  # of a file without rows and the one behind it, the second has the row
    return order[np.searchsorted(firsts[order], batch.column(row_field).to_numpy(), "right") - 1]


def _location(path: str) -> str:
    """A path or URL, however it was spelled, in the one way in which it can be compared."""
    protocol = path.partition("://")[0]
    if not is_remote_url(path):
        return str(local_path(path))
    if "::" in protocol:
        return path.rstrip("/")
    return f"{protocol}://{fsspec.get_filesystem_class(protocol)._strip_protocol(path)}".rstrip("/")


def _is_within(path: str, source: str) -> bool:
    return path == source or path.startswith(f"{source.rstrip('/')}/")


def _comparable(column: pa.ChunkedArray, name: str) -> pa.Array:
    """The values as integers, floats or text; what is no number becomes a null."""
    if is_json(column.type):
        column = _of_json(column, name)
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if pa.types.is_null(kind):
        return array
    if pa.types.is_temporal(kind):
        return array.cast(pa.timestamp("us") if pa.types.is_date(kind) else kind).cast(pa.int64())
    if pa.types.is_boolean(kind) or (pa.types.is_integer(kind) and kind != pa.uint64()):
        return array.cast(pa.int64())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind) or kind == pa.uint64():
        numbers = array.cast(pa.float64(), safe=False)
        return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.string())
    raise ContractError(f"keep: column {name!r} holds {kind}; wanted numbers, times or text")


def _of_json(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray | pa.Array:
    """Values of several types: whole numbers among fractions are numbers, everything else cannot be compared."""
    values = decoded(column)
    for value in values:
        if not isinstance(value, int | float | None):
            raise ContractError(f"keep: column {name!r} holds values of several types, such as {value!r}; wanted one")
    return pa.array([None if value is None else float(value) for value in values], pa.float64())
