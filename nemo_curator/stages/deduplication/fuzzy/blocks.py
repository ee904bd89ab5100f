"""The documents of a bucket in the order in which they are kept, in blocks whose shingles fit into memory."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.kernels.shingles import shingle_sets
from nemo_curator.stages.deduplication.fuzzy.bands import ROW_FIELD
from nemo_curator.stages.deduplication.fuzzy.candidates import BYTES_FIELD, TEXT_FIELD, USER_ID_FIELD
from nemo_curator.stages.deduplication.fuzzy.components import COMPONENT_FIELD
from nemo_curator.stages.deduplication.fuzzy.groups import GROUP_FIELD
from nemo_curator.stages.deduplication.keep import KEEP_KEY_FIELD, KeepRule
from nemo_curator.tasks.text_column import TextColumn
from nemo_curator.utils.storage import open_bytes

FOR_A_BYTE = 24
"""Bytes in memory for each byte of the text of a block: the text, its shingles, those compared with them, copies."""
_FOR_A_TEXT = 64
_FEW = 2**25
"""Bytes that a block takes: less than what malloc asks the system for anew each time."""
IN_MEMORY = 4
"""Bytes in memory for each byte of texts while they are put in order, and with those of a block."""


@dataclass
class Sets:
    """Sets of shingles end to end, and which of them each document has."""

    hashes: np.ndarray
    offsets: np.ndarray
    of: np.ndarray

    def with_more(self, other: Sets) -> Sets:
        """These, and others behind them."""
        offsets = np.concatenate([self.offsets, other.offsets[1:] + self.offsets[-1]])
        of = np.concatenate([self.of, other.of + len(self.offsets) - 1])
        return Sets(np.concatenate([self.hashes, other.hashes]), offsets, of)


@dataclass
class Memberships:
    """The groups of each document: those of document d are `groups[starts[d] : starts[d + 1]]`."""

    starts: np.ndarray
    groups: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, members: np.ndarray, groups: np.ndarray) -> Memberships:
        """From pairs of member and group, in any order, for these rows, in theirs. Pairs may come twice."""
        by_row = np.argsort(rows, kind="stable")
        at = np.searchsorted(rows[by_row], members)
        is_here = rows[by_row][np.minimum(at, len(rows) - 1)] == members
        places, groups = by_row[at[is_here]], groups[is_here]
        names, groups = np.unique(groups, return_inverse=True)
        pairs = np.unique(places * np.int64(len(names)) + groups)
        places, groups = pairs // max(len(names), 1), pairs % max(len(names), 1)
        return cls(np.searchsorted(places, np.arange(len(rows) + 1)), groups)

    def take(self, documents: np.ndarray) -> Memberships:
        """Those of these documents alone."""
        first, sizes = self.starts[documents], self.starts[documents + 1] - self.starts[documents]
        ends = np.cumsum(sizes)
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(first - (ends - sizes), sizes)
        return Memberships(np.concatenate([[0], ends]).astype(np.int64), self.groups[places])

    def dense(self) -> tuple[np.ndarray, np.ndarray]:
        """The groups numbered from 0, and where the members of each start when they stand end to end."""
        names, groups = np.unique(self.groups, return_inverse=True)
        sizes = np.bincount(groups, minlength=len(names))
        return groups.astype(np.int64), np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)

    def share(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Those of some documents that are in a group with one of the others."""
        wanted = np.unique(self.take(others).groups)
        mine = self.take(some)
        found = np.concatenate([[0], np.cumsum(np.isin(mine.groups, wanted))])
        return some[found[mine.starts[1:]] > found[mine.starts[:-1]]]


