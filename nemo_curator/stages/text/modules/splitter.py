"""Cut documents into segments, each a document of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.segments import split_texts
from nemo_curator.tasks.document import DocumentBatch


@dataclass
class DocumentSplitter(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Cut each document at a separator, which is taken literally, into as many rows as there are segments.

    The segments of a document are numbered from 0 in `segment_id_field`, and each has all its other columns. A null
    text is one segment, which is null; an empty one is one empty segment. `DocumentJoiner` with the same separator
    undoes it.
    """

    separator: str
    text_field: str = "text"
    segment_id_field: str = "segment_id"
    name: str = "document_splitter"

    is_row_wise = True

    def __post_init__(self) -> None:
        if not self.separator:
            raise ValueError(f"{self.name}: the separator is empty; wanted at least one character, such as a line feed")

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [self.text_field]

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [self.text_field, self.segment_id_field]

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        segments, offsets = split_texts(batch.text(self.text_field), self.separator)
        counts = np.diff(offsets)
        numbers = np.arange(len(segments)) - np.repeat(offsets[:-1], counts)
        # without its text a document is small, so that its columns can be repeated for every segment
        rest = batch.with_column(self.text_field, pa.nulls(batch.num_items, pa.string()))
        repeated = rest.take(np.repeat(np.arange(batch.num_items), counts))
        return repeated.with_column(self.text_field, segments).with_column(self.segment_id_field, numbers)
