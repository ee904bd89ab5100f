"""Which parts of which documents are to be cut out: rows in buckets, read in the order of the documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.stages.deduplication.buckets import bucket_of, buckets_for, read_files_of
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR as ID

BLOCK = "block"
"""The column by which cuts are put into buckets: documents with neighbouring ids share one."""
BLOCK_DOCUMENTS = 2**16
MOST_FILES = 256


def cut_table(ids: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> pa.Table:
    """What is to be cut, as `Cuts` reads it."""
    return pa.table({BLOCK: ids // BLOCK_DOCUMENTS, ID: ids, "start": starts, "stop": stops})


def cut_buckets(documents: int) -> int:
    """How many buckets the cuts of so many documents go into: about one for each block."""
    return min(buckets_for(documents, 2 * BLOCK_DOCUMENTS), MOST_FILES)


@dataclass
class Cuts:
    """The cuts of the documents that are asked for one after the other; a block of documents is held at a time.

    Without a path there are none.
    """

    path: str | None = None
    num_buckets: int = 1
    storage_options: dict[str, Any] | None = None
    _block: int = field(default=-1, init=False)
    _held: np.ndarray = field(default_factory=lambda: np.empty((0, 3), np.int64), init=False)

    def of(self, ids: range) -> dict[int, np.ndarray]:
        """The cuts of those of these documents that have any, as pairs of a start and a stop in their order."""
        found: dict[int, np.ndarray] = {}
        first = ids.start
        while first < ids.stop:
            self._hold(first // BLOCK_DOCUMENTS)
            stop = min((self._block + 1) * BLOCK_DOCUMENTS, ids.stop)
            begin, end = np.searchsorted(self._held[:, 0], [first, stop])
            rows = self._held[begin:end]
            starts = np.flatnonzero(np.diff(rows[:, 0], prepend=-1))
            found |= {int(part[0, 0]): part[:, 1:] for part in np.split(rows, starts[1:]) if len(part)}
            first = stop
        return found

    def _hold(self, block: int) -> None:
        if block == self._block:
            return
        bucket = int(bucket_of(pa.array([block]), self.num_buckets)[0])
        table = self.path and read_files_of(self.path, bucket, self.num_buckets, self.storage_options)
        rows = np.empty((0, 3), np.int64)
        if table:
            table = table.filter(pc.equal(table[BLOCK], block))
            rows = np.stack([table[name].to_numpy() for name in (ID, "start", "stop")], axis=1)
        self._held = rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]
        self._block = block


@dataclass(frozen=True)
class PartCutter:
    """Cuts parts out of a text by their numbers: lines, or what else is between separators."""

    separator: str = "\n"

    def __call__(self, text: str, cuts: np.ndarray) -> str:
        gone = set(cuts[:, 0].tolist())
        return self.separator.join(part for number, part in enumerate(text.split(self.separator)) if number not in gone)

    def part(self, text: str, start: int) -> str:
        return text.split(self.separator)[start].strip()


@dataclass(frozen=True)
class SpanCutter:
    """Cuts spans of UTF-8 bytes out of a text. A character that is only partly in a span stays."""

    def __call__(self, text: str, cuts: np.ndarray) -> str:
        data = text.encode()
        kept, at = [], 0
        for start, stop in _merged(cuts):
            start, stop = _inside(data, start, stop)
            if start < stop:
                kept.append(data[at:start])
                at = stop
        kept.append(data[at:])
        return b"".join(kept).decode()

    def part(self, text: str, start: int) -> str:
        return text.encode()[start:].decode(errors="ignore")


def _merged(cuts: np.ndarray) -> list[tuple[int, int]]:
    """Join spans, sorted by their starts, that overlap or touch."""
    merged: list[tuple[int, int]] = []
    for start, stop in cuts.tolist():
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], stop)
        else:
            merged.append((start, stop))
    return merged


def _inside(data: bytes, start: int, stop: int) -> tuple[int, int]:
    """The largest span of whole characters within a span."""
    while start < stop and data[start] & 0xC0 == 0x80:
        start += 1
    while start < stop < len(data) and data[stop] & 0xC0 == 0x80:
        stop -= 1
    return start, stop
