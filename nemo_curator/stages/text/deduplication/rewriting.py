"""Files written again with parts of their texts cut out: their names, their order and all else stay."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR as ID
from nemo_curator.stages.text.deduplication.cuts import Cuts, PartCutter, SpanCutter
from nemo_curator.stages.text.io.reader.lines import long_line, read_lines
from nemo_curator.stages.text.io.reader.row_numbers import ROW_NUMBERS, RowNumbers, count_lines, numbers_of
from nemo_curator.stages.text.io.writer.jsonl import compressed
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.find_files import compression_of, find_input_files
from nemo_curator.utils.retries import retrying
from nemo_curator.utils.storage import locate, open_bytes
from nemo_curator.utils.whole_files import appearing_whole

TARGET = "target"
"""In the metadata of a task: where its file goes."""

_BOM = b"\xef\xbb\xbf"
_ROWS = 4096
_VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
"""Arrow cannot filter views."""
_GROUP_BYTES = 2**26
_NO_RECORD = (msgspec.DecodeError, ValueError, RecursionError)
_encode = msgspec.json.Encoder().encode


@dataclass
class Rewriting:
    """How documents are written again; what all of a workflow's files share.

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

    def apply(self, text: str, cuts: np.ndarray | None) -> tuple[str, float, str | None]:
        """What is left of a text, the share that is not, and why it is to be dropped, if it is."""
        if cuts is None:
            return text, 0.0, None
        left = self.cutter(text, cuts)
        share = (len(text) - len(left)) / max(len(text), 1)
        if not left or left.isspace():
            return left, share, "empty"
        return left, share, "max_removed_fraction" if share > self.max_removed_fraction else None


