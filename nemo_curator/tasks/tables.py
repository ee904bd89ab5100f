"""Arrow of what people hold: frames of any library that speaks Arrow, lists of dicts, Python values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from nemo_curator.tasks.json_column import encoded, is_json
from nemo_curator.tasks.text_column import TextColumn

Values: TypeAlias = pa.Array | pa.ChunkedArray | TextColumn | np.ndarray | list


def table_of(data: Any) -> tuple[pa.Table, pa.Table | None]:
    """The table that data holds, and which keys its records lack; TypeError for what is none.

    Nothing is copied but views of text, as polars has them, and dicts: Arrow cannot filter the ones and reads the
    others row by row.
    """
    if isinstance(data, pa.Table):
        return data, None
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data]), None
    if hasattr(data, "__arrow_c_stream__"):
        return _without_views(pa.table(data)), None
    if isinstance(data, Sequence) and not isinstance(data, str) and all(isinstance(row, Mapping) for row in data):
        return _of_records(data)
    raise TypeError(
        "documents are a pyarrow.Table, a pandas.DataFrame, a list of dicts, or an object with __arrow_c_stream__ such "
        f"as a polars.DataFrame; not {type(data).__name__}"
    )


def to_array(values: Values) -> pa.Array | pa.ChunkedArray:
    """Make an Arrow array; objects, and values of differing types or beyond 64 bits, become their JSON text."""
    if isinstance(values, TextColumn):
        return values.array
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if hasattr(values, "dtype") and hasattr(values, "__arrow_array__"):
        return pa.array(values, from_pandas=True)
    try:
        array = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        array = None
    if array is None or holds_structs(array.type):  # a struct gives every object the keys of all the others
        return objects(values)
    return array


def objects(values: Iterable[Any]) -> pa.Array:
    """Make JSON text of objects; those that hold bytes or times, which JSON has none of, stay what Arrow makes them."""
    values = list(values)
    try:
        return encoded(
            [None if value is None else json.dumps(value, ensure_ascii=False, default=_plain) for value in values]
        )
    except TypeError:
        with suppress(pa.ArrowInvalid, pa.ArrowTypeError):
            return pa.array(values)
        raise


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def holds_structs(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) or (pa.types.is_list(kind) and holds_structs(kind.value_type))


def json_as_text(table: pa.Table) -> pa.Table:
    """The table with text where it has JSON, for those who do not know that type."""
    for at, one in enumerate(table.schema):
        if is_json(one.type):
            table = table.set_column(at, one.name, table.column(at).cast(pa.string()))
    return table


def _of_records(rows: Sequence[Mapping[str, Any]]) -> tuple[pa.Table, pa.Table | None]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pa.table({name: to_array([row.get(name) for row in rows]) for name in names})
    lacking = {name: [name not in row for row in rows] for name in names if any(name not in row for row in rows)}
    return table, pa.table(lacking) if lacking else None


def _without_views(table: pa.Table) -> pa.Table:
    kinds = [_without_view(kind) for kind in table.schema.types]
    columns = [column if column.type == kind else column.cast(kind) for column, kind in zip(table.columns, kinds)]
    return pa.table(columns, names=table.column_names)


def _without_view(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _without_view(kind.value_type), kind.ordered)
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_without_view(kind.value_type), kind.list_size)
    if pa.types.is_large_list(kind):
        return pa.large_list(_without_view(kind.value_type))
    if pa.types.is_list(kind):
        return pa.list_(_without_view(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(one.name, _without_view(one.type)) for one in kind])
    return kind
