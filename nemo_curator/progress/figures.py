"""The figures of a run at one moment, and how they are written."""

from __future__ import annotations

import time
from dataclasses import dataclass

from nemo_curator.ledger.progress import Progress, Segment, Work

MEGABYTE = 10**6
_UNITS = ("", "k", "M", "G", "T", "P")


@dataclass(frozen=True)
class StageFigures:
    """Rows of a stage so far; what it takes in each second; its share of the time that all stages took."""

    stage: str
    rows_in: int
    rows_out: int
    dropped: int
    failed: int
    rows_per_second: float | None
    bytes_per_second: float | None
    share: float | None


@dataclass(frozen=True)
class Figures:
    """One segment of a run at one moment. Times are in seconds."""

    pipeline: str
    executor: str
    segment: int
    segments: int
    stages: tuple[StageFigures, ...]
    has_source: bool
    done: int
    partitions: int
    resumed: int
    lost: int
    elapsed: float
    left: float | None
    idle: float
    """Since when no partition has come back."""
    working: tuple[Work, ...]
    note: str
    now: float


def take(progress: Progress, number: int = -1) -> Figures:
    """Take the figures of a segment, by default the last one; before the first begins there are no stages."""
    with progress.lock:
        now = progress.ended or time.monotonic()
        segment = progress.segments[number] if progress.segments else Segment(range(0), False, 0)
        end = segment.ended or now
        run = progress.run
        return Figures(
            pipeline=run.pipeline,
            executor=run.executor,
            segment=progress.segments.index(segment) if progress.segments else 0,
            segments=progress.parts,
            stages=_stages(progress, segment),
            has_source=segment.has_source,
            done=segment.done,
            partitions=segment.partitions,
            resumed=segment.resumed,
            lost=len(run.failures),
            elapsed=end - (segment.started if progress.segments[1:] else progress.started),
            left=segment.seconds_left(now),
            idle=end - segment.moved,
            working=tuple(progress.working()),
            note=progress.note,
            now=now,
        )


def _stages(progress: Progress, segment: Segment) -> tuple[StageFigures, ...]:
    stages = [progress.run.stages[place] for place in segment.places]
    total = sum(stage.seconds for stage in stages[segment.has_source :])
    seconds = 0.0 if segment.rated_from is None else segment.moved - segment.rated_from
    lines = []
    for place, stage in zip(segment.places, stages):
        rows, size = segment.since(place, stage) if seconds > 0 else (0, 0)
        lines.append(
            StageFigures(
                stage=stage.stage,
                rows_in=stage.rows_in + stage.rows_added,
                rows_out=stage.rows_out,
                dropped=stage.rows_dropped,
                failed=stage.rows_failed,
                rows_per_second=rows / seconds if rows else None,
                bytes_per_second=size / seconds if size else None,
                share=stage.seconds / total if total and not (segment.has_source and stage is stages[0]) else None,
            )
        )
    return tuple(lines)


def count_text(number: int) -> str:
    """A count in at most nine characters: exact below ten million."""
    return f"{number:,}" if number < 10_000_000 else _short(number)


def rate_text(rate: float | None) -> str:
    if rate is None:
        return "-"
    return f"{rate:.1f}" if rate < 10 else f"{rate:.0f}" if rate < 1000 else _short(rate)


def duration_text(seconds: float) -> str:
    minutes, rest = divmod(int(max(seconds, 0.0)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def size_text(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size >> 20} MiB"


def _short(number: float) -> str:
    power = 0
    while number >= 999.95 and power < len(_UNITS) - 1:
        number, power = number / 1000, power + 1
    return f"{number:.1f}{_UNITS[power]}"
