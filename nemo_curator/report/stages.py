"""What stages took: time, memory, rows and bytes a second."""

from __future__ import annotations

from nemo_curator.report import figures
from nemo_curator.report.account import number
from nemo_curator.report.charts import bar, beside
from nemo_curator.report.funnel import NAME_CHARS
from nemo_curator.report.html import Html, cut, tag
from nemo_curator.report.record import Record


def cost_table(run: Record) -> Html:
    """A line for each stage; seconds of all workers together, bytes of what went in."""
    stages = run["stages"]
    has_memory = any(stage.get("peak_memory") for stage in stages)
    longest = max((float(stage.get("seconds") or 0) for stage in stages), default=0.0)
    largest = max((number(stage, "peak_memory") for stage in stages), default=0)
    titles = ["Stage", "Time", "Rows/s", "MB/s", *(["Peak memory"] if has_memory else [])]
    lines = []
    for stage in stages:
        seconds = float(stage.get("seconds") or 0)
        rows, read = number(stage, "rows_in") or number(stage, "rows_added"), number(stage, "bytes_in")
        cells = [figures.duration(seconds), figures.rate(rows, seconds), figures.rate(read / 1e6, seconds)]
        if has_memory:
            peak = number(stage, "peak_memory")
            cells.append(figures.nbytes(peak) if peak else figures.DASH)
        bars = [bar(("time", figures.percent(seconds, longest)))]
        if has_memory:
            bars.append(bar(("memory", figures.percent(number(stage, "peak_memory"), largest))))
        name = tag("th", beside(cut(stage["stage"], NAME_CHARS), *bars), scope="row")
        lines.append(tag("tr", name, *(tag("td", text, class_="n") for text in cells)))
    head = tag(
        "tr", *(tag("th", text, scope="col", class_="n" if place else None) for place, text in enumerate(titles))
    )
    table = tag("table", tag("caption", "Time and memory by stage"), tag("thead", head), tag("tbody", lines))
    return tag(
        "figure",
        tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="Time and memory"),
        _key(has_memory),
        class_="card",
    )


def _key(has_memory: bool) -> Html:
    memory = (
        [" ", tag("i", class_="key memory"), "memory: the process that ran the stage at its largest."]
        if has_memory
        else []
    )
    return tag(
        "figcaption",
        tag("i", class_="key time"),
        "time: the seconds of all workers together, so it may exceed that of the run.",
        memory,
    )
