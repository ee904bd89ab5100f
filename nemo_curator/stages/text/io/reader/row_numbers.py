"""The numbers of records: each has the one of its place in the file, whatever becomes of those before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.tasks.file_group import FileGroupTask

ROW_NUMBERS = "row_numbers"
"""In the metadata of a task: for each of its files the number of its first record, and the one behind its last."""

_LINE_FEED = 10
_SAMPLE = 2**16
_LONG_LINE = 1024
"""From about this many bytes a line on it is faster to look for one line after the other."""
_IS_SPACE = np.array([bytes([byte]).isspace() for byte in range(256)])


@dataclass
class RowNumbers:
    """Numbers that are left for the records of a file, or of several."""

    next: int
    stop: int
    source: str
    field: str = CURATOR_DEDUP_ID_STR
    """The column they are in."""
    is_cut: bool = False
    """Whether damage has ended the reading early: what comes behind it was counted if it could be, and has numbers."""

    def check_all_taken(self) -> None:
        """Count a failure if numbers are left over: then they are not those of these records."""
        if self.next < self.stop and not self.is_cut:
            problem = f"{self.source} holds fewer records than were counted: it has changed; run again"
            counts.cut_short(InputError(problem), source=self.source)

    def has(self, rows: int) -> bool:
        """Whether so many are left."""
        return self.next + rows <= self.stop

    def take(self, rows: int) -> range:
        """The numbers of the next records, those included that nobody can read."""
        if not self.has(rows):
            raise InputError(f"{self.source} holds more records than were counted: it has changed; run again")
        first, self.next = self.next, self.next + rows
        return range(first, self.next)


def row_numbers_of(task: FileGroupTask) -> list[range]:
    """The numbers of the records in each file of a task, which carries them."""
    if ROW_NUMBERS not in task._metadata:
        raise InputError(f"the records of {', '.join(map(str, task.data))} are not numbered; count them first")
    return [range(first, stop) for first, stop in task._metadata[ROW_NUMBERS]]


def number_column(numbers: range | list[int]) -> pa.Array:
    if isinstance(numbers, range):
        return pa.array(np.arange(numbers.start, numbers.stop, dtype=np.int64))
    return pa.array(numbers, pa.int64())


def count_lines(lines: bytes) -> int:
    """How many whole lines are not blank."""
    return int(np.count_nonzero(find_lines(lines)[1]))


def find_lines(lines: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Where whole lines start, and which of them are not blank."""
    data = np.frombuffer(lines, np.uint8)
    starts = _starts(lines, data) if lines else np.empty(0, np.int64)
    if not _IS_SPACE[data[starts]].any():
        return starts, np.ones(len(starts), bool)
    return starts, np.logical_or.reduceat(~_IS_SPACE[data], starts)


def _starts(lines: bytes, data: np.ndarray) -> np.ndarray:
    if lines.count(b"\n", 0, _SAMPLE) * _LONG_LINE > min(len(lines), _SAMPLE):
        feeds = np.flatnonzero(data == _LINE_FEED)
        starts = np.concatenate([[0], feeds + 1])
    else:  # jumping from line to line touches each byte once
        found = [0]
        while at := lines.find(b"\n", found[-1]) + 1:
            found.append(at)
        starts = np.array(found)
    return starts[:-1] if lines.endswith(b"\n") else starts
