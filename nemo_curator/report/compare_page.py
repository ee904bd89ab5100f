"""The page on which two runs are compared."""

from __future__ import annotations

from nemo_curator.report import figures
from nemo_curator.report.charts import bar, beside
from nemo_curator.report.compare import Difference, compare
from nemo_curator.report.html import Html, cut, join, tag
from nemo_curator.report.page import document, verdict
from nemo_curator.report.record import Record, is_workflow

WORDS_CHARS = 400


def render_comparison(before: Record, now: Record, names: tuple[str, str] = ("before", "now")) -> str:
    """A page with what differs between two runs; `names` say where they are from."""
    found = compare(before, now)
    sections = [
        (f"part-{place}", cut(title, 150), _table(title, differences))
        for place, (title, differences) in enumerate(found.items(), start=1)
    ]
    header = join(
        tag("p", "Comparison", class_="kind"),
        tag("h1", _name(now)),
        tag("dl", _side("Before", before, names[0]), _side("Now", now, names[1]), class_="facts sides"),
        None if found else tag("p", "There is nothing to compare: no pipeline is in both."),
    )
    return document(f"{_name(now)}, compared · Curator", header, sections)


def _name(record: Record) -> str:
    return cut(record.get("workflow") if is_workflow(record) else record.get("pipeline") or "run", 200)


def _side(title: str, record: Record, name: str) -> Html:
    is_good, words = verdict(record)
    mark = tag("span", "✓ " if is_good else "✗ ", aria_hidden="true")
    ending = tag("span", mark, cut(words.partition("\n")[0], 200), class_="good" if is_good else "bad")
    return tag("div", tag("dt", title), tag("dd", cut(name, 300), ": ", ending))


def _table(title: str, differences: list[Difference]) -> Html:
    numbers = [value for one in differences for value in (one.before, one.now) if isinstance(value, int | float)]
    is_one_kind = len({one.form for one in differences}) == 1 and differences[0].form != "text"
    most = max(numbers, default=0) if is_one_kind else 0
    cell = None if differences[0].form == "text" else "n"
    columns = (("What", None), ("Before", cell), ("Now", cell), ("Difference", cell))
    head = tag("tr", *(tag("th", text, scope="col", class_=kind) for text, kind in columns))
    lines = [
        tag(
            "tr",
            tag("th", _name_with_bars(one, most), scope="row"),
            *(tag("td", cut(words, WORDS_CHARS), class_=cell) for words in one.words()),
            class_="same" if one.before == one.now else None,
        )
        for one in differences
    ]
    table = tag("table", tag("caption", title, class_="unseen"), tag("thead", head), tag("tbody", lines))
    key = tag("figcaption", tag("i", class_="key old"), "before", tag("i", class_="key kept"), "now") if most else None
    return tag("figure", table, key, class_="card")


def _name_with_bars(one: Difference, most: float) -> Html | str:
    if not most:
        return cut(one.what, 200)
    lengths = [figures.percent(value or 0, most) for value in (one.before, one.now)]
    return beside(cut(one.what, 200), bar(("old", lengths[0])), bar(("kept", lengths[1])))
