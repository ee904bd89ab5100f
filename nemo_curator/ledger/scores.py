"""How the scores of a filter are spread: counts in buckets some three per cent wide, which add up in any order."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MANTISSA_BITS = 5
"""Of the 52 of a float64: 32 buckets between a number and its double, and whole numbers up to 63 have their own."""
MOST_BUCKETS = 300
"""In a report. With more, neighbours are taken together."""
MOST_LABELS = 200
"""How many different texts are counted. With more they are no labels, and are forgotten."""

_SHIFT = 52 - MANTISSA_BITS
_MAGNITUDE = np.int32(2 ** (63 - _SHIFT) - 1)
_NARROW = 4096
"""So many buckets next to one another are counted in an array; others are sorted."""


@dataclass
class Tally:
    """The scores of some documents: how many lie in each bucket, the least, the greatest, and those that are none."""

    buckets: dict[int, int] = field(default_factory=dict)
    least: float | None = None
    greatest: float | None = None
    no_score: int = 0
    labels: dict[str, int] | None = field(default_factory=dict)
    """What scores that are texts say, such as languages; None once there are too many."""

    @property
    def rows(self) -> int:
        return sum(self.buckets.values())

    def add(self, scores: np.ndarray) -> None:
        """Count an array of float64 that has any; what is not finite is no score."""
        least, greatest = float(scores.min()) + 0.0, float(scores.max()) + 0.0  # no negative zero
        if not (math.isfinite(least) and math.isfinite(greatest)):  # NaN is the least and the greatest
            finite = scores[np.isfinite(scores)]
            self.no_score += len(scores) - len(finite)
            if len(finite):
                self.add(finite)
            return
        self._widen(least, greatest)
        keys = _keys(scores, is_negative=least < 0)
        lowest = int(keys.min())
        if int(keys.max()) - lowest < _NARROW:
            counts = np.bincount(keys - lowest)
            found = np.flatnonzero(counts)
            rows = counts[found]
            found += lowest
        else:
            keys.sort()
            starts = np.flatnonzero(keys[1:] != keys[:-1])
            starts += 1
            found = keys[np.concatenate([[0], starts])]
            rows = np.diff(starts, prepend=0, append=len(keys))
        buckets = self.buckets
        for key, count in zip(found.tolist(), rows.tolist()):
            buckets[key] = buckets.get(key, 0) + count

    def add_labels(self, labels: dict[str, int]) -> None:
        if self.labels is not None:
            for label, rows in labels.items():
                self.labels[label] = self.labels.get(label, 0) + rows
            if len(self.labels) > MOST_LABELS:
                self.labels = None

    def merge(self, other: Tally) -> None:
        for key, rows in other.buckets.items():
            self.buckets[key] = self.buckets.get(key, 0) + rows
        if other.least is not None and other.greatest is not None:
            self._widen(other.least, other.greatest)
        self.no_score += other.no_score
        if other.labels is None:
            self.labels = None
        else:
            self.add_labels(other.labels)

    def _widen(self, least: float, greatest: float) -> None:
        self.least = least if self.least is None else min(self.least, least)
        self.greatest = greatest if self.greatest is None else max(self.greatest, greatest)


@dataclass
class Scores:
    """The scores that a filter gave to the documents it kept, and to those it dropped."""

    kept: Tally = field(default_factory=Tally)
    dropped: Tally = field(default_factory=Tally)
    coarseness: int = 0
    """How many bits less than `MANTISSA_BITS` were left when this was reported and read again."""

    def add(self, scores: Any, keep: np.ndarray | None = None) -> None:
        """Count the scores of a batch; None keeps all. What is no number counts as no score, and texts as labels."""
        numbers, labels = numbers_of(scores)
        if not len(numbers):
            return
        if keep is None or keep.all():
            sides = [(self.kept, None)]
        else:
            sides = [(self.kept, keep), (self.dropped, ~keep)]
        for tally, chosen in sides:
            some = numbers if chosen is None else numbers[chosen]
            if len(some):
                tally.add(some)
                if labels is not None:
                    tally.add_labels(_counted(labels if chosen is None else _where(labels, chosen)))

    def merge(self, other: Scores) -> None:
        self.kept.merge(other.kept)
        self.dropped.merge(other.dropped)
        self.coarseness = max(self.coarseness, other.coarseness)

    def to_dict(self) -> dict[str, Any]:
        """The scores for a report: `buckets` as [low, high, kept, dropped]; low belongs to it, and of negatives high."""
        kept, dropped = self.kept, self.dropped
        bits, pairs = self._paired()
        report: dict[str, Any] = {
            "kept": kept.rows,
            "dropped": dropped.rows,
            "no_score": kept.no_score + dropped.no_score,
            "no_score_dropped": dropped.no_score,
            "kept_min": kept.least,
            "kept_max": kept.greatest,
            "dropped_min": dropped.least,
            "dropped_max": dropped.greatest,
            "buckets": [[*_edges(key, bits), *pairs[key]] for key in sorted(pairs)],
        }
        if labels := _both(kept.labels or {}, dropped.labels or {}):
            report["labels"] = labels
        return report

    @classmethod
    def from_dict(cls, report: dict[str, Any]) -> Scores:
        """The scores of a report, in the buckets that it has."""
        made = cls()
        of_text = report.get("labels", {})
        for place, name, tally in ((0, "kept", made.kept), (1, "dropped", made.dropped)):
            tally.least, tally.greatest = report[f"{name}_min"], report[f"{name}_max"]
            tally.labels = {label: rows[place] for label, rows in of_text.items() if rows[place]}
        made.dropped.no_score = report["no_score_dropped"]
        made.kept.no_score = report["no_score"] - report["no_score_dropped"]
        for low, high, *rows in report["buckets"]:
            start, stop = sorted(_keys(np.array([low, high]), is_negative=low < 0).tolist())
            key = start if low >= 0 else start + 1
            made.coarseness = max(made.coarseness, int(stop - start).bit_length() - 1)
            for tally, count in zip((made.kept, made.dropped), rows):
                if count:
                    tally.buckets[key] = count
        return made

    def packed(self) -> list[list[Any]]:
        """The scores as JSON has them in few bytes: of each bucket how far it is from the one before, and its rows."""
        return [_packed(self.kept), _packed(self.dropped)]

    @classmethod
    def unpacked(cls, packed: list[list[Any]]) -> Scores:
        return cls(*map(_unpacked, packed))

    def _paired(self) -> tuple[int, dict[int, list[int]]]:
        """For each bucket the rows kept and dropped; buckets so wide that there are not too many."""
        bits = self.coarseness
        while True:
            pairs: dict[int, list[int]] = {}
            for place, tally in enumerate((self.kept, self.dropped)):
                for key, rows in tally.buckets.items():
                    pairs.setdefault(key >> bits, [0, 0])[place] += rows
            if len(pairs) <= MOST_BUCKETS:
                return bits, pairs
            bits += 1


def numbers_of(scores: Any) -> tuple[np.ndarray, list[Any] | None]:
    """Scores as float64, NaN where there is none, and their labels: those of texts, and of numbers with a text.

    A language and how sure it is travel as a pair, or as the text of one.
    """
    if isinstance(scores, np.ndarray) and scores.dtype.kind in "fiub":
        return scores.astype(np.float64), None
    values = list(scores)
    first = next((value for value in values if value is not None), None)
    if isinstance(first, str | list | tuple):
        pairs = [_pair(value) for value in values]
        return np.array([number for number, _ in pairs]), [label for _, label in pairs]
    try:
        return np.asarray(values, np.float64), None
    except (TypeError, ValueError, OverflowError):
        return np.array([_pair(value)[0] for value in values]), None


def _where(values: list[Any], chosen: np.ndarray) -> list[Any]:
    return [values[at] for at in np.flatnonzero(chosen)]


def _pair(value: Any) -> tuple[float, str | None]:
    if isinstance(value, str):
        if value[:1] != "[" or value[-2:] != "']":
            return math.nan, value
        number, _, label = value[1:-2].partition(", '")
        value = number, label
    if isinstance(value, list | tuple):
        if len(value) != 2 or not isinstance(value[1], str):
            return math.nan, None
        value, label = value
    else:
        label = None
    try:
        return float(value), label
    except (TypeError, ValueError, OverflowError):
        return math.nan, label


def _counted(labels: list[Any]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for label in labels:
        if label is not None:
            counts[label] = counts.get(label, 0) + 1
            if len(counts) > MOST_LABELS:
                break
    return counts


def _keys(values: np.ndarray, *, is_negative: bool) -> np.ndarray:
    """The buckets of numbers: the sign, the exponent and some bits of the mantissa, in the order of the numbers."""
    keys = ((values + 0.0).view(np.int64) >> _SHIFT).astype(np.int32)  # as above
    return np.where(keys < 0, ~(keys & _MAGNITUDE), keys) if is_negative else keys


def _edges(key: int, bits: int) -> tuple[float, float]:
    """Where a bucket begins and ends, if so many bits of its key are left out."""
    magnitude = key if key >= 0 else ~key
    low, high = (_number((magnitude + step) << bits) for step in (0, 1))
    return (low, high) if key >= 0 else (-high, -low)


def _number(key: int) -> float:
    number = float(np.int64(min(key << _SHIFT, 2**63 - 1)).view(np.float64))
    return number if math.isfinite(number) else sys.float_info.max


def _both(kept: dict[str, int], dropped: dict[str, int]) -> dict[str, list[int]]:
    return {label: [kept.get(label, 0), dropped.get(label, 0)] for label in sorted({*kept, *dropped})}


def _packed(tally: Tally) -> list[Any]:
    keys = sorted(tally.buckets)
    steps = [key - before for before, key in zip([0, *keys], keys)]
    rows = [tally.buckets[key] for key in keys]
    return [steps, rows, tally.least, tally.greatest, tally.no_score, tally.labels]


def _unpacked(packed: list[Any]) -> Tally:
    steps, rows, *others = packed
    keys = np.cumsum(steps, dtype=np.int64).tolist()
    return Tally(dict(zip(keys, rows)), *others)
