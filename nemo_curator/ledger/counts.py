"""Counting what one stage did. Stages report through the functions below; `run_stage` collects the reports."""

from __future__ import annotations

import reprlib
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nemo_curator.ledger import pulse
from nemo_curator.ledger.rejects import Reject, rejected
from nemo_curator.ledger.samples import NO_LIMITS, Describer, Limits, Row, Samples, describer
from nemo_curator.ledger.scores import Scores
from nemo_curator.ledger.secrets import without_login
from nemo_curator.utils.retries import is_unreachable

if TYPE_CHECKING:
    from nemo_curator.tasks.document import DocumentBatch
    from nemo_curator.tasks.image import ImageBatch

SAMPLES = 20
"""How many failures a stage keeps with their text, for each source partition; all are counted."""

_excerpt = reprlib.Repr()
_excerpt.maxstring = _excerpt.maxother = 200


@dataclass(frozen=True)
class Failure:
    """A record, or a whole batch, that was set aside."""

    stage: str
    source: str
    error: str
    message: str
    record: str = ""
    rows: int = 1
    details: str = ""

    def __str__(self) -> str:
        record = f", record {self.record}" if self.record else ""
        return f"{self.stage}: {self.error}: {self.message} ({self.source}{record})"


_SUMS: tuple[str, ...] = ("calls", "tasks_in", "tasks_out", "items_in", "items_out", "rows_in", "rows_out")
_SUMS += ("rows_added", "rows_joined", "bytes_in", "bytes_out", "unread", "seconds")


