"""Put the segments of documents together again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.errors import ContractError
from nemo_curator.ledger.counts import joined
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.segments import join_segments
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.json_column import is_json


@dataclass
class DocumentJoiner(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Join the segments of each document of a batch, in the order of their ids, into one row.

    Documents come in the order of their first segments in the batch, and have the other columns of the segment with the
    lowest id, nulls included. A row without a document id is a document of its own. A null text adds nothing to a
    document, not even a separator; a document of nulls alone stays null.

    With `max_length` as many segments as fit are joined, one after the other, into segments numbered anew; one that is
    longer stays alone. Lengths are those in `length_field`, in whatever unit, plus that of the separator in characters;
    the field is updated.
    """

    separator: str = "\n\n"
    text_field: str = "text"
    segment_id_field: str = "segment_id"
    document_id_field: str = "id"
    drop_segment_id_field: bool = True
    max_length: int | None = None
    length_field: str | None = None
    name: str = "document_joiner"

    def __post_init__(self) -> None:
        if self.max_length is not None and self.length_field is None:
            raise ValueError(f"{self.name}: max_length needs length_field, the column that holds the lengths")

    def inputs(self) -> tuple[list[str], list[str]]:
        lengths = [] if self.length_field is None else [self.length_field]
        return ["data"], [self.text_field, self.segment_id_field, self.document_id_field, *lengths]

    def outputs(self) -> tuple[list[str], list[str]]:
        segment_ids = [] if self.drop_segment_id_field else [self.segment_id_field]
        return ["data"], [name for name in self.inputs()[1] if name != self.segment_id_field] + segment_ids

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        documents = _documents(batch.column(self.document_id_field))
        keys = pa.table({"document": documents, "segment": batch.column(self.segment_id_field)})
        order = pc.sort_indices(keys, sort_keys=[("document", "ascending"), ("segment", "ascending")]).to_numpy()
        column = batch.text(self.text_field).array.take(pa.array(order))
        texts = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        documents, has_text = documents[order], np.asarray(texts.is_valid())
        lengths = None if self.length_field is None else self._lengths(batch, order, has_text)
        if self.max_length is None or lengths is None:
            starts = _starts(documents)
        else:
            starts = _packed(documents, lengths, has_text, self.max_length, len(self.separator))
        offsets = np.append(starts, len(order))
        first = batch.with_column(self.text_field, pa.nulls(batch.num_items, pa.string())).take(order[starts])
        made = first.with_column(self.text_field, join_segments(texts, offsets, self.separator, texts.type))
        if lengths is not None and len(starts):
            separators = np.maximum(np.add.reduceat(has_text.astype(np.int64), starts) - 1, 0)
            total = np.add.reduceat(lengths, starts) + separators * len(self.separator)
            made = made.with_column(str(self.length_field), total)
        joined(len(order) - len(starts))
        if self.drop_segment_id_field:
            return made.select([name for name in made.get_columns() if name != self.segment_id_field])
        of_document = np.flatnonzero(np.isin(starts, _starts(documents)))
        numbers = np.arange(len(starts)) - np.repeat(of_document, np.diff(np.append(of_document, len(starts))))
        return made.with_column(self.segment_id_field, numbers)

    def _lengths(self, batch: DocumentBatch, order: np.ndarray, has_text: np.ndarray) -> np.ndarray:
        column = batch.column(str(self.length_field)).take(pa.array(order))
        if np.any(np.asarray(column.is_null()) & has_text):
            raise ContractError(f"{self.name}: column {self.length_field!r} holds nulls beside texts; wanted lengths")
        return np.asarray(column.fill_null(0)) * has_text


def _documents(ids: pa.ChunkedArray) -> np.ndarray:
    """The number of the document of each row, counted in the order of first appearance."""
    array = ids.combine_chunks()
    encoded = (array.storage if is_json(array.type) else array).dictionary_encode()
    numbers = np.asarray(encoded.indices.fill_null(-1)).astype(np.int64)
    nulls = np.flatnonzero(numbers < 0)
    numbers[nulls] = len(encoded.dictionary) + np.arange(len(nulls))
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    by_appearance = np.empty(len(first), np.int64)
    by_appearance[np.argsort(first)] = np.arange(len(first))
    return by_appearance[inverse]


def _starts(documents: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.diff(documents, prepend=-1))


def _packed(documents: np.ndarray, lengths: np.ndarray, has_text: np.ndarray, limit: int, separator: int) -> np.ndarray:
    """Where the packs start into which segments fit, in one go over them."""
    starts, before, filled, is_empty = [], None, 0, True
    for at, (document, length, counts) in enumerate(zip(documents.tolist(), lengths.tolist(), has_text.tolist())):
        more = length if is_empty or not counts else length + separator
        if document != before or (counts and not is_empty and filled + more > limit):
            starts.append(at)
            before, filled, is_empty = document, length, not counts
        else:
            filled, is_empty = filled + more, is_empty and not counts
    return np.array(starts, np.int64)
