"""From files to one row for each document: the hash of its text, its id, and what decides whether it stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.errors import ContractError, InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.exact.hash_lines import TextHashReader
from nemo_curator.stages.deduplication.hashing import hash_texts, normalized
from nemo_curator.stages.deduplication.keep import KEEP_KEY_FIELD, KeepRule
from nemo_curator.stages.text.io.reader import JsonlReaderStage, ParquetReaderStage
from nemo_curator.stages.text.io.reader.row_numbers import ROW_NUMBERS
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.json_column import is_json

EXACT_DUPLICATE_GROUP_FIELD = "_exact_duplicate_group"
"""The first 64 bits of the hash."""
REST_OF_HASH_FIELD = "_exact_duplicate_rest"
NO_TEXT = "no text"
"""How the account of a run calls documents whose text is null: they are like no other, and stay."""

_ROWS_AT_ONCE = 2**20


@dataclass
class HashDocuments(ProcessingStage[FileGroupTask, DocumentBatch]):
    """Read documents and keep of each the hash of its text, its id and its place in keep order.

    All documents of a partition come in one batch of at most some million rows, so that files of buckets are few.
    """

    reader: JsonlReaderStage | ParquetReaderStage
    text_field: str
    id_field: str
    hash_method: str = "md5"
    normalize: tuple[str, ...] = ()
    keep: KeepRule = field(default_factory=KeepRule)
    name: str = "hash_documents"

    def outputs(self) -> tuple[list[str], list[str]]:
        keys = [] if self.keep.by == "first" else [KEEP_KEY_FIELD]
        return ["data"], [EXACT_DUPLICATE_GROUP_FIELD, REST_OF_HASH_FIELD, self.id_field, *keys]

    def before_run(self, earlier: str | None = None) -> str | None:
        return self.reader.before_run(earlier)

    def find_columns(self, task: FileGroupTask) -> list[str]:
        """The columns that are made; raises if the first file of a task has none of those that are read."""
        self.reader.find_columns(task)
        return self.outputs()[1]

    def process(self, task: FileGroupTask) -> Iterator[DocumentBatch]:
        held: list[pa.Table] = []
        for batch in self._read(task):
            is_hashed = EXACT_DUPLICATE_GROUP_FIELD in batch.get_columns()
            held.append(batch.to_pyarrow() if is_hashed else self._hashed(batch))
            if sum(map(len, held)) >= _ROWS_AT_ONCE:
                yield _together(held, task)
                held = []
        if held:
            yield _together(held, task)

    def _read(self, task: FileGroupTask) -> Iterator[DocumentBatch]:
        """The documents of a partition, those of one file after the other where it matters which they are from."""
        for part in _file_by_file(task) if self.keep.sources else [task]:
            made = self._fast_reader().process(part)
            yield from [made] if isinstance(made, DocumentBatch) else made

    def _fast_reader(self) -> JsonlReaderStage | ParquetReaderStage:
        """A reader that makes hashes itself, where nothing is wanted but those of texts as they are."""
        is_plain = isinstance(self.reader, JsonlReaderStage) and not self.reader.needs_pandas
        if not is_plain or not self.reader._row_numbers or self.normalize or self.keep.by != "first":
            return self.reader
        reader = TextHashReader([self.text_field], self.reader.read_kwargs, _row_numbers=True)
        names = EXACT_DUPLICATE_GROUP_FIELD, REST_OF_HASH_FIELD, self.id_field
        return reader.hashing(self.text_field, self.hash_method, names, self._hashed)

    def _hashed(self, batch: DocumentBatch) -> pa.Table:
        batch = self._with_text(batch)
        hashes = hash_texts(normalized(batch.text(self.text_field), self.normalize), self.hash_method)
        columns = {
            EXACT_DUPLICATE_GROUP_FIELD: pa.array(np.ascontiguousarray(hashes[:, 0])),
            REST_OF_HASH_FIELD: pa.array(np.ascontiguousarray(hashes[:, 1])),
            self.id_field: _ids(batch.column(self.id_field), self.id_field),
        }
        keys = self.keep.keys(batch, self.text_field)
        return pa.table(columns if keys is None else {**columns, KEEP_KEY_FIELD: keys})

    def _with_text(self, batch: DocumentBatch) -> DocumentBatch:
        """Leave out the documents without a text; one that has a text and no id has failed."""
        has_text = pc.is_valid(batch.column(self.text_field)).to_numpy()
        if not has_text.all():
            counts.filtered(NO_TEXT, batch, has_text, text_field=self.text_field)
            batch = batch.filter(has_text)
        has_id = pc.is_valid(batch.column(self.id_field)).to_numpy()
        if not has_id.all():
            source = ", ".join(map(str, batch._metadata.get("source_files", [])))
            error = InputError(f"a document has no {self.id_field!r}; give it one, or let ids be assigned")
            counts.failed(error, source=source, rows=int(np.count_nonzero(~has_id)))
            batch = batch.filter(has_id)
        return batch


def _file_by_file(task: FileGroupTask) -> Iterator[FileGroupTask]:
    for at, path in enumerate(map(str, task.data)):
        metadata = {**task._metadata, "source_files": [path]}
        if ROW_NUMBERS in metadata:
            metadata[ROW_NUMBERS] = [metadata[ROW_NUMBERS][at]]
        yield FileGroupTask(task.dataset_name, [path], _metadata=metadata, reader_config=task.reader_config)


def _together(tables: list[pa.Table], task: FileGroupTask) -> DocumentBatch:
    some = [table for table in tables if len(table)] or tables[:1]  # one without rows knows no type of its ids
    table = pa.concat_tables(some, promote_options="permissive")
    return DocumentBatch.from_arrow(table, dataset_name=task.dataset_name, metadata=dict(task._metadata))


def _ids(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_integer(kind):
        return column.cast(pa.int64())
    if is_json(kind) or not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        raise ContractError(f"ids are whole numbers or text; column {name!r} holds {kind}")
    return column.cast(pa.string())
