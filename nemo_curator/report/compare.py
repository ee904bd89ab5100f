"""Two runs side by side: what each filter dropped, how long stages took, and which settings differ."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from nemo_curator.report import figures
from nemo_curator.report.account import FilterAccount, failures_by_error, filters, number, objects_in, totals
from nemo_curator.report.record import Record, runs_of

ENVIRONMENT = ("curator", "python", "executor", "platform", "cpus", "memory_bytes", "command")


@dataclass(frozen=True)
class Difference:
    """A thing in both runs, or in one: then the other is None. The `form` says how its numbers are read."""

    what: str
    before: Any
    now: Any
    form: str = "rows"

    @property
    def change(self) -> str:
        """How much more there is now, in words."""
        if self.before == self.now:
            return "same"
        if self.before is None or self.now is None:
            return "new" if self.before is None else "gone"
        if self.form == "text":
            return "changed"
        more = self.now - self.before
        if self.form == "rows":
            return f"{figures.signed(more)}{_in_percent(self.before, self.now)}"
        if self.form == "share":
            return f"{'+' if more > 0 else figures.MINUS}{abs(more) * 100:.1f} points"
        return _in_percent(self.before, self.now).strip(" ()") or "more"

    def words(self) -> tuple[str, str, str]:
        return shown(self.before, self.form), shown(self.now, self.form), self.change


def compare(before: Record, now: Record) -> dict[str, list[Difference]]:
    """What there is to compare, by the title under which it is shown; pipelines are matched by their names."""
    old, new = runs_of(before), runs_of(now)
    found: dict[str, list[Difference]] = {}
    if len(old) == len(new) == 1:
        pairs = [("", next(iter(old.values())), next(iter(new.values())))]
    else:
        pairs = [(f"{name}: ", old[name], run) for name, run in new.items() if name in old]
        if alone := _differing(*({name: name for name in runs} for runs in (old, new))):
            found["Pipelines in one of them only"] = alone
    for name, one, other in pairs:
        for title, differences in _of_runs(one, other).items():
            found[f"{name}{title}"] = differences
    return found


def shown(value: Any, form: str) -> str:
    """A value as people read it."""
    if value is None:
        return figures.DASH
    if form == "text":
        return str(value)
    forms = {
        "rows": figures.rows,
        "seconds": figures.duration,
        "bytes": figures.nbytes,
        "each": lambda each: figures.rate(each, 1),
    }
    return figures.share(value, 1) if form == "share" else forms[form](value)


def plain(found: dict[str, list[Difference]]) -> dict[str, list[dict[str, Any]]]:
    """The same as JSON has it."""
    return {title: [asdict(one) for one in differences] for title, differences in found.items()}


def _of_runs(before: Record, now: Record) -> dict[str, list[Difference]]:
    old, new = _by_filter(before, now)
    rows = [{name: one.dropped for name, one in found.items()} for found in (old, new)]
    shares = [{name: one.dropped / max(one.rows_in, 1) for name, one in found.items()} for found in (old, new)]
    parts = {
        "Rows, time and memory": _key_numbers(before, now),
        "Dropped by filter": _matched(rows[0], rows[1], "rows"),
        "Share of its input dropped": _matched(shares[0], shares[1], "share"),
        "Failed by error": _matched(_failed(before), _failed(now), "rows"),
        "Time by stage": _matched(_seconds(before), _seconds(now), "seconds"),
        "Peak memory by stage": _matched(_memory(before), _memory(now), "bytes"),
        "Settings that differ": _settings(before, now),
        "Environment that differs": _differing(_environment(before), _environment(now)),
    }
    return {title: differences for title, differences in parts.items() if differences}


def _key_numbers(before: Record, now: Record) -> list[Difference]:
    one, other = totals(before), totals(now)
    rates = [each.rows_in / each.seconds if each.seconds else None for each in (one, other)]
    kept = [each.rows_out / each.rows_in if each.rows_in else None for each in (one, other)]
    found = [
        Difference("Rows in", one.rows_in, other.rows_in),
        Difference("Rows out", one.rows_out, other.rows_out),
        Difference("Kept", kept[0], kept[1], "share"),
        Difference("Time", one.seconds, other.seconds, "seconds"),
        Difference("Rows/s", rates[0], rates[1], "each"),
    ]
    if one.peak_memory or other.peak_memory:
        found.append(Difference("Peak memory", one.peak_memory, other.peak_memory, "bytes"))
    return found


def _matched(before: dict[str, Any], now: dict[str, Any], form: str) -> list[Difference]:
    """What is in either, in the order of now, then what is gone."""
    return [Difference(name, before.get(name), now.get(name), form) for name in {**now, **before}]


def _differing(before: dict[str, Any], now: dict[str, Any]) -> list[Difference]:
    return [one for one in _matched(before, now, "text") if one.before != one.now]


def _by_filter(before: Record, now: Record) -> list[dict[str, FilterAccount]]:
    """The filters of both runs, by their names; those that come twice in a run by their stages, too."""
    both = [filters(before), filters(now)]
    twice = {name for found in both for name, times in Counter(one.name for one in found).items() if times > 1}
    return [
        _named([(f"{one.stage}: {one.name}" if one.name in twice else one.name, one) for one in found])
        for found in both
    ]


def _failed(run: Record) -> dict[str, int]:
    return {error: rows for error, (rows, _) in failures_by_error(run).items()}


def _seconds(run: Record) -> dict[str, float]:
    return _named([(str(stage["stage"]), float(stage.get("seconds") or 0)) for stage in run["stages"]])


def _memory(run: Record) -> dict[str, int]:
    peaks = [(str(stage["stage"]), number(stage, "peak_memory")) for stage in run["stages"]]
    return _named([pair for pair in peaks if pair[1]])


def _settings(before: Record, now: Record) -> list[Difference]:
    """Settings of stages, and of the filters in them by the names of the filters; of stages in one run the class."""
    both = [_named([(str(one.get("name")), one) for one in _stages(run)]) for run in (before, now)]
    found: list[dict[str, str]] = []
    for stages in both:
        values = {f"{name}: class": str(one.get("class")) for name, one in stages.items()}
        for name, one in stages.items():
            if all(name in other for other in both):
                values |= _of_stage(name, one)
        found.append(values)
    return _differing(found[0], found[1])


def _of_stage(name: str, settings: Record) -> dict[str, str]:
    values: dict[str, str] = {}
    for key, value in settings.items():
        objects, rest = objects_in(str(value))
        for of, (class_name, its) in objects:
            values |= {f"{of}: {each}": str(setting) for each, setting in {"class": class_name, **its}.items()}
        if key not in ("name", "class") and (not objects or rest.strip("[], ")):
            values[f"{name}: {key}"] = rest if objects else str(value)
    return values


def _stages(run: Record) -> list[Record]:
    return [one for one in run.get("settings") or [] if isinstance(one, dict)]


def _environment(run: Record) -> dict[str, str]:
    packages = run.get("packages")
    versions = packages if isinstance(packages, dict) else {}
    return {key: str(run[key]) for key in ENVIRONMENT if run.get(key) is not None} | {
        name: str(version) for name, version in versions.items()
    }


def _named(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Values by name; of a name that comes again the later ones are numbered."""
    seen: Counter[str] = Counter()
    named = {}
    for name, value in pairs:
        seen[name] += 1
        named[name if seen[name] == 1 else f"{name} ({seen[name]})"] = value
    return named


def _in_percent(before: float, now: float) -> str:
    if not before:
        return ""
    more = now / before - 1
    return f" ({'+' if more > 0 else figures.MINUS if more < 0 else ''}{abs(more):,.1%})"
