"""Rows on their way into a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import pyarrow as pa

from nemo_curator.tasks.document import to_array

BATCH_BYTES = 16 * 2**20
"""A batch is complete when its values take so much memory."""
OVERHEAD = 64
"""About what Python adds to a value."""


class Row(NamedTuple):
    """A document, the number of its record in the file, and the memory that it takes."""

    number: int
    values: dict[str, Any]
    size: int


def batched(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += row.size
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def size_of(value: Any) -> int:
    """About how much memory a value takes. Text that is not Unicode (half a surrogate pair) raises here."""
    if isinstance(value, str):
        return OVERHEAD + len(value.encode())
    if isinstance(value, bytes):
        return OVERHEAD + len(value)
    if isinstance(value, dict):
        return OVERHEAD + sum(map(size_of, value.values()))
    if isinstance(value, list | tuple):
        return OVERHEAD + sum(map(size_of, value))
    return OVERHEAD


def make_table(rows: list[dict[str, Any]], columns: list[str]) -> tuple[pa.Table, pa.Table | None]:
    """Make a table with these columns first, then any other key of a row; and of booleans, which keys rows lack."""
    names = list(dict.fromkeys(chain(columns, *rows)))
    arrays = [to_array([row.get(name) for row in rows]) for name in names]
    lacking = {name: [name not in row for row in rows] for name in names}
    absent = {name: mask for name, mask in lacking.items() if any(mask)}
    return pa.table(arrays, names=names), pa.table(absent) if absent else None
