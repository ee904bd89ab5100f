"""Copies of files with parts of their texts cut out: names, order and all other columns stay."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import InputError, StorageError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR as ID
from nemo_curator.stages.deduplication.removal import COPIES, LineParser, being_written, compressing, read_batches
from nemo_curator.stages.text.deduplication.cuts import Cuts, PartCutter, SpanCutter
from nemo_curator.stages.text.io.reader import JsonlReaderStage, ParquetReaderStage
from nemo_curator.stages.text.io.reader.jsonl import BOM
from nemo_curator.stages.text.io.reader.lines import long_line, read_lines
from nemo_curator.stages.text.io.reader.parquet import BUFFER_BYTES, DAMAGE, promised_rows
from nemo_curator.stages.text.io.reader.row_numbers import RowNumbers, find_lines, row_numbers_of
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.find_files import compression_of

_GROUP_BYTES = 2**26
_VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
"""Arrow cannot filter views."""
_encode = msgspec.json.Encoder().encode


@dataclass
class Rewriting:
    """How documents are copied; what all files of a workflow share.

    A document of which nothing is left but white space is dropped, and one that loses more than `max_removed_fraction`
    of its characters. `removed_field` is a column for that share. `samples` lists, for some documents, where parts
    start that the task is to bring along.
    """

    text_field: str
    cutter: PartCutter | SpanCutter
    cuts: Cuts
    max_removed_fraction: float = 1.0
    removed_field: str | None = None
    samples: dict[int, list[int]] = field(default_factory=dict)

    def apply(self, text: str, cuts: np.ndarray) -> tuple[str, float, str | None]:
        """What is left of a text, the share that is not, and why it is to be dropped, if it is."""
        left = self.cutter(text, cuts)
        share = (len(text) - len(left)) / max(len(text), 1)
        if not left or left.isspace():
            return left, share, "empty"
        return left, share, "max_removed_fraction" if share > self.max_removed_fraction else None


@dataclass
class RewriteFilesStage(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Copy files into the folder `path` without the parts of their texts that are to be cut out.

    Lines of JSONL that lose nothing are copied byte by byte, and of the others all but the text; Parquet keeps its
    schema. A line that is no record fails and is not copied. The task that is made says in `_metadata` what was lost.
    """

    path: str
    reader: JsonlReaderStage | ParquetReaderStage
    rewriting: Rewriting
    storage_options: dict[str, Any] | None = None
    name: str = "rewrite_files"

    def process(self, task: FileGroupTask) -> FileGroupTask:
        names = [f"{absolute(self.path)}/{name}" for name in task._metadata[COPIES]]
        files = []
        for path, numbers, name in zip(map(str, task.data), row_numbers_of(task), names, strict=True):
            file = _File(self.rewriting, RowNumbers(numbers.start, numbers.stop, path))
            if isinstance(self.reader, JsonlReaderStage):
                _copy_lines(self.reader, file, name, self.storage_options)
            else:
                _copy_rows(self.reader, file, name, self.storage_options)
            files.append(file)
        kept = sum(file.kept for file in files)
        counts.written(kept)
        facts = {
            "num_rows": kept,
            "edited": sum(file.edited for file in files),
            "removed_chars": sum(file.removed_chars for file in files),
            "dropped": dict(sum((file.dropped for file in files), Counter())),
            "samples": [sample for file in files for sample in file.samples],
        }
        return FileGroupTask(task.dataset_name, names, _metadata={**task._metadata, **facts})


@dataclass
class _File:
    """A file under way, and what has become of its documents."""

    rewriting: Rewriting
    numbers: RowNumbers
    kept: int = 0
    edited: int = 0
    removed_chars: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    samples: list[tuple[int, int, str]] = field(default_factory=list)

    @property
    def path(self) -> str:
        return self.numbers.source

    def edit(self, number: int, text: Any, cuts: np.ndarray | None) -> tuple[Any, float] | None:
        """What is left of a document's text and the share that is not; None if it is dropped."""
        if cuts is None or not isinstance(text, str):
            self.kept += 1
            return text, 0.0
        for start in self.rewriting.samples.get(number, ()):
            self.samples.append((number, start, self.rewriting.cutter.part(text, start)))
        left, share, reason = self.rewriting.apply(text, cuts)
        self.edited += left != text
        self.removed_chars += len(text) - len(left)
        if reason:
            self.dropped[reason] += 1
            gone = DocumentBatch.from_arrow(
                pa.table({ID: [number], self.rewriting.text_field: [text]}), metadata={"source_files": [self.path]}
            )
            counts.removed(reason, f"{self.path} {number}", np.ones(1, bool), lambda _: gone, [share])
            return None
        self.kept += 1
        return left, share

    def check_end(self) -> None:
        """Raise if these were not the records that were numbered."""
        if self.numbers.next != self.numbers.stop:
            raise InputError(f"{self.path} holds fewer records than were counted: it has changed; run again")


def check_fraction(max_removed_fraction: float) -> None:
    """Raise if this is no share."""
    if not 0 <= max_removed_fraction <= 1:
        raise ValueError(f"max_removed_fraction is {max_removed_fraction}; wanted a share between 0 and 1")


