"""Rows that did not come through, kept with the reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from nemo_curator.tasks.image import ImageBatch

if TYPE_CHECKING:
    from nemo_curator.ledger.counts import StageCount
    from nemo_curator.tasks.document import DocumentBatch
    from nemo_curator.tasks.tasks import Task


@dataclass(frozen=True)
class Reject:
    """A row that a filter dropped, or that failed: then `error` says why."""

    stage: str
    filter: str
    row: Any
    score: Any = None
    error: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class Rejects:
    """Where rejected rows go: JSONL files in a folder, or behind a URL, one for each partition that has any.

    With `sample`, at most so many rows of each partition are kept for each filter and each kind of error.
    """

    path: str
    sample: int | None = None

    def write(self, partition: str, place: int, counts: Iterable[StageCount]) -> None:
        """Write what some stages rejected of a partition, and let go of it."""
        lines = [json.dumps(line, ensure_ascii=False, default=str) for line in self._kept(counts)]
        from nemo_curator.utils.storage import (
            ask,
            kind_of,
            locate,
        )  # fsspec is slow to import, and most runs keep no rejects
        from nemo_curator.utils.whole_files import put

        fs, folder = locate(self.path)
        name = f"{partition.replace('/', '_')}-{place}.jsonl"
        data = "".join(f"{line}\n" for line in lines).encode(errors="replace")
        if lines:
            put(fs, f"{folder}/{name}", data)
        elif kind_of(fs, f"{folder}/{name}"):
            ask(fs, "rm_file", f"{folder}/{name}")  # of an attempt before, whose rows have come through now

    def clear_up(self) -> None:
        """Delete what workers that were killed left half written."""
        from nemo_curator.utils.whole_files import remove_leftovers

        remove_leftovers(self.path)

    def _kept(self, counts: Iterable[StageCount]) -> Iterator[dict[str, Any]]:
        for count in counts:
            kept: Counter[tuple[str, str | None]] = Counter()
            for reject in count.rejects or []:
                kind = reject.filter, reject.error and reject.error.partition(":")[0]
                kept[kind] += 1
                if self.sample is None or kept[kind] <= self.sample:
                    yield vars(reject)
            count.rejects = None


def rejected(batch: DocumentBatch | ImageBatch, keep: np.ndarray, scores: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """The rows of a batch that are not kept, each with its score."""
    gone = np.flatnonzero(~keep)
    for at, row in zip(gone, _rows(batch.filter(~keep)), strict=True):
        score: Any = None if scores is None else scores[int(at)]
        plain = score.item() if isinstance(score, np.generic) else score
        yield row, plain


def missing_rows(before: Iterable[Task], after: Iterable[Task], count: int) -> list[dict[str, Any]]:
    """The rows that a stage left out without saying so, found by what the others still hold.

    None, if it has changed the rows as well, so that more than `count` of them are not to be found.
    """
    inputs, outputs = list(map(_rows, before)), list(map(_rows, after))
    had, have = ({name for rows in tables for row in rows[:1] for name in row} for tables in (inputs, outputs))
    columns = had & have if have else had
    left = Counter(_key(row, columns) for rows in outputs for row in rows)
    missing = []
    for row in (row for rows in inputs for row in rows):
        key = _key(row, columns)
        if left[key]:
            left[key] -= 1
        else:
            missing.append(row)
    return missing if len(missing) == count else []


def _rows(task: Task) -> list[dict[str, Any]]:
    if isinstance(task, ImageBatch):
        return [image.values() for image in task.data]
    if not hasattr(task, "get_columns"):
        return []
    batch = cast("DocumentBatch", task)
    columns = {name: batch.values(name) for name in batch.get_columns()}
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


def _key(row: dict[str, Any], columns: set[str]) -> str:
    return json.dumps({name: _plain(row[name]) for name in row if name in columns}, sort_keys=True, default=repr)


def _plain(value: Any) -> Any:
    """The same for what pandas does not tell apart: nulls, and numbers beside nulls."""
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return None if isinstance(value, float) and value != value else value
