"""From the lines of a JSONL file to columns, without guessing: text stays text, and what is absent stays absent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.tasks.json_column import JSON, encoded

_decoder = msgspec.json.Decoder(dict)
_encoder = msgspec.json.Encoder()
_LIST_OF_NOTHING = pa.list_(pa.null())
_SCALARS = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


@dataclass
class Columns:
    """Rows as columns. `absent` tells for each column that some rows lack altogether which they are."""

    columns: dict[str, pa.Array]
    absent: dict[str, np.ndarray]
    rows: int

    def tables(self) -> tuple[pa.Table, pa.Table | None]:
        if self.columns:
            return pa.table(self.columns), pa.table(self.absent) if self.absent else None
        # objects without keys are rows nevertheless
        rows = pa.array([{}] * self.rows, pa.struct([]))
        return pa.Table.from_batches([pa.RecordBatch.from_struct_array(rows)]), None


def parse_lines(lines: bytes, count: int, where: Callable[[int, int], str]) -> list[dict[str, Any]]:
    """Parse whole lines, so many, into records; those that are none are set aside.

    `where` names a line for people, from its place among the bytes and the number of lines before it.
    """
    try:
        records = _decoder.decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        records = []
    if len(records) != count:
        return _parse_one_by_one(lines, where)
    counts.seen(count)
    return records


def columns_of(records: list[dict[str, Any]], fields: list[str] | None = None) -> Columns:
    """Make a table of records."""
    shapes = dict.fromkeys(map(tuple, records))
    names = fields or list(dict.fromkeys(chain.from_iterable(shapes)))
    gaps = [name for name in names if any(name not in shape for shape in shapes)]
    absent = {name: np.fromiter((name not in record for record in records), bool, len(records)) for name in gaps}
    columns = {name: column_of([record.get(name) for record in records]) for name in names}
    return Columns(columns, absent, len(records))


def joined(parts: list[Columns]) -> Columns:
    """Put the rows of several behind each other. A column whose types differ becomes JSON."""
    names = dict.fromkeys(chain.from_iterable(part.columns for part in parts))
    rows = sum(part.rows for part in parts)
    columns = {name: _joined([part.columns.get(name, pa.nulls(part.rows)) for part in parts]) for name in names}
    absent = {}
    for name in names:
        masks = [part.absent.get(name, np.full(part.rows, name not in part.columns)) for part in parts]
        if any(mask.any() for mask in masks):
            absent[name] = np.concatenate(masks)
    return Columns(columns, absent, rows)


def column_of(values: list[Any]) -> pa.Array:
    """Make a column: of Arrow's type where all values are of one, else of their JSON text."""
    kinds = _kinds(values)
    try:
        if not kinds:
            return pa.nulls(len(values))
        if len(kinds) == 1 and kinds <= _SCALARS.keys():
            return pa.array(values, _SCALARS[kinds.pop()])
        if kinds == {list}:
            inner = _kinds(chain.from_iterable(value for value in values if value is not None))
            if len(inner) <= 1 and inner <= _SCALARS.keys():
                return pa.array(values, pa.list_(_SCALARS[inner.pop()]) if inner else _LIST_OF_NOTHING)
    except OverflowError:
        pass  # an integer beyond 64 bits
    return _json_of(values)


def _joined(parts: list[pa.Array]) -> pa.Array:
    kinds = {part.type for part in parts} - {pa.null()}
    if len(kinds) > 1 and all(map(pa.types.is_list, kinds)):
        kinds -= {_LIST_OF_NOTHING}
    kind = kinds.pop() if len(kinds) == 1 else JSON if kinds else pa.null()
    return pa.concat_arrays([part if part.type == kind else _cast(part, kind) for part in parts])


def _cast(part: pa.Array, kind: pa.DataType) -> pa.Array:
    return _json_of(part.to_pylist()) if kind == JSON else part.cast(kind)


def _json_of(values: list[Any]) -> pa.Array:
    return encoded([None if value is None else _encoder.encode(value).decode() for value in values])


def _kinds(values: Iterable[Any]) -> set[type]:
    return set(map(type, values)) - {type(None)}


def _parse_one_by_one(lines: bytes, where: Callable[[int, int], str]) -> list[dict[str, Any]]:
    records, place = [], 0
    for number, line in enumerate(lines.split(b"\n")):
        if not line.isspace() and line:
            counts.seen(1)
            try:
                records.append(_parse(line))
            except (ValueError, RecursionError) as error:
                counts.failed(error, source=where(place, number), record=line.decode(errors="replace"))
        place += len(line) + 1
    return records


def _parse(line: bytes) -> dict[str, Any]:
    try:
        record = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        record = _parse_leniently(line.decode())
    if not isinstance(record, dict):
        raise InputError(f"a record is a JSON object; found {type(record).__name__}")
    return record


def _parse_leniently(text: str) -> Any:
    """Parse what only Python's own parser takes: NaN and Infinity, which many tools write."""
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg} at character {error.colno}") from error
    json.dumps(record, ensure_ascii=False).encode()  # a half of a surrogate pair is not text: this raises
    return record
