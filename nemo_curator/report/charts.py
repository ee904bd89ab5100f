"""Bars, and histograms of scores. Each is drawn beside a table that says the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from nemo_curator.report import figures
from nemo_curator.report.account import Mark
from nemo_curator.report.html import Html, join, tag

MOST_BARS = 60
_WIDTH, _HEIGHT = 600, 120
_SKEWED = 0.03
"""Where the middle score is within this share of the range, the axis is logarithmic."""

Bucket = tuple[float, float, int, int]
Spans = tuple[tuple[float, float], tuple[float, float]]
ANY = (-math.inf, math.inf)


def bar(*parts: tuple[str, float]) -> Html:
    """A bar of parts, each with its kind and its length in percent."""
    pieces = [tag("i", class_=kind, style=f"width:{length:g}%") for kind, length in parts if length > 0]
    return tag("span", pieces, class_="bar", aria_hidden="true")


def beside(name: Html | str, *bars: Html) -> Html:
    """A name with its bars: beside it, or below it where there is no room."""
    return tag("span", tag("span", name), tag("span", bars), class_="barred")


@dataclass(frozen=True)
class Axis:
    """Where scores are on a line: by themselves, or by their logarithm, for which `unit` is what is small."""

    low: float
    high: float
    unit: float = 0.0

    def at(self, value: float) -> float:
        """The place of a score, from 0 to 1."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        return 0.5 if high <= low else min(max((self._scaled(value) - low) / (high - low), 0.0), 1.0)

    def ticks(self) -> list[float]:
        """A few round scores."""
        if self.unit:
            first = round(math.log10(self.unit))
            powers = [10.0**power for power in range(first, math.floor(math.log10(self.high)) + 1)]
            return [0.0, *powers[:: math.ceil(len(powers) / 5)]]
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        step = 10.0 ** math.floor(math.log10(span / 4))
        step *= next(factor for factor in (1, 2, 2.5, 5, 10) if span / (step * factor) <= 5)
        return [number * step for number in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]

    def _scaled(self, value: float) -> float:
        return math.log1p(max(value, 0.0) / self.unit) if self.unit else value


def histogram(buckets: list[Bucket], thresholds: list[Mark], spans: Spans = (ANY, ANY)) -> Html:
    """Stacked bars of what is kept and dropped, with a line at each threshold, and below it the axis."""
    axis, bars = rebinned(buckets, spans)
    most = max((kept + dropped for kept, dropped in bars), default=0) or 1
    width = _WIDTH / len(bars)
    drawn = []
    for place, (kept, dropped) in enumerate(bars):
        up, more = _HEIGHT * kept / most, _HEIGHT * dropped / most
        if kept + dropped:  # what is there is seen, however little it is
            more, up = (max(more, 1.5) if dropped else 0.0), (max(up, 1.5) if kept else 0.0)
        left, wide = f"{place * width + 0.4:.1f}", f"{width - 0.8:.1f}"
        for kind, top, height in (("kept", up, up), ("dropped", up + more, more)):
            if height:
                y = f"{_HEIGHT - top:.1f}"
                drawn.append(tag("rect", class_=kind, x=left, y=y, width=wide, height=f"{height:.1f}"))
    lines = [_line(value, axis.at(place)) for value, place in thresholds]
    plot = tag(
        "svg",
        drawn,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
        aria_hidden="true",
        focusable="false",
    )
    middle = 0.5 if len(bars) == axis.high - axis.low else 0.0  # a bar for each whole number has its number below it
    ticks = [
        tag("span", figures.score(tick), style=f"left:{100 * axis.at(tick + middle):.1f}%")
        for tick in axis.ticks()
        if not middle or (tick < axis.high and tick.is_integer())
    ]
    note = f"Highest bar: {figures.plural(most, 'row')}.{' Logarithmic axis.' if axis.unit else ''}"
    return join(
        tag("div", plot, lines, class_="plot"),
        tag("div", ticks, class_="ticks", aria_hidden="true"),
        tag("p", note, class_="note"),
    )


def stripes() -> Html:
    """The pattern of what is dropped, once a page: bars refer to it."""
    line = tag("path", d="M-2 2L2 -2M0 8L8 0M6 10L10 6", class_="stripe")
    pattern = tag(
        "pattern",
        tag("rect", width="8", height="8", class_="ground"),
        line,
        id="stripes",
        width="8",
        height="8",
        patternUnits="userSpaceOnUse",
    )
    return tag(
        "svg", tag("defs", pattern), class_="hidden", width="0", height="0", aria_hidden="true", focusable="false"
    )


def rebinned(buckets: list[Bucket], spans: Spans = (ANY, ANY)) -> tuple[Axis, list[tuple[float, float]]]:
    """At most `MOST_BARS` bars of equal width. A bucket that lies in several is shared out by their parts of it.

    `spans` are the least and the greatest score that were kept, and dropped: none of either is drawn beyond.
    """
    axis = _axis(buckets)
    places = [(axis.at(low), axis.at(high)) for low, high, _, _ in buckets]
    steps = [after[0] - before[0] for before, after in pairwise(places) if after[0] - before[0] > 1e-9]
    number = min(MOST_BARS, max(round(1 / min(steps)), 1)) if steps else 1
    bars = [[0.0, 0.0] for _ in range(number)]
    for low, high, *rows in buckets:
        for side, (least, greatest) in enumerate(spans):
            left, right = axis.at(max(low, least)), axis.at(min(high, greatest))
            for place, part in _shared(min(left, right), right, number) if rows[side] else ():
                bars[place][side] += rows[side] * part
    return axis, [(kept, dropped) for kept, dropped in bars]


def _shared(left: float, right: float, number: int) -> list[tuple[int, float]]:
    """Which of so many bars lie between two places, and how much of it each has."""
    first, last = (min(int(place * number + 1e-9), number - 1) for place in (left, right))
    if first >= last or right - left < 1e-9:
        return [(first, 1.0)]
    edges = [max(left, first / number), *(place / number for place in range(first + 1, last + 1)), right]
    return [(first + at, (after - before) / (right - left)) for at, (before, after) in enumerate(pairwise(edges))]


def _axis(buckets: list[Bucket]) -> Axis:
    low = buckets[0][0]
    steps = [after[0] - before[0] for before, after in pairwise(buckets) if after[0] > before[0]]
    high = max(max(one[1] for one in buckets), buckets[-1][0] + min(steps, default=0.0))
    if low < 0 or high <= 0 or _quantile(buckets, 0.5) - low > _SKEWED * (high - low):
        return Axis(low, high)
    least = _quantile([one for one in buckets if one[0] > 0] or buckets, 0.05)
    return Axis(low, high, 10.0 ** math.floor(math.log10(max(least, high * 1e-6))))


def _quantile(buckets: list[Bucket], part: float) -> float:
    """The middle of the bucket in which a quantile is."""
    wanted, seen = part * sum(kept + dropped for _, _, kept, dropped in buckets), 0
    for low, high, kept, dropped in buckets:
        seen += kept + dropped
        if seen >= wanted:
            return (low + high) / 2
    return 0.0


def _line(value: float, place: float) -> Html:
    side = "left" if place <= 0.6 else "right"
    return tag("span", tag("b", figures.score(value)), class_=f"line {side}", style=f"left:{100 * place:.2f}%")
