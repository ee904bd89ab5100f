"""Copies of files without the documents that are duplicates."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import InputError, StorageError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.removal_ids import RemovalIds
from nemo_curator.stages.file_partitioning import common_folder
from nemo_curator.stages.text.io.reader import JsonlReaderStage, ParquetReaderStage
from nemo_curator.stages.text.io.reader.jsonl import BOM
from nemo_curator.stages.text.io.reader.lines import long_line, read_lines
from nemo_curator.stages.text.io.reader.parquet import BUFFER_BYTES, DAMAGE, promised_rows
from nemo_curator.stages.text.io.reader.records import check_utf8, column_of, columns_of, joined, parse_record
from nemo_curator.stages.text.io.reader.row_numbers import ROW_NUMBERS, find_lines, row_numbers_of
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.stages.text.io.writer.jsonl import COMPRESSORS
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.find_files import compression_of
from nemo_curator.utils.storage import ask, locate
from nemo_curator.utils.whole_files import appearing_whole

COPIES = "copies"
"""In the metadata of a task: what the copy of each of its files is called, seen from the output folder."""
REMOVED = "num_removed"
"""In the metadata of a task: how many documents were left out."""


@dataclass
class RemoveFromFiles(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Copy files into the folder `path` without the documents that have one of the ids.

    Lines of JSONL are copied byte by byte, row groups of Parquet with their schema. Without `id_field` an id is the
    number of a row, which the tasks carry. A line that is no record fails and is not copied; `are_records` says that
    a step before has parsed them all, so that only UTF-8 is looked at. A copy appears when it is complete; one without
    documents is there, and empty.
    """

    path: str
    reader: JsonlReaderStage | ParquetReaderStage
    ids: RemovalIds | None
    id_field: str | None = None
    storage_options: dict[str, Any] | None = None
    are_records: bool = False
    name: str = "remove_duplicates"

    def before_run(self, earlier: Any = None) -> None:
        self.path = absolute(self.path)
        if self.ids is not None:
            self.ids.open()

    def process(self, task: FileGroupTask) -> FileGroupTask:
        names = [f"{absolute(self.path)}/{name}" for name in task._metadata[COPIES]]
        numbers = [None] * len(names) if self.id_field is not None else row_numbers_of(task)
        judges = [
            Judge(self.name, str(path), self.ids, of_file) for path, of_file in zip(task.data, numbers, strict=True)
        ]
        for judge, name in zip(judges, names, strict=True):
            if isinstance(self.reader, JsonlReaderStage):
                parser = LineParser(judge.path, self.id_field, self.are_records)
                _copy_lines(self.reader, judge, name, parser, self.storage_options)
            else:
                _copy_rows(self.reader, judge, name, self.id_field, self.storage_options)
        removed, kept = sum(judge.removed for judge in judges), sum(judge.kept for judge in judges)
        counts.written(kept)
        return FileGroupTask(task.dataset_name, names, _metadata={**task._metadata, REMOVED: removed, "num_rows": kept})


@dataclass
class Judge:
    """Says of the records of a file, one after the other, which are to be removed, and counts them."""

    name: str
    path: str
    ids: RemovalIds | None
    numbers: range | None
    removed: int = 0
    kept: int = 0
    seen: int = 0

    def __post_init__(self) -> None:
        self._places = np.empty(0, np.int64)
        if self.ids is not None and self.numbers:
            self._places = self.ids.within(self.numbers.start, self.numbers.stop) - self.numbers.start

    def next(self, records: int, ids: pa.Array | None = None) -> np.ndarray:
        """Which of the next records go: by their ids, or by their numbers."""
        first, self.seen = self.seen, self.seen + records
        is_removed = np.zeros(records, bool)
        if ids is not None:
            return is_removed if self.ids is None else self.ids.contains(ids)
        start, stop = np.searchsorted(self._places, [first, self.seen])
        is_removed[self._places[start:stop] - first] = True
        return is_removed

    def count(self, is_removed: np.ndarray, rows: Callable[[np.ndarray], pa.Table]) -> None:
        """Count records of which some are removed; `rows` makes a table of those at some places among them."""
        removed = int(np.count_nonzero(is_removed))
        self.removed += removed
        self.kept += len(is_removed) - removed
        key, of_file = f"{self.path} {self.seen}", {"source_files": [self.path]}
        counts.removed(
            self.name, key, is_removed, lambda places: DocumentBatch(data=rows(places), _metadata=dict(of_file))
        )

    def check(self, records: int) -> None:
        """Raise if the file has another number of records than when they were numbered."""
        if self.numbers is not None and records != len(self.numbers):
            raise InputError(
                f"{self.path} has {records} records, and had {len(self.numbers)} when they were counted: it has "
                "changed; run again"
            )


