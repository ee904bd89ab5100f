"""What notebooks show of runs and pipelines: less than the page, in the colours of the notebook."""

from __future__ import annotations

from importlib import resources

from nemo_curator.report.clusters import cluster_section, clusters_of
from nemo_curator.report.funnel import funnel
from nemo_curator.report.html import Html, cut, tag
from nemo_curator.report.page import key_numbers, tiles, verdict
from nemo_curator.report.record import Record, is_workflow, runs_of
from nemo_curator.report.samples import Budget

SETTING_CHARS = 120


def record_html(record: Record) -> str:
    """The verdict, the key numbers and the funnel of a run, or of each run of a workflow."""
    is_good, words = verdict(record)
    mark = "✓" if is_good else "✗"
    name = record.get("workflow") if is_workflow(record) else record.get("pipeline")
    first = tag("p", tag("b", cut(name or "run", 200)), f" {mark} {cut(words.partition(chr(10))[0], 300)}")
    parts = []
    for title, run in runs_of(record).items():
        heading = tag("p", tag("b", cut(title, 200))) if is_workflow(record) else None
        parts.append(tag("div", heading, tiles(key_numbers(run)), funnel(run)))
    clusters = clusters_of(record) if is_workflow(record) else None
    found = cluster_section(clusters, Budget(0)) if clusters is not None else None
    return _framed(first, parts, found)


def pipeline_html(name: str, description: str | None, stages: list[dict[str, str]]) -> str:
    """The stages of a pipeline in their order, each with its settings."""
    lines = [
        tag(
            "tr",
            tag("td", str(place), class_="n"),
            tag("th", cut(stage["name"], 200), scope="row"),
            tag("td", cut(stage["class"].rpartition(".")[2], 200)),
            tag("td", [_setting(key, value) for key, value in stage.items() if key not in ("name", "class")]),
        )
        for place, stage in enumerate(stages, start=1)
    ]
    head = tag("tr", *(tag("th", text, scope="col") for text in ("", "Stage", "Class", "Settings")))
    title = tag("caption", tag("b", cut(name, 200)), f" {cut(description, 500)}" if description else None)
    return _framed(tag("table", title, tag("thead", head), tag("tbody", lines)))


def _setting(key: str, value: str) -> Html:
    return tag("div", tag("span", f"{key} ", class_="how"), tag("code", cut(value, SETTING_CHARS)))


def _framed(*parts: Html | list[Html] | None) -> str:
    style = resources.files("nemo_curator.report").joinpath("notebook.css").read_text(encoding="utf-8")
    return tag("div", tag("style", Html(style)), *parts, class_="curator-account")
