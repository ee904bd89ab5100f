"""The account of every source partition: one row for each partition and stage."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, TypeAlias

import pyarrow as pa

from nemo_curator.ledger.counts import StageCount

_NUMBERS = ("tasks_in", "tasks_out", "rows_in", "rows_out", "rows_added", "rows_joined", "bytes_in", "bytes_out")
_REASONS: TypeAlias = dict[int, dict[str, int]]
DONE, LOST = "done", "lost"


class PartitionCounts:
    """What every stage did with every partition, in columns of plain numbers: a run may have a million of them."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._states: list[str] = []
        self._partition, self._place, self._seconds = array("q"), array("q"), array("d")
        self._numbers = {name: array("q") for name in _NUMBERS}
        self._dropped: _REASONS = {}
        self._failed: _REASONS = {}
        self.read: pa.Table | None = None
        """The table of a run that was read: then nothing is added."""

    def __len__(self) -> int:
        return len(self._place)

    def add(self, partition: str, counts: dict[int, StageCount], *, is_lost: bool = False) -> None:
        """Note what stages did with a partition."""
        for place, count in counts.items():
            at = len(self)
            if count.dropped:
                self._dropped[at] = dict(count.dropped)
            if count.failed:
                self._failed[at] = dict(count.failed)
            self._partition.append(len(self.ids))
            self._place.append(place)
            self._seconds.append(count.seconds)
            for name, numbers in self._numbers.items():
                numbers.append(getattr(count, name))
        self.ids.append(partition)
        self._states.append(LOST if is_lost else DONE)

    def table(self, stages: list[str]) -> pa.Table:
        """One row for each partition and stage, with the rows that each filter dropped and each error cost."""
        if self.read is not None:
            return self.read
        columns: dict[str, Any] = {
            "partition": pa.array(self.ids, pa.string()).take(pa.array(self._partition, pa.int64())),
            "state": pa.array(self._states, pa.string()).take(pa.array(self._partition, pa.int64())),
            "stage_number": pa.array(self._place, pa.int64()),
            "stage": pa.array(stages, pa.string()).take(pa.array(self._place, pa.int64())),
        }
        columns |= {name: pa.array(numbers, pa.int64()) for name, numbers in self._numbers.items()}
        columns["dropped"] = _as_map(self._dropped, len(self))
        columns["failed"] = _as_map(self._failed, len(self))
        columns["seconds"] = pa.array(self._seconds, pa.float64())
        return pa.table(columns)


def imbalances(partition: str, counts: dict[int, StageCount], tasks: int | None) -> Iterator[str]:
    """Say where rows or tasks of a partition went missing: within a stage, or on the way to the next one.

    `tasks` is how many came out of the last stage and arrived where the run is led from; None if they are gone.
    """
    places = sorted(counts)
    for place in places:
        if counts[place].imbalance:
            yield f"{explain_imbalance(counts[place])} (partition {partition})"
    for place, following in pairwise(places):
        one, other = counts[place], counts[following]
        if (one.tasks_out, one.items_out) != (other.tasks_in, other.items_in):
            yield (
                f"{one.stage} made {one.tasks_out} tasks with {one.items_out} items, but {other.stage} got "
                f"{other.tasks_in} with {other.items_in} (partition {partition})"
            )
    if tasks is not None and places and counts[places[-1]].tasks_out != tasks:
        last = counts[places[-1]]
        yield f"{last.stage} made {last.tasks_out} tasks, but {tasks} arrived (partition {partition})"


def explain_imbalance(count: StageCount) -> str:
    return (
        f"{count.stage}: {count.rows_in} rows in and {count.rows_added} added, but {count.rows_out} out, "
        f"{count.rows_dropped} dropped, {count.rows_failed} failed and {count.rows_joined} joined: "
        f"{count.imbalance} unaccounted for"
    )


def _as_map(reasons: _REASONS, rows: int) -> pa.Array:
    values: Iterable[list[tuple[str, int]]] = (list(reasons.get(row, {}).items()) for row in range(rows))
    return pa.array(list(values), pa.map_(pa.string(), pa.int64()))
