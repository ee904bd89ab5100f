"""`curator stages`: every stage, filter and modifier of the package, found by walking it."""

from __future__ import annotations

import inspect
from dataclasses import asdict, dataclass
from typing import Any

from nemo_curator.cli.output import print_json, print_table
from nemo_curator.config.catalog import KINDS, did_you_mean, find_classes
from nemo_curator.errors import ConfigError

_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Parameter:
    """What the constructor of a class takes; without a default it must be given."""

    name: str
    type: str
    default: str | None


@dataclass(frozen=True)
class Entry:
    """What there is to say of a class: `target` is its name in YAML."""

    name: str
    kind: str
    target: str
    summary: str
    description: str
    parameters: tuple[Parameter, ...]


def show(name: str | None, *, as_json: bool) -> int:
    """List all there is, or describe what has this name."""
    entries = [entry_of(kind, cls) for kind, base in KINDS.items() for cls in find_classes(base)]
    if name is None:
        if as_json:
            print_json([asdict(one) for one in entries])
            return 0
        for kind in KINDS:
            rows = [(one.name, one.summary) for one in entries if one.kind == kind]
            print_table(f"{len(rows)} {kind}s", ("name", "what it does"), rows)
        return 0
    found = [one for one in entries if name in (one.name, one.target)]
    if not found:
        raise ConfigError(f"there is no {name!r}{did_you_mean(name, [one.name for one in entries])}")
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        for one in found:
            _describe(one)
    return 0


def entry_of(kind: str, cls: type) -> Entry:
    """Say what a class is, by its docstring and its constructor."""
    text = inspect.cleandoc(cls.__doc__ or "")
    return Entry(
        cls.__name__,
        kind,
        f"{cls.__module__}.{cls.__qualname__}",
        text.partition("\n")[0],
        text.partition("Example:")[0].strip(),
        parameters_of(cls),
    )


def parameters_of(cls: type) -> tuple[Parameter, ...]:
    """The public parameters of a constructor."""
    try:
        signature = inspect.signature(cls)
    except ValueError:
        return ()
    shown = [one for one in signature.parameters.values() if one.name[0] != "_" and one.kind not in _REST]
    return tuple(
        Parameter(each.name, _type_text(each.annotation), None if each.default is each.empty else _text(each.default))
        for each in shown
    )


def _type_text(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _text(value: Any) -> str:
    text = repr(value)
    if text == "<factory>":
        return "made anew"
    return text if len(text) <= 40 else f"{text[:40]}…"


def _describe(one: Entry) -> None:
    print(f"{one.name}: {one.kind}, {one.target}\n\n{one.description}\n")
    if one.parameters:
        rows = [(each.name, each.type, each.default or "must be given") for each in one.parameters]
        print_table("Parameters", ("name", "type", "default"), rows)
