"""Read a pipeline from YAML: values given on the command line go in, and `${…}` is replaced by what it names.

The notation is that of Hydra and OmegaConf, as far as pipelines need it; neither is required, and nothing in a file is
ever executed.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from nemo_curator.errors import ConfigError

MISSING = "???"
FOLDER = Path(__file__).parent
OF_THE_RUN: tuple[str, ...] = (
    "checkpoint_path",
    "max_failed_fraction",
    "memory_limit",
    "on_change",
    "rejected_path",
    "rejected_sample",
    "report_path",
)
"""Parameters of `Pipeline.run` that may stand beside the stages."""
KEYS: tuple[str, ...] = ("name", "description", "read", "stages", "write", "workflow", "text_field", "backend")
KEYS += ("execution_mode", "executor_config", "ray_client", "hydra", *OF_THE_RUN)
"""What may stand at the top of a file, beside values that the rest of it refers to."""

_REFERENCE = re.compile(r"\$\{([^${}]*)\}")
# YAML 1.1 wants a dot and a sign: without this 1e-3 would be text
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$")


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        # a merge key (<<) is none of the mapping's own
        own = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        keys = [self.construct_object(key, deep=True) for key in own]
        if twice := sorted({str(key) for key in keys if keys.count(key) > 1}):
            raise ConfigError(f"{node.start_mark.name}, line {node.start_mark.line + 1}: {twice} given twice")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789"))


def load_config(path: str | os.PathLike, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """Read a YAML file and change it by `key=value`, `+new_key=value` and `~key`; a key may be `stages.0.fields`."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        there = sorted(each.name for each in path.parent.glob("*.y*ml"))
        raise ConfigError(
            f"{path} does not exist{did_you_mean(path.name, there)}; there are {there or 'none'}"
        ) from None
    config = _parse(text, str(path))
    if not isinstance(config, dict):
        raise ConfigError(f"{path} holds a {type(config).__name__}; wanted keys with values")
    if [entry for entry in config.pop("defaults", None) or [] if entry != "_self_"]:
        raise ConfigError(f"{path}: 'defaults' puts configurations together, which needs Hydra; write it as one file")
    used = _references(config)  # a value that is not used any more because of an override is no mistake
    for override in overrides:
        _override(config, override)
    with naming_lines(path):
        _check_keys(config, used | _references(config))
    return config


def resolve(config: Mapping[str, Any]) -> dict[str, Any]:
    """Replace every `${key}` and `${oc.env:NAME,default}`; raises if a value is still missing."""
    plain = _plain(config)
    if missing := sorted(_missing(plain, "")):
        wanted = " ".join(f"{place}=…" for place in missing)
        raise ConfigError(f"values are missing; give {wanted}")
    return _Resolver(plain).resolved(plain, "")


def join(place: str, key: str | int) -> str:
    """The place of a key within a configuration, as it is written in overrides."""
    return f"{place}.{key}" if place else str(key)


def line_of(path: str | os.PathLike, place: str) -> int | None:
    """The line of a YAML file on which what stands at a place begins; None where that cannot be said."""
    try:
        node = yaml.compose(Path(path).read_text(encoding="utf-8"), _Loader)
    except (OSError, yaml.YAMLError):
        return None  # as the error says that is being told
    line = None
    for part in place.split("."):
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == part]
        elif isinstance(node, yaml.SequenceNode) and part.isdecimal():
            found = [(value, value) for value in node.value[int(part) : int(part) + 1]]
        else:
            found = []
        if not found:
            return line
        begins, node = found[-1]
        line = begins.start_mark.line + 1
    return line


@contextmanager
def naming_lines(path: str | os.PathLike) -> Iterator[None]:
    """Say in an error which begins with a place of a configuration on which line of its file that is."""
    try:
        yield
    except ConfigError as error:
        line = line_of(path, re.split(r": | is ", str(error), maxsplit=1)[0])
        if line is None:
            raise
        raise ConfigError(f"{os.fspath(path)}, line {line}: {error}") from error


def is_long(item: Any) -> bool:
    """Whether an item is in the notation of Hydra."""
    return isinstance(item, Mapping) and "_target_" in item


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about a name that is close to a known one."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


