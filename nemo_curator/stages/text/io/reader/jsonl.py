"""JSON Lines: one object a line."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts, pulse
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.text.io.reader.base import BATCH_BYTES, BATCH_CELLS, BaseFileReader, find_files_of
from nemo_curator.stages.text.io.reader.lines import long_line, read_head, read_lines
from nemo_curator.stages.text.io.reader.records import Columns, columns_of, joined, parse_lines
from nemo_curator.stages.text.io.reader.row_numbers import RowNumbers, count_lines
from nemo_curator.stages.text.io.settings import asks_for_more
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.sentinels import EmptyTask
from nemo_curator.utils.file_utils import get_default_file_extensions, pandas_select_columns
from nemo_curator.utils.find_files import COMPRESSIONS

if TYPE_CHECKING:
    import pandas as pd

HEAD_BYTES = 2**18
"""How much of the first file is looked at for the names of its columns."""

BOM = b"\xef\xbb\xbf"
_DONE_ANYWAY: dict[str, tuple | None] = {
    "storage_options": None,
    "lines": (True,),
    "orient": (None, "records"),
    "dtype": (None, False),
    "convert_dates": (False,),
    "encoding": (None, "utf-8", "utf8"),
    "compression": ("infer", None, *COMPRESSIONS.values()),
}
"""Settings of `pandas.read_json` that ask for what is done anyway."""


@dataclass
class JsonlReader(CompositeStage[EmptyTask, DocumentBatch]):
    """Find JSON Lines files and read them into documents.

    Strings stay strings, an absent key stays absent, and what Arrow has no type for travels as its JSON text. Files
    may be compressed (`.gz`, `.bz2`, `.zst`, `.xz`). `read_kwargs` are settings of `pandas.read_json`; one that asks
    for more than `storage_options` or `compression` makes pandas read the files.

    Example:
        >>> from nemo_curator.pipeline import Pipeline
        >>> from nemo_curator.stages.text.io.writer import JsonlWriter
        >>> stages = [JsonlReader("documents/", fields=["id", "text"], blocksize="64MiB"), JsonlWriter("copied/")]
        >>> [stage.name for stage in Pipeline("copy", stages=stages).build()]
        ['file_partitioning', 'jsonl_reader', 'jsonl_writer']
    """

    file_paths: str | list[str] | None = None
    files_per_partition: int | None = None
    blocksize: int | str | None = None
    fields: list[str] | None = None
    read_kwargs: dict[str, Any] | None = None
    task_type: str = "document"
    file_extensions: list[str] = field(default_factory=lambda: get_default_file_extensions("jsonl"))
    _generate_ids: bool = False
    _assign_ids: bool = False
    name: str = "jsonl_reader"
    input_file_path: str | list[str] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__init__()
        self.file_paths = self.file_paths or self.input_file_path or []

    def decompose(self) -> list[ProcessingStage]:
        reader = JsonlReaderStage(
            self.fields, self.read_kwargs or {}, _generate_ids=self._generate_ids, _assign_ids=self._assign_ids
        )
        is_whole = reader.needs_pandas or reader.read_kwargs.get("compression", "infer") != "infer"
        return [find_files_of(self, split_by=None if is_whole else "byte_range"), reader]

    def get_description(self) -> str:
        return f"Read JSON Lines from {self.file_paths}"


@dataclass
class JsonlReaderStage(BaseFileReader):
    """Read JSON Lines into batches of at most about 16 MiB; a line that is no record is set aside."""

    name: str = "jsonl_reader"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.read_kwargs.get("lines", True) or "chunksize" in self.read_kwargs:
            raise ValueError(f"{self.name} reads one object a line, and makes batches itself: no lines, no chunksize")

    @property
    def needs_pandas(self) -> bool:
        return asks_for_more(self.read_kwargs, _DONE_ANYWAY)

    def process(self, task: FileGroupTask) -> DocumentBatch | Iterator[DocumentBatch]:
        return super().process(task) if self.needs_pandas else self._batches(task)

    def count_records(self, path: str, reader_config: dict[str, Any]) -> int:
        """How many records a file or a part of it holds, those included that cannot be parsed."""
        found = 0

        def too_long(place: int, size: int) -> None:
            nonlocal found
            found += 1

        lines_of = read_lines(path, *reader_config.get("byte_range", (0, None)), too_long=too_long, **self.opening())
        with suppress(InputError):  # what comes before the damage counts; reading says what is wrong
            for place, lines in lines_of:
                found += count_lines(lines if place else lines.removeprefix(BOM))
                pulse.beat()
        return found

    def find_columns(self, task: FileGroupTask) -> list[str] | None:
        """The columns of the first records of a task; None where that cannot be said."""
        if self.needs_pandas:
            return None
        try:
            head = read_head(task.data[0], HEAD_BYTES, **self.opening())
        except (InputError, OSError, IndexError):
            return None
        found = _keys(head if len(head) < HEAD_BYTES else head[: head.rfind(b"\n") + 1])
        if self.fields and found and not set(self.fields) & set(found):
            raise InputError(f"{self.name}: {task.data[0]} has none of {self.fields}; its columns are {found}")
        return self._with_made(found) if found or self.fields else None

    def read_data(
        self, file_paths: list[str], read_kwargs: dict[str, Any], fields: list[str] | None
    ) -> pd.DataFrame | None:
        import pandas as pd

        settings = {"dtype": False, "convert_dates": False, **read_kwargs, "lines": True}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas 3 deprecates what switches guessing off in pandas 2
            frames = [pd.read_json(path, **settings) for path in file_paths]
        selected = [pandas_select_columns(frame, fields, path) for frame, path in zip(frames, file_paths)]
        return pd.concat(selected, ignore_index=True)

    def _batches(self, task: FileGroupTask) -> Iterator[DocumentBatch]:
        held: list[Columns] = []
        size = rows = made = 0
        names: set[str] = set()
        for path, numbers in self._numbered_files(task):
            start, stop = task.reader_config.get("byte_range", (0, None))
            for found, length in self._read(path, start, stop, numbers):
                names.update(found.columns)
                if held and (size + length > BATCH_BYTES or len(names) * (rows + found.rows) > BATCH_CELLS):
                    yield _batch(held, task)
                    held, size, rows, names, made = [], 0, 0, set(found.columns), made + 1
                held.append(found)
                size += length
                rows += found.rows
        if held or not made:
            yield _batch(held or columns_of([], self._names), task)

    def _parse(
        self, lines: bytes, count: int, where: Callable[[int, int], str], numbers: RowNumbers | None
    ) -> list[Columns]:
        """Make columns of whole lines, so many, with their row numbers."""
        return parse_lines(lines, count, where, self.fields, numbers)

    def _read(
        self, path: str, start: int, stop: int | None, numbers: RowNumbers | None
    ) -> Iterator[tuple[Columns, int]]:
        """The rows of a file or a range of it, in runs with their size. What ends it early counts as one more."""
        line = 1

        def too_long(place: int, size: int) -> None:
            nonlocal line
            counts.seen(1)
            counts.failed(long_line(path, place, size), source=_name(path, place if start else None, line))
            line += 1
            if numbers:
                numbers.take(1)

        place = start
        try:
            if start:
                _refuse_other_json(read_head(path, HEAD_BYTES, **self.opening()), path)
            for place, lines in read_lines(path, start, stop, too_long=too_long, **self.opening()):
                if place == 0:
                    _refuse_other_json(lines, path)
                    lines = lines.removeprefix(BOM)
                count = lines.count(b"\n") + (not lines.endswith(b"\n"))
                where = partial(_name, path, place if start else None, line)
                parts = self._parse(lines, count, where, numbers)
                yield from ((part, len(lines) // len(parts)) for part in parts)
                line += count
        except (InputError, OSError) as error:
            if numbers:
                numbers.is_cut = True
            counts.cut_short(error, source=_name(path, place if start else None, line))

    def opening(self) -> dict[str, Any]:
        return {key: self.read_kwargs[key] for key in ("compression", "storage_options") if key in self.read_kwargs}


def _batch(parts: list[Columns], task: FileGroupTask) -> DocumentBatch:
    table, absent = joined(parts).tables()
    return DocumentBatch.from_arrow(table, dataset_name=task.dataset_name, metadata=dict(task._metadata), absent=absent)


def _refuse_other_json(head: bytes, path: str) -> None:
    """Raise if a file is JSON, but not one object a line. A damaged first line among good ones does not make it so."""
    first, *others = head.removeprefix(BOM).lstrip().split(b"\n", 3)
    is_array = first.startswith(b"[") and (first.rstrip() == b"[" or not any(map(_is_object, others[:1])))
    if is_array:
        raise InputError(f"{path} is a JSON array; wanted one object a line, which jq -c '.[]' makes of it")
    if first.rstrip() == b"{" and any(others) and not any(map(_is_object, others[1:2])):
        raise InputError(f"{path} holds an object over several lines; wanted one a line, which jq -c . makes of it")


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _name(path: str, byte: int | None, line: int, bytes_before: int = 0, lines_before: int = 0) -> str:
    """Name a line for people: by its number, or where only a part of the file is read, by its place."""
    return f"{path}:{line + lines_before}" if byte is None else f"{path} at byte {byte + bytes_before}"


def _keys(lines: bytes) -> list[str]:
    found: dict[str, None] = {}
    for line in lines.removeprefix(BOM).split(b"\n"):
        try:
            found |= dict.fromkeys(msgspec.json.decode(line, type=dict[str, msgspec.Raw]))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # reading says what is wrong with it
    return list(found)
