"""What follows from the record of a run: where rows went, filter by filter, and whether it adds up."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nemo_curator.report import figures
from nemo_curator.report.record import Record

Mark = tuple[float, float]
"""A threshold: the last score on the side that it is named after, and where it is drawn."""

LOSSES = ("dropped", "failed", "joined")
_OBJECT = re.compile(r"([\w.]+)(?:#\w+)?\((\{(?:[^{}]|\{[^{}]*\})*\})\)")
"""An object with its settings, as they are written in the record."""


@dataclass(frozen=True)
class Step:
    """What happened to rows in one place: `kind` is why they came or went, `by` the filter or the error."""

    stage: str
    kind: str
    by: str
    rows: int
    left: int
    """How many rows there are after it."""


@dataclass(frozen=True)
class Balance:
    """The rows of stages one after the other, each of which got what the one before left."""

    stages: list[Record]

    @property
    def rows_in(self) -> int:
        return number(self.stages[0], "rows_in")

    @property
    def rows_out(self) -> int:
        return number(self.stages[-1], "rows_out")

    def total(self, kind: str) -> int:
        return sum(gone(stage, kind) for stage in self.stages)

    @property
    def unit(self) -> str:
        """What is counted: rows, or sources such as files where no stage looks into them."""
        return "row" if any(stage.get("has_rows", True) for stage in self.stages) else "source"

    @property
    def most(self) -> int:
        """As many rows as there are anywhere, for the scale of bars."""
        return max(max(number(stage, "rows_in") + gone(stage, "added") for stage in self.stages), self.rows_out, 1)

    @property
    def difference(self) -> int:
        """Rows that nobody knows the fate of; below zero, those that came from nowhere."""
        return self.rows_in + self.total("added") - self.rows_out - sum(self.total(kind) for kind in LOSSES)

    def wrong(self) -> list[tuple[str, int]]:
        """The stages at which rows do not add up, and by how many."""
        differences = ((str(stage["stage"]), Balance([stage]).difference) for stage in self.stages)
        return [(name, rows) for name, rows in differences if rows]


@dataclass(frozen=True)
class FilterAccount:
    """What one filter did: `rows_in` is what it got to see."""

    stage: str
    name: str
    rows_in: int
    dropped: int
    scores: Record = field(default_factory=dict)
    samples: Record = field(default_factory=dict)
    class_name: str = ""
    settings: Record = field(default_factory=dict)


@dataclass(frozen=True)
class Totals:
    """The numbers of a whole run. What was not recorded is None or 0."""

    rows_in: int
    rows_out: int
    seconds: float
    bytes_in: int
    peak_memory: int | None


def number(stage: Record, key: str) -> int:
    return int(stage.get(key) or 0)


def gone(stage: Record, kind: str) -> int:
    """Rows of a stage that were dropped, failed or joined to others, or, of kind `added`, were made."""
    if kind in ("dropped", "failed"):
        return sum(stage[kind].values())
    return number(stage, f"rows_{kind}")


def balances(run: Record) -> list[Balance]:
    """Cut the stages where they begin to count other things, such as rows after files; leave out who lists files."""
    parts: list[list[Record]] = []
    for stage in run["stages"]:
        if is_listing(stage):
            continue
        if parts and number(parts[-1][-1], "rows_out") == number(stage, "rows_in"):
            parts[-1].append(stage)
        else:
            parts.append([stage])
    return [Balance(part) for part in parts]


def is_listing(stage: Record) -> bool:
    """Whether a stage made tasks out of nothing that hold no data yet: names of files, or of what to download."""
    return not number(stage, "rows_in") and not number(stage, "bytes_out") and number(stage, "rows_added") > 0


def steps(stage: Record) -> Iterator[Step]:
    """What a stage did to its rows, in the order of its filters."""
    name, left = str(stage["stage"]), number(stage, "rows_in") + gone(stage, "added")
    if added := gone(stage, "added"):
        yield Step(name, "added", name, added, left)
    for by, rows in stage["failed"].items():
        left -= rows
        yield Step(name, "failed", by, rows, left)
    for by in filter_names(stage):
        rows = stage["dropped"].get(by, 0)
        left -= rows
        yield Step(name, "dropped", by, rows, left)
    if joined := gone(stage, "joined"):
        yield Step(name, "joined", name, joined, left - joined)


def filter_names(stage: Record) -> list[str]:
    """The filters of a stage: in their order where scores were recorded, else as they dropped."""
    return list(dict.fromkeys([*_of(stage, "scores"), *stage["dropped"], *_of(stage, "samples")]))


def filters(run: Record) -> list[FilterAccount]:
    """Every filter of a run, in order."""
    every = [one for one in run.get("settings") or [] if isinstance(one, dict)]
    anywhere = _described(every)
    made = []
    for place, stage in enumerate(run["stages"]):
        # several stages may have filters of one name
        described = {**anywhere, **_described([one for one in every[place : place + 1] if _is_of(one, stage)])}
        left = number(stage, "rows_in") - gone(stage, "failed")
        for name in filter_names(stage):
            scores, dropped = _of(stage, "scores").get(name) or {}, stage["dropped"].get(name, 0)
            seen = sum(number(scores, key) for key in ("kept", "dropped", "no_score"))
            class_name, settings = described.get(name, ("", {}))
            made.append(
                FilterAccount(
                    str(stage["stage"]),
                    name,
                    seen if seen >= max(dropped, 1) else max(left, dropped),
                    dropped,
                    scores,
                    _of(stage, "samples").get(name) or {},
                    class_name,
                    settings,
                )
            )
            left -= dropped
    return made


def totals(run: Record) -> Totals:
    """Rows in are those of the first stage that counts what the last one counts, unless the record says so itself."""
    parts = balances(run)
    peaks = [stage["peak_memory"] for stage in run["stages"] if stage.get("peak_memory")]
    return Totals(
        rows_in=int(run["rows_in"] or 0) if "rows_in" in run else parts[-1].rows_in if parts else 0,
        rows_out=int(run["rows_out"] or 0) if "rows_out" in run else parts[-1].rows_out if parts else 0,
        seconds=float(run.get("seconds") or 0.0),
        bytes_in=next((number(stage, "bytes_in") for stage in run["stages"] if number(stage, "bytes_in")), 0),
        peak_memory=max(peaks, default=None),
    )


def threshold(scores: Record) -> tuple[list[Mark], str]:
    """Where scores that are kept and scores that are dropped meet, and how to say that."""
    (kept_min, kept_max), (dropped_min, dropped_max) = spans(scores)
    if not math.isfinite(kept_min):
        return [], "Nothing with a score was kept." if math.isfinite(dropped_min) else ""
    if not math.isfinite(dropped_min):
        return [], "Nothing with a score was dropped."
    low, high = figures.score(kept_min), figures.score(kept_max)
    if dropped_max < kept_min:
        return [(kept_min, kept_min)], f"Kept from {low}; the highest score dropped is {figures.score(dropped_max)}."
    if kept_max < dropped_min:
        return [
            (kept_max, dropped_min)
        ], f"Kept up to {high}; the lowest score dropped is {figures.score(dropped_min)}."
    if not _any_within(scores, "dropped", kept_min, kept_max):
        return [(kept_min, kept_min), (kept_max, _next(scores, "dropped", kept_max))], f"Kept from {low} to {high}."
    if not _any_within(scores, "kept", dropped_min, dropped_max):
        low, high = figures.score(dropped_min), figures.score(dropped_max)
        marks = [(dropped_min, dropped_min), (dropped_max, _next(scores, "kept", dropped_max))]
        return marks, f"Dropped from {low} to {high}."
    return [], "Scores of what is kept and of what is dropped overlap: the score alone does not decide."


def buckets(scores: Record) -> list[tuple[float, float, int, int]]:
    """The counted ranges of scores that can be drawn, ascending, none beyond the least and the greatest score."""
    found = []
    least, greatest = extremes(scores)
    for one in scores.get("buckets") or []:
        if isinstance(one, list | tuple) and len(one) == 4:
            low, high = _finite(one[0]), _finite(one[1])
            if low is not None and high is not None and low <= high:
                low, high = min(max(low, least), high), max(min(high, greatest), low)
                found.append((low, high, int(one[2]), int(one[3])))
    return sorted(found)


def spans(scores: Record) -> tuple[tuple[float, float], tuple[float, float]]:
    """The least and the greatest score of what was kept, and of what was dropped; where there is none, any."""
    return _span(scores, "kept"), _span(scores, "dropped")


def extremes(scores: Record) -> tuple[float, float]:
    """The least and the greatest score."""
    found = [one for one in spans(scores) if math.isfinite(one[0])]
    return min((one[0] for one in found), default=-math.inf), max((one[1] for one in found), default=math.inf)


def _span(scores: Record, kind: str) -> tuple[float, float]:
    least, greatest = _finite(scores.get(f"{kind}_min")), _finite(scores.get(f"{kind}_max"))
    return (-math.inf, math.inf) if least is None or greatest is None else (least, greatest)


def objects_in(text: str) -> tuple[list[tuple[str, tuple[str, Record]]], str]:
    """The filters in a setting, by their names with class and settings, and what is left of the text without them."""
    found = []

    def take(match: re.Match[str]) -> str:
        try:
            values = ast.literal_eval(match[2])
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return match[0]  # holds an object itself
        name = values.pop("name", None) or values.pop("_name", None) if isinstance(values, dict) else None
        if not isinstance(name, str):
            return match[0]
        values.pop("requires", None)
        found.append((name, (match[1].rpartition(".")[2], values)))
        return ""

    rest = _OBJECT.sub(take, text)
    return found, rest


def failures_by_error(run: Record) -> dict[str, tuple[int, list[Record]]]:
    """How many rows failed with each error, and samples of them; lost partitions count as their samples."""
    found: dict[str, tuple[int, list[Record]]] = {}
    for stage in run["stages"]:
        for error, rows in stage["failed"].items():
            found[error] = (found.get(error, (0, []))[0] + rows, [])
    for failure in run.get("failures") or []:
        if isinstance(failure, dict):
            found.setdefault(str(failure.get("error")), (0, []))[1].append(failure)
    return dict(sorted(found.items(), key=lambda item: -item[1][0]))


def _any_within(scores: Record, kind: str, low: float, high: float) -> bool:
    """Whether scores of a kind were found strictly between two others; a range on the edge does not count."""
    place = 2 if kind == "kept" else 3
    return any(one[place] and low < one[0] and one[1] < high for one in buckets(scores))


def _next(scores: Record, kind: str, value: float) -> float:
    """The first range above a score in which there are scores of a kind: a boundary is drawn where it begins."""
    place = 2 if kind == "kept" else 3
    return next((one[0] for one in buckets(scores) if one[place] and one[0] > value), value)


def _finite(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e300 else None


def _of(stage: Record, key: str) -> Record:
    found = stage.get(key)
    return {name: one for name, one in found.items() if isinstance(one, dict)} if isinstance(found, dict) else {}


def _is_of(settings: Record, stage: Record) -> bool:
    return settings.get("name") == stage["stage"]


def _described(every: list[Record]) -> dict[str, tuple[str, Record]]:
    """Classes and settings by the names of filters: of stages that are filters, and of those that stages hold."""
    found: dict[str, tuple[str, Record]] = {}
    for settings in every:
        values = {key: value for key, value in settings.items() if key not in ("class", "name", "code")}
        found[str(settings.get("name"))] = str(settings.get("class", "")).rpartition(".")[2], values
    for settings in every:
        for text in settings.values():
            found |= objects_in(str(text))[0]
    return found