class _Resolver:
    def __init__(self, root: dict[str, Any]):
        self.root = root
        self.open: list[str] = []

    def resolved(self, value: Any, place: str) -> Any:
        if isinstance(value, dict):
            return {key: self.resolved(item, join(place, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolved(item, join(place, at)) for at, item in enumerate(value)]
        return self._text(value, place) if isinstance(value, str) else value

    def _text(self, text: str, place: str) -> Any:
        values: list[str] = []  # kept apart, so that what a value holds is not taken for a reference

        def with_values(part: str) -> str:
            return re.sub("\0([0-9]+)\0", lambda found: values[int(found[1])], part)

        while (found := _REFERENCE.search(text)) is not None:
            value = self._named(with_values(found[1]).strip(), place)
            if found[0] == text:
                return value
            if isinstance(value, dict | list):
                raise ConfigError(f"{place}: {found[0]} is a {type(value).__name__} and cannot be part of a text")
            values.append(str(value))
            text = f"{text[: found.start()]}\0{len(values) - 1}\0{text[found.end() :]}"
        return with_values(text)

    def _named(self, name: str, place: str) -> Any:
        kind, colon, argument = name.partition(":")
        if colon:
            if kind != "oc.env":
                raise ConfigError(f"{place}: ${{{name}}}: wanted a key, or oc.env:NAME")
            variable, comma, default = argument.partition(",")
            if variable not in os.environ and not comma:
                raise ConfigError(f"{place}: the environment variable {variable} is not set, and there is no default")
            return os.environ.get(variable, default)
        if name in self.open:
            raise ConfigError(f"{place}: {' → '.join([*self.open, name])} goes round in a circle")
        self.open.append(name)
        try:
            return self.resolved(_find(self.root, name, place), name)
        finally:
            self.open.pop()


def _parse(text: str, where: str) -> Any:
    try:
        loader = _Loader(text)
        loader.name = where
        return loader.get_single_data()
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        line = "" if mark is None or "\n" not in text else f", line {mark.line + 1}"
        raise ConfigError(f"{where}{line} is not YAML: {problem or str(error).splitlines()[0]}") from error


def _check_keys(config: Mapping[str, Any], used: set[str]) -> None:
    """Raise if a key means nothing. In a file of Hydra's any key is a value; there only a slip of the pen is one."""
    items = config.get("stages")
    is_short = not {"read", "write"}.isdisjoint(config) or (isinstance(items, list) and not all(map(is_long, items)))
    for key in [str(key) for key in config if key not in KEYS and key not in used]:
        close = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.6 if is_short else 0.8)
        if is_short or close:
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(KEYS)}"
            raise ConfigError(f"{key}: there is no such key, and no ${{{key}}} uses it as a value; {hint}")


def _references(config: Any) -> set[str]:
    """The keys at the top that some `${…}` of a configuration names."""
    if isinstance(config, str):
        return {name.strip().partition(".")[0] for name in _REFERENCE.findall(config)}
    items = config.values() if isinstance(config, Mapping) else config if isinstance(config, list) else ()
    return {name for item in items for name in _references(item)}


def _override(config: dict[str, Any], override: str) -> None:
    sign = re.match(r"\+\+|\+|~|", override)
    mode = sign[0] if sign else ""
    key, equals, text = override[len(mode) :].partition("=")
    if not key or (not equals and mode != "~"):
        raise ConfigError(f"{override!r}: wanted key=value, +new_key=value or ~key")
    *parents, last = key.split(".")
    holder: Any = config
    for at, part in enumerate(parents):
        if mode in ("+", "++") and isinstance(holder, dict):
            holder.setdefault(part, {})
        holder = _find(holder, part, ".".join(parents[:at]) or override)
    if mode in ("", "~") or not isinstance(holder, dict):
        _find(holder, last, override)
    elif mode == "+" and last in holder:
        raise ConfigError(f"{override!r}: {key!r} is there already; without the + its value is replaced")
    place: Any = int(last) if isinstance(holder, list) else last
    if mode == "~":
        del holder[place]
    else:
        holder[place] = _parse(text, override) if text else ""


def _find(holder: Any, name: str, place: str) -> Any:
    for part in name.split("."):
        if isinstance(holder, dict):
            if part not in holder:
                raise ConfigError(f"{place}: there is no {name!r}{did_you_mean(part, map(str, holder))}")
            holder = holder[part]
        elif isinstance(holder, list) and part.isdecimal() and int(part) < len(holder):
            holder = holder[int(part)]
        else:
            raise ConfigError(f"{place}: there is no {name!r}: {part!r} names nothing in {_kind(holder)}")
    return holder


def _kind(holder: Any) -> str:
    return f"a list of {len(holder)}" if isinstance(holder, list) else f"the {type(holder).__name__} {holder!r}"


def _missing(value: Any, place: str) -> Iterable[str]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _missing(item, join(place, key))
    if isinstance(value, str) and value == MISSING:
        yield place


def _plain(value: Any) -> Any:
    """Copy what may be OmegaConf's, with the references as they are written."""
    if hasattr(value, "_get_node"):
        from omegaconf import OmegaConf

        value = OmegaConf.to_container(value, resolve=False)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
