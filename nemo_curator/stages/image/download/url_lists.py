"""Lists of URLs in files: which columns they have, where they are cut, and what is in a part of one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts, pulse
from nemo_curator.stages.text.io.reader.lines import read_head, read_lines
from nemo_curator.stages.text.io.reader.parquet import DAMAGE, rows_at_once
from nemo_curator.utils.find_files import has_extension
from nemo_curator.utils.storage import open_bytes

URL_COLUMNS = ("url", "image_url")
CAPTION_COLUMNS = ("caption", "text")
"""What the columns are called where nobody says; in any case, the first that is there."""
OWN_COLUMNS = {"url", "caption", "key", "status", "error", "bytes", "sha256", "width", "height", "original_width"}
OWN_COLUMNS |= {"original_height"}
"""What is written about each URL."""
EXTENSIONS = (".parquet", ".csv", ".tsv", ".jsonl", ".json", ".txt")
_HEAD_BYTES = 2**18
_END = 2**62
_BOM = b"\xef\xbb\xbf"
_QUOTED = re.compile(rb'"(?:[^"]|"")*"(?!")')


@dataclass(frozen=True)
class ListColumns:
    """What a list has where: the columns of URLs and captions, and those that come along."""

    url: str
    caption: str | None = None
    hash: str | None = None
    others: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(filter(None, [self.url, self.caption, self.hash, *self.others])))


def find_columns(path: str, asked: ListColumns, storage_options: dict[str, Any] | None = None) -> ListColumns:
    """Which columns of a list are meant, where some may have no name yet.

    One that is not there is looked for in other cases: `URL` for `url`.
    """
    there = _columns(path, storage_options)
    url = _pick(there, [asked.url] if asked.url else URL_COLUMNS)
    caption = _pick(there, [asked.caption] if asked.caption else CAPTION_COLUMNS)
    found = ListColumns(url or "", caption, asked.hash and _pick(there, [asked.hash]), asked.others)
    is_missing = (asked.caption and not found.caption) or (asked.hash and not found.hash)
    if not url or is_missing or not set(asked.others) <= set(there):
        wanted = ListColumns(asked.url or "url", asked.caption, asked.hash, asked.others).names
        raise InputError(
            f"{path}: wanted the columns {wanted}; found {there}; say with url_field, … what they are called"
        )
    return found


def cut(path: str, rows: int, storage_options: dict[str, Any] | None = None) -> list[dict[str, list[int]]]:
    """Cut a list into parts of so many rows: ranges of rows in Parquet, of bytes elsewhere."""
    if has_extension(path, ".parquet"):
        with open_bytes(path, storage_options) as file:
            total = pq.ParquetFile(file).metadata.num_rows
        return [{"rows": [start, min(start + rows, total)]} for start in range(0, total, rows)]
    starts = list(islice(_record_starts(path, storage_options), 0, None, rows))
    return [{"byte_range": list(pair)} for pair in zip(starts, [*starts[1:], _END])]


def read_part(
    path: str, part: dict[str, list[int]], columns: ListColumns, storage_options: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The rows of a part of a list, with the columns that are meant. Lines that cannot be parsed are set aside."""
    try:
        if "rows" in part:
            first, last = part["rows"]
            return _parquet_rows(path, first, last, columns.names, storage_options)
        start, stop = part["byte_range"]
        runs = read_lines(path, 0 if _is_compressed(path) else start, stop, storage_options=storage_options)
        lines = b"".join(run[max(start - place, 0) :] for place, run in runs if place + len(run) > start)
        return _parse(path, lines, start, columns, storage_options)
    except DAMAGE as error:
        raise InputError(f"{path} {part}: {type(error).__name__}: {error}") from error


def _parse(
    path: str, lines: bytes, start: int, columns: ListColumns, storage_options: dict[str, Any] | None
) -> list[dict[str, Any]]:
    if delimiter := _delimiter(path):
        return _csv_rows(_header(path, storage_options) + lines, delimiter, columns.names)
    texts = [line.strip() for line in lines.removeprefix(_BOM).split(b"\n")]
    if has_extension(path, ".txt"):
        return [{columns.url: text.decode(errors="replace")} for text in texts if text]
    rows = []
    for text in filter(None, texts):
        try:
            row = _object(text)
            rows.append({name: row.get(name) for name in columns.names})
        except (ValueError, RecursionError) as error:
            counts.seen(1)
            counts.failed(InputError(f"no JSON object: {error}"), source=f"{path}, from byte {start} on", record=text)
    return rows


def _object(line: bytes) -> dict[str, Any]:
    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError(f"wanted one object a line; found {line[:80]!r}")
    return value


def _pick(there: list[str], wanted: Any) -> str | None:
    for name in wanted:
        if name in there:
            return name
    in_lower_case = {name.lower(): name for name in reversed(there)}
    return next((in_lower_case[name.lower()] for name in wanted if name.lower() in in_lower_case), None)


