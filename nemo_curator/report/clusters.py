"""Duplicates: how many groups of what size, and the largest of them."""

from __future__ import annotations

from typing import Any

from nemo_curator.report import figures
from nemo_curator.report.charts import bar, beside
from nemo_curator.report.html import Html, cut, join, tag
from nemo_curator.report.record import Record
from nemo_curator.report.samples import Budget, excerpt, image_of, sheet

MOST_GROUPS, MOST_MEMBERS = 20, 12
_HOW = {
    "exact": "the same content",
    "jaccard": "by Jaccard similarity, measured",
    "estimate": "by Jaccard similarity, estimated",
    "cosine": "by cosine similarity of embeddings",
}


def clusters_of(record: Record) -> Record | None:
    """The summary of the groups of a workflow, where it has one."""
    metadata = record.get("metadata")
    found = record.get("clusters") or (metadata.get("clusters") if isinstance(metadata, dict) else None)
    return found if isinstance(found, dict) else None


def cluster_section(clusters: Record, budget: Budget) -> Html:
    count, removed = _int(clusters, "clusters"), _int(clusters, "removed")
    if not count:
        return tag("p", "No two rows were found to be alike.")
    lead = tag(
        "p",
        tag("b", figures.plural(count, "group")),
        " of rows that are alike; one of each stays, and ",
        tag("b", figures.plural(removed, "row")),
        " were found to be copies.",
        class_="lead",
    )
    measured = clusters.get("measured")
    how = _table("Copies by what they share", "Found", measured, _HOW) if isinstance(measured, dict) else None
    return join(lead, tag("div", how, _sizes(clusters), class_="pair"), _largest(clusters, budget))


def _sizes(clusters: Record) -> Html | None:
    """How many groups there are of what size; `sizes` is ranges and counts, or counts by size."""
    sizes = clusters.get("sizes")
    if isinstance(sizes, list):
        pairs = [one for one in sizes if isinstance(one, list | tuple) and len(one) == 3]
        sizes = {(f"{low:,}" if low == high else f"{low:,} to {high:,}"): count for low, high, count in pairs}
    return _table("Groups by size", "Rows in the group", sizes, {}) if isinstance(sizes, dict) and sizes else None


def _table(caption: str, title: str, counts: Record, words: dict[str, str]) -> Html:
    most = max((number for number in counts.values() if isinstance(number, int)), default=0)
    lines = [
        tag(
            "tr",
            tag("th", beside(words.get(key, cut(key, 60)), bar(("kept", figures.percent(number, most)))), scope="row"),
            tag("td", figures.rows(number), class_="n"),
        )
        for key, number in list(counts.items())[:50]
        if isinstance(number, int)
    ]
    head = tag("tr", tag("th", title, scope="col"), tag("th", "Number", scope="col", class_="n"))
    return tag("figure", tag("table", tag("caption", caption), tag("thead", head), tag("tbody", lines)), class_="card")


def _largest(clusters: Record, budget: Budget) -> Html | None:
    groups = [one for one in clusters.get("largest") or [] if isinstance(one, dict)][:MOST_GROUPS]
    if not groups:
        return None
    most = max(_int(one, "size") for one in groups)
    lines = [
        tag(
            "tr",
            tag(
                "th",
                beside(cut(one.get("cluster_id"), 60), bar(("kept", figures.percent(_int(one, "size"), most)))),
                scope="row",
            ),
            tag("td", figures.rows(_int(one, "size")), class_="n"),
            tag("td", _similarity(one), class_="n"),
        )
        for one in groups
    ]
    titles = (("Group", None), ("Rows", "n"), ("Least similarity to what stays", "n"))
    head = tag("tr", *(tag("th", text, scope="col", class_=kind) for text, kind in titles))
    table = tag("table", tag("caption", "The largest groups"), tag("thead", head), tag("tbody", lines))
    return join(tag("figure", table, class_="card"), [_members(one, budget) for one in groups if one.get("members")])


def _members(group: Record, budget: Budget) -> Html:
    """Some rows of a group, as texts or as small pictures."""
    there = [one if isinstance(one, dict) else {"id": one} for one in group["members"]]
    taken = [one for one in there[:MOST_MEMBERS] if budget.takes(one)]
    pictures, texts = [one for one in taken if image_of(one)], [one for one in taken if not image_of(one)]
    shown: list[Any] = [sheet("member", pictures)] if pictures else []
    if texts:
        shown.append(tag("ul", [tag("li", excerpt(one)) for one in texts], class_="texts"))
    of = f", {len(taken)} of them shown" if len(taken) < _int(group, "size") else ""
    title = (
        f"Group {cut(group.get('cluster_id'), 60)}: {figures.plural(_int(group, 'size'), 'row')}{of}; the first stays"
    )
    return tag("details", tag("summary", title), shown, class_="card")


def _similarity(group: Record) -> str:
    value = group.get("min_similarity")
    return figures.score(value) if isinstance(value, int | float) else figures.DASH


def _int(record: Record, key: str) -> int:
    value = record.get(key)
    return value if isinstance(value, int) else 0