def _copy_lines(reader: JsonlReaderStage, made: _File, name: str, storage_options: dict[str, Any] | None) -> None:
    opening, parser = reader.opening(), LineParser(made.path, None)
    method = opening.get("compression", "infer")

    def too_long(place: int, size: int) -> None:
        made.numbers.take(1)
        counts.seen(1)
        counts.failed(long_line(made.path, place, size), source=f"{made.path} at byte {place}")

    def runs() -> Iterator[tuple[int, bytes]]:
        try:
            yield from read_lines(made.path, too_long=too_long, **opening)
        except InputError as error:  # damage, and not a storage that fails: what comes before it is copied
            counts.cut_short(error, source=made.path)
            made.numbers.next = made.numbers.stop

    with (
        being_written(name, storage_options) as file,
        compressing(file, compression_of(name) if method == "infer" else method) as write,
    ):
        for place, lines in runs():
            bom = BOM if place == 0 and lines.startswith(BOM) else b""
            write(bom + b"".join(_edited_lines(made, lines.removeprefix(bom), parser, place)))
        made.check_end()


def _edited_lines(made: _File, lines: bytes, parser: LineParser, place: int) -> Iterator[bytes | memoryview]:
    """What is left of some documents; blank lines stay where they are."""
    starts, is_record = find_lines(lines)
    ids = made.numbers.take(int(np.count_nonzero(is_record)))
    counts.seen(len(ids), len(lines))
    is_broken, _ = parser.parse(lines, starts, is_record, place)
    cuts = made.rewriting.cuts.of(ids)
    if not cuts and not made.rewriting.removed_field and not is_broken.any():
        made.kept += len(ids)
        yield lines
        return
    view, number = memoryview(lines), ids.start
    for start, stop, is_text in zip(starts.tolist(), [*starts[1:].tolist(), len(lines)], is_record.tolist()):
        if not is_text:
            yield view[start:stop]
            continue
        part = cuts.get(number)
        if not is_broken[number - ids.start]:
            if part is None and not made.rewriting.removed_field:
                made.kept += 1
                yield view[start:stop]
            else:
                yield _edited_line(made, lines[start:stop], number, part)
        number += 1


def _edited_line(made: _File, line: bytes, number: int, cuts: np.ndarray | None) -> bytes:
    name, removed = made.rewriting.text_field, made.rewriting.removed_field
    record = _raw_values(line)
    edited = made.edit(number, None if cuts is None else json.loads(bytes(record[name])), cuts)
    if edited is None:
        return b""
    if cuts is not None:
        record[name] = msgspec.Raw(_encode(edited[0]))
    if removed:
        record[removed] = msgspec.Raw(_encode(edited[1]))
    return _encode(record) + line[len(line.rstrip()) :]


def _raw_values(line: bytes) -> dict[str, Any]:
    """The values of a record as their JSON text, so that all but the text is written as it came."""
    try:
        return msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:  # NaN and Infinity, which only Python's own parser takes
        return {name: msgspec.Raw(json.dumps(value, ensure_ascii=False)) for name, value in json.loads(line).items()}


def _copy_rows(reader: ParquetReaderStage, made: _File, name: str, storage_options: dict[str, Any] | None) -> None:
    with reader.open_file(made.path) as source:
        try:
            file = pq.ParquetFile(source, buffer_size=BUFFER_BYTES, page_checksum_verification=True)
            promised = promised_rows(file.metadata, None)
            schema = file.schema_arrow
        except StorageError:
            raise
        except DAMAGE as error:
            counts.cut_short(error, source=made.path)
            return
        removed = made.rewriting.removed_field
        if removed and removed not in schema.names:
            schema = schema.append(pa.field(removed, pa.float64()))
        with (
            being_written(name, storage_options) as target,
            pq.ParquetWriter(target, schema, compression="zstd", write_page_checksum=True) as writer,
        ):
            held: list[pa.Table] = []
            for batch in read_batches(reader, file, source, made.path, promised):
                held.append(_edited_table(made, pa.Table.from_batches([batch]), schema))
                if sum(table.nbytes for table in held) > _GROUP_BYTES:
                    writer.write_table(pa.concat_tables(held))
                    held = []
            if any(map(len, held)):
                writer.write_table(pa.concat_tables(held))


def _edited_table(made: _File, table: pa.Table, schema: pa.Schema) -> pa.Table:
    name, removed = made.rewriting.text_field, made.rewriting.removed_field
    ids = made.numbers.take(len(table))
    cuts = made.rewriting.cuts.of(ids)
    keep, shares = np.ones(len(table), bool), np.zeros(len(table))
    if cuts:
        texts = table[name].to_pylist()
        for row, number in enumerate(ids):
            edited = made.edit(number, texts[row], cuts.get(number))
            keep[row] = edited is not None
            texts[row], shares[row] = edited or (None, 0.0)
        table = _with_column(table, schema.field(name), _as(texts, schema.field(name).type))
    else:
        made.kept += len(table)
    if removed:
        table = _with_column(table, schema.field(removed), pa.array(shares).cast(schema.field(removed).type))
    return table if keep.all() else _filtered(table, keep)


def _with_column(table: pa.Table, kind: pa.Field, column: pa.Array) -> pa.Table:
    at = table.schema.get_field_index(kind.name)
    return table.append_column(kind, column) if at < 0 else table.set_column(at, kind, column)


def _filtered(table: pa.Table, keep: np.ndarray) -> pa.Table:
    columns = []
    for column in table.columns:
        plain = column.cast(_VIEWS[column.type]) if column.type in _VIEWS else column
        columns.append(plain.filter(pa.array(keep)).cast(column.type))
    return pa.table(columns, schema=table.schema)


def _as(texts: list[str | None], kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.array(texts, kind.value_type).dictionary_encode().cast(kind)
    return pa.array(texts, pa.large_string()).cast(kind)