@dataclass
class RewriteFilesStage(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Write a file again where its task says, without the parts of its texts that are to be cut out.

    Lines of JSONL that lose nothing are copied byte by byte, those that are no records too; Parquet keeps its schema.
    The task that is made says in `_metadata` what was lost. `version` stands for the cuts: with others all is done
    again.
    """

    rewriting: Rewriting
    input_filetype: Literal["parquet", "jsonl"]
    read_kwargs: dict[str, Any] = field(default_factory=dict)
    write_storage_options: dict[str, Any] | None = None
    version: str = ""
    name: str = "rewrite_files"

    def process(self, task: FileGroupTask) -> FileGroupTask:
        path = str(task.data[0])
        target = task._metadata[TARGET]
        numbers = numbers_of(task)
        if numbers is None:
            raise InputError(f"{self.name}: {path} was not numbered; count its records first")
        made = _File(self.rewriting, path, numbers[0])
        with _writing(target, self.write_storage_options) as place:
            (self._jsonl if self.input_filetype == "jsonl" else self._parquet)(made, place)
        counts.written(made.kept)
        metadata = {**task._metadata, **made.facts(), "num_rows": made.kept}
        return FileGroupTask(dataset_name=task.dataset_name, data=[target], _metadata=metadata)

    def _jsonl(self, made: _File, place: str) -> None:
        settings = ("compression", "storage_options")
        opening: dict[str, Any] = {key: self.read_kwargs[key] for key in settings if key in self.read_kwargs}
        wanted = opening.get("compression", "infer")
        method = compression_of(made.path) if wanted == "infer" else wanted
        pieces = _json_lines(made, opening)
        with Path(place).open("wb") as file:
            file.writelines(compressed(pieces, method) if method else pieces)

    def _parquet(self, made: _File, place: str) -> None:
        with open_bytes(made.path, self.read_kwargs.get("storage_options")) as source:
            file = pq.ParquetFile(source, page_checksum_verification=True)
            schema = file.schema_arrow
            if made.rewriting.removed_field and schema.get_field_index(made.rewriting.removed_field) < 0:
                schema = schema.append(pa.field(made.rewriting.removed_field, pa.float64()))
            with pq.ParquetWriter(place, schema, compression="zstd", write_page_checksum=True) as writer:
                for table in _tables(file, made, schema):
                    writer.write_table(table)


@dataclass
class _File:
    """A file under way, and what has become of its documents."""

    rewriting: Rewriting
    path: str
    numbers: RowNumbers
    kept: int = 0
    edited: int = 0
    removed_chars: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    samples: list[tuple[int, int, str]] = field(default_factory=list)

    def edit(self, number: int, text: Any, cuts: np.ndarray | None) -> tuple[str, float] | None:
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
            gone = pa.table({ID: [number], self.rewriting.text_field: [text]})
            counts.dropped(reason, 1, DocumentBatch.from_arrow(gone), np.zeros(1, bool), [share])
            return None
        self.kept += 1
        return left, share

    def facts(self) -> dict[str, Any]:
        return {
            "edited": self.edited,
            "removed_chars": self.removed_chars,
            "dropped": dict(self.dropped),
            "samples": self.samples,
        }


def whole_files(tasks: list[FileGroupTask]) -> list[FileGroupTask]:
    """A task for each file that is in some tasks, wholly or in parts, with the numbers of its records."""
    ranges: dict[str, list[int]] = {}
    for task in tasks:
        for path, (first, stop) in zip(map(str, task.data), task._metadata[ROW_NUMBERS], strict=True):
            known = ranges.setdefault(path, [first, stop])
            ranges[path] = [min(known[0], first), max(known[1], stop)]
    name = tasks[0].dataset_name if tasks else ""
    made = []
    for path, numbers in sorted(ranges.items()):
        metadata = {"source_files": [path], ROW_NUMBERS: [numbers]}
        made.append(FileGroupTask(dataset_name=name, data=[path], _metadata=metadata))
    return made


def mirrored(paths: list[str], folder: str, roots: list[str]) -> list[str]:
    """Where each file goes: into the folder, under the path that it has in that of the roots which holds it."""
    targets = []
    for path in paths:
        inside = [path[len(root) :].lstrip("/") for root in roots if path.startswith(f"{root.rstrip('/')}/")]
        targets.append(f"{folder}/{min(inside, key=len) if inside else path.rpartition('/')[2]}")
    twice = [target for target, count in Counter(targets).items() if count > 1]
    if twice:
        raise InputError(f"two input files would both become {twice[0]}; give the folder that holds both as input_path")
    return targets


def roots_of(paths: list[str], input_path: str | list[str] | None, extensions: list[str], options: Any) -> list[str]:
    """The folders that were searched for the files, or that hold them."""
    if input_path:
        return sorted({found.root for found in find_input_files(input_path, extensions, options)})
    return [os.path.commonpath([path.rpartition("/")[0] for path in paths])] if len(paths) > 1 else []


def _json_lines(made: _File, opening: dict[str, Any]) -> Iterator[bytes]:
    def too_long(place: int, size: int) -> None:
        made.numbers.take(1)
        counts.seen(1)
        counts.failed(long_line(made.path, place, size), source=f"{made.path} at byte {place}")

    try:
        for place, lines in read_lines(made.path, too_long=too_long, **opening):
            head = _BOM if place == 0 and lines.startswith(_BOM) else b""
            body = lines[len(head) :]
            count = count_lines(body)
            ids = made.numbers.take(count)
            counts.seen(count, len(lines))
            cuts = made.rewriting.cuts.of(ids)
            if cuts or made.rewriting.removed_field:
                yield head + b"".join(_edited_lines(made, body, ids, cuts))
            else:
                made.kept += count
                yield lines
    except (InputError, OSError) as error:
        counts.cut_short(error, source=made.path)


def _edited_lines(made: _File, lines: bytes, ids: range, cuts: dict[int, np.ndarray]) -> Iterator[bytes]:
    """The lines of some documents; what follows none of them, such as blank lines, stays where it is."""
    numbers = iter(ids)
    for line in _split(lines):
        if line.isspace():
            yield line
            continue
        number = next(numbers)
        part = cuts.get(number)
        if part is None and not made.rewriting.removed_field:
            made.kept += 1
            yield line
        else:
            yield from _edited_line(made, line, number, part)


def _split(lines: bytes) -> Iterable[bytes]:
    """Lines with their ends, which are line feeds alone."""
    *whole, rest = lines.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])


def _edited_line(made: _File, line: bytes, number: int, cuts: np.ndarray | None) -> Iterator[bytes]:
    name, removed = made.rewriting.text_field, made.rewriting.removed_field
    try:
        record = _record(line)
        text = None if cuts is None else _value(record[name])
    except _NO_RECORD:
        made.kept += 1
        yield line  # whoever reads it says what is wrong with it
        return
    edited = made.edit(number, text, cuts)
    if edited is None:
        return
    if cuts is not None:
        record[name] = msgspec.Raw(_encode(edited[0]))
    if removed:
        record[removed] = msgspec.Raw(_encode(edited[1]))
    yield _encode(record) + line[len(line.rstrip()) :]


def _record(line: bytes) -> dict[str, Any]:
    """The values of a record as their JSON text, so that all but the text is written as it came."""
    try:
        return msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:  # NaN and Infinity, which only Python's own parser takes
        record = json.loads(line)
        if not isinstance(record, dict):
            raise ValueError("a record is a JSON object") from None
        return {name: msgspec.Raw(json.dumps(value, ensure_ascii=False)) for name, value in record.items()}


def _value(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return json.loads(bytes(raw))


def _tables(file: pq.ParquetFile, made: _File, schema: pa.Schema) -> Iterator[pa.Table]:
    """The row groups of a file, in parts where they are large. What ends it early counts the rows that are missing."""
    read = 0
    try:
        for group in range(file.num_row_groups):
            held: list[pa.Table] = []
            for batch in file.iter_batches(_ROWS, [group]):
                counts.seen(batch.num_rows, batch.nbytes)
                read += batch.num_rows
                held.append(_edited_table(made, pa.Table.from_batches([batch]), schema))
                if sum(table.nbytes for table in held) > _GROUP_BYTES:
                    yield pa.concat_tables(held)
                    held = []
            if held:
                yield pa.concat_tables(held)
    except (OSError, pa.ArrowException) as error:
        counts.cut_short(error, source=made.path, rows=max(file.metadata.num_rows - read, 1))


def _edited_table(made: _File, table: pa.Table, schema: pa.Schema) -> pa.Table:
    name, removed = made.rewriting.text_field, made.rewriting.removed_field
    ids = made.numbers.take(len(table))
    cuts = made.rewriting.cuts.of(ids)
    if not cuts and not removed:
        made.kept += len(table)
        return table
    texts = table[name].to_pylist()
    keep, shares = np.ones(len(table), bool), np.zeros(len(table))
    for row, number in enumerate(ids):
        edited = made.edit(number, texts[row], cuts.get(number))
        if edited is None:
            keep[row] = False
        else:
            texts[row], shares[row] = edited
    table = table.set_column(
        table.schema.get_field_index(name), schema.field(name), _as(texts, schema.field(name).type)
    )
    if removed:
        at = table.schema.get_field_index(removed)
        table = (
            table.append_column(removed, pa.array(shares))
            if at < 0
            else table.set_column(at, schema.field(removed), pa.array(shares).cast(schema.field(removed).type))
        )
    return table if keep.all() else _filtered(table, keep)


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


@contextmanager
def _writing(path: str, storage_options: dict[str, Any] | None) -> Iterator[str]:
    """Give a path of this machine to write to; a file for another storage goes there when it is complete."""
    if not is_remote_url(path):
        with appearing_whole(path) as place:
            yield place
        return
    fs, there = locate(path, storage_options)
    with tempfile.TemporaryDirectory() as folder:
        place = f"{folder}/file"
        yield place
        retrying(lambda: fs.put_file(place, there))
