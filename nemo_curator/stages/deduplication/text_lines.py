"""Reading nothing but texts, and of them perhaps only some, from lines of JSON: no object is made of a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from nemo_curator.errors import InputError
from nemo_curator.kernels.json_texts import texts_of
from nemo_curator.ledger import counts
from nemo_curator.stages.text.io.reader import JsonlReaderStage
from nemo_curator.stages.text.io.reader.records import Columns
from nemo_curator.stages.text.io.reader.row_numbers import RowNumbers, find_lines, number_column
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask

NOT_WANTED = "no_candidate"
"""How the account of a run calls records that are left unread."""


@dataclass
class TextLineReader(JsonlReaderStage):
    """Reads one column of texts faster than others are read. Lines that are not plain go the long way."""

    _wanted: np.ndarray | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        (name, *more) = self.fields or [""]
        keys = [("text", msgspec.Raw, msgspec.Raw(b"null"))]
        kind: Any = msgspec.defstruct("Record", keys, rename={"text": name}, gc=False)
        self._decoder = None if more or self.needs_pandas else msgspec.json.Decoder(kind)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_decoder"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.__post_init__()

    def choose(self, task: FileGroupTask) -> np.ndarray | None:
        """The numbers of the records of a task that are wanted, in order: others are not parsed. None for all."""
        return None

    def _batches(self, task: FileGroupTask) -> Iterator[DocumentBatch]:
        self._wanted = self.choose(task)
        yield from super()._batches(task)

    def _parse(
        self, lines: bytes, count: int, where: Callable[[int, int], str], numbers: RowNumbers | None
    ) -> list[Columns]:
        if self._wanted is not None and numbers is not None:
            return self._parse_wanted(lines, where, numbers, self._wanted)
        texts = self._texts(lines, count) if numbers is None or numbers.has(count) else None
        if texts is None:
            return super()._parse(lines, count, where, numbers)
        counts.seen(count, len(lines))
        return [self._columns(texts, None if numbers is None else numbers.take(count))]

    def _parse_wanted(
        self, lines: bytes, where: Callable[[int, int], str], numbers: RowNumbers, wanted: np.ndarray
    ) -> list[Columns]:
        """Make columns of the lines that are wanted, and count the others."""
        starts, is_record = find_lines(lines)
        edges = np.append(starts, len(lines))
        places = np.flatnonzero(is_record)
        rows = numbers.take(len(places))
        wanted = wanted[slice(*np.searchsorted(wanted, [rows.start, rows.stop]))]
        places = places[wanted - rows.start]
        some = b"".join([lines[edges[at] : edges[at + 1]] for at in places])
        counts.seen(len(rows) - len(wanted), len(lines) - len(some))
        counts.dropped(NOT_WANTED, len(rows) - len(wanted))
        if not len(wanted):
            return []
        if (texts := self._texts(some, len(wanted))) is not None:
            counts.seen(len(wanted), len(some))
            return [self._columns(texts, wanted)]
        parts = super()._parse(some, len(wanted), where, None)
        if sum(part.rows for part in parts) != len(wanted):
            raise InputError(f"{numbers.source}: a line is no record, and was one before: it has changed; run again")
        edges = np.cumsum([0, *(part.rows for part in parts)])
        for part, (start, stop) in zip(parts, pairwise(edges)):
            part.columns[self._ids_field] = pa.array(wanted[start:stop])
        return parts

    def _columns(self, texts: pa.Array, numbers: range | np.ndarray | None) -> Columns:
        columns = {self.fields[0]: texts} if self.fields else {}
        if numbers is not None and self._ids_field not in columns:
            columns[self._ids_field] = number_column(numbers) if isinstance(numbers, range) else pa.array(numbers)
        return Columns(columns, {}, len(texts))

    def _texts(self, lines: bytes, count: int) -> pa.Array | None:
        """The text of each record; None if one is missing, no text, or there are not so many records."""
        if self._decoder is None:
            return None
        try:
            records = self._decoder.decode_lines(lines)
        except (ValueError, RecursionError, MemoryError):
            return None
        if len(records) != count:
            return None
        values = [record.text for record in records]
        ends = np.cumsum(np.fromiter(map(len, values), np.int64, count))
        found = texts_of(np.frombuffer(b"".join(values), np.uint8), ends)
        if found is None:
            return None
        data, offsets = found
        array = pa.StringArray.from_buffers(count, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data))
        try:
            array.validate(full=True)  # that they are UTF-8
        except pa.ArrowInvalid:
            return None
        return array
