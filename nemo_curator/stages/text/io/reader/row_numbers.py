"""The numbers of records: each has the one of its place in the file, whatever becomes of those before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from nemo_curator.errors import InputError
from nemo_curator.tasks.file_group import FileGroupTask

ROW_NUMBERS = "row_numbers"
"""In the metadata of a task: for each of its files the number of its first record, and the one behind its last."""

_LINE_FEED = 10
_IS_SPACE = np.array([bytes([byte]).isspace() for byte in range(256)])


@dataclass
class RowNumbers:
    """Numbers that are left for the records of a file, or of several."""

    next: int
    stop: int
    source: str

    def take(self, rows: int) -> range:
        """The numbers of the next records, those included that nobody can read."""
        first, self.next = self.next, self.next + rows
        if self.next > self.stop:
            raise InputError(f"{self.source} holds more records than were counted: it has changed; run again")
        return range(first, self.next)


def numbers_of(task: FileGroupTask) -> list[RowNumbers] | None:
    """The numbers that a task carries for each of its files; None where nobody has numbered them."""
    ranges = task._metadata.get(ROW_NUMBERS)
    if ranges is None:
        return None
    return [RowNumbers(first, stop, str(path)) for path, (first, stop) in zip(task.data, ranges, strict=True)]


def number_column(numbers: range | list[int]) -> pa.Array:
    if isinstance(numbers, range):
        return pa.array(np.arange(numbers.start, numbers.stop, dtype=np.int64))
    return pa.array(numbers, pa.int64())


def count_lines(lines: bytes) -> int:
    """How many whole lines are not blank."""
    data = np.frombuffer(lines, np.uint8)
    starts = np.flatnonzero(data == _LINE_FEED) + 1
    starts = np.concatenate([[0], starts[:-1] if lines.endswith(b"\n") else starts]) if lines else starts
    if not _IS_SPACE[data[starts]].any():
        return len(starts)
    return int(np.count_nonzero(np.logical_or.reduceat(~_IS_SPACE[data], starts)))
