"""Texts cut at a separator into one long column of segments, and put together again."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.tasks.text_column import TextColumn


def split_texts(texts: TextColumn, separator: str) -> tuple[pa.Array, np.ndarray]:
    """Cut every text as `str.split(separator)` does.

    Returns all segments behind each other, and where those of each text start and the last one ends. A null has one
    segment, which is null.
    """
    array = _one_array(texts)
    lists = pc.split_pattern(array.fill_null("") if array.null_count else array, separator)
    segments, offsets = lists.flatten(), lists.offsets.to_numpy()
    if array.null_count:
        nulls = np.zeros(len(segments), bool)
        nulls[offsets[:-1][array.is_null().to_numpy(zero_copy_only=False)]] = True
        segments = pc.if_else(pa.array(nulls), pa.scalar(None, segments.type), segments)
    return _as_kind(segments, texts.array.type), offsets


def join_segments(segments: pa.Array, offsets: np.ndarray, separator: str, kind: pa.DataType) -> pa.Array:
    """Join the segments from each offset up to the next. Nulls add nothing; where there are only nulls, null comes out.

    No segment at all is the empty text.
    """
    kept = segments
    starts = offsets
    if segments.null_count:
        is_text = segments.is_valid().to_numpy(zero_copy_only=False)
        kept = segments.drop_null()
        starts = np.concatenate([[0], np.cumsum(is_text)])[offsets]
    lists = pa.ListArray.from_arrays(pa.array(starts, pa.int32()), kept)
    joined = pc.binary_join(lists, pa.scalar(separator, kept.type))
    if segments.null_count:
        nothing_left = (np.diff(starts) == 0) & (np.diff(offsets) > 0)
        joined = pc.if_else(pa.array(nothing_left), pa.scalar(None, joined.type), joined)
    return _as_kind(joined, kind)


def _one_array(texts: TextColumn) -> pa.Array:
    array = texts.array
    if isinstance(array, pa.Array):
        return array
    # the texts of all chunks together may need 64-bit offsets
    return array.chunk(0) if array.num_chunks == 1 else array.cast(pa.large_string()).combine_chunks()


def _as_kind(array: pa.Array, kind: pa.DataType) -> pa.Array:
    return array.cast(kind) if array.nbytes < 2**31 else array
