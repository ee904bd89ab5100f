"""A shuffle that is fed by hand: tables go in, and come out in parts by their keys."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import ContractError
from nemo_curator.stages.deduplication.buckets import MOST_BUCKETS, bucket_of
from nemo_curator.stages.deduplication.parquet_files import write_table
from nemo_curator.stages.text.io.writer.base import absolute


class BulkRapidsMPFShuffler:
    """Puts rows with equal keys into the same of `total_nparts` parts: insert tables, say that all are in, take parts.

    What has come lies in a temporary folder; one part at a time is in memory. It needs neither a GPU nor other
    processes, and the settings for them do nothing.
    """

    def __init__(
        self,
        nranks: int = 1,
        total_nparts: int = 1,
        shuffle_on: list[str] | str = "id",
        output_path: str = "./",
        rmm_pool_size: int | str | None = "auto",
        spill_memory_limit: int | str | None = "auto",
        *,
        enable_statistics: bool = False,
        read_kwargs: dict[str, Any] | None = None,
        write_kwargs: dict[str, Any] | None = None,
    ) -> None:
        if not 1 <= total_nparts <= MOST_BUCKETS:
            raise ValueError(f"total_nparts is {total_nparts}; wanted 1 to {MOST_BUCKETS}")
        self.total_nparts = total_nparts
        self.key_field = shuffle_on if isinstance(shuffle_on, str) else shuffle_on[0]
        self.output_path = output_path
        self.write_kwargs = write_kwargs
        self._schema: pa.Schema | None = None
        self._is_finished = False
        self._files = 0
        self._folder = tempfile.TemporaryDirectory(prefix="nemo_curator-shuffle-")

    def insert_chunk(self, table: pa.Table, column_names: list[str] | None = None) -> None:
        """Put the rows of a table into their parts."""
        if self._is_finished:
            raise ContractError("a table came after insert_finished; make another shuffler")
        table = table.rename_columns(column_names) if column_names else table
        self._schema = self._schema or table.schema
        parts = bucket_of(table[self.key_field], MOST_BUCKETS) % self.total_nparts
        for part in np.unique(parts):
            folder = Path(self._folder.name, str(part))
            folder.mkdir(exist_ok=True)
            pq.write_table(table.filter(pa.array(parts == part)), folder / f"{self._files:08d}.parquet")
        self._files += 1

    def insert_finished(self) -> None:
        """Say that all tables are in."""
        self._is_finished = True

    def extract(self) -> Iterator[tuple[int, pa.Table]]:
        """Each part: its number, and its rows in the order in which they came."""
        if not self._is_finished:
            raise ContractError("parts were asked for before insert_finished; rows may still come")
        for part in range(self.total_nparts):
            paths = sorted(Path(self._folder.name, str(part)).glob("*.parquet"))
            tables = [pq.read_table(path, partitioning=None, use_threads=False) for path in paths]
            yield part, pa.concat_tables(tables or [(self._schema or pa.schema([])).empty_table()])

    def write_table(self, table: pa.Table, output_path: str, partition_id: int, column_names: list[str]) -> str:
        """Write a part to `<output_path>/part.<partition_id>.parquet`; return the path."""
        path = f"{absolute(output_path)}/part.{partition_id}.parquet"
        write_table(path, table.rename_columns(column_names), self.write_kwargs)
        return path

    def cleanup(self) -> None:
        """Delete the temporary folder."""
        self._folder.cleanup()