def _columns(path: str, storage_options: dict[str, Any] | None) -> list[str]:
    try:
        if has_extension(path, ".parquet"):
            with open_bytes(path, storage_options) as file:
                return pq.ParquetFile(file).schema_arrow.names
        if has_extension(path, ".txt"):
            return ["url"]
        if delimiter := _delimiter(path):
            header = _header(path, storage_options)
            return csv.read_csv(pa.BufferReader(header), parse_options=_csv_format(delimiter)).column_names
        head = read_head(path, _HEAD_BYTES, storage_options=storage_options).removeprefix(_BOM).lstrip()
        first, *lines = head.split(b"\n")
        names = dict.fromkeys(_object(first))
        for line in lines:  # not every record need have every key
            with suppress(ValueError, RecursionError):
                names |= dict.fromkeys(_object(line))
        return list(names)
    except DAMAGE as error:
        raise InputError(f"{path}: cannot read its columns: {type(error).__name__}: {error}") from error


def _record_starts(path: str, storage_options: dict[str, Any] | None) -> Iterator[int]:
    """Where each record that is not blank begins. A line end within quotes ends no record of CSV."""
    delimiter = _delimiter(path)
    is_header, is_within = delimiter is not None, False
    for place, lines in read_lines(path, storage_options=storage_options):
        pulse.beat()
        for line in lines.split(b"\n"):
            is_first, place = not is_within, place + len(line) + 1
            if delimiter and line.count(b'"') % 2:
                is_within = not is_within and _leaves_open(line, delimiter.encode())
            if is_first and line.strip():
                if not is_header:
                    yield place - len(line) - 1
                is_header = False


def _leaves_open(line: bytes, delimiter: bytes) -> bool:
    """Whether a line of CSV ends within quotes; those that do not begin a field are characters like others."""
    at = 0
    while True:
        if line[at : at + 1] == b'"':
            quoted = _QUOTED.match(line, at)
            if quoted is None:
                return True
            at = quoted.end()
        at = line.find(delimiter, at) + 1
        if not at:
            return False


def _header(path: str, storage_options: dict[str, Any] | None) -> bytes:
    """The first line of a CSV file."""
    head = read_head(path, _HEAD_BYTES, storage_options=storage_options).removeprefix(_BOM).lstrip(b"\r\n")
    line, end, _ = head.partition(b"\n")
    if not line.strip():
        raise InputError(f"{path}: wanted a first line with the names of the columns")
    return line + (end or b"\n")


def _csv_rows(data: bytes, delimiter: str, names: list[str]) -> list[dict[str, Any]]:
    def set_aside(row: csv.InvalidRow) -> str:
        wrong.append(f"{row.actual_columns} columns, wanted {row.expected_columns}: {row.text[:200]}")
        return "skip"

    wrong: list[str] = []
    convert = csv.ConvertOptions(include_columns=names, column_types=dict.fromkeys(names, pa.binary()))
    read = csv.ReadOptions(use_threads=False, block_size=max(len(data), 2**20))
    table = csv.read_csv(pa.BufferReader(data), read, _csv_format(delimiter, set_aside), convert)
    rows = []
    for row in table.to_pylist():
        try:
            rows.append({name: row[name].decode() for name in names})
        except UnicodeDecodeError as error:
            wrong.append(f"no UTF-8: {error}: {b', '.join(row.values())[:200]!r}")
    for problem in wrong:
        counts.seen(1)
        counts.failed(InputError(problem), source="a line of CSV")
    return rows


def _csv_format(delimiter: str, invalid: Any = None) -> csv.ParseOptions:
    return csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=invalid)


def _parquet_rows(
    path: str, start: int, stop: int, names: list[str], storage_options: dict[str, Any] | None
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    with open_bytes(path, storage_options) as source:
        file = pq.ParquetFile(source, page_checksum_verification=True)
        first = 0
        for group in range(file.num_row_groups):
            place, first = first, first + file.metadata.row_group(group).num_rows
            if first <= start or place >= stop:
                continue
            for batch in file.iter_batches(rows_at_once(file.metadata), [group], names, use_threads=False):
                pulse.beat()
                begin, end = max(start - place, 0), min(stop - place, batch.num_rows)
                place += batch.num_rows
                if begin < end:
                    rows += batch.slice(begin, end - begin).to_pylist()
                if place >= stop:
                    break
    if len(rows) < stop - start:
        raise InputError(f"{path}: {stop - start} rows should follow row {start}; found {len(rows)}")
    return rows


def _delimiter(path: str) -> str | None:
    return "," if has_extension(path, ".csv") else "\t" if has_extension(path, ".tsv") else None


def _is_compressed(path: str) -> bool:
    return not path.lower().endswith(EXTENSIONS)