def _copy_lines(
    reader: JsonlReaderStage,
    judge: Judge,
    name: str,
    parser: LineParser,
    storage_options: dict[str, Any] | None,
) -> None:
    opening, path = reader.opening(), judge.path
    method = opening.get("compression", "infer")
    is_whole = True

    def too_long(place: int, size: int) -> None:
        judge.next(1)
        counts.seen(1)
        counts.failed(long_line(path, place, size), source=f"{path} at byte {place}")

    def runs() -> Iterator[tuple[int, bytes]]:
        nonlocal is_whole
        try:
            yield from read_lines(path, too_long=too_long, **opening)
        except InputError as error:  # damage, and not a storage that fails: what comes before it is copied
            is_whole = False
            counts.cut_short(error, source=path)

    with (
        being_written(name, storage_options) as file,
        compressing(file, compression_of(name) if method == "infer" else method) as write,
    ):
        for place, lines in runs():
            bom = BOM if place == 0 and lines.startswith(BOM) else b""
            write(bom + b"".join(_kept(lines.removeprefix(bom), place, parser, judge)))
        if is_whole:
            judge.check(judge.seen)


def _kept(lines: bytes, place: int, parser: LineParser, judge: Judge) -> Iterator[memoryview]:
    """The bytes of the lines that stay, in as few pieces as they are."""
    starts, is_record = find_lines(lines)
    counts.seen(int(np.count_nonzero(is_record)), len(lines))
    is_broken, ids = parser.parse(lines, starts, is_record, place)
    is_removed = judge.next(len(is_broken), ids) & ~is_broken
    edges = np.append(starts, len(lines))
    good = np.flatnonzero(is_record)[~is_broken]
    judge.count(is_removed[~is_broken], lambda rows: _parsed([lines[edges[at] : edges[at + 1]] for at in good[rows]]))
    stays = np.ones(len(starts), bool)
    stays[is_record] = ~(is_removed | is_broken)
    runs = np.flatnonzero(np.diff(np.concatenate([[False], stays, [False]])))
    view = memoryview(lines)
    for start, stop in edges[runs].reshape(-1, 2):
        yield view[start:stop]


def _parsed(lines: list[bytes]) -> pa.Table:
    return joined(columns_of([parse_record(line) for line in lines])).tables()[0]


class LineParser:
    """Finds lines that are no records, and the ids of those that are. With `are_records` all are, if they are UTF-8."""

    def __init__(self, path: str, id_field: str | None, are_records: bool = False):
        self.path = path
        self.id_field = id_field
        self._are_records = are_records and id_field is None
        fields = [] if id_field is None else [("value", Any, None)]
        kind: Any = msgspec.defstruct("Record", fields, rename=None if id_field is None else {"value": id_field})
        self._decoder = msgspec.json.Decoder(kind)

    def parse(
        self, lines: bytes, starts: np.ndarray, is_record: np.ndarray, place: int
    ) -> tuple[np.ndarray, pa.Array | None]:
        """Which records are broken, and the ids of all; none where the ids are row numbers."""
        records = int(np.count_nonzero(is_record))
        try:
            check_utf8(lines)  # the decoder passes by what it does not keep
            if self._are_records:
                return np.zeros(records, bool), None
            found = self._decoder.decode_lines(lines)
        except (ValueError, RecursionError, MemoryError):
            found = []
        if len(found) == records:
            ids = None if self.id_field is None else column_of([record.value for record in found])
            return np.zeros(records, bool), ids
        return self._one_by_one(lines, np.append(starts, len(lines)), np.flatnonzero(is_record), place)

    def _one_by_one(
        self, lines: bytes, edges: np.ndarray, places: np.ndarray, start: int
    ) -> tuple[np.ndarray, pa.Array | None]:
        is_broken, ids = np.zeros(len(places), bool), []
        for number, at in enumerate(places):
            line = lines[edges[at] : edges[at + 1]].rstrip(b"\n")
            try:
                record = parse_record(line)
            except (ValueError, RecursionError, MemoryError) as error:
                is_broken[number] = True
                record = {}
                text = line.decode(errors="replace")
                counts.failed(error, source=f"{self.path} at byte {start + edges[at]}", record=text)
            ids.append(record.get(self.id_field or ""))
        return is_broken, None if self.id_field is None else column_of(ids)


