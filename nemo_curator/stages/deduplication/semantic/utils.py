"""Two functions under their documented names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.stages.deduplication.semantic.embeddings import Lists, usual
from nemo_curator.utils.storage import open_bytes

if TYPE_CHECKING:
    import pandas as pd

USUAL_DIMENSIONS = 1024
VALUES_OF_A_GROUP = 2_000_000_000
ROOM = 1.5
"""Later files may have more rows than the first."""


def get_array_from_df(df: pd.DataFrame | pa.Table, embedding_col: str) -> np.ndarray:
    """The embeddings of a frame or table as a matrix. All must be there and have as many dimensions as the first."""
    values = df[embedding_col]
    lists = Lists.of(values if isinstance(df, pa.Table) else pa.array(values, from_pandas=True))
    dimensions = usual(lists.lengths)
    if lists.is_null.any() or (lists.lengths != dimensions).any():
        wrong = int(np.flatnonzero(lists.is_null | (lists.lengths != dimensions))[0])
        raise ValueError(f"row {wrong} of {embedding_col!r} is missing or has other than {dimensions} dimensions")
    return lists.matrix(np.arange(len(lists.lengths)), dimensions)


def break_parquet_partition_into_groups(
    files: list[str], embedding_dim: int | None = None, storage_options: dict[str, Any] | None = None
) -> list[list[str]]:
    """Group files so that a group has at most about two billion values, judging by the rows of the first file."""
    with open_bytes(files[0], storage_options) as file:
        rows = pq.ParquetFile(file).metadata.num_rows
    most = VALUES_OF_A_GROUP / (embedding_dim or USUAL_DIMENSIONS)
    size = max(int(most / (max(rows, 1) * ROOM)), 1)
    return [files[start : start + size] for start in range(0, len(files), size)]
