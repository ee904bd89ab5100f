"""Filters written in a command: `WordCountFilter(min_words=80)`. Nothing is ever evaluated but plain values."""

from __future__ import annotations

import ast
from typing import Any

from nemo_curator.config.build import build
from nemo_curator.config.catalog import did_you_mean, find_classes
from nemo_curator.errors import ConfigError
from nemo_curator.stages.text.filters import DocumentFilter


def parse_filter(text: str) -> DocumentFilter:
    """Make the filter of the package that a text names, with the parameters it gives."""
    name, positional, named = _parse_call(text)
    known = {cls.__name__: cls for cls in find_classes(DocumentFilter)}
    if name not in known:
        raise ConfigError(f"--filter {text!r}: there is no filter {name}{did_you_mean(name, list(known))}")
    cls = known[name]
    made = build(
        {"_target_": f"{cls.__module__}.{name}", "_args_": positional, **named},
        f"--filter {text!r}",
    )
    assert isinstance(made, DocumentFilter)
    return made


def _parse_call(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    wanted = f"--filter {text!r}: wanted a name, or a name with values as in 'WordCountFilter(min_words=80)'"
    try:
        found = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ConfigError(wanted) from None
    if isinstance(found, ast.Name):
        return found.id, [], {}
    if not isinstance(found, ast.Call) or not isinstance(found.func, ast.Name):
        raise ConfigError(wanted)
    named = {}
    for keyword in found.keywords:
        if keyword.arg is None:
            raise ConfigError(wanted)
        named[keyword.arg] = _value(keyword.value, text)
    return found.func.id, [_value(argument, text) for argument in found.args], named


def _value(node: ast.expr, text: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        given = ast.unparse(node)
        raise ConfigError(
            f"--filter {text!r}: {given} is no plain value; wanted a number, a 'text', True, None or a list of these"
        ) from None