def _copy_rows(
    reader: ParquetReaderStage, judge: Judge, name: str, id_field: str | None, storage_options: dict[str, Any] | None
) -> None:
    path = judge.path
    with reader.open_file(path) as source:
        try:
            file = pq.ParquetFile(source, buffer_size=BUFFER_BYTES, page_checksum_verification=True)
            promised = promised_rows(file.metadata, None)
            most = max((file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)), default=1)
            schema = file.schema_arrow
        except StorageError:
            raise
        except DAMAGE as error:
            counts.cut_short(error, source=path)
            return
        judge.check(promised)
        if id_field is not None and id_field not in schema.names:
            raise InputError(f"{path} has no column {id_field!r}; its columns are {schema.names}: give id_field")
        with (
            being_written(name, storage_options) as target,
            pq.ParquetWriter(target, schema, compression="zstd", write_page_checksum=True) as writer,
        ):
            for batch in read_batches(reader, file, source, path, promised):
                is_removed = judge.next(batch.num_rows, None if id_field is None else batch.column(id_field))
                judge.count(is_removed, partial(_taken, batch))
                kept = _only(batch, ~is_removed) if is_removed.any() else pa.Table.from_batches([batch])
                for rows in kept.to_batches():
                    writer.write_batch(rows, row_group_size=max(most, 1))


def read_batches(
    reader: ParquetReaderStage, file: pq.ParquetFile, source: Any, path: str, promised: int
) -> Iterator[pa.RecordBatch]:
    """The rows of a file in steps. What ends it early counts the rows that are missing."""
    read = 0
    try:
        for group in range(file.num_row_groups):
            for batch in reader.scan(file, source, group):
                read += batch.num_rows
                counts.seen(batch.num_rows, batch.nbytes)
                yield batch
        if read < promised:
            raise InputError(f"{promised} rows should be here by the footer of the file; found {read}")
    except StorageError:
        raise
    except DAMAGE as error:
        counts.cut_short(error, source=f"{path}, after row {read}", rows=max(promised - read, 1))


def _taken(batch: pa.RecordBatch, places: np.ndarray) -> pa.Table:
    return _only(batch, np.isin(np.arange(batch.num_rows), places))


def _only(batch: pa.RecordBatch, is_kept: np.ndarray) -> pa.Table:
    try:
        return pa.Table.from_batches([batch.filter(pa.array(is_kept))])
    except pa.ArrowNotImplementedError:  # of views
        edges = np.flatnonzero(np.diff(np.concatenate([[False], is_kept, [False]])))
        runs = [batch.slice(start, stop - start) for start, stop in edges.reshape(-1, 2).tolist()]
        return pa.Table.from_batches(runs, batch.schema)


@contextmanager
def being_written(path: str, storage_options: dict[str, Any] | None = None) -> Iterator[BinaryIO]:
    """Open a file that appears, here or behind a URL, when it is complete."""
    if not is_remote_url(path):
        with appearing_whole(path) as place, Path(place).open("wb") as file:
            yield file
        return
    with tempfile.NamedTemporaryFile(prefix="curator-") as draft:
        yield draft  # type: ignore[misc]
        draft.flush()
        fs, place = locate(path, storage_options)
        ask(fs, "put_file", draft.name, place)


@contextmanager
def compressing(file: BinaryIO, method: str | None) -> Iterator[Callable[[Any], Any]]:
    """Give a function that writes to the file, compressed."""
    if method is None:
        yield file.write
        return
    compressor = COMPRESSORS[method]()
    yield lambda data: file.write(compressor.compress(data))
    file.write(compressor.flush())


def whole_files(tasks: list[FileGroupTask], root: str) -> list[FileGroupTask]:
    """Put the parts of files together again, and name the copies as the files are called below the root."""
    groups: dict[str, list[FileGroupTask]] = {}
    for task in tasks:
        groups.setdefault(str(task.data[0]) if task.reader_config else task.task_id, []).append(task)
    made = []
    for parts in groups.values():
        first, paths = parts[0], list(map(str, parts[0].data))
        metadata = {**first._metadata, COPIES: [path[len(root) :].lstrip("/") for path in paths]}
        if ROW_NUMBERS in metadata and first.reader_config:
            numbers = [part._metadata[ROW_NUMBERS][0] for part in parts]
            metadata[ROW_NUMBERS] = [[min(start for start, _ in numbers), max(stop for _, stop in numbers)]]
        one = FileGroupTask(first.dataset_name, paths, _metadata=metadata, task_id=first.task_id)
        one._source_id = first._source_id
        made.append(one)
    return made


def root_of(input_path: str | list[str] | None, paths: list[str], storage_options: dict[str, Any] | None = None) -> str:
    """The folder that the names of copies are seen from: the input folder, or the one that the files share."""
    given = [] if input_path is None else [input_path] if isinstance(input_path, str) else input_path
    folders = [as_listed(str(path), storage_options) for path in given]
    if not folders or not all(any(path.startswith(f"{folder}/") for folder in folders) for path in paths):
        folders = [path.rpartition("/")[0] for path in paths]
    return common_folder(folders)


def as_listed(path: str, storage_options: dict[str, Any] | None) -> str:
    """A folder as the paths of its files begin where it is listed."""
    fs, place = locate(path, storage_options)
    return fs.unstrip_protocol(place) if is_remote_url(path) else place