@dataclass
class StageCount:
    """Rows of one stage: what went in, what came out, and what became of the rest.

    Items are what the tasks themselves hold, such as the files that a reader gets; bytes are those of the data in
    memory, or of what was read from files and written to them.
    """

    stage: str
    calls: int = 0
    tasks_in: int = 0
    tasks_out: int = 0
    items_in: int = 0
    items_out: int = 0
    rows_in: int = 0
    rows_out: int = 0
    rows_added: int = 0
    rows_joined: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    bytes_in: int = 0
    bytes_out: int = 0
    unread: int = 0
    """Sources that could not be read to their end, because the storage they are in failed."""
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    rows_seen: int | None = None
    rows_written: int | None = None
    bytes_read: int = 0
    bytes_written: int = 0
    rejects: list[Reject] | None = None
    """Rows that did not come through; None where nobody wants them."""
    has_rows: bool = False
    """Whether it dealt with rows: what it got or made was no mere list of files."""
    peak_memory: int = 0
    """Bytes of the process that ran it, when it had most in memory."""
    scores: dict[str, Scores] = field(default_factory=dict)
    samples: dict[str, Samples] = field(default_factory=dict)
    limits: dict[str, Limits] = field(default_factory=dict, repr=False)
    """The numbers that the samples of other partitions drew: what does not get in beside them is not looked at."""
    before: StageCount | None = field(default=None, repr=False)
    """The count of the batches before this one, for the same reason."""

    @property
    def rows_dropped(self) -> int:
        return sum(self.dropped.values())

    @property
    def rows_failed(self) -> int:
        return sum(self.failed.values())

    @property
    def imbalance(self) -> int:
        """Rows that went in, or were added, and neither came out nor were accounted for."""
        gone = self.rows_dropped + self.rows_failed + self.rows_joined
        return self.rows_in + self.rows_added - self.rows_out - gone

    def merge(self, other: StageCount) -> None:
        """Add the counts of another call of the same stage. Reports still open are not carried over."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.dropped.update(other.dropped)
        self.failed.update(other.failed)
        self.failures = [*self.failures, *other.failures][:SAMPLES]
        self.has_rows |= other.has_rows
        self.peak_memory = max(self.peak_memory, other.peak_memory)
        self.merge_filters(other)
        if self.rejects is not None:
            self.rejects.extend(other.rejects or [])

    def merge_filters(self, other: StageCount) -> None:
        """Take what filters reported of scores and rows; the other count is not to be used any more."""
        for by, scores in other.scores.items():
            if self.scores.setdefault(by, scores) is not scores:
                self.scores[by].merge(scores)
        for by, samples in other.samples.items():
            if self.samples.setdefault(by, samples) is not samples:
                self.samples[by].merge(samples)

    def limits_of(self, by: str) -> Limits:
        """The numbers that a row must draw to get into the samples of a filter."""
        kept, dropped = self.limits.get(by, NO_LIMITS)
        own = self.samples[by].limits() if by in self.samples else NO_LIMITS
        return min(kept, own[0]), min(dropped, own[1])

    def add_failure(self, failure: Failure) -> None:
        self.failed[failure.error] += failure.rows
        if len(self.failures) < SAMPLES:
            self.failures.append(failure)


_open: ContextVar[StageCount | None] = ContextVar("open_count", default=None)


@contextmanager
def counting(count: StageCount) -> Iterator[None]:
    """Send the reports of stages to this count."""
    token = _open.set(count)
    try:
        yield
    finally:
        _open.reset(token)


def failed(error: Exception, *, source: str, record: Any = None, rows: int = 1) -> None:
    """Report records that could not be processed and are set aside. Outside a run nobody counts them: it raises."""
    count = _open.get()
    if count is None:
        raise error
    if count.rejects is not None:
        reason = f"{type(error).__name__}: {error}"
        count.rejects.append(Reject(count.stage, count.stage, record, error=reason, source=source))
    if len(count.failures) < SAMPLES:
        count.add_failure(describe(count.stage, error, source=source, record=record, rows=rows))
    else:  # putting an exception into words takes longer than anything else about it
        count.failed[type(error).__name__] += rows


def dropped(by: str, rows: int) -> None:
    """Report rows that were removed, of which there is nothing to show."""
    count = _open.get()
    if count is not None and rows:
        count.dropped[by] += rows


def filtered(
    by: str,
    batch: DocumentBatch | ImageBatch,
    keep: np.ndarray | None = None,
    scores: Any = None,
    *,
    text_field: str | None = None,
) -> None:
    """Report which rows of a batch a filter keeps, whether it drops any or not; None keeps all.

    The scores go into the account, and a few rows with what the text column begins with, for people to see.
    """
    count, rows = _open.get(), batch.num_items
    if count is None or not rows:
        return
    gone = None
    if keep is not None and (dropped_rows := rows - int(np.count_nonzero(keep))):
        gone = ~np.asarray(keep, bool)
        count.dropped[by] += dropped_rows
        if count.rejects is not None:
            count.rejects += [Reject(count.stage, by, row, score) for row, score in rejected(batch, ~gone, scores)]
    if scores is not None:
        count.scores.setdefault(by, Scores()).add(scores, gone)
    _sample(count, by, f"{batch.task_id}\n{by}", rows, gone, lambda: describer(batch, scores, text_field))


def removed(
    by: str,
    key: str,
    is_removed: np.ndarray,
    rows: Callable[[np.ndarray], DocumentBatch],
    scores: Any = None,
) -> None:
    """Report which rows of some that are in no batch are removed; `key` names these, and `rows` makes a batch of some.

    The scores are those of the rows that are removed.
    """
    count = _open.get()
    if count is None or not is_removed.any():
        return
    places = np.flatnonzero(is_removed)
    count.dropped[by] += len(places)
    if count.rejects is not None:
        none = np.zeros(len(places), bool)
        count.rejects += [Reject(count.stage, by, row, score) for row, score in rejected(rows(places), none, scores)]

    def describe(row: int) -> Row:
        score = None if scores is None else [scores[int(np.searchsorted(places, row))]]
        return describer(rows(np.array([row])), score, None)(0)

    _sample(count, by, f"{key}\n{by}", len(is_removed), is_removed, lambda: describe, kept=False)


def _sample(
    count: StageCount, by: str, key: str, rows: int, gone: np.ndarray | None, describe: Describer, *, kept: bool = True
) -> None:
    limits = (count.before or count).limits_of(by)
    count.samples.setdefault(by, Samples()).add(key, rows, gone, describe, limits, kept=kept)


def joined(rows: int) -> None:
    """Report rows that are no rows of their own any more, because what they held is now part of another."""
    count = _open.get()
    if count is not None:
        count.rows_joined += rows


def seen(rows: int, nbytes: int = 0) -> None:
    """Report records found in a source, whatever becomes of them, and the bytes that they took there."""
    pulse.beat()
    count = _open.get()
    if count is not None:
        count.rows_seen = (count.rows_seen or 0) + rows
        count.bytes_read += nbytes


def unreported() -> int:
    """How many of the records seen have neither been dropped nor have failed, so far."""
    count = _open.get()
    return 0 if count is None else (count.rows_seen or 0) - count.rows_dropped - count.rows_failed


def cut_short(error: Exception, *, source: str, rows: int = 1) -> None:
    """Report a source that ends early: it is damaged, or its storage fails and with it the run, whatever is allowed.

    `rows` are those that are known to be missing.
    """
    seen(rows)
    failed(error, source=source, rows=rows)
    count = _open.get()
    if count is not None and is_unreachable(error):
        count.unread += 1


def written(rows: int, nbytes: int = 0) -> None:
    """Report rows that are safely in a file, and its bytes."""
    count = _open.get()
    if count is not None:
        count.rows_written = (count.rows_written or 0) + rows
        count.bytes_written += nbytes


def describe(stage: str, error: BaseException, *, source: str, record: Any = None, rows: int = 1) -> Failure:
    """Put an exception into words, for it may not survive the way to another process."""
    return Failure(
        stage=stage,
        source=without_login(source),
        error=type(error).__name__,
        message=without_login(str(error)),
        record="" if record is None else _excerpt.repr(record),
        rows=rows,
        details=without_login("".join(traceback.format_exception(error)[-8:])),
    )