@dataclass
class Documents:
    """The new documents of a bucket, component after component, each in keep order; without their texts."""

    rows: np.ndarray
    components: np.ndarray
    ids: pa.Array
    sizes: np.ndarray

    @classmethod
    def of(cls, table: pa.Table, rule: KeepRule) -> Documents:
        table = table.sort_by(ROW_FIELD)
        ids = table[USER_ID_FIELD if USER_ID_FIELD in table.column_names else ROW_FIELD].combine_chunks()
        keys = table[KEEP_KEY_FIELD].combine_chunks() if KEEP_KEY_FIELD in table.column_names else None
        components = table[COMPONENT_FIELD].to_numpy()
        order = np.lexsort((rule.ranks(ids, keys), components))
        rows, sizes = table[ROW_FIELD].to_numpy()[order], table[BYTES_FIELD].to_numpy()[order]
        return cls(rows, components[order], ids.take(pa.array(order)), sizes)

    def __len__(self) -> int:
        return len(self.rows)

    def blocks(self, working_bytes: int) -> list[tuple[int, int]]:
        """Cut them into runs of whole components, of few MiB; a larger component by itself, if it fits into the memory.

        One that does not is cut where it must be. Short runs take the memory again that those before them took.
        """
        ends = np.cumsum(self.sizes * FOR_A_BYTE + _FOR_A_TEXT)
        edges = np.append(np.flatnonzero(np.diff(self.components)) + 1, len(self))
        cuts, done = [0], 0
        while cuts[-1] < len(self):
            start = cuts[-1]
            few, fits = (
                int(np.searchsorted(ends, done + most, "right")) for most in (min(_FEW, working_bytes), working_bytes)
            )
            next_edge = int(edges[np.searchsorted(edges, start, "right")])
            if next_edge <= few:
                stop = int(edges[np.searchsorted(edges, few, "right") - 1])
            else:
                stop = min(next_edge, max(fits, start + 1))
            cuts.append(stop)
            done = int(ends[stop - 1])
        return list(pairwise(cuts))


@dataclass
class BlockTexts:
    """The texts of blocks: in memory if they all fit there, else in a file each, in a temporary folder."""

    documents: Documents
    blocks: list[tuple[int, int]]
    paths: list[str]
    working_bytes: int
    storage_options: dict[str, Any] | None = None
    _folder: Any = field(default=None, init=False)
    _all: pa.Array | None = field(default=None, init=False)

    def __enter__(self) -> BlockTexts:
        if int(self.documents.sizes.sum()) * IN_MEMORY <= self.working_bytes:
            self._all = self._in_order([self._read(path) for path in self.paths], np.arange(len(self.documents)))
        else:
            self._folder = tempfile.TemporaryDirectory(prefix="nemo_curator-")
            for path in self.paths:
                self._spill(self._read(path))
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def texts(self, block: int, wanted: np.ndarray) -> tuple[TextColumn, np.ndarray]:
        """The texts of documents of a block, each once, and which of them each document has."""
        texts = self._in_order(self._spilled(block), wanted) if self._all is None else self._all.take(pa.array(wanted))
        once = texts.dictionary_encode()
        return TextColumn(once.dictionary), once.indices.to_numpy().astype(np.int64)

    def sets(self, block: int, wanted: np.ndarray, char_ngrams: int) -> Sets:
        """The sets of documents of a block. Equal texts have one set."""
        texts, of = self.texts(block, wanted)
        return Sets(*shingle_sets(texts, char_ngrams), of)

    def _in_order(self, tables: list[pa.Table], wanted: np.ndarray) -> pa.Array:
        """The texts of documents, which are among the rows of tables."""
        table = pa.concat_tables(tables)
        rows = table[ROW_FIELD].to_numpy()
        by_row = np.argsort(rows)
        places = by_row[np.searchsorted(rows[by_row], self.documents.rows[wanted])]
        return table[TEXT_FIELD].combine_chunks().take(pa.array(places))

    def _spilled(self, block: int) -> list[pa.Table]:
        tables = []
        with self._file(block).open("rb") as file:
            end = file.seek(0, 2)
            file.seek(0)
            while file.tell() < end:
                tables.append(pa.ipc.open_stream(file).read_all())
        return tables

    def _read(self, path: str) -> pa.Table:
        with open_bytes(path, self.storage_options) as file:
            return pq.read_table(file, columns=[ROW_FIELD, TEXT_FIELD], use_threads=False)

    def _spill(self, table: pa.Table) -> None:
        by_row = np.argsort(self.documents.rows)
        places = by_row[np.searchsorted(self.documents.rows[by_row], table[ROW_FIELD].to_numpy())]
        blocks = np.searchsorted([stop for _, stop in self.blocks], places, "right")
        for block in np.unique(blocks):
            rows = table.filter(pa.array(blocks == block))
            with self._file(block).open("ab") as file, pa.ipc.new_stream(file, rows.schema) as stream:
                stream.write_table(rows)

    def _file(self, block: int) -> Path:
        return Path(self._folder.name) / f"{block}.arrow"


def read_pairs(tables: list[pa.Table]) -> tuple[np.ndarray, np.ndarray]:
    """Members and groups of a bucket of groups."""
    if not tables:
        return np.empty(0, np.int64), np.empty(0, np.uint64)
    table = pa.concat_tables(tables)
    return table[ROW_FIELD].to_numpy(), table[GROUP_FIELD].to_numpy()
