"""`curator convert`: the same documents in another format, in other files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.cli.documents import check_apart, file_type_of, find_documents, is_parquet, read_documents
from nemo_curator.cli.output import print_json
from nemo_curator.config.load import did_you_mean
from nemo_curator.errors import ConfigError
from nemo_curator.ledger.counts import StageCount
from nemo_curator.stages.file_partitioning import common_folder
from nemo_curator.stages.text.io.reader.parquet import IS_JSON
from nemo_curator.stages.text.io.reader.records import json_of
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.stages.text.io.writer.jsonl import COMPRESSORS, encode
from nemo_curator.stages.text.io.writer.parquet import plain
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_utils import parse_bytes_string_to_int
from nemo_curator.utils.find_files import COMPRESSIONS, Found, compression_of, has_extension
from nemo_curator.utils.retries import retrying
from nemo_curator.utils.storage import locate
from nemo_curator.utils.whole_files import appearing_whole

ENDINGS = {"jsonl": [".jsonl", ".json"], "parquet": [".parquet"]}
OF_PARQUET = ("brotli", "gzip", "lz4", "none", "snappy", "zstd")
OF_LINES = ("none", *COMPRESSORS)

Numbered = tuple[str, DocumentBatch]
"""The path of an output file, and documents that belong there."""


Write = Callable[[DocumentBatch], None]
"""Adds documents to an open file."""


def convert_files(
    paths: list[str],
    output: str,
    *,
    file_format: str | None,
    compression: str | None,
    rows: int | None,
    size: str | None,
    as_json: bool,
) -> int:
    """Write documents to one file, where the output is named like one, or to a folder, and print what was written."""
    is_file = any(has_extension(output, endings) for endings in ENDINGS.values())
    if is_file and (rows or size):
        raise ConfigError(f"{output} is one file; for files of --rows or --size give a folder")
    if rows and size:
        raise ConfigError("give --rows or --size, not both")
    most_bytes = None if size is None else _bytes(size)
    files = find_documents(paths)
    if not is_file:
        check_apart(files, output)
    elif any(found.path == absolute(output) for found in files):
        raise ConfigError(f"{output} is read; write to another file")
    kind = _format(file_format, output if is_file else None) or file_type_of(files)
    compression = _compression(kind, compression, output if is_file else None)
    count = StageCount("convert")
    if is_file:
        numbered: Iterator[Numbered] = ((absolute(output), batch) for batch in _batches(files, count))
    elif rows or most_bytes:
        numbered = _parts(_batches(files, count), absolute(output), _ending(kind, compression), rows, most_bytes)
    else:
        numbered = _one_each(files, count, absolute(output), _ending(kind, compression))
    schema = _common_schema(files) if kind == "parquet" else None
    report = _write(numbered, schema, compression)
    report = {"read": len(files), **report, "failed": count.rows_failed, "failures": list(map(str, count.failures))}
    print_json(report) if as_json else _print(report, output)
    return 1 if count.rows_failed else 0


def _write(numbered: Iterator[Numbered], schema: pa.Schema | None, compression: str) -> dict[str, Any]:
    files = rows = 0
    for path, batches in groupby(numbered, key=lambda pair: pair[0]):
        with _opened(path, schema, compression) as write:
            for _, batch in batches:
                write(batch)
                rows += batch.num_items
        files += 1
    return {"files": files, "rows": rows}


def _batches(files: list[Found], count: StageCount) -> Iterator[DocumentBatch]:
    for found in files:
        yield from read_documents(found.path, count)


def _one_each(files: list[Found], count: StageCount, folder: str, ending: str) -> Iterator[Numbered]:
    """Every file becomes one of the same name, with another ending."""
    root = common_folder(found.root for found in files)
    names = [_without_ending(found.path[len(root) + 1 :] if root else found.path.rpartition("/")[2]) for found in files]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"several files would become {twice[0]}{ending}; give --rows or --size, or one output file")
    for found, name in zip(files, names):
        for batch in read_documents(found.path, count):
            yield f"{folder}/{name}{ending}", batch


def _parts(
    batches: Iterator[DocumentBatch], folder: str, ending: str, rows: int | None, size: int | None
) -> Iterator[Numbered]:
    """Cut documents into files of so many, or of about so many bytes before compression."""
    part, room = 0, float(rows or size or 0)
    for batch in batches:
        cost = 1.0 if rows else max(batch.nbytes / max(batch.num_items, 1), 1.0)
        start = 0
        while start < batch.num_items:
            taken = min(max(int(room / cost), 1), batch.num_items - start)
            yield f"{folder}/part-{part:05}{ending}", batch.slice(start, taken)
            start += taken
            room -= taken * cost
            if room < cost:
                part, room = part + 1, float(rows or size or 0)


@contextmanager
def _opened(path: str, schema: pa.Schema | None, compression: str) -> Iterator[Write]:
    """A file to write documents to, which appears when it is complete; elsewhere it is put in one go."""
    with ExitStack() as stack:
        if is_remote_url(path):
            place = f"{stack.enter_context(tempfile.TemporaryDirectory())}/documents"
        else:
            place = stack.enter_context(appearing_whole(path))
        with _lines(place, compression) if schema is None else _parquet(place, schema, compression) as write:
            yield write
        if is_remote_url(path):
            fs, target = locate(path)
            retrying(lambda: fs.put_file(place, target))


@contextmanager
def _lines(place: str, compression: str) -> Iterator[Write]:
    """JSON Lines, compressed as they are written."""
    compressor = None if compression == "none" else COMPRESSORS[compression]()
    with Path(place).open("wb") as file:

        def write(batch: DocumentBatch) -> None:
            file.writelines(piece if compressor is None else compressor.compress(piece) for piece in encode(batch))

        yield write
        if compressor is not None:
            file.write(compressor.flush())


@contextmanager
def _parquet(place: str, schema: pa.Schema, compression: str) -> Iterator[Write]:
    """Parquet, a row group for each batch, all of one schema."""
    with pq.ParquetWriter(place, schema, compression=compression, write_page_checksum=True) as writer:

        def write(batch: DocumentBatch) -> None:
            if batch.num_items:
                writer.write_table(_fitted(batch.to_pyarrow(), schema))

        yield write


def _common_schema(files: list[Found]) -> pa.Schema:
    """The columns of all files. One whose types differ becomes JSON, as it does within a batch.

    Parquet says what its types are; JSON Lines must be read for that.
    """
    fields: dict[str, pa.Field] = {}
    for found in files:
        for batch in read_documents(found.path, StageCount("schema")):
            for one in plain(batch.to_pyarrow().slice(0, 0)).schema:
                fields[one.name] = _joined(fields.get(one.name, one), one)
            if is_parquet(found.path):
                break
    return pa.schema(list(fields.values()))


def _joined(one: pa.Field, other: pa.Field) -> pa.Field:
    if one.type == other.type and one.metadata == other.metadata:
        return one
    if pa.types.is_null(one.type) or pa.types.is_null(other.type):
        return one if pa.types.is_null(other.type) else other
    return pa.field(one.name, pa.string(), metadata=IS_JSON)


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    texts = plain(table)
    columns = []
    for one in schema:
        at = texts.schema.get_field_index(one.name)
        if at < 0:
            columns.append(pa.nulls(len(table), one.type))
        elif texts.field(at).type == one.type and texts.field(at).metadata == one.metadata:
            columns.append(texts.column(at))
        elif one.metadata == IS_JSON:
            columns.append(json_of(table.column(at).to_pylist()).storage)
        else:
            columns.append(texts.column(at).cast(one.type))
    return pa.table(columns, schema=schema)


def _format(file_format: str | None, output: str | None) -> str | None:
    """The format that is asked for, by name or by the ending of the output file."""
    named = next((kind for kind, endings in ENDINGS.items() if output and has_extension(output, endings)), None)
    if file_format not in (None, *ENDINGS):
        raise ConfigError(f"--format {file_format}: wanted jsonl or parquet{did_you_mean(str(file_format), ENDINGS)}")
    if named and file_format not in (None, named):
        raise ConfigError(f"--format {file_format} and {output} do not go together; give one of them")
    return file_format or named


def _compression(kind: str, wanted: str | None, output: str | None) -> str:
    """How files are compressed: as asked for or as the output is named; by default Parquet with zstd, lines not."""
    known = OF_LINES if kind == "jsonl" else OF_PARQUET
    named = compression_of(output) if output and kind == "jsonl" else None
    if wanted is not None and wanted not in known:
        raise ConfigError(f"--compression {wanted}: {kind} has {', '.join(known)}{did_you_mean(wanted, known)}")
    if output and kind == "jsonl" and wanted not in (None, named or "none"):
        raise ConfigError(f"--compression {wanted} and {output} do not go together; give one of them")
    return wanted or named or ("none" if kind == "jsonl" else "zstd")


def _ending(kind: str, compression: str) -> str:
    suffixes = {method: suffix for suffix, method in COMPRESSIONS.items()}
    return f".{kind}{suffixes.get(compression, '') if kind == 'jsonl' else ''}"


def _without_ending(name: str) -> str:
    if compression_of(name):
        name = name.rpartition(".")[0]
    return name.rpartition(".")[0]


def _bytes(size: str) -> int:
    try:
        found = parse_bytes_string_to_int(size)
    except ValueError as error:
        raise ConfigError(f"--size: {error}") from error
    if found < 1:
        raise ConfigError(f"--size is {size}; wanted at least a byte")
    return found


def _print(report: dict[str, Any], output: str) -> None:
    failed = f", {report['failed']:,} failed" if report["failed"] else ""
    read, made = (f"{count:,} file{'s' * (count != 1)}" for count in (report["read"], report["files"]))
    print(f"{report['rows']:,} rows of {read}{failed}, in {made}: {output}")
    for failure in report["failures"]:
        print(failure)
