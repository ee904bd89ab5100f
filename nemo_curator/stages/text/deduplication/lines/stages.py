"""Hashes of lines into buckets, and in each bucket those that occur too often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.kernels.lines import hash_lines
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.buckets import read_bucket
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR as ID
from nemo_curator.stages.text.deduplication.cuts import cut_table
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.text_column import TextColumn

HASH, CHECK, NUMBER = "hash", "check", "number"
FREQUENT = "frequent"
"""In the metadata of a task: the parts that occur most often, as (count, id, number) of one that is removed."""

_NORMALIZATIONS: dict[str, Callable[[Any], Any]] = {
    "case": pc.utf8_lower,
    "accents": lambda texts: pc.replace_substring_regex(pc.utf8_normalize(texts, "NFD"), r"\p{Mn}+", ""),
    "digits": partial(pc.replace_substring_regex, pattern=r"\p{Nd}", replacement="0"),
    "punctuation": partial(pc.replace_substring_regex, pattern=r"\p{P}+", replacement=""),
}
NORMALIZATIONS = tuple(_NORMALIZATIONS)


@dataclass
class HashLinesStage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Turn documents into rows: a hash of 128 bits for each of their lines or paragraphs, with its place.

    Before that white space around it is left out, and what `normalize` names: "case", "accents", "punctuation";
    "digits" makes each digit a 0. Parts shorter than `min_chars` afterwards, and nulls, have no row.
    """

    text_field: str = "text"
    unit: Literal["line", "paragraph"] = "line"
    normalize: tuple[str, ...] = ()
    min_chars: int = 1
    name: str = "hash_lines"

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [self.text_field, ID]

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [HASH, CHECK, ID, NUMBER]

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        texts = self._normalized(batch.text(self.text_field))
        places, hashes = hash_lines(*texts.buffers, self.unit == "paragraph", max(self.min_chars, 1))
        counts.joined(batch.num_items)  # what comes out are other rows
        hashes = hashes.view(np.int64)
        ids = batch.column(ID).to_numpy()[places[:, 0]]
        table = pa.table({HASH: hashes[:, 0], CHECK: hashes[:, 1], ID: ids, NUMBER: places[:, 1].astype(np.int32)})
        return DocumentBatch.from_arrow(table, dataset_name=batch.dataset_name, metadata=dict(batch._metadata))

    def _normalized(self, texts: TextColumn) -> TextColumn:
        array = texts.array
        if self.normalize and self.unit == "paragraph":
            # where nothing is left of a line within a paragraph, two line feeds would meet that separate nothing
            data, offsets = map(pa.py_buffer, texts.buffers)
            parts = pc.split_pattern(pa.LargeStringArray.from_buffers(len(texts), offsets, data), "\n\n")
            inside = pc.replace_substring(parts.values, "\n", "\r")
            array = pc.binary_join(
                pa.ListArray.from_arrays(parts.offsets, inside), pa.scalar("\n\n", pa.large_string())
            )
        for name in self.normalize:
            array = _NORMALIZATIONS[name](array)
        return TextColumn(array)


@dataclass
class RepeatedLinesStage(ProcessingStage[FileGroupTask, DocumentBatch]):
    """Turn a bucket of hashes into the places of the lines that occur more than `max_occurrences` times.

    The first, by the order of documents and of places in them, is not among these with `keep="first"`.
    """

    max_occurrences: int = 1
    keep: Literal["first", "none"] = "first"
    num_frequent: int = 100
    storage_options: dict[str, Any] | None = None
    name: str = "repeated_lines"

    def process(self, task: FileGroupTask) -> DocumentBatch:
        table = read_bucket(task, [HASH, CHECK, ID, NUMBER], self.storage_options)
        columns = [table[name].to_numpy() for name in (NUMBER, ID, CHECK, HASH)]
        order = np.lexsort(columns)
        numbers, ids, checks, hashes = (column[order] for column in columns)
        is_first = np.ones(len(order), bool)
        is_first[1:] = (hashes[1:] != hashes[:-1]) | (checks[1:] != checks[:-1])
        firsts = np.flatnonzero(is_first)
        occurrences = np.diff(firsts, append=len(order))
        is_repeated = np.repeat(occurrences > self.max_occurrences, occurrences)
        is_removed = is_repeated & ~is_first if self.keep == "first" else is_repeated
        counts.joined(len(order) - int(is_removed.sum()))
        frequent = self._frequent(firsts, occurrences, ids, numbers)
        ids, starts = ids[is_removed], numbers[is_removed].astype(np.int64)
        metadata = {**task._metadata, FREQUENT: frequent}
        return DocumentBatch.from_arrow(cut_table(ids, starts, starts + 1), metadata=metadata)

    def _frequent(
        self, firsts: np.ndarray, occurrences: np.ndarray, ids: np.ndarray, numbers: np.ndarray
    ) -> list[tuple[int, int, int]]:
        at = np.flatnonzero(occurrences > max(self.max_occurrences, 1))
        removed = firsts[at] + (self.keep == "first")
        most = np.lexsort((numbers[removed], ids[removed], -occurrences[at]))[: self.num_frequent]
        return [(int(occurrences[at[one]]), int(ids[removed[one]]), int(numbers[removed[one]])) for one in most]
