"""What an index has of the candidates of a bucket: documents that stay, whatever comes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nemo_curator.stages.deduplication.fuzzy.bands import ROW_FIELD, SHINGLES_FIELD, SIGNATURE_FIELD, from_binary
from nemo_curator.stages.deduplication.fuzzy.blocks import Sets
from nemo_curator.utils.storage import open_bytes


@dataclass
class Indexed:
    """Documents of an index in the order of their ids, as files of a bucket have them."""

    rows: np.ndarray
    ids: pa.Array
    paths: list[str]
    storage_options: dict[str, Any] | None = None

    @classmethod
    def of(cls, paths: list[str], storage_options: dict[str, Any] | None = None) -> Indexed:
        tables = []
        for path in paths:
            with open_bytes(path, storage_options) as file:
                known = pq.ParquetFile(file)
                table = known.read([name for name in known.schema_arrow.names if name in (ROW_FIELD, "id")])
            tables.append(table)
        if not tables:
            return cls(np.empty(0, np.int64), pa.array([], pa.int64()), [])
        table = pa.concat_tables(tables).sort_by(ROW_FIELD)
        name = "id" if "id" in table.column_names else ROW_FIELD
        return cls(table[ROW_FIELD].to_numpy(), table[name].combine_chunks(), paths, storage_options)

    def chunks(self, most: int) -> Iterator[tuple[int, int]]:
        """Runs of no more than `most` documents."""
        yield from pairwise([*range(0, len(self.rows), most), len(self.rows)] if len(self.rows) else [])

    def signatures(self, wanted: np.ndarray, use_64bit_hash: bool) -> np.ndarray:
        return from_binary(self._read(wanted, SIGNATURE_FIELD), use_64bit_hash)

    def sets(self, wanted: np.ndarray) -> Sets:
        column = self._read(wanted, SHINGLES_FIELD)
        sizes = pc.binary_length(column).to_numpy(zero_copy_only=False) // 8
        hashes = np.frombuffer(b"".join(column.to_pylist()), np.uint64)
        return Sets(hashes, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), np.arange(len(sizes)))

    def _read(self, wanted: np.ndarray, name: str) -> pa.Array:
        """A column for some documents, in their order."""
        rows = self.rows[wanted]
        tables = []
        for path in self.paths:
            with open_bytes(path, self.storage_options) as file:
                known = pq.ParquetFile(file)
                for group in range(known.metadata.num_row_groups):
                    table = known.read_row_group(group, [ROW_FIELD, name], use_threads=False)
                    tables.append(table.filter(pa.array(np.isin(table[ROW_FIELD].to_numpy(), rows))))
        table = pa.concat_tables(tables).sort_by(ROW_FIELD)
        return table[name].combine_chunks()
