"""Every stage, filter and modifier there is, by name: found by walking the package, and packages that are allowed."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import pkgutil
from collections.abc import Iterable

from nemo_curator.errors import ConfigError
from nemo_curator.pipeline.workflow import WorkflowBase
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.filters import DocumentFilter
from nemo_curator.stages.text.modifiers import DocumentModifier

KINDS: dict[str, type] = {"stage": ProcessingStage, "filter": DocumentFilter, "modifier": DocumentModifier}
_OWN = "nemo_curator"


def find_classes(base: type, packages: Iterable[str] = (_OWN,)) -> list[type]:
    """The classes of these packages that are of a kind and that users may build, by name."""
    packages = tuple(packages)
    for package in packages:
        _import_everything(package)
    found: dict[type, None] = {}
    todo = [base]
    while todo:
        children: list[type] = todo.pop().__subclasses__()
        for cls in children:
            todo.append(cls)
            is_public = not inspect.isabstract(cls) and cls.__name__[0] != "_"
            if is_public and is_of(cls.__module__, packages):
                found[cls] = None
    return sorted(found, key=lambda cls: (cls.__name__, cls.__module__))


def classes_by_name(packages: Iterable[str]) -> dict[str, list[type]]:
    """What a short form can name: stages, filters, modifiers and workflows. Two classes may share a name."""
    named: dict[str, list[type]] = {}
    for base in (*KINDS.values(), WorkflowBase):
        for cls in find_classes(base, packages):
            named.setdefault(cls.__name__, []).append(cls)
    return named


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message that names what is close to a name, whatever the case."""
    lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)
    close += [one for one in lower if name.lower() in one and one not in close][: 3 - len(close)]
    return f"; did you mean {' or '.join(lower[one] for one in close)}?" if close else "; `curator stages` lists them"


def is_of(module: str, packages: Iterable[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@functools.cache
def _import_everything(package: str) -> None:
    try:
        root = importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise ConfigError(f"--allow {package}: {error}") from error
    for module in pkgutil.walk_packages(getattr(root, "__path__", []), f"{package}."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
