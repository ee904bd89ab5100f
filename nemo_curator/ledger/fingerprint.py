"""What a pipeline and its input are, in a form that two runs can compare."""

from __future__ import annotations

import functools
import hashlib
import os
import types
from collections.abc import Iterable
from typing import Any

from nemo_curator.ledger.secrets import is_secret, without_login
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.tasks import Task
from nemo_curator.utils.find_files import each
from nemo_curator.utils.storage import ask, locate

_NOT_SETTINGS = {"name", "resources", "runtime_env", "batch_size", "requires", "num_workers"}
_NOT_SETTINGS |= {"ray_stage_spec", "xenna_stage_spec"}
"""What may differ between a run and the one that continues it: it does not change the rows."""

MOST_CHARS = 2000
"""What of a setting is kept in words; of the rest a digest is."""


def describe_stage(stage: ProcessingStage) -> dict[str, str]:
    """The class, the name and every setting of a stage, each as a text that is the same in another process."""
    kind = type(stage)
    own = _is_ours(kind)
    settings = {
        key: value
        for key, value in vars(stage).items()
        if not (own and key.startswith("_")) and key not in _NOT_SETTINGS and not is_secret(key)
    }
    if code := _class_text(kind):
        settings["code"] = code
    if (stage.batch_size or 1) > 1:
        settings["batch_size"] = stage.batch_size  # it says which source partitions travel together
    return {"class": f"{kind.__module__}.{kind.__qualname__}", "name": stage.name} | {
        key: _shortened(stable_text(value)) for key, value in sorted(settings.items())
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
    if isinstance(value, str):
        return repr(without_login(value))
    if isinstance(value, int | float | bool | bytes | type(None)):
        return repr(value)
    if isinstance(value, os.PathLike):
        return repr(without_login(str(os.fspath(value))))
    if depth == 0:
        return type(value).__qualname__
    if isinstance(value, dict):
        open_items = [(key, item) for key, item in value.items() if not is_secret(str(key))]
        items = sorted((stable_text(key, depth - 1), stable_text(item, depth - 1)) for key, item in open_items)
        return "{" + ", ".join(f"{key}: {item}" for key, item in items) + "}"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(stable_text(item, depth - 1) for item in value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(stable_text(item, depth - 1) for item in value) + "]"
    if type(value).__qualname__ == "Pattern" and hasattr(value, "flags"):  # of `re` or `regex`: has no `__dict__`
        return repr((value.pattern, int(value.flags)))
    if isinstance(value, types.FunctionType):
        bound = [_open_defaults(value), value.__kwdefaults__, *_open_cells(value)]
        held = f"({stable_text(bound, depth - 1)})" if any(item is not None for item in bound) else ""
        return f"{value.__qualname__}#{_digest(_code_text(value.__code__))}{held}"
    if isinstance(value, types.MethodType):
        return f"{stable_text(value.__func__, depth)} of {stable_text(value.__self__, depth - 1)}"
    if isinstance(value, functools.partial):
        return f"partial({stable_text([value.func, value.args, value.keywords], depth - 1)})"
    if isinstance(value, type | types.BuiltinFunctionType | types.MethodDescriptorType):
        return f"{value.__module__}.{value.__qualname__}" if isinstance(value, type) else value.__qualname__
    return _object_text(value, depth)


def _object_text(value: Any, depth: int) -> str:
    kind = type(value)
    state = getattr(value, "__dict__", None)
    if state is None:
        try:
            state = value.__reduce_ex__(2)[1:]  # what pickle would keep: an array has its numbers there
        except Exception:  # not everything can be pickled, and each says so in its own way
            state = {}
    else:
        # what a filter has loaded so far is no setting
        state = {key: item for key, item in state.items() if not key.startswith(("__", "_loaded"))}
    code = _class_text(kind)
    return f"{kind.__module__}.{kind.__qualname__}{f'#{code}' if code else ''}({stable_text(state, depth - 1)})"


def _class_text(kind: type) -> str:
    """Stands for the code of a class that is not of this package; it may change from one run to the next."""
    functions = [
        f"{name} {_code_text(member.__code__)}"
        for one in kind.__mro__
        if not _is_ours(one) and one.__module__ == kind.__module__
        for name, member in sorted(vars(one).items())
        if isinstance(member, types.FunctionType)
    ]
    return _digest("".join(functions)) if functions else ""


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_CHARS else f"{text[:MOST_CHARS]}… #{_digest(text)}"


def _is_ours(kind: type) -> bool:
    return kind.__module__.startswith("nemo_curator.")


def _open_defaults(function: types.FunctionType) -> list[Any] | None:
    """The defaults of parameters by place, but for secrets."""
    defaults, code = function.__defaults__, function.__code__
    if defaults is None:
        return None
    names = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
    return [None if is_secret(name) else default for name, default in zip(names, defaults, strict=True)]


def _open_cells(function: types.FunctionType) -> list[Any]:
    """What a function holds of the one around it, but for secrets."""
    named = zip(function.__code__.co_freevars, function.__closure__ or ())
    return [None if is_secret(name) else _cell(cell) for name, cell in named]


def _cell(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None


def input_signature(tasks: Iterable[Task], storage_options: dict[str, Any] | None = None) -> list[list[Any]]:
    """Size and time or etag of every file of some source tasks, and of other tasks a digest of what they hold.

    What is changed has another signature.
    """
    paths = [path for task in tasks if isinstance(task, FileGroupTask) for path in task.data]
    held = [[task.task_id, _held_text(task)] for task in tasks if not isinstance(task, FileGroupTask)]
    return [*each(lambda path: _file_signature(path, storage_options), paths), *held]


def _held_text(task: Task) -> str:
    return task.digest() if isinstance(task, DocumentBatch) else _digest(stable_text(task.data))


def _file_signature(location: str, storage_options: dict[str, Any] | None) -> list[Any]:
    path = without_login(location)
    if path.startswith(("http://", "https://")):
        return [path]  # asking for it costs a request, and servers answer what they like
    fs, place = locate(location, storage_options)
    try:
        info = ask(fs, "info", place)
    except FileNotFoundError:
        return [path, None]
    changed = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("LastModified") or ""
    return [path, info.get("size"), str(changed)]


def _code_text(code: types.CodeType) -> str:
    constants = [_code_text(item) if isinstance(item, types.CodeType) else stable_text(item) for item in code.co_consts]
    return f"{code.co_code.hex()} {constants} {code.co_names}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
