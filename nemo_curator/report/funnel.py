"""The way of rows from input to output, stage by stage and filter by filter."""

from __future__ import annotations

from nemo_curator.report import figures
from nemo_curator.report.account import LOSSES, Balance, Step, balances, gone, is_listing, number, steps
from nemo_curator.report.charts import bar, beside
from nemo_curator.report.html import Html, cut, join, tag
from nemo_curator.report.record import Record

NAME_CHARS = 120
_HOW = {"dropped": "dropped", "failed": "failed", "joined": "joined to others", "added": "added"}


def funnel(run: Record) -> Html:
    """Tables with a bar in each line, one for each balance, and below each how it adds up."""
    listing = [tag("p", _listed(stage), class_="note") for stage in run["stages"] if is_listing(stage)]
    parts = [part for part in balances(run) if not _is_plain(part)]
    listing += [tag("p", _passed(part), class_="note") for part in balances(run) if _is_plain(part)]
    if not parts:
        return join(listing, tag("p", "No stage has seen rows."))
    return join(listing, [_part(part, len(parts)) for part in parts])


def balance_line(part: Balance) -> Html:
    """In = out + dropped + failed + joined - added, in numbers, and whether that is so."""
    terms = [_term(part.rows_in, "in"), " = ", _term(part.rows_out, "out")]
    for kind in LOSSES:
        if kind == "dropped" or part.total(kind):
            terms += [" + ", _term(part.total(kind), _HOW[kind])]
    if part.total("added"):
        terms += [f" {figures.MINUS} ", _term(part.total("added"), "added")]
    wrong = part.wrong()
    if not wrong:
        verdict = tag("strong", f"✓ Every {part.unit} is accounted for.", class_="good")
    else:
        places = "; ".join(
            f"{cut(name, NAME_CHARS)}: {figures.plural(abs(rows), part.unit)} {'missing' if rows > 0 else 'too many'}"
            for name, rows in wrong
        )
        verdict = tag("strong", f"✗ It does not add up. {places}", class_="bad")
    return tag("p", tag("span", terms, class_="sum"), " ", verdict, class_="balance")


def rows_of_stage(stage: Record, most: int) -> list[Html]:
    """The lines of the table for one stage: one where there is one thing to say, else one for each thing."""
    done = [step for step in steps(stage) if step.rows or step.kind == "dropped"]
    name = cut(stage["stage"], NAME_CHARS)
    if not done:
        return [_line(name, None, number(stage, "rows_out"), most)]
    if len(done) == 1 and done[0].by == stage["stage"]:
        return [_line(name, done[0], done[0].left, most)]
    title = tag("tr", tag("th", name, colspan="4", scope="rowgroup"), class_="group")
    return [title, *(_line(cut(step.by, NAME_CHARS), step, step.left, most, is_part=True) for step in done)]


def _part(part: Balance, parts: int) -> Html:
    first, last = (cut(stage["stage"], NAME_CHARS) for stage in (part.stages[0], part.stages[-1]))
    caption = (
        f"From {first} to {last}"
        if parts > 1 and first != last
        else first
        if parts > 1
        else f"{part.unit.capitalize()}s by stage"
    )
    head = tag(
        "tr",
        tag("th", "Stage and filter", scope="col"),
        *(tag("th", title, scope="col", class_="n") for title in ("Change", "Of its input", "Left")),
    )
    most = part.most
    body = [_line("Input", None, part.rows_in, most)]
    for stage in part.stages:
        body += rows_of_stage(stage, most)
    body.append(_line("Output", None, part.rows_out, most))
    table = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", body), class_="steps")
    return tag("figure", table, tag("figcaption", balance_line(part)), class_="card")


def _line(name: str, step: Step | None, left: int, most: int, *, is_part: bool = False) -> Html:
    how, change, share, lost = None, "", "", 0.0
    if step is not None:
        before = step.left - step.rows if step.kind == "added" else step.left + step.rows
        how = tag("span", _HOW[step.kind], class_=f"how {step.kind}")
        change = figures.signed(step.rows if step.kind == "added" else -step.rows)
        share = "" if step.kind == "added" else figures.share(step.rows, before)
        lost = figures.percent(step.rows, most) if step.kind != "added" else 0.0
    kind = "gone failed" if step is not None and step.kind == "failed" else "gone"
    kept = figures.percent(left, most)
    return tag(
        "tr",
        tag("th", beside(join(tag("span", name, class_="name"), how), bar(("kept", kept), (kind, lost))), scope="row"),
        *(tag("td", text, class_="n") for text in (change, share, figures.rows(left))),
        class_="part" if is_part else None,
    )


def _is_plain(part: Balance) -> bool:
    """Whether stages that see no rows passed all of their sources on: of these one line is enough."""
    return part.unit == "source" and not any(part.total(kind) for kind in (*LOSSES, "added")) and not part.wrong()


def _passed(part: Balance) -> str:
    names = ", ".join(cut(stage["stage"], NAME_CHARS) for stage in part.stages)
    return f"{names}: {figures.plural(part.rows_in, 'source')} in and out."


def _term(rows: int, what: str) -> Html:
    return tag("span", tag("b", figures.rows(rows)), f" {what}", class_="term")


def _listed(stage: Record) -> str:
    return f"{cut(stage['stage'], NAME_CHARS)} listed {figures.plural(gone(stage, 'added'), 'source')}."
