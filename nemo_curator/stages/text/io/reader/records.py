"""From the lines of a JSONL file to columns, without guessing: text stays text, and what is absent stays absent."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.text.io.reader.row_numbers import RowNumbers, number_column
from nemo_curator.tasks.json_column import JSON, encoded

MOST_KEYS = 2**14
"""The most keys of a record."""
MOST_CELLS = 2**17
"""The most rows times columns of a table. Only records that share few keys go beyond."""

_ROOM = 100  # a record nested almost as deep as the interpreter goes is read, but could not be written again
_decoder = msgspec.json.Decoder(dict)
_encoder = msgspec.json.Encoder()
_NO_RECORD = (msgspec.DecodeError, ValueError, RecursionError)
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


def parse_lines(
    lines: bytes,
    count: int,
    where: Callable[[int, int], str],
    fields: list[str] | None = None,
    numbers: RowNumbers | None = None,
) -> list[Columns]:
    """Parse whole lines, so many, into columns; those that are no records are set aside.

    `where` names a line for people, from its place among the bytes and the number of lines before it. With `numbers`
    there is a column for them, if there is none of its name.
    """
    try:
        made: list[Any] = (_decoder_of(tuple(fields)) if fields else _decoder).decode_lines(lines)
        found = (_chosen(made, fields) if fields else columns_of(made)) if len(made) == count else None
        taken: range | list[int] | None = numbers.take(count) if numbers and found else None
    except (*_NO_RECORD, MemoryError):
        found = None
    if found is None:
        records, taken = _parse_one_by_one(lines, where, numbers)
        return _numbered(columns_of(records, fields), taken, numbers)
    counts.seen(count, len(lines))
    return _numbered(found, taken, numbers)


def columns_of(records: list[dict[str, Any]], fields: list[str] | None = None) -> list[Columns]:
    """Make a table of records, or several of fewer rows where records share so few keys that most of it were gaps."""
    shapes = dict.fromkeys(map(tuple, records))
    if longest := max((len(shape) for shape in shapes if len(shape) > MOST_KEYS), default=0):
        raise _too_many_keys(longest)
    names = fields or list(dict.fromkeys(chain.from_iterable(shapes)))
    if len(names) * len(records) > MOST_CELLS and len(records) > 1:
        half = len(records) // 2
        return columns_of(records[:half], fields) + columns_of(records[half:], fields)
    shared = set(names).intersection(*shapes)
    places: dict[str, list[int]] = {name: [] for name in names if name not in shared}
    for place, record in enumerate(records if places else []):
        for name in record.keys() & places.keys():
            places[name].append(place)
    absent = {name: _others(there, len(records)) for name, there in places.items()}
    columns = {name: column_of(_values(records, name, places.get(name))) for name in names}
    return [Columns(columns, absent, len(records))]


def _chosen(rows: list[Any], fields: list[str]) -> list[Columns]:
    """Make tables of the keys that were asked for, some rows at a time."""
    most = max(MOST_CELLS // len(fields), 1)
    if len(rows) > most:
        return [part for at in range(0, len(rows), most) for part in _chosen(rows[at : at + most], fields)]
    columns, absent = {}, {}
    for at, name in enumerate(fields):
        values = list(map(attrgetter(f"f{at}"), rows))
        if msgspec.UnsetType in set(map(type, values)):
            absent[name] = np.fromiter((value is msgspec.UNSET for value in values), bool, len(values))
            values = [None if value is msgspec.UNSET else value for value in values]
        columns[name] = column_of(values)
    return [Columns(columns, absent, len(rows))]


@functools.cache
def _decoder_of(fields: tuple[str, ...]) -> msgspec.json.Decoder:
    """Decodes these keys; of the others no objects are made."""
    names = {f"f{at}": name for at, name in enumerate(fields)}
    keys = [(key, object, msgspec.UNSET) for key in names]
    return msgspec.json.Decoder(msgspec.defstruct("Record", keys, rename=names, gc=False))


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
    return json_of(values)


def _numbered(parts: list[Columns], taken: range | list[int] | None, numbers: RowNumbers | None) -> list[Columns]:
    if taken is None or numbers is None:
        return parts
    at = 0
    for part in parts:
        if numbers.field not in part.columns:
            part.columns[numbers.field] = number_column(taken[at : at + part.rows])
        at += part.rows
    return parts


def _values(records: list[dict[str, Any]], name: str, places: list[int] | None) -> list[Any]:
    """The values of a key that all records have, or only those in these places: gaps cost next to nothing."""
    if places is None:
        return [record[name] for record in records]
    values: list[Any] = [None] * len(records)
    for place in places:
        values[place] = records[place][name]
    return values


def _others(places: list[int], count: int) -> np.ndarray:
    others = np.ones(count, bool)
    others[places] = False
    return others


def _joined(parts: list[pa.Array]) -> pa.Array:
    kinds = {part.type for part in parts} - {pa.null()}
    if len(kinds) > 1 and all(map(pa.types.is_list, kinds)):
        kinds -= {_LIST_OF_NOTHING}
    kind = kinds.pop() if len(kinds) == 1 else JSON if kinds else pa.null()
    return pa.concat_arrays([part if part.type == kind else _cast(part, kind) for part in parts])


def _cast(part: pa.Array, kind: pa.DataType) -> pa.Array:
    if part.type == pa.null():
        return pa.nulls(len(part), kind)
    return json_of(part.to_pylist()) if kind == JSON else part.cast(kind)


def json_of(values: list[Any]) -> pa.Array:
    return encoded([None if value is None else _encoder.encode(value).decode() for value in values])


def _kinds(values: Iterable[Any]) -> set[type]:
    return set(map(type, values)) - {type(None)}


def _parse_one_by_one(
    lines: bytes, where: Callable[[int, int], str], numbers: RowNumbers | None
) -> tuple[list[dict[str, Any]], list[int] | None]:
    """Parse lines, and say which numbers those have that could be parsed."""
    records, place = [], 0
    taken: list[int] = []
    for number, line in enumerate(lines.split(b"\n")):
        if not line.isspace() and line:
            counts.seen(1, len(line) + 1)
            try:
                its_number = numbers.take(1) if numbers else ()
                records.append(parse_record(line))
                taken += its_number
            except (*_NO_RECORD, MemoryError) as error:
                counts.failed(error, source=where(place, number), record=line.decode(errors="replace"))
        place += len(line) + 1
    return records, taken if numbers else None


def check_utf8(lines: bytes) -> None:
    """Raise ValueError if these are not UTF-8. Arrow takes a fifth of the time that it takes to decode them."""
    offsets = pa.py_buffer(np.array([0, len(lines)], np.int64))
    pa.LargeStringArray.from_buffers(1, offsets, pa.py_buffer(lines)).validate(full=True)


def parse_record(line: bytes) -> dict[str, Any]:
    try:
        record = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        record = _parse_leniently(line.decode())
    if not isinstance(record, dict):
        raise InputError(f"a record is a JSON object; found {type(record).__name__}")
    if len(record) > MOST_KEYS:
        raise _too_many_keys(len(record))
    nested: Any = record
    for _ in range(_ROOM):
        nested = [nested]
    _encoder.encode(nested)  # raises where half of a surrogate pair is no text, or nesting is too deep to be written
    return record


def _parse_leniently(text: str) -> Any:
    """Parse what only Python's own parser takes: NaN and Infinity, which many tools write."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg} at character {error.colno}") from error


def _too_many_keys(count: int) -> InputError:
    return InputError(f"a record of {count} keys; wanted at most {MOST_KEYS}")
