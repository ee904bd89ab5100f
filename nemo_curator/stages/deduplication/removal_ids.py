"""The ids of documents to remove, asked for a few at a time: they may be more than fit into memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nemo_curator.errors import InputError
from nemo_curator.stages.deduplication.buckets import hash_keys
from nemo_curator.tasks.json_column import is_json
from nemo_curator.utils.find_files import each, find_input_files
from nemo_curator.utils.storage import open_bytes

MOST_BYTES = 2**27
"""How much of the ids a worker holds."""


@dataclass(frozen=True)
class RowGroup:
    """A row group of a file with ids, with the least and the greatest of them where the file says so."""

    path: str
    number: int
    least: Any
    greatest: Any

    def may_hold(self, least: int, greatest: int) -> bool:
        is_known = isinstance(self.least, int) and isinstance(self.greatest, int)
        return not is_known or (self.least <= greatest and least <= self.greatest)


@dataclass
class RemovalIds:
    """The ids in the column of Parquet files. Of `fields` the first that the files have is the column."""

    path: str
    fields: list[str]
    storage_options: dict[str, Any] | None = None
    most_bytes: int = MOST_BYTES

    column: str = field(default="", init=False)
    num_ids: int = field(default=0, init=False)
    """How many there are, each counted as often as it is there."""
    _groups: list[RowGroup] = field(default_factory=list, init=False, repr=False)
    _held: OrderedDict[RowGroup, tuple[np.ndarray, pa.Array | None]] = field(
        default_factory=OrderedDict, init=False, repr=False
    )
    _kind: pa.DataType = field(default_factory=pa.null, init=False, repr=False)

    def open(self) -> RemovalIds:
        """Read the footers of the files."""
        paths = [found.path for found in find_input_files(self.path, [".parquet"], self.storage_options)]
        footers = each(partial(_footer, storage_options=self.storage_options), paths)
        schema = footers[0].schema.to_arrow_schema()
        self.column = self._choose(schema.names)
        self._kind = schema.field(self.column).type
        self._groups = []
        self.num_ids = sum(footer.num_rows for footer in footers)
        for path, footer in zip(paths, footers):
            if self.column not in footer.schema.to_arrow_schema().names:
                raise InputError(f"{path} has no column {self.column!r}, as {paths[0]} has; give ids of one kind")
            self._groups += [_row_group(path, footer, at, self.column) for at in range(footer.num_row_groups)]
        return self

    @property
    def are_integers(self) -> bool:
        return pa.types.is_integer(self._kind)

    def within(self, first: int, stop: int) -> np.ndarray:
        """The ids, sorted and each once, from `first` to before `stop`."""
        if not pa.types.is_integer(self._kind) and not pa.types.is_null(self._kind):
            raise InputError(f"the ids in {self.path} are row numbers where they are integers; found {self._kind}")
        parts = [np.empty(0, np.int64)]
        for group in self._groups if stop > first else []:
            if group.may_hold(first, stop - 1):
                keys, _ = self._load(group)
                parts.append(keys[np.searchsorted(keys, first) : np.searchsorted(keys, stop)])
        return np.unique(np.concatenate(parts))

    def contains(self, ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Which of these ids are to be removed. Null is the id of none."""
        ids = _plain(ids)
        found = np.zeros(len(ids), bool)
        is_there = ~ids.is_null().to_numpy(zero_copy_only=False)
        if not is_there.any():
            return found
        if not _are_of_a_kind(ids.type, self._kind):
            raise InputError(f"the documents have ids of type {ids.type}, the ids in {self.path} are {self._kind}")
        keys = _keys(ids)
        least, greatest = int(keys[is_there].min()), int(keys[is_there].max())
        is_number = pa.types.is_integer(ids.type)
        for group in self._groups:
            if is_number and not group.may_hold(least, greatest):
                continue
            theirs, texts = self._load(group)
            theirs_here = theirs[np.searchsorted(theirs, least) : np.searchsorted(theirs, greatest, "right")]
            hits = is_there & _is_in(keys, theirs_here)
            if texts is not None and hits.any():
                hits[hits] = _are_in(ids.filter(pa.array(hits)), keys[hits], theirs, texts)
            found |= hits
        return found

    def _choose(self, names: list[str]) -> str:
        for name in [*self.fields, *(names if len(names) == 1 else [])]:
            if name in names:
                return name
        raise InputError(f"{self.path} has no column {self.fields[0]!r}; its columns are {names}: name that of the ids")

    def _load(self, group: RowGroup) -> tuple[np.ndarray, pa.Array | None]:
        """The keys of a row group, sorted, and where they are hashes the ids, in the same order."""
        if group in self._held:
            self._held.move_to_end(group)
            return self._held[group]
        with open_bytes(group.path, self.storage_options) as file:
            try:
                read = pq.ParquetFile(file).read_row_group(group.number, columns=[self.column], use_threads=False)
            except (ValueError, pa.ArrowException) as error:
                raise InputError(f"{group.path} is damaged: {error}; write it again") from error
        ids = _plain(read.column(0)).drop_null().unique()
        keys = _keys(ids)
        order = np.argsort(keys, kind="stable")
        loaded = keys[order], None if pa.types.is_integer(ids.type) else ids.take(pa.array(order))
        self._held[group] = loaded
        while len(self._held) > 1 and sum(map(_bytes, self._held.values())) > self.most_bytes:
            self._held.popitem(last=False)
        return loaded


