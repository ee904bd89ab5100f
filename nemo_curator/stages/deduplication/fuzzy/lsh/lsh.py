"""Bands of signatures, and the documents that share one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.errors import InputError
from nemo_curator.kernels.sketches import band_hashes
from nemo_curator.stages.deduplication.fuzzy.utils import CURATOR_DEFAULT_MINHASH_FIELD, CURATOR_LSH_BUCKET_FIELD
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR

if TYPE_CHECKING:
    import pandas as pd

BAND_FIELD = "_band"
BAND_HASH_FIELD = "_band_hash"


@dataclass
class LSHActor:
    """Cuts signatures into bands and groups documents that share one; runs anywhere, and needs no Ray."""

    num_bands: int
    minhashes_per_band: int
    id_field: str = CURATOR_DEDUP_ID_STR
    minhash_field: str = CURATOR_DEFAULT_MINHASH_FIELD

    def bands(self, table: pa.Table) -> pa.Table:
        """A row for each band of each document: its number, its hash, and the id. Nulls have no bands."""
        table = table.filter(pc.is_valid(table[self.minhash_field]))
        hashes = band_hashes(self._signatures(table), self.num_bands)
        numbers = np.tile(np.arange(self.num_bands, dtype=np.int32), len(table))
        rows = pa.array(np.repeat(np.arange(len(table)), self.num_bands))
        names = [BAND_FIELD, BAND_HASH_FIELD, self.id_field]
        return pa.table([numbers, hashes.ravel(), table[self.id_field].take(rows)], names=names)

    def group_by_bucket(self, df: pa.Table | pd.DataFrame, include_singles: bool = False) -> pa.Table | pd.DataFrame:
        """The ids of each bucket as a sorted list, those of buckets with one document only if `include_singles`.

        It takes a table or a frame with a bucket and an id in each row, and returns the same kind.
        """
        table = df if isinstance(df, pa.Table) else pa.Table.from_pandas(df, preserve_index=False)
        table = table.sort_by([(CURATOR_LSH_BUCKET_FIELD, "ascending"), (self.id_field, "ascending")])
        starts = starts_of_runs(table[CURATOR_LSH_BUCKET_FIELD])
        names = table[CURATOR_LSH_BUCKET_FIELD].take(pa.array(starts))
        found = pa.table({CURATOR_LSH_BUCKET_FIELD: names, self.id_field: as_lists(table[self.id_field], starts)})
        if not include_singles:
            found = found.filter(pc.greater(pc.list_value_length(found[self.id_field]), 1))
        return found if isinstance(df, pa.Table) else found.to_pandas()

    def _signatures(self, table: pa.Table) -> np.ndarray:
        column = table[self.minhash_field].combine_chunks()
        wanted = self.num_bands * self.minhashes_per_band
        flat = column.flatten().to_numpy()
        sizes = set(pc.unique(pc.list_value_length(column)).to_pylist())
        if len(sizes) > 1 or (sizes and min(sizes) < wanted):
            raise InputError(
                f"{self.minhash_field!r} has signatures of {sorted(sizes)} hashes; wanted {wanted}, for "
                f"{self.num_bands} bands of {self.minhashes_per_band}"
            )
        return flat.reshape(len(column), -1)[:, :wanted] if len(column) else np.empty((0, wanted), np.uint64)


def starts_of_runs(values: pa.ChunkedArray) -> np.ndarray:
    """Where runs of equal values start."""
    values = values.combine_chunks()
    if not len(values):
        return np.empty(0, np.int64)
    is_other = pc.not_equal(values[1:], values[:-1]).to_numpy(zero_copy_only=False)
    return np.flatnonzero(np.concatenate([[True], is_other]))


def as_lists(values: pa.ChunkedArray, starts: np.ndarray) -> pa.LargeListArray:
    """Cut values into lists that start at these places."""
    ends = np.append(starts, len(values)).astype(np.int64)
    return pa.LargeListArray.from_arrays(pa.array(ends), values.combine_chunks())
