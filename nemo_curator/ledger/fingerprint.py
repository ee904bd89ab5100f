"""What a pipeline and its input are, in a form that two runs can compare."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Iterable
from typing import Any

import fsspec

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.tasks import Task

_NOT_SETTINGS = {"name", "resources", "runtime_env", "batch_size", "requires", "num_workers"}
_NOT_SETTINGS |= {"ray_stage_spec", "xenna_stage_spec"}
"""What may differ between a run and the one that continues it: it does not change the rows."""


def describe_stage(stage: ProcessingStage) -> dict[str, str]:
    """The class, the name and every setting of a stage, each as a text that is the same in another process."""
    kind = type(stage)
    settings = {
        key: value for key, value in vars(stage).items() if not key.startswith("_") and key not in _NOT_SETTINGS
    }
    return {"class": f"{kind.__module__}.{kind.__qualname__}", "name": stage.name} | {
        key: stable_text(value) for key, value in sorted(settings.items())
    }


def changed_settings(before: list[dict[str, str]], now: list[dict[str, str]]) -> list[str]:
    """Say for people what differs between two pipelines."""
    if [stage["name"] for stage in before] != [stage["name"] for stage in now]:
        return [f"its stages were {[stage['name'] for stage in before]} and are {[stage['name'] for stage in now]}"]
    return [
        f"{new['name']}: {key} was {old.get(key, 'not there')} and is {new.get(key, 'not there')}"
        for old, new in zip(before, now)
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]


def stable_text(value: Any, depth: int = 6) -> str:
    """A text that is equal for equal values, in every process; of a function its code counts, not its address."""
    if isinstance(value, str | int | float | bool | bytes | type(None)):
        return repr(value)
    if depth == 0:
        return type(value).__qualname__
    if isinstance(value, dict):
        items = sorted((stable_text(key, depth - 1), stable_text(item, depth - 1)) for key, item in value.items())
        return "{" + ", ".join(f"{key}: {item}" for key, item in items) + "}"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(stable_text(item, depth - 1) for item in value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(stable_text(item, depth - 1) for item in value) + "]"
    if type(value).__qualname__ == "Pattern" and hasattr(value, "flags"):  # of `re` or `regex`: has no `__dict__`
        return repr((value.pattern, int(value.flags)))
    if isinstance(value, types.FunctionType):
        return f"{value.__qualname__}#{_digest(_code_text(value.__code__))}"
    if isinstance(value, type | types.BuiltinFunctionType | types.MethodDescriptorType):
        return f"{value.__module__}.{value.__qualname__}" if isinstance(value, type) else value.__qualname__
    state = {key: item for key, item in getattr(value, "__dict__", {}).items() if not key.startswith("__")}
    return f"{type(value).__module__}.{type(value).__qualname__}({stable_text(state, depth - 1)})"


def input_signature(tasks: Iterable[Task], storage_options: dict[str, Any] | None = None) -> list[list[Any]]:
    """Size and time or etag of every file of some source tasks; a file that is changed has another signature."""
    return [
        _file_signature(path, storage_options)
        for task in tasks
        if isinstance(task, FileGroupTask)
        for path in task.data
    ]


def _file_signature(path: str, storage_options: dict[str, Any] | None) -> list[Any]:
    if path.startswith(("http://", "https://")):
        return [path]  # asking for it costs a request, and servers answer what they like
    fs, place = fsspec.core.url_to_fs(path, **(storage_options or {}))
    try:
        info = fs.info(place)
    except FileNotFoundError:
        return [path, None]
    changed = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("LastModified") or ""
    return [path, info.get("size"), str(changed)]


def _code_text(code: types.CodeType) -> str:
    constants = [_code_text(item) if isinstance(item, types.CodeType) else repr(item) for item in code.co_consts]
    return f"{code.co_code.hex()} {constants} {code.co_names}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
