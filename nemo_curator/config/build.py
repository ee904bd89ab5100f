"""Make objects of a configuration: a mapping with `_target_` names the class and holds its parameters."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from collections.abc import Sequence
from typing import Any

from nemo_curator.config.load import did_you_mean, join
from nemo_curator.errors import ConfigError, MissingExtraError

ALLOWED = ("nemo_curator",)
_CONTROLS = {"_target_", "_args_", "_partial_", "_convert_", "_recursive_"}
_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_PLAIN = re.compile(r"bool|int|float|str|None|list\[(bool|int|float|str)\]")


def build(value: Any, place: str = "", *, allowed: Sequence[str] = ALLOWED) -> Any:
    """Build what a configuration describes, innermost first. Only classes of the `allowed` packages can be named."""
    if isinstance(value, list):
        return [build(item, join(place, at), allowed=allowed) for at, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if "_target_" not in value:
        return {key: build(item, join(place, key), allowed=allowed) for key, item in value.items()}
    if value.get("_recursive_", True) is not True:
        raise ConfigError(f"{place}: _recursive_ is {value['_recursive_']!r}; what stands within is always built")
    target = find_class(value["_target_"], place, allowed)
    arguments = build(value.get("_args_", []), join(place, "_args_"), allowed=allowed)
    parameters = {
        key: build(item, join(place, key), allowed=allowed) for key, item in value.items() if key not in _CONTROLS
    }
    if value.get("_partial_"):
        check_parameters(target, parameters, place, arguments)
        return functools.partial(target, *arguments, **parameters)
    return make(target, parameters, place, arguments)


def make(
    target: type, parameters: dict[str, Any], place: str, arguments: Sequence[Any] = (), *, around: Sequence[str] = ()
) -> Any:
    """Make an object of a class. What the class does not take, lacks or refuses is told with its place.

    `around` are names that may be given there as well, and are taken by what stands around the object.
    """
    check_parameters(target, parameters, place, arguments, around=around)
    try:
        return target(*arguments, **parameters)
    except MissingExtraError:
        raise
    except Exception as error:  # whatever a constructor finds wrong is told with its place
        raise ConfigError(f"{place}: {target.__name__}: {error}") from error


def find_class(name: Any, place: str, allowed: Sequence[str]) -> type:
    """Find a class by its full name, in a package that is allowed and that really defines it."""
    if not isinstance(name, str) or "." not in name:
        raise ConfigError(
            f"{place}: _target_ is {name!r}; wanted the full name of a class, such as package.module.Class"
        )
    if not _is_of(name, allowed):
        raise ConfigError(
            f"{place}: {name} is not of {', '.join(allowed)}; a configuration builds nothing else unless it is allowed "
            "(--allow PACKAGE, or the parameter `allowed`)"
        )
    module_name, _, class_name = name.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(f"{place}: {name}: {error}") from error
    found = getattr(module, class_name, None)
    if found is None:
        raise ConfigError(f"{place}: {module_name} has no {class_name!r}{did_you_mean(class_name, _classes(module))}")
    if not isinstance(found, type) or not _is_of(f"{found.__module__}.{class_name}", allowed):
        raise ConfigError(f"{place}: {name} is no class of {', '.join(allowed)}; only those are built")
    return found


def _is_of(name: str, packages: Sequence[str]) -> bool:
    return any(name.startswith(f"{package}.") for package in packages)


def _classes(module: Any) -> list[str]:
    return [name for name in dir(module) if isinstance(getattr(module, name, None), type)]


def check_parameters(
    target: type,
    parameters: dict[str, Any],
    place: str,
    arguments: Sequence[Any] = (),
    *,
    around: Sequence[str] = (),
) -> None:
    """Raise if a parameter is unknown, missing or a plain value of the wrong type, before anything is built."""
    try:
        signature = inspect.signature(target)
    except ValueError:
        return
    taken = {one.name: one for one in signature.parameters.values() if one.kind not in _REST}
    takes_any = any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values())
    known = [*(name for name in taken if name[0] != "_"), *around]
    for name, value in parameters.items():
        if name in taken:
            _check_type(value, taken[name], join(place, name))
        elif not takes_any:
            raise ConfigError(
                f"{join(place, name)}: {target.__name__} has no parameter {name!r}{did_you_mean(str(name), known)}; "
                f"it has {known}"
            )
    try:
        signature.bind(*arguments, **parameters)
    except TypeError as error:
        raise ConfigError(f"{place}: {target.__name__}: {error}; it has {known}") from error


def annotation_of(parameter: inspect.Parameter) -> str:
    """The type of a parameter as it is written."""
    written = parameter.annotation
    return written if isinstance(written, str) else getattr(written, "__name__", str(written))


def _check_type(value: Any, parameter: inspect.Parameter, place: str) -> None:
    """Raise if what YAML gave cannot be what a parameter of a plain type takes."""
    kinds = annotation_of(parameter).split(" | ")
    if not all(map(_PLAIN.fullmatch, kinds)) or not isinstance(value, bool | int | float | str | list | dict):
        return
    if any(_fits(value, kind) for kind in kinds):
        return
    is_unquoted = "str" in kinds and not isinstance(value, list | dict)
    remedy = "; a text that YAML takes for something else needs quotes" if is_unquoted else ""
    raise ConfigError(f"{place} is {value!r}; wanted {' or '.join(kinds)}{remedy}")


def _fits(value: Any, kind: str) -> bool:
    if kind.startswith("list["):
        return isinstance(value, list) and all(_fits(one, kind[5:-1]) for one in value)
    if isinstance(value, bool) or kind == "bool":
        return isinstance(value, bool) and kind == "bool"
    if kind == "int":  # 1e9 is a float to YAML
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, int | float) if kind == "float" else isinstance(value, str) and kind == "str"
