"""Read the candidates again, and only them: their texts, or what an index has of them, go where their component is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.fuzzy.bands import ROW_FIELD
from nemo_curator.stages.deduplication.fuzzy.components import COMPONENT_FIELD, Candidates, read_labels
from nemo_curator.stages.deduplication.keep import KEEP_KEY_FIELD, KeepRule
from nemo_curator.stages.deduplication.text_lines import NOT_WANTED, TextLineReader
from nemo_curator.stages.text.io.reader.row_numbers import row_numbers_of
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.storage import open_bytes

BYTES_FIELD, TEXT_FIELD, USER_ID_FIELD = "_bytes", "_text", "_id"


@dataclass
class CandidateReader(TextLineReader):
    """Reads the candidates among lines of JSON: which they are is known by their numbers."""

    labels_path: str = field(default="", kw_only=True)
    labels_storage_options: dict[str, Any] | None = field(default=None, kw_only=True)

    def choose(self, task: FileGroupTask) -> np.ndarray:
        numbers = [numbers for numbers in row_numbers_of(task) if numbers]
        if not numbers:
            return np.empty(0, np.int64)
        first, last = min(one[0] for one in numbers), max(one[-1] for one in numbers)
        return read_labels(self.labels_path, first, last, self.labels_storage_options).rows


@dataclass
class CandidateTexts(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Keep the documents that are candidates: component, id, what they are ordered by, size and text."""

    labels_path: str
    text_field: str = "text"
    id_field: str | None = None
    rule: KeepRule = field(default_factory=KeepRule)
    storage_options: dict[str, Any] | None = None
    name: str = "candidates"

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [self.text_field, ROW_FIELD, *self.rule.fields, *([self.id_field] if self.id_field else [])]

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [COMPONENT_FIELD, ROW_FIELD, BYTES_FIELD, TEXT_FIELD]

    def validate_input(self, task: Any) -> bool:
        return not task.num_items or super().validate_input(task)

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        if not batch.num_items:
            return batch
        rows = batch.column(ROW_FIELD).to_numpy()
        candidates = read_labels(self.labels_path, int(rows.min()), int(rows.max()), self.storage_options)
        is_one = np.isin(rows, candidates.rows)
        counts.dropped(NOT_WANTED, int((~is_one).sum()))
        is_one[is_one] = self._have_ids(batch.filter(is_one))
        some = batch.filter(is_one)
        texts = some.text(self.text_field)
        columns = {
            COMPONENT_FIELD: candidates.component_of(rows[is_one]),
            ROW_FIELD: rows[is_one],
            BYTES_FIELD: np.diff(texts.buffers[1]),
            TEXT_FIELD: texts.array.cast(pa.large_string()),
        }
        if self.id_field is not None:
            columns[USER_ID_FIELD] = some.column(self.id_field)
        if (keys := self.rule.keys(some, self.text_field, ROW_FIELD)) is not None:
            columns[KEEP_KEY_FIELD] = keys
        return DocumentBatch(batch.dataset_name, pa.table(columns), _metadata=dict(batch._metadata))

    def _have_ids(self, some: DocumentBatch) -> np.ndarray:
        """Which documents have an id, where it is that of the user. A candidate without one has failed, and stays."""
        if self.id_field is None:
            return np.ones(some.num_items, bool)
        has_id = some.column(self.id_field).is_valid().to_numpy()
        if not has_id.all():
            source = ", ".join(map(str, some._metadata.get("source_files", [])))
            error = InputError(f"a document has no {self.id_field!r}; give it one, or leave id_field out")
            counts.failed(error, source=source, rows=int(np.count_nonzero(~has_id)))
        return has_id


@dataclass
class IndexedCandidates(ProcessingStage[FileGroupTask, DocumentBatch]):
    """Read the documents of an index that are candidates: their component, ids, and signature or shingles."""

    labels_path: str
    column: str
    storage_options: dict[str, Any] | None = None
    index_options: dict[str, Any] | None = None
    name: str = "indexed_candidates"

    def process(self, task: FileGroupTask) -> Iterator[DocumentBatch]:
        (path,) = task.data
        with open_bytes(path, self.index_options) as source:
            file = pq.ParquetFile(source)
            rows = file.read([ROW_FIELD])[ROW_FIELD].to_numpy()
            if not len(rows):
                return
            candidates = read_labels(self.labels_path, int(rows[0]), int(rows[-1]), self.storage_options)
            names = [name for name in file.schema_arrow.names if name in (ROW_FIELD, "id", self.column)]
            for group in _groups_with(file, rows, candidates):
                table = file.read_row_group(group, names, use_threads=False)
                own = table[ROW_FIELD].to_numpy()
                table = table.filter(pa.array(np.isin(own, candidates.rows)))
                counts.seen(len(table))
                labels = candidates.component_of(table[ROW_FIELD].to_numpy())
                table = table.append_column(COMPONENT_FIELD, pa.array(labels))
                yield DocumentBatch(task.dataset_name, table, _metadata=dict(task._metadata))


def _groups_with(file: pq.ParquetFile, rows: np.ndarray, candidates: Candidates) -> list[int]:
    """The row groups in which there is a candidate."""
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
    ends = np.cumsum(sizes)
    places = np.flatnonzero(np.isin(rows, candidates.rows))
    return np.unique(np.searchsorted(ends, places, "right")).tolist()
