"""What each filter dropped and kept: how much, at which scores, and what that looks like."""

from __future__ import annotations

import math

from nemo_curator.report import figures
from nemo_curator.report.account import FilterAccount, Mark, buckets, extremes, filters, number, spans, threshold
from nemo_curator.report.charts import Bucket, bar, beside, histogram
from nemo_curator.report.funnel import NAME_CHARS
from nemo_curator.report.html import Html, cut, join, tag
from nemo_curator.report.record import Record
from nemo_curator.report.samples import Budget, samples

MOST_FILTERS = 100
_TABLE_ROWS = 20


def filter_sections(run: Record, prefix: str, budget: Budget) -> Html | None:
    """A section for each filter of which more was recorded than how much it dropped; of very many the first ones."""
    found = [one for one in filters(run) if one.scores or any(one.samples.values())]
    if not found:
        return None
    each = Budget(budget.chars // min(len(found), MOST_FILTERS))
    made = []
    for place, one in enumerate(found[:MOST_FILTERS], start=1):
        its = Budget(each.chars)
        made.append(_section(one, f"{prefix}filter-{place}", its))
        budget.chars -= each.chars - its.chars
    if len(found) > MOST_FILTERS:
        made.append(tag("p", f"{len(found) - MOST_FILTERS:,} more filters are in the funnel above.", class_="note"))
    return join(made)


def _section(one: FilterAccount, name: str, budget: Budget) -> Html:
    places, words = threshold(one.scores)
    ranges = buckets(one.scores)
    share = figures.share(one.dropped, one.rows_in)
    lead = tag(
        "p",
        tag("b", figures.rows(one.dropped)),
        f" of {figures.plural(one.rows_in, 'row')} dropped ",
        tag("span", f"({share})", class_="share"),
        class_="lead",
    )
    gone = figures.percent(one.dropped, one.rows_in)
    title = tag("h3", cut(one.name, NAME_CHARS), id=name)
    where = tag("p", _where(one), class_="where")
    chart = _figure(one, ranges, places, words) if ranges else tag("p", _without_chart(one, words), class_="note")
    whole = bar(("kept", 100 - gone), ("gone", gone)) if one.rows_in else None
    parts = [title, where, lead, whole, chart, _labels(one), samples(one, places, budget)]
    return tag("section", parts, class_="filter card", aria_labelledby=name)


def _figure(one: FilterAccount, ranges: list[Bucket], places: list[Mark], words: str) -> Html:
    unscored = number(one.scores, "no_score")
    more = f" {figures.plural(unscored, 'row')} had no score." if unscored else ""
    key = tag("span", tag("i", class_="key kept"), "kept "), tag("span", tag("i", class_="key gone"), "dropped")
    caption = tag("figcaption", tag("b", f"Scores of {cut(one.name, NAME_CHARS)}. "), words, more, " ", *key)
    return tag("figure", caption, histogram(ranges, places, spans(one.scores)), _table(one, ranges), class_="scores")


def _table(one: FilterAccount, ranges: list[Bucket]) -> Html:
    """The numbers of a histogram: neighbouring buckets together, so that there are few."""
    size = -(-len(ranges) // _TABLE_ROWS)
    are_whole = all(one[0].is_integer() for one in ranges) and all(end.is_integer() for end in extremes(one.scores))
    lines = []
    for start in range(0, len(ranges), size):
        group = ranges[start : start + size]
        end = group[-1][1]
        if are_whole and start + size < len(ranges):
            end = max(math.ceil(end) - 1, group[-1][0])  # the end of a range belongs to the next
        low, high = figures.score(group[0][0]), figures.score(end)
        cells = [figures.rows(sum(each[place] for each in group)) for place in (2, 3)]
        lines.append(
            tag(
                "tr",
                tag("th", low if low == high else f"{low} to {high}", scope="row"),
                *(tag("td", text, class_="n") for text in cells),
            )
        )
    head = tag(
        "tr",
        tag("th", "Score", scope="col"),
        *(tag("th", text, scope="col", class_="n") for text in ("Kept", "Dropped")),
    )
    caption = tag("caption", f"Rows by score of {cut(one.name, NAME_CHARS)}")
    table = tag("table", caption, tag("thead", head), tag("tbody", lines))
    return tag("details", tag("summary", "The numbers of this chart"), table)


def _labels(one: FilterAccount) -> Html | None:
    """How many rows of each label were kept and dropped, the most frequent first."""
    counts = one.scores.get("labels")
    if not isinstance(counts, dict) or not counts:
        return None
    pairs = [(label, each) for label, each in counts.items() if isinstance(each, list) and len(each) == 2]
    pairs.sort(key=lambda pair: -sum(pair[1]))
    most = sum(pairs[0][1]) if pairs else 1
    lines = []
    for label, each in pairs[:_TABLE_ROWS]:
        kept, gone = (figures.percent(rows, most) for rows in each)
        name = tag("th", beside(cut(label, 60), bar(("kept", kept), ("gone", gone))), scope="row")
        lines.append(tag("tr", name, *(tag("td", figures.rows(rows), class_="n") for rows in each)))
    titles = (("Label", None), ("Kept", "n"), ("Dropped", "n"))
    head = tag("tr", *(tag("th", text, scope="col", class_=kind) for text, kind in titles))
    rest = len(pairs) - len(lines)
    caption = tag("caption", f"Labels of {cut(one.name, NAME_CHARS)}{f'; {rest:,} more are rarer' if rest else ''}")
    return tag("figure", tag("table", caption, tag("thead", head), tag("tbody", lines)), class_="scores")


def _where(one: FilterAccount) -> str:
    settings = ", ".join(f"{key}={value}" for key, value in one.settings.items() if value not in (None, "None"))
    made = f"{one.class_name}({cut(settings, 300)})" if one.class_name else ""
    stage = f"in {cut(one.stage, NAME_CHARS)}" if one.stage != one.name else ""
    return " ".join(part for part in (made, stage) if part)


def _without_chart(one: FilterAccount, words: str) -> str:
    return words or ("No score is a number." if one.scores else "Scores were not recorded.")
