"""From texts to the spans of them that occur elsewhere: keys, keys that are there twice, bytes around them, spans."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.kernels import substrings
from nemo_curator.kernels.octets import SPREAD
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.buckets import read_bucket, read_parts
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR as ID
from nemo_curator.stages.text.deduplication.cuts import cut_table
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.find_files import each
from nemo_curator.utils.storage import open_bytes

KEY, START, PERIOD, STOP, BYTES = "key", "start", "period", "stop", "bytes"

USES = "uses"
"""In the metadata of a task: how often its keys are there."""

_BITS_OF_KEY = 16
_PART_BYTES = 2**22


@dataclass
class AnchorsStage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Turn documents into the keys of their windows of `min_length` bytes: equal windows have equal keys."""

    text_field: str = "text"
    min_length: int = 200
    name: str = "anchors"

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [self.text_field, ID]

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [KEY]

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        keys, places = substrings.find_anchors(*batch.text(self.text_field).buffers, self.min_length)
        keys = np.concatenate([keys, keys[self._come_again(places)]])
        counts.joined(batch.num_items)  # what comes out are other rows
        return _batch(batch, pa.table({KEY: keys.view(np.int64)}))

    def _come_again(self, places: np.ndarray) -> np.ndarray:
        """Which runs hold windows twice without overlapping: what they stand for is not there once."""
        periods = places[:, substrings.PERIOD]
        room = places[:, substrings.STOP] - places[:, substrings.START] - self.min_length
        away = -(-self.min_length // np.maximum(periods, 1)) * periods
        return (periods > 0) & (room >= away)


@dataclass
class RepeatedKeysStage(ProcessingStage[FileGroupTask, DocumentBatch]):
    """Turn a bucket of keys into those that are there more than once; `_metadata` says how often they are."""

    storage_options: dict[str, Any] | None = None
    name: str = "repeated_keys"

    def process(self, task: FileGroupTask) -> DocumentBatch:
        keys = np.sort(read_bucket(task, [KEY], self.storage_options)[KEY].to_numpy())
        firsts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)])
        uses = np.diff(firsts, append=len(keys))
        repeated = keys[firsts[uses > 1]]
        counts.joined(len(keys) - len(repeated))
        metadata = {**task._metadata, USES: int(uses[uses > 1].sum())}
        return DocumentBatch.from_arrow(pa.table({KEY: repeated}), metadata=metadata)