def _footer(path: str, storage_options: dict[str, Any] | None) -> pq.FileMetaData:
    with open_bytes(path, storage_options) as file:
        try:
            return pq.ParquetFile(file).metadata
        except (ValueError, pa.ArrowException) as error:
            raise InputError(f"{path} is no Parquet file: {error}") from error


def _row_group(path: str, footer: pq.FileMetaData, number: int, name: str) -> RowGroup:
    group = footer.row_group(number)
    chunks = [group.column(at) for at in range(group.num_columns)]
    chunk = next(one for one in chunks if one.path_in_schema == name)
    statistics = chunk.statistics
    if statistics is None or not statistics.has_min_max:
        return RowGroup(path, number, None, None)
    return RowGroup(path, number, statistics.min, statistics.max)


def _plain(ids: pa.Array | pa.ChunkedArray) -> pa.Array:
    array = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    if is_json(array.type):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string_view(array.type) or pa.types.is_large_string(array.type):
        array = array.cast(pa.string())
    return array


def _are_of_a_kind(one: pa.DataType, other: pa.DataType) -> bool:
    if pa.types.is_dictionary(other):
        other = other.value_type
    if pa.types.is_integer(one) or pa.types.is_integer(other) or pa.types.is_null(other):
        return (pa.types.is_integer(one) and pa.types.is_integer(other)) or pa.types.is_null(other)
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, is_json)
    return any(is_text(one) for is_text in texts) == any(is_text(other) for is_text in texts)


def _keys(ids: pa.Array) -> np.ndarray:
    """Integers as they are; of all else a hash."""
    if pa.types.is_null(ids.type):
        return np.zeros(len(ids), np.int64)
    if pa.types.is_integer(ids.type):
        try:
            return ids.fill_null(0).cast(pa.int64()).to_numpy()
        except pa.ArrowInvalid as error:
            raise InputError(f"ids are integers of 64 bits with a sign: {error}") from error
    return hash_keys(ids).view(np.int64)


def _is_in(keys: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Which of the keys are among these, which are sorted."""
    if not len(theirs):
        return np.zeros(len(keys), bool)
    places = np.minimum(np.searchsorted(theirs, keys), len(theirs) - 1)
    return theirs[places] == keys


def _are_in(ids: pa.Array, keys: np.ndarray, theirs: np.ndarray, texts: pa.Array) -> np.ndarray:
    """Which of the ids, whose hashes are all there, are there themselves."""
    starts, stops = np.searchsorted(theirs, keys), np.searchsorted(theirs, keys, "right")
    longest = int((stops - starts).max())
    places = np.unique(np.concatenate([np.minimum(starts + more, stops - 1) for more in range(longest)]))
    among = texts.take(pa.array(places))
    return pc.is_in(ids, value_set=among.cast(ids.type)).to_numpy(zero_copy_only=False)


def _bytes(loaded: tuple[np.ndarray, pa.Array | None]) -> int:
    keys, texts = loaded
    return keys.nbytes + (0 if texts is None else texts.nbytes)
