"""Parquet."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import InputError, StorageError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.text.io.reader.base import BATCH_BYTES, BaseFileReader, find_files_of
from nemo_curator.stages.text.io.reader.lines import open_bytes
from nemo_curator.stages.text.io.reader.row_numbers import RowNumbers, number_column
from nemo_curator.stages.text.io.settings import asks_for_more
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.json_column import JSON, is_json
from nemo_curator.tasks.sentinels import EmptyTask
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_utils import get_default_file_extensions
from nemo_curator.utils.find_files import local_path

if TYPE_CHECKING:
    import pandas as pd

BUFFER_BYTES = 2**20
STEP_BYTES = 4 * 2**20
MOST_ROWS = 4096
FIRST_ROWS = 16
ROWS_BYTES = 64 * 2**20
"""How much is taken from a file at once; rows that repeat take more memory than their file says."""

_DONE_ANYWAY: dict[str, tuple | None] = {
    "filters": None,
    "storage_options": None,
    "engine": ("auto", "pyarrow"),
    "dtype_backend": ("pyarrow",),
}
"""Settings of `pandas.read_parquet` that ask for what is done anyway."""

DAMAGE = (OSError, pa.ArrowException, ValueError, TypeError, LookupError, MemoryError, OverflowError)
"""What pyarrow raises on files that hold nonsense."""

_VIEWS = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
"""Arrow cannot filter views."""

IS_JSON = {b"nemo_curator": b"json"}
"""Marks a text column whose values are JSON, so that it is one again when it is read."""


@dataclass
class ParquetReader(CompositeStage[EmptyTask, DocumentBatch]):
    """Find Parquet files and read them into documents.

    `read_kwargs` are settings of `pandas.read_parquet`; `columns`, `filters` and `storage_options` are read in bounded
    memory, others make pandas read whole files.
    """

    file_paths: str | list[str] | None = None
    files_per_partition: int | None = None
    blocksize: int | str | None = None
    fields: list[str] | None = None
    read_kwargs: dict[str, Any] | None = None
    file_extensions: list[str] = field(default_factory=lambda: get_default_file_extensions("parquet"))
    task_type: str = "document"
    _generate_ids: bool = False
    _assign_ids: bool = False
    name: str = "parquet_reader"
    input_path: str | list[str] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__init__()
        self.file_paths = self.file_paths or self.input_path or []

    def decompose(self) -> list[ProcessingStage]:
        reader = ParquetReaderStage(
            self.fields, self.read_kwargs or {}, _generate_ids=self._generate_ids, _assign_ids=self._assign_ids
        )
        return [find_files_of(self, split_by=None if reader.needs_pandas else "row_groups"), reader]

    def get_description(self) -> str:
        return f"Read Parquet from {self.file_paths}"


@dataclass
class ParquetReaderStage(BaseFileReader):
    """Read Parquet into batches of at most about 16 MiB; a file that is damaged is set aside."""

    name: str = "parquet_reader"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.fields = self.fields or self.read_kwargs.pop("columns", None)
        if self._made and self.read_kwargs.get("filters"):
            raise ValueError(
                f"{self.name}: filters leave out rows, so the others cannot be numbered; filter afterwards"
            )

    @property
    def needs_pandas(self) -> bool:
        return asks_for_more(self.read_kwargs, _DONE_ANYWAY)

    def process(self, task: FileGroupTask) -> DocumentBatch | Iterator[DocumentBatch]:
        return super().process(task) if self.needs_pandas else self._batches(task)

    def count_records(self, path: str, reader_config: dict[str, Any]) -> int:
        """How many rows a file or some of its row groups hold, by the footer of the file."""
        try:
            with self.open_file(path) as file:
                return promised_rows(pq.ParquetFile(file).metadata, reader_config.get("row_groups"))
        except (StorageError, FileNotFoundError, PermissionError):
            raise  # it may be there when it is read, and have rows
        except DAMAGE:
            return 0

    def find_columns(self, task: FileGroupTask) -> list[str] | None:
        """The columns of the first file of a task; None where that cannot be said."""
        try:
            with self.open_file(task.data[0]) as file:
                found = _columns(pq.ParquetFile(file))
        except DAMAGE:
            return None
        if self.fields and (missing := [name for name in self.fields if name not in found]):
            raise InputError(f"{self.name}: {task.data[0]} has no {missing}; its columns are {found}")
        return self._with_made(found)

    def read_data(
        self, file_paths: list[str], read_kwargs: dict[str, Any], fields: list[str] | None
    ) -> pd.DataFrame | None:
        import pandas as pd

        return pd.concat(
            [pd.read_parquet(path, columns=fields, **read_kwargs) for path in file_paths], ignore_index=True
        )

    def _batches(self, task: FileGroupTask) -> Iterator[DocumentBatch]:
        held: list[pa.Table] = []
        made = 0
        for path, numbers in self._numbered_files(task):
            for table in self._tables(path, task.reader_config.get("row_groups"), numbers):
                is_full = sum(one.nbytes for one in held) + table.nbytes > BATCH_BYTES
                if held and (is_full or table.schema != held[0].schema):
                    if any(map(len, held)):
                        yield _batch(held, task)
                        made += 1
                    held = []
                held.append(table)
        if any(map(len, held)) or not made:
            yield _batch(held, task)

    def _tables(self, path: str, row_groups: list[int] | None, numbers: RowNumbers | None) -> Iterator[pa.Table]:
        """The rows of a file or some of its row groups, in steps. What ends it early counts the rows that are missing.

        Where the footer cannot be read, nobody knows how many these are: it counts as one.
        """
        promised = read = 0
        place = path
        try:
            with self.open_file(path) as source:
                # without a buffer Arrow holds whole columns; far away fewer and larger requests are worth that
                file = pq.ParquetFile(
                    source, buffer_size=BUFFER_BYTES, pre_buffer=is_remote_url(path), page_checksum_verification=True
                )
                found = _columns(file)
                wanted = self.fields or found
                names = [name for name in wanted if name in found]
                promised = promised_rows(file.metadata, row_groups)
                _check_names(names, path)
                yield _table(pa.RecordBatch.from_pylist([], file.schema_arrow), wanted, numbers)
                for group in range(file.num_row_groups) if row_groups is None else row_groups:
                    place, start = f"{path}, row group {group}", read
                    for batch in self.scan(file, source, group, names):
                        table = _without_nonsense(_table(batch, wanted, numbers), path, read)
                        counts.seen(batch.num_rows, batch.nbytes)
                        read += batch.num_rows
                        yield table
                    self._check(read - start, file.metadata.row_group(group).num_rows)
                place = path
                self._check(read, promised)
        except DAMAGE as error:
            rows = 1 if self.read_kwargs.get("filters") else max(promised - read, 1)
            if numbers:
                numbers.is_cut = True
                numbers.next += promised - read
            counts.cut_short(error, source=f"{place}, after row {read}" if read else place, rows=rows)

    def _check(self, read: int, promised: int) -> None:
        """Raise if there are fewer rows than the footer promises, as where a page is of a kind that Arrow passes by."""
        if read < promised and not self.read_kwargs.get("filters"):
            raise InputError(f"{promised} rows should be here by the footer of the file; found {read}")

    def scan(
        self, file: pq.ParquetFile, source: Any, row_group: int, columns: list[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a row group, as many at once as fit into little memory."""
        rows = rows_at_once(file.metadata)
        threads = isinstance(source, pa.NativeFile)  # see open_bytes
        filters = self.read_kwargs.get("filters")
        if filters is None:
            if rows > FIRST_ROWS:  # a value that repeats is in the file once, and in memory as often as it stands
                first = next(file.iter_batches(FIRST_ROWS, [row_group], columns, use_threads=threads), None)
                rows = min(rows, max(ROWS_BYTES * FIRST_ROWS // max(first.nbytes, 1), 1)) if first else rows
            return file.iter_batches(rows, [row_group], columns, use_threads=threads)
        import pyarrow.dataset as ds

        expression = filters if isinstance(filters, ds.Expression) else pq.filters_to_expression(filters)
        options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
        fragment = ds.ParquetFileFormat(default_fragment_scan_options=options).make_fragment(
            source, row_groups=[row_group]
        )
        return fragment.to_batches(
            columns=columns, filter=expression, batch_size=rows, batch_readahead=1, use_threads=threads
        )

    def open_file(self, path: str) -> Any:
        if is_remote_url(path):
            return open_bytes(path, self.read_kwargs.get("storage_options"))
        return pa.OSFile(os.fsencode(local_path(path)))


def _batch(tables: list[pa.Table], task: FileGroupTask) -> DocumentBatch:
    table = pa.concat_tables(tables) if tables else pa.table({})
    return DocumentBatch.from_arrow(table, dataset_name=task.dataset_name, metadata=dict(task._metadata))


def _table(batch: pa.RecordBatch, names: list[str], numbers: RowNumbers | None) -> pa.Table:
    """The columns of these names: null where the file has none, JSON where it is marked as such. And the numbers."""
    columns = {}
    for name in names:
        at = batch.schema.get_field_index(name)
        column = batch.column(at) if at >= 0 else pa.nulls(batch.num_rows)
        is_marked = at >= 0 and IS_JSON.items() <= (batch.schema.field(at).metadata or {}).items()
        is_marked = is_marked and column.type == pa.string()
        if column.type in _VIEWS:
            column = column.cast(_VIEWS[column.type])
        columns[name] = pa.ExtensionArray.from_storage(JSON, column) if is_marked else column
    if numbers:
        columns.setdefault(numbers.field, number_column(numbers.take(batch.num_rows)))
    return pa.table(columns)


def _without_nonsense(table: pa.Table, place: str, start: int) -> pa.Table:
    """Set aside the rows whose text is not UTF-8, or whose JSON is none: stages and writers trust what they get."""
    wrong: dict[int, str] = {}
    try:
        table.validate(full=True)
    except pa.ArrowInvalid:
        wrong = _find(table, (pa.types.is_string, pa.types.is_large_string), _is_text, "not UTF-8")
    wrong |= _find(table, (is_json,), _is_json_text, "not JSON")
    if not wrong:
        return table
    kept = table.take([row for row in range(len(table)) if row not in wrong])
    kept.validate(full=True)
    for row, reason in wrong.items():
        counts.failed(InputError(reason), source=f"{place}, row {start + row}")
    return kept


def _find(table: pa.Table, kinds: tuple[Callable, ...], is_good: Callable, what: str) -> dict[int, str]:
    """The rows with a value that is not good, and which column has it."""
    return {
        row: f"{what}: column {name!r}"
        for name, column in zip(table.column_names, table.columns)
        if any(is_kind(column.type) for is_kind in kinds)
        for row, value in enumerate(_bytes_of(column))
        if value is not None and not is_good(value)
    }


def _bytes_of(column: pa.ChunkedArray) -> Iterator[bytes | None]:
    for chunk in column.chunks:
        storage = chunk.storage if is_json(chunk.type) else chunk
        raw = storage.view(pa.large_binary() if storage.type == pa.large_string() else pa.binary())
        raw.validate(full=True)
        yield from raw.to_pylist()


def _is_text(value: bytes) -> bool:
    try:
        return value.decode() is not None
    except UnicodeDecodeError:
        return False


def _is_json_text(value: bytes) -> bool:
    try:
        return msgspec.json.decode(value, type=msgspec.Raw) is not None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _columns(file: pq.ParquetFile) -> list[str]:
    """The columns of a file without the row numbers that pandas leaves behind."""
    names = file.schema_arrow.names
    numbered = {name for name in names if re.fullmatch(r"__index_level_\d+__", name)}
    if numbered:
        numbered.intersection_update(map(str, (file.schema_arrow.pandas_metadata or {}).get("index_columns", [])))
    return [name for name in names if name not in numbered]


def _check_names(names: list[str], path: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"{path} has several columns called {', '.join(map(repr, twice))}")


def promised_rows(footer: pq.FileMetaData, row_groups: list[int] | None) -> int:
    """The rows that some row groups hold, by the footer; the last one also those that the sum of all lacks."""
    # not footer.row_group(at).column(at): in a damaged footer that ends the process
    rows = [max(footer.row_group(at).num_rows, 0) for at in range(footer.num_row_groups)]
    missing = max(footer.num_rows - sum(rows), 0)
    if row_groups is None:
        return sum(rows) + missing
    return sum(rows[at] for at in row_groups) + (missing if len(rows) - 1 in row_groups else 0)


def rows_at_once(footer: pq.FileMetaData) -> int:
    size = sum(footer.row_group(at).total_byte_size for at in range(footer.num_row_groups))
    return max(min(STEP_BYTES * footer.num_rows // max(size, 1), MOST_ROWS), 1)