@dataclass
class ContextsStage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Turn documents into the bytes of those of their windows whose key is there more than once.

    The keys are remembered as bits of a table of at most `most_bytes`: a few others pass, too.
    """

    text_field: str = "text"
    min_length: int = 200
    key_files: list[str] = field(default_factory=list)
    num_keys: int = 0
    most_bytes: int = 2**27
    storage_options: dict[str, Any] | None = None
    name: str = "contexts"

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [self.text_field, ID]

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [KEY, ID, START, PERIOD, STOP, BYTES]

    def setup(self, _: Any = None) -> None:
        wanted = max(_BITS_OF_KEY * self.num_keys, 64)
        self._width = max(min(wanted - 1, 8 * self.most_bytes // 2).bit_length(), 6)
        self._bits = np.zeros(2**self._width // 8, np.uint8)
        each(self._remember, self.key_files, at_once=False)

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        data, offsets = batch.text(self.text_field).buffers
        keys, places = substrings.find_anchors(data, offsets, self.min_length)
        known = self._knows(keys)
        keys, places = keys[known], places[known]
        rows, starts = places[:, substrings.ROW], places[:, substrings.START]
        lengths = places[:, substrings.WINDOWS] + self.min_length - 1
        table = pa.table(
            {
                KEY: keys.view(np.int64),
                ID: batch.column(ID).to_numpy()[rows],
                START: starts,
                PERIOD: places[:, substrings.PERIOD],
                STOP: places[:, substrings.STOP],
                BYTES: _binary(data, offsets[rows] + starts, lengths),
            }
        )
        counts.joined(batch.num_items)
        return _batch(batch, table)

    def _remember(self, path: str) -> None:
        with open_bytes(path, self.storage_options) as file:
            places = self._places(pq.read_table(file, use_threads=False)[KEY].to_numpy().view(np.uint64))
        np.bitwise_or.at(self._bits, places >> 3, np.uint8(1) << (places & 7).astype(np.uint8))

    def _knows(self, keys: np.ndarray) -> np.ndarray:
        places = self._places(keys)
        return self._bits[places >> 3] >> (places & 7).astype(np.uint8) & 1 > 0

    def _places(self, keys: np.ndarray) -> np.ndarray:
        return (keys * SPREAD >> np.uint64(64 - self._width)).astype(np.int64)


@dataclass
class RepeatsStage(ProcessingStage[FileGroupTask, DocumentBatch]):
    """Turn a bucket of windows into the spans that are to be cut: all occurrences, or with `keep_first` all others.

    It is read twice. First the windows are counted, in a table of some bytes a window; then what is there once, as
    most windows at the edges of a repeated passage are, is not held at all, and equal bytes are held once for each part
    of the bucket. What a notice takes that is in every document is thus little.
    """

    min_length: int = 200
    num_marks: int = 2**22
    keep_first: bool = True
    storage_options: dict[str, Any] | None = None
    name: str = "repeats"

    def process(self, task: FileGroupTask) -> DocumentBatch:
        marks = np.zeros(self.num_marks, np.uint8)
        rows = 0
        for table in read_parts(task, _PART_BYTES, [BYTES], self.storage_options):
            marks = substrings.mark_windows(substrings.hash_windows(*_bytes_of(table[BYTES]), self.min_length), marks)
            counts.seen(len(table), table.nbytes)
            rows += len(table)
        parts = [self._trimmed(table, marks) for table in read_parts(task, _PART_BYTES, None, self.storage_options)]
        del marks
        items = np.concatenate([part.items for part in parts])
        before = np.cumsum([0, *(len(part.contexts) for part in parts)])
        contexts = np.concatenate([part.rows + first for part, first in zip(parts, before)])
        data, offsets = _bytes_of(pa.chunked_array([part.contexts for part in parts]))
        del parts
        order = np.lexsort((items[:, substrings.START], items[:, substrings.ROW]))
        spans = substrings.find_repeats(data, offsets, items, contexts, order, self.min_length, self.keep_first)
        counts.joined(rows - len(spans))
        made = cut_table(spans[:, 0], spans[:, 1], spans[:, 2])
        return DocumentBatch.from_arrow(made, dataset_name=task.dataset_name, metadata=dict(task._metadata))

    def _trimmed(self, table: pa.Table, marks: np.ndarray) -> _Part:
        """Of each few windows those from the first to the last that may come again; equal bytes once."""
        items = np.zeros((len(table), substrings.FIELDS), np.int64)
        fields = {ID: substrings.ROW, START: substrings.START, PERIOD: substrings.PERIOD, STOP: substrings.STOP}
        for name, at in fields.items():
            items[:, at] = table[name].to_numpy()
        data, offsets = _bytes_of(table[BYTES])
        hashes = substrings.hash_windows(data, offsets, self.min_length)
        bounds = substrings.trim_windows(hashes, offsets, self.min_length, marks)
        is_run = items[:, substrings.PERIOD] > 0  # it may come again within itself
        windows = np.diff(offsets) - self.min_length
        bounds[is_run] = np.stack([np.zeros(is_run.sum(), np.int64), windows[is_run]], axis=1)
        items[:, substrings.START] += bounds[:, 0]
        starts, lengths = offsets[:-1] + bounds[:, 0], bounds[:, 1] - bounds[:, 0] + self.min_length
        kept = np.flatnonzero(bounds[:, 1] >= 0)
        encoded = _binary(data, starts[kept], lengths[kept]).dictionary_encode()
        return _Part(items[kept], encoded.indices.to_numpy().astype(np.int64), encoded.dictionary)


@dataclass
class _Part:
    """What a part of a bucket comes down to: items, and in which of the rows of bytes their windows are."""

    items: np.ndarray
    rows: np.ndarray
    contexts: pa.Array


def _binary(data: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> pa.Array:
    """Pieces of some bytes as an array."""
    ends = np.concatenate([[0], np.cumsum(lengths)])
    made = substrings.gather(data, starts, ends)
    return pa.Array.from_buffers(pa.large_binary(), len(starts), [None, pa.py_buffer(ends), pa.py_buffer(made)])


def _bytes_of(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.large_binary())
    if not len(array):
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, offsets, data = array.buffers()
    return np.frombuffer(data or b"", np.uint8), np.frombuffer(offsets, np.int64, len(array) + 1, 8 * array.offset)


def _batch(batch: DocumentBatch, table: pa.Table) -> DocumentBatch:
    return DocumentBatch.from_arrow(table, dataset_name=batch.dataset_name, metadata=dict(batch._metadata))
