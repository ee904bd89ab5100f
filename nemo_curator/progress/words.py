"""A run in words: a table for a terminal or a notebook, a line for a log, a line for when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nemo_curator.progress.figures import (
    MEGABYTE,
    Figures,
    StageFigures,
    count_text,
    duration_text,
    rate_text,
    size_text,
)

if TYPE_CHECKING:
    from rich.text import Text

IDLE_S = 30.0
"""From when on it is said that nothing comes back."""
LONGEST_NAME = 32
_HEADER = ("rows in", "rows out", "dropped", "failed", "rows/s", "MB/s", "time")
_WIDTHS = (10, 10, 10, 7, 7, 7, 5)


def table(figures: Figures, memory: int, width: int, height: int) -> Text:
    """One line a stage in `width` columns, in `height` lines at most, and below them how far the run is."""
    from rich.text import Text

    part = f", part {figures.segment + 1} of {figures.segments}" if figures.segments > 1 else ""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{figures.pipeline} on {figures.executor}{part}\n", "bold")
    if figures.stages:
        shown, hidden = _most_telling(figures.stages, max(height - 6, 1))
        longest = max(len(stage.stage) for stage in shown)
        room = max(min(longest, LONGEST_NAME, width - sum(_WIDTHS) - 1), 8)
        text.append(_row("stage", _HEADER, room) + "\n", "dim")
        for stage in shown:
            text.append(_row(stage.stage, _cells(stage), room) + "\n", "red" if stage.failed else "")
        if hidden:
            text.append(f"and {hidden} stages that dropped less\n", "dim")
    text.append(_how_far(figures, memory), "bold")
    if what := _what_moves(figures):
        text.append(f"\n{what}", "yellow" if figures.idle >= IDLE_S else "dim")
    return text


def line(figures: Figures, memory: int) -> str:
    """The run in one line, for where no table can be drawn."""
    part = f" part {figures.segment + 1} of {figures.segments}" if figures.segments > 1 else ""
    words = [f"{figures.pipeline}{part}: {_how_far(figures, memory)}", _rows(figures)]
    if figures.idle >= IDLE_S:
        words.append(f"nothing has come back for {duration_text(figures.idle)}")
    return "; ".join(filter(None, [*words, figures.note]))


def summary(figures: Figures, error: str | None = None) -> str:
    """What is left of the table of a segment that is over."""
    part = f" part {figures.segment + 1} of {figures.segments}" if figures.segments > 1 else ""
    far = f"{figures.done:,} of {_partitions(figures)}" if error else _partitions(figures)
    rows = f"{_rows(figures)}; " if figures.stages else ""
    ended = f", ended by {error}" if error else ""
    return f"{figures.pipeline}{part}: {rows}{far} in {duration_text(figures.elapsed)}{ended}"


def _rows(figures: Figures) -> str:
    """What went into the stages, what came out, and what became of the rest."""
    if not figures.stages:
        return ""
    dropped, failed = (sum(getattr(stage, name) for stage in figures.stages) for name in ("dropped", "failed"))
    first = figures.stages[1 if figures.has_source and figures.stages[1:] else 0]
    rate = "" if first.rows_per_second is None else f", {rate_text(first.rows_per_second)} rows/s"
    return (
        f"{first.rows_in:,} rows in, {figures.stages[-1].rows_out:,} out, {dropped:,} dropped, {failed:,} failed{rate}"
    )


def _most_telling(stages: Sequence[StageFigures], room: int) -> tuple[Sequence[StageFigures], int]:
    """The stages that there is room for: those that lost most rows, in their order."""
    if len(stages) <= room:
        return stages, 0
    ranked = sorted(
        range(len(stages)), key=lambda place: (stages[place].failed, stages[place].dropped, -place), reverse=True
    )
    return [stages[place] for place in sorted(ranked[:room])], len(stages) - room


def _row(name: str, cells: Sequence[str], room: int) -> str:
    name = name if len(name) <= room else f"{name[: room - 1]}…"
    return name.ljust(room) + "".join(cell.rjust(width) for cell, width in zip(cells, _WIDTHS))


def _cells(stage: StageFigures) -> tuple[str, ...]:
    size = stage.bytes_per_second
    return (
        *map(count_text, (stage.rows_in, stage.rows_out, stage.dropped, stage.failed)),
        rate_text(stage.rows_per_second),
        rate_text(None if size is None else size / MEGABYTE),
        "-" if stage.share is None else f"{stage.share:.0%}",
    )


def _how_far(figures: Figures, memory: int) -> str:
    if not figures.partitions:
        return f"looking for what there is to do, {duration_text(figures.elapsed)}"
    words = [f"{figures.done:,} of {_partitions(figures)} ({figures.done / figures.partitions:.0%})"]
    if figures.resumed:
        words.append(f"{figures.resumed:,} from before")
    if figures.lost:
        words.append(f"{figures.lost:,} lost")
    words.append(f"{duration_text(figures.elapsed)} so far")
    if figures.left is not None:
        words.append(f"{duration_text(figures.left)} left")
    return ", ".join([*words, *([size_text(memory)] if memory else [])])


def _partitions(figures: Figures) -> str:
    return f"{figures.partitions:,} partition{'' if figures.partitions == 1 else 's'}"


def _what_moves(figures: Figures) -> str:
    words = []
    if figures.idle >= IDLE_S:
        words.append(f"nothing has come back for {duration_text(figures.idle)}")
    if figures.working:
        longest = figures.working[0]
        words.append(
            f"{len(figures.working)} at work, {longest.partition} for {duration_text(figures.now - longest.since)} "
            f"in {longest.stages}"
        )
    return "; ".join(filter(None, [*words, figures.note]))
