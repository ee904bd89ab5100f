"""The page of a run or workflow: one file of HTML that needs nothing else."""

from __future__ import annotations

from importlib import resources

from nemo_curator.report import figures
from nemo_curator.report.account import balances, totals
from nemo_curator.report.charts import stripes
from nemo_curator.report.clusters import cluster_section, clusters_of
from nemo_curator.report.failures import failure_list
from nemo_curator.report.filters import filter_sections
from nemo_curator.report.funnel import funnel
from nemo_curator.report.html import Html, cut, join, tag
from nemo_curator.report.record import Record, is_workflow, runs_of
from nemo_curator.report.reproduce import facts, settings
from nemo_curator.report.samples import Budget
from nemo_curator.report.stages import cost_table

MOST_BYTES = 5_000_000
_SAMPLE_CHARS = (2_500_000, 600_000, 0)
"""How much of a page samples may be; less, where all else leaves no room."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""Nothing is loaded and nothing is run, whatever a text of the data looks like."""

Section = tuple[str, str, Html]
"""The name of a section in links, its title, and what is in it."""


def render(record: Record) -> str:
    """The page of a record. Its size does not depend on the number of rows."""
    page = ""
    for chars in _SAMPLE_CHARS:
        page = _render(record, Budget(chars))
        if len(page.encode()) < MOST_BYTES:
            break
    return page


def document(title: str, header: Html, sections: list[Section]) -> str:
    """A whole page of a header and sections, with links to them."""
    links = tag("ul", [tag("li", tag("a", words, href=f"#{name}")) for name, words, _ in sections])
    head = join(
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", style()),
    )
    body = join(
        tag("a", "Skip to the numbers", class_="skip", href="#main"),
        stripes(),
        tag("header", header),
        tag("nav", links, aria_label="Sections"),
        tag("main", [_section(*each) for each in sections], id="main", tabindex="-1"),
        tag("footer", tag("p", "Written by Curator. The same numbers are in the record beside this page.")),
    )
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', body), lang='en')}\n"


def style() -> Html:
    return Html(resources.files("nemo_curator.report").joinpath("style.css").read_text(encoding="utf-8"))


def verdict(record: Record) -> tuple[bool, str]:
    """Whether a run or workflow came to a good end, and how to say so."""
    runs = runs_of(record).values()
    error = record.get("error") or next((run["error"] for run in runs if run.get("error")), None)
    if error:
        return False, f"Failed: {error}"
    if any(part.wrong() for run in runs for part in balances(run)):
        return False, "Finished, and its rows do not add up"
    failed = sum(sum(stage["failed"].values()) for run in runs for stage in run["stages"])
    return True, f"Finished; {figures.plural(failed, 'row')} failed and were set aside" if failed else "Finished"


def tiles(numbers: list[tuple[str, str]]) -> Html:
    """The key numbers, each under what it is."""
    return tag("dl", [tag("div", tag("dt", title), tag("dd", text)) for title, text in numbers], class_="tiles")


def key_numbers(run: Record) -> list[tuple[str, str]]:
    all_of_it = totals(run)
    numbers = [
        ("Rows in", figures.rows(all_of_it.rows_in)),
        ("Rows out", figures.rows(all_of_it.rows_out)),
        ("Kept", figures.share(all_of_it.rows_out, all_of_it.rows_in)),
        ("Time", figures.duration(all_of_it.seconds)),
        ("Rows/s", figures.rate(all_of_it.rows_in, all_of_it.seconds)),
        ("MB/s", figures.rate(all_of_it.bytes_in / 1e6, all_of_it.seconds)),
    ]
    peak = all_of_it.peak_memory
    return [*numbers, ("Peak memory", figures.nbytes(peak))] if peak else numbers


def _render(record: Record, budget: Budget) -> str:
    name = cut(record.get("workflow") if is_workflow(record) else record.get("pipeline") or "run", 200)
    header = _header(name, record)
    sections = _workflow_sections(record, budget) if is_workflow(record) else _run_sections(record, "", budget)
    return document(f"{name} · Curator", header, sections)


def _header(name: str, record: Record) -> Html:
    is_good, words = verdict(record)
    first, _, rest = words.partition("\n")
    mark = tag("span", "✓ " if is_good else "✗ ", aria_hidden="true")
    return join(
        tag("p", "Workflow" if is_workflow(record) else "Pipeline", class_="kind"),
        tag("h1", name),
        tag("p", record["description"], class_="description") if record.get("description") else None,
        tag("p", mark, cut(first, 500), class_=f"verdict {'good' if is_good else 'bad'}"),
        tag("details", tag("summary", "The whole message"), tag("pre", cut(rest, 5000))) if rest else None,
        tiles(_workflow_numbers(record) if is_workflow(record) else key_numbers(record)),
    )


def _run_sections(run: Record, prefix: str, budget: Budget) -> list[Section]:
    again = settings(run) if prefix else join(facts(run), settings(run))
    parts: list[tuple[str, str, Html | None]] = [
        ("funnel", "From input to output", funnel(run)),
        ("failures", "Failures", failure_list(run)),
        ("filters", "Filters", filter_sections(run, prefix, budget)),
        ("cost", "Time and memory", cost_table(run)),
        ("again", "Settings" if prefix else "To run it again", again),
    ]
    return [(f"{prefix}{name}", title, content) for name, title, content in parts if content]


def _workflow_sections(record: Record, budget: Budget) -> list[Section]:
    clusters = clusters_of(record)
    sections = [("clusters", "Duplicates", cluster_section(clusters, budget))] if clusters is not None else []
    for place, (name, run) in enumerate(record["runs"].items(), start=1):
        prefix = f"run-{place}-"
        shown = [pair for pair in key_numbers(run) if pair[0] != "Kept"]  # what a step leaves may be what is removed
        numbers = tiles(shown) if totals(run).rows_in else None
        parts = [_section(*part, level=3) for part in _run_sections(run, prefix, budget)]
        sections.append((f"run-{place}", f"{place}. {cut(name, 120)}", join(numbers, parts)))
    first = list(record["runs"].values())[:1]
    return [*sections, *(("again", "To run it again", facts(run)) for run in first)]


def _workflow_numbers(record: Record) -> list[tuple[str, str]]:
    """Of a workflow that removed rows those of the removal; else what can be summed up."""
    runs: dict[str, Record] = record["runs"]
    every = [totals(run) for run in runs.values()]
    numbers = key_numbers(runs["removal"])[:3] if "removal" in runs else []
    if (clusters := clusters_of(record)) is not None:
        numbers.append(("Duplicate groups", figures.rows(clusters.get("clusters") or 0)))
        numbers.append(("Copies found", figures.rows(clusters.get("removed") or 0)))
    numbers += [("Time", figures.duration(sum(one.seconds for one in every))), ("Pipelines", str(len(runs)))]
    peak = max((one.peak_memory for one in every if one.peak_memory), default=None)
    return [*numbers, ("Peak memory", figures.nbytes(peak))] if peak else numbers


def _section(name: str, title: str, content: Html, level: int = 2) -> Html:
    heading = f"{name}-title"
    return tag("section", tag(f"h{level}", title, id=heading), content, id=name, aria_labelledby=heading)
