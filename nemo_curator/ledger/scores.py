"""How the scores of a filter are spread: counts in buckets some three per cent wide, which add up in any order."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

MANTISSA_BITS = 5
"""Of the 52 of a float64: 32 buckets between a number and its double, and whole numbers up to 63 have their own."""
MOST_BUCKETS = 300
"""In a report. With more, neighbours are taken together."""
MOST_LABELS = 200
"""How many different texts are counted. With more they are no labels, and are forgotten."""

_SHIFT = 52 - MANTISSA_BITS
_MAGNITUDE = np.int64(2**63 - 1)
_MOST_PIECES = 64

Piece: TypeAlias = tuple[np.ndarray, np.ndarray]


@dataclass
class Tally:
    """What is known of the scores of some documents besides their buckets; scores that are texts count as labels."""

    least: float | None = None
    greatest: float | None = None
    no_score: int = 0
    labels: dict[str, int] | None = field(default_factory=dict)
    """How often each text, such as a language, comes; None once there are too many different ones."""

    def widen(self, least: float | None, greatest: float | None) -> None:
        if least is not None and greatest is not None:
            self.least = least if self.least is None else min(self.least, least)
            self.greatest = greatest if self.greatest is None else max(self.greatest, greatest)

    def add_labels(self, labels: dict[str, int] | None) -> None:
        if self.labels is None or labels is None:
            self.labels = None
            return
        for label, rows in labels.items():
            self.labels[label] = self.labels.get(label, 0) + rows
        if len(self.labels) > MOST_LABELS:
            self.labels = None


@dataclass(eq=False)
class Scores:
    """The scores that a filter gave to the documents it kept, and to those it dropped.

    A piece has the numbers of some buckets, doubled, and one more for documents that were dropped; and their rows.
    """

    kept: Tally = field(default_factory=Tally)
    dropped: Tally = field(default_factory=Tally)
    pieces: list[Piece] = field(default_factory=list)
    coarseness: int = 0
    """How many bits less than `MANTISSA_BITS` were left when this was reported and read again."""

    def add(self, scores: Any, gone: np.ndarray | None = None) -> None:
        """Count the scores of a batch, of which some may be gone. What is no number is no score; texts are labels."""
        numbers, labels = numbers_of(scores)
        if not len(numbers):
            return
        codes = _doubled(numbers)
        if gone is None:
            is_finite = self._look_at(self.kept, numbers, labels)
        else:
            is_finite = True
            for tally, chosen in ((self.kept, ~gone), (self.dropped, gone)):
                some = numbers[chosen]
                if len(some):
                    is_finite &= self._look_at(tally, some, labels and _where(labels, chosen))
            codes += gone
        if not is_finite:
            codes = codes[np.isfinite(numbers)]
        if len(codes):
            self.pieces.append(_counted(codes))

    def merge(self, other: Scores) -> None:
        for mine, theirs in ((self.kept, other.kept), (self.dropped, other.dropped)):
            mine.widen(theirs.least, theirs.greatest)
            mine.no_score += theirs.no_score
            mine.add_labels(theirs.labels)
        self.pieces += other.pieces
        self.coarseness = max(self.coarseness, other.coarseness)
        if len(self.pieces) > _MOST_PIECES:
            self.buckets()

    def buckets(self) -> Piece:
        """All pieces as one, its buckets in order."""
        if not self.pieces:
            self.pieces = [(np.zeros(0, np.int32), np.zeros(0, np.int64))]
        if len(self.pieces) > 1:
            self.pieces = [_summed(*map(np.concatenate, zip(*self.pieces)))]
        return self.pieces[0]

    def rows(self) -> tuple[int, int]:
        """How many documents that were kept have a score, and how many of those that were dropped."""
        codes, rows = self.buckets()
        return int(rows[codes & 1 == 0].sum()), int(rows[codes & 1 == 1].sum())

    def to_dict(self) -> dict[str, Any]:
        """The scores for a report. A bucket is [low, high, kept, dropped]; low belongs to it, of negatives high."""
        kept, dropped = self.kept, self.dropped
        of_kept, of_dropped = self.rows()
        bits, keys, pairs = self._paired()
        report: dict[str, Any] = {
            "kept": of_kept,
            "dropped": of_dropped,
            "no_score": kept.no_score + dropped.no_score,
            "no_score_dropped": dropped.no_score,
            "kept_min": kept.least,
            "kept_max": kept.greatest,
            "dropped_min": dropped.least,
            "dropped_max": dropped.greatest,
            "buckets": [[*_edges(key, bits), *pair] for key, pair in zip(keys, pairs)],
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
            tally.widen(report[f"{name}_min"], report[f"{name}_max"])
            tally.labels = {label: rows[place] for label, rows in of_text.items() if rows[place]}
        made.dropped.no_score = report["no_score_dropped"]
        made.kept.no_score = report["no_score"] - report["no_score_dropped"]
        codes, rows = [], []
        for low, high, *pair in report["buckets"]:
            start, stop = sorted(_doubled(np.array([low, high])).tolist())
            made.coarseness = max(made.coarseness, (stop - start).bit_length() - 2)
            first = start if low >= 0 else start + 2
            codes += [first, first + 1]
            rows += pair
        if codes:
            made.pieces = [_summed(np.array(codes, np.int32), np.array(rows, np.int64))]
        return made

    def packed(self) -> list[Any]:
        """The scores as JSON has them in few bytes: of each bucket how far it is from the one before, and its rows."""
        codes, rows = self.buckets()
        steps = np.diff(codes, prepend=0).tolist()
        return [steps, rows.tolist(), *([*vars(tally).values()] for tally in (self.kept, self.dropped))]

    @classmethod
    def unpacked(cls, packed: list[Any]) -> Scores:
        steps, rows, kept, dropped = packed
        piece = np.cumsum(np.array(steps, np.int32), dtype=np.int32), np.array(rows, np.int64)
        return cls(Tally(*kept), Tally(*dropped), [piece])

    def __getstate__(self) -> dict[str, Any]:
        self.buckets()
        return self.__dict__

    def _look_at(self, tally: Tally, numbers: np.ndarray, labels: list[Any] | None) -> bool:
        """Note the least and the greatest of some numbers, and their labels; returns whether all are finite."""
        if labels is not None:
            tally.add_labels(_count_labels(labels))
        least, greatest = float(np.minimum.reduce(numbers)), float(np.maximum.reduce(numbers))
        is_finite = math.isfinite(least) and math.isfinite(greatest)  # NaN is the least and the greatest
        if not is_finite:
            finite = numbers[np.isfinite(numbers)]
            tally.no_score += len(numbers) - len(finite)
            if not len(finite):
                return False
            least, greatest = float(finite.min()), float(finite.max())
        tally.widen(least + 0.0, greatest + 0.0)  # no negative zero
        return is_finite

    def _paired(self) -> tuple[int, list[int], list[list[int]]]:
        """The buckets with the rows kept and dropped, and by how many bits they are wider, so as not to be too many."""
        codes, rows = self.buckets()
        bits = self.coarseness
        while True:
            keys, places = np.unique((codes >> 1) >> bits, return_inverse=True)
            if len(keys) <= MOST_BUCKETS:
                pairs = np.zeros((len(keys), 2), np.int64)
                np.add.at(pairs, (places, codes & 1), rows)
                return bits, keys.tolist(), pairs.tolist()
            bits += 1


def numbers_of(scores: Any) -> tuple[np.ndarray, list[Any] | None]:
    """Scores as float64, NaN where there is none, and their labels: those of texts, and of numbers with a text.

    A language and how sure it is travel as a pair, or as the text of one.
    """
    if isinstance(scores, np.ndarray) and scores.dtype.kind in "fiub" and scores.ndim == 1:
        return scores.astype(np.float64), None
    values = list(scores)
    first = next((value for value in values if value is not None), None)
    if isinstance(first, str | list | tuple):
        pairs = [_pair(value) for value in values]
        return np.array([number for number, _ in pairs]), [label for _, label in pairs]
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.array([_pair(value)[0] for value in values]), None
    return numbers if numbers.ndim == 1 else np.full(len(values), math.nan), None  # a vector is no score


def _where(values: list[Any], chosen: np.ndarray) -> list[Any]:
    return [values[at] for at in np.flatnonzero(chosen)]


def _pair(value: Any) -> tuple[float, str | None]:
    """The number and the text that a score is made of."""
    number, label = value, None
    if isinstance(value, str):
        if value[:1] != "[" or value[-2:] != "']":
            return math.nan, value
        number, _, label = value[1:-2].partition(", '")
    elif isinstance(value, list | tuple):
        if len(value) != 2 or not isinstance(value[1], str):
            return math.nan, None
        number, label = value
    try:
        return float(number), label
    except (TypeError, ValueError, OverflowError):
        return math.nan, label


def _count_labels(labels: list[Any]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for label in labels:
        if label is not None:
            counts[label] = counts.get(label, 0) + 1
            if len(counts) > MOST_LABELS:
                break
    return counts


def _doubled(values: np.ndarray) -> np.ndarray:
    """The buckets of numbers, doubled: sign, exponent and some bits of the mantissa, in the order of the numbers."""
    bits = (values + 0.0).view(np.int64)  # or there would be two zeros
    if np.minimum.reduce(bits, initial=0) < 0:
        bits = np.where(bits < 0, ~(bits & _MAGNITUDE), bits)
    bits >>= _SHIFT
    bits <<= 1
    return bits.astype(np.int32)


def _counted(codes: np.ndarray) -> Piece:
    """How often each number comes."""
    codes.sort()
    ends = (codes[1:] != codes[:-1]).nonzero()[0]
    edges = np.empty(len(ends) + 2, np.int64)
    edges[0], edges[1:-1], edges[-1] = 0, ends, len(codes) - 1
    edges[1:] += 1
    return codes[edges[:-1]], edges[1:] - edges[:-1]


def _summed(codes: np.ndarray, rows: np.ndarray) -> Piece:
    """Each number once, in order, with the sum of its rows."""
    found, places = np.unique(codes, return_inverse=True)
    sums = np.zeros(len(found), np.int64)
    np.add.at(sums, places, rows)
    is_there = sums > 0
    return found[is_there], sums[is_there]


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
