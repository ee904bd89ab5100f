"""Rows that failed, by what went wrong."""

from __future__ import annotations

from typing import Any

from nemo_curator.report import figures
from nemo_curator.report.account import failures_by_error
from nemo_curator.report.html import Html, cut, join, tag
from nemo_curator.report.record import Record

MOST_ERRORS, MOST_SAMPLES = 50, 5


def failure_list(run: Record) -> Html | None:
    """Errors with how many rows each took, most first, and samples with where they are from."""
    found = failures_by_error(run)
    if not found:
        return None
    shown = [_error(error, rows, samples) for error, (rows, samples) in list(found.items())[:MOST_ERRORS]]
    left_out = len(found) - len(shown)
    more = (
        tag("p", f"{figures.plural(left_out, 'more kind')} of error: see the record.", class_="note")
        if left_out
        else None
    )
    return join(shown, more)


def _error(error: str, rows: int, samples: list[Record]) -> Html:
    counted = figures.plural(rows, "row") if rows else f"{figures.plural(len(samples), 'source partition')} lost"
    of = f", {MOST_SAMPLES} of them shown" if len(samples) > MOST_SAMPLES else ""
    title = tag("summary", tag("b", cut(error, 100)), f": {counted}{of}")
    items = [tag("li", _sample(each)) for each in samples[:MOST_SAMPLES]]
    return tag("details", title, tag("ul", items, class_="texts") if items else None, class_="card", open=True)


def _sample(failure: Record) -> list[Any]:
    said = tag("p", cut(failure.get("message", ""), 500), dir="auto")
    record = failure.get("record")
    where = f"{cut(failure.get('stage', ''), 120)} · {cut(failure.get('source', ''), 300)}"
    return [said, tag("pre", cut(record, 300), dir="auto") if record else None, tag("p", where, class_="from")]
