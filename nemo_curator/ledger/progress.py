"""How far a run is, at any moment: what the table, the lines and the metrics of a run are made of."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from nemo_curator.ledger.counts import StageCount
from nemo_curator.ledger.run import Run


@dataclass
class Segment:
    """The stages between two barriers, and how many of their partitions are through."""

    places: range
    has_source: bool
    """Whether the first is the stage that found the partitions: what it counts are files, or tasks."""
    partitions: int
    resumed: int = 0
    """Partitions that an earlier attempt did: they are done at once, and no part of any rate."""
    done: int = 0
    started: float = field(default_factory=time.monotonic)
    moved: float = field(default_factory=time.monotonic)
    """When a partition last came back."""
    ended: float | None = None
    rated_from: float | None = None
    _before: dict[int, tuple[int, int]] = field(default_factory=dict)

    def start_rates(self, stages: Sequence[StageCount]) -> None:
        self._before = {place: (stages[place].rows_in, stages[place].bytes_in) for place in self.places}
        self.rated_from = self.moved = time.monotonic()

    def since(self, place: int, stage: StageCount) -> tuple[int, int]:
        """Rows and bytes that a stage got in this attempt."""
        rows, size = self._before.get(place, (0, 0))
        return stage.rows_in - rows, stage.bytes_in - size

    def seconds_left(self, now: float) -> float | None:
        """How long the rest takes at the pace so far; None while nothing is known of it."""
        fresh = self.done - self.resumed
        if fresh <= 0 or self.rated_from is None or self.ended is not None:
            return None
        return (self.moved - self.rated_from) / fresh * (self.partitions - self.done) - (now - self.moved)


@dataclass(frozen=True)
class Work:
    """A partition that a worker has, in which stages, and since when."""

    partition: str
    stages: str
    since: float


class Progress:
    """Told by the executor what comes back, and by engines that know it what is under way.

    Readers are other threads: they hold `lock` to see counts that belong together.
    """

    def __init__(self, run: Run, parts: int = 1):
        self.run = run
        self.parts = parts
        """How many segments there are."""
        self.lock = threading.Lock()
        self.started = time.monotonic()
        self.ended: float | None = None
        self.error: str | None = None
        self.segments: list[Segment] = []
        self.note = ""
        """What an engine has to say that is known to no other."""
        self._working: dict[str, Work] = {}

    @property
    def resumed(self) -> int:
        return sum(segment.resumed for segment in self.segments)

    def begin_segment(self, places: range, has_source: bool, partitions: int, resumed: int) -> None:
        self.end_segment()
        with self.lock:
            self.segments.append(Segment(places, has_source, partitions, resumed))

    def begin_work(self) -> None:
        """What earlier attempts did is counted; from here on rates are measured."""
        with self.lock:
            self.segments[-1].start_rates(self.run.stages)

    def end_segment(self) -> None:
        with self.lock:
            self.note = ""
            self._working.clear()
            if self.segments and self.segments[-1].ended is None:
                self.segments[-1].ended = time.monotonic()

    def end(self) -> None:
        self.end_segment()
        self.ended = time.monotonic()

    @contextmanager
    def finishing(self, partition: str) -> Iterator[None]:
        """Around the counting of a partition that has come back."""
        with self.lock:
            yield
            self._working.pop(partition, None)
            self.segments[-1].done += 1
            self.segments[-1].moved = time.monotonic()

    def begin(self, partition: str, stages: str) -> None:
        """A worker has got a partition."""
        self._working[partition] = Work(partition, stages, time.monotonic())

    def put_back(self, partition: str) -> None:
        """A worker has a partition no more."""
        self._working.pop(partition, None)

    def working(self) -> list[Work]:
        """What workers have, longest first."""
        return sorted(self._working.values(), key=lambda work: work.since)
