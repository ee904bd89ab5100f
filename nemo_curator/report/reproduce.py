"""What it takes to run it again: the command, versions, the machine, and every setting of every stage."""

from __future__ import annotations

from nemo_curator.report import figures
from nemo_curator.report.html import Html, cut, join, tag
from nemo_curator.report.record import Record

SETTING_CHARS = 400
_FACTS = {
    "started": "Started",
    "executor": "Executor",
    "curator": "Curator",
    "python": "Python",
    "platform": "Platform",
    "cpus": "CPUs",
}


def facts(run: Record) -> Html:
    """The machine and the versions; what was not recorded is left out."""
    pairs = [(title, str(run[key])) for key, title in _FACTS.items() if run.get(key) is not None]
    if isinstance(run.get("memory_bytes"), int):
        pairs.append(("Memory", figures.nbytes(run["memory_bytes"])))
    partitions = run.get("partitions")
    if isinstance(partitions, dict):
        lost = f", {partitions['lost']} lost" if partitions.get("lost") else ""
        pairs.append(("Source partitions", f"{partitions.get('done')} of {partitions.get('in')} done{lost}"))
    packages = run.get("packages")
    if isinstance(packages, dict) and packages:
        pairs.append(("Packages", ", ".join(f"{name} {version}" for name, version in packages.items())))
    lines = [tag("div", tag("dt", title), tag("dd", cut(text, 2000)), class_=title.lower()) for title, text in pairs]
    listed = tag("dl", lines, class_="facts")
    command = run.get("command")
    return join(tag("pre", cut(command, 4000), class_="command") if command else None, listed)


def settings(run: Record) -> Html | None:
    """The settings of each stage, behind its name."""
    stages = [one for one in run.get("settings") or [] if isinstance(one, dict)]
    made = [_stage(one) for one in stages]
    if not made:
        return None
    is_cut = any(len(str(value)) > SETTING_CHARS for one in stages for value in one.values())
    note = f"Settings longer than {SETTING_CHARS} characters are whole in the record." if is_cut else None
    return join(tag("p", note, class_="note") if note else None, made)


def _stage(stage: Record) -> Html:
    lines = [
        tag("tr", tag("th", cut(key, 100), scope="row"), tag("td", tag("code", cut(value, SETTING_CHARS))))
        for key, value in stage.items()
        if key not in ("name", "class")
    ]
    class_name = str(stage.get("class", "")).rpartition(".")[2]
    title = tag("summary", tag("b", cut(stage.get("name", "stage"), 120)), f" {cut(class_name, 120)}")
    of_class = tag("p", tag("code", cut(stage.get("class", ""), 300)), class_="from")
    head = tag("thead", tag("tr", tag("th", "Setting", scope="col"), tag("th", "Value", scope="col")))
    caption = tag("caption", f"Settings of {cut(stage.get('name', 'stage'), 120)}")
    table = tag("table", caption, head, tag("tbody", lines), class_="settings") if lines else None
    return tag("details", title, of_class, table)
