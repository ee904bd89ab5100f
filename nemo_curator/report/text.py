"""The account of a run as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from nemo_curator.report import figures
from nemo_curator.report.account import LOSSES, balances, gone, number, steps
from nemo_curator.report.record import Record

COLUMNS = ("stage", "rows in", "rows out", "gone", "seconds")


def account_rows(run: Record) -> list[tuple[str, ...]]:
    """A line for each stage, and one for each thing that its rows were gone by where there are several."""
    lines: list[tuple[str, ...]] = []
    for stage in run["stages"]:
        name = str(stage["stage"])
        lost = sum(gone(stage, kind) for kind in LOSSES)
        rows_in = number(stage, "rows_in") + gone(stage, "added")
        seconds = f"{float(stage.get('seconds') or 0):.2f}"
        lines.append(
            (name, figures.rows(rows_in), figures.rows(number(stage, "rows_out")), figures.rows(lost), seconds)
        )
        parts = [one for one in steps(stage) if one.kind in LOSSES and (one.kind, one.by) != ("dropped", name)]
        lines += [
            (f"  {one.kind} {'' if one.kind == 'joined' else one.by}".rstrip(), "", "", figures.rows(one.rows), "")
            for one in parts
        ]
    return lines


def sums(run: Record) -> Iterator[str]:
    """How the rows add up, a line for each kind of thing that is counted."""
    for part in balances(run):
        terms = [f"{figures.rows(part.rows_in)} in = {figures.rows(part.rows_out)} out"]
        terms += [
            f" + {figures.rows(part.total(kind))} {kind}" for kind in LOSSES if part.total(kind) or kind == "dropped"
        ]
        terms += [f" - {figures.rows(part.total('added'))} added"] if part.total("added") else []
        wrong = "; ".join(f"{name}: {rows:+,} {part.unit}s" for name, rows in part.wrong())
        yield "".join(terms) + (f": does not add up ({wrong})" if wrong else "")
