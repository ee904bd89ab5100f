"""The record of a run, as it is read from a folder or URL."""

from __future__ import annotations

import json
import os
from typing import Any

from nemo_curator.errors import InputError
from nemo_curator.utils.storage import ask, locate

FORMAT = 1
"""The newest format of records that is known here."""
LEDGER, WORKFLOW, RUNS = "ledger.json", "workflow.json", "runs"

Record = dict[str, Any]
"""A run as `Run.to_dict` has it, or a workflow: then `runs` are its pipelines."""

_NUMBERS = ("rows_in", "rows_out", "rows_added", "rows_joined", "bytes_in", "bytes_out", "seconds", "peak_memory")


def load_record(folder: str | os.PathLike) -> Record:
    """Read the record of a run or workflow from its folder or URL, or from its file of JSON.

    Raises InputError where there is none, where it is damaged, and where a newer version has written it.
    """
    path = os.fspath(folder).rstrip("/")
    if path.endswith(".json"):
        found = _read(path)
        if found is None:
            raise InputError(f"there is no {path}")
        return _whole(found, path, path.rpartition("/")[0])
    for name in (WORKFLOW, LEDGER):
        if (found := _read(f"{path}/{name}")) is not None:
            return _whole(found, f"{path}/{name}", path)
    if runs := _runs_below(path):  # it was ended before it could say what it was
        error = "the workflow did not come to its end: there is no workflow.json"
        return {"workflow": path.rpartition("/")[2], "runs": runs, "error": error}
    raise InputError(
        f"{path} holds no record of a run: wanted {LEDGER} or {WORKFLOW} there; give the folder of a run, or the "
        "checkpoint_path that a pipeline was run with"
    )


def is_workflow(record: Record) -> bool:
    return "stages" not in record


def runs_of(record: Record) -> dict[str, Record]:
    """The pipelines of a record by their names: one of a run, several of a workflow."""
    return record["runs"] if is_workflow(record) else {record.get("pipeline") or "run": record}


def _whole(record: Any, path: str, folder: str) -> Record:
    """A record that was read, with the runs of a workflow that are in files of their own."""
    if not isinstance(record, dict):
        raise InputError(f"{path} is no record of a run: it holds a {type(record).__name__}, wanted an object")
    written = record.get("format", 1)
    if not isinstance(written, int) or written > FORMAT:
        raise InputError(
            f"{path} is of format {written}, and this version knows formats up to {FORMAT}; a newer Curator wrote it: "
            "pip install -U curator-ray"
        )
    if "stages" in record:
        return _checked(record, path)
    if "workflow" not in record and "runs" not in record:
        raise InputError(f"{path} is no record of a run: it has neither 'stages' nor 'runs'")
    runs = record["runs"] if "runs" in record else _runs_below(folder)
    if not isinstance(runs, dict):
        raise InputError(f"{path} is damaged: 'runs' is a {type(runs).__name__}, wanted an object")
    return {**record, "runs": {name: _checked(run, f"{path}, run {name!r}") for name, run in runs.items()}}


def _runs_below(folder: str) -> dict[str, Record]:
    """The runs of a workflow that each have a folder of their own, in the order of the folders."""
    fs, place = locate(f"{folder}/{RUNS}")
    try:
        names = sorted(name.rstrip("/").rpartition("/")[2] for name in ask(fs, "ls", place, detail=False))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    runs = {}
    for name in names:
        path = f"{folder}/{RUNS}/{name}/{LEDGER}"
        if (record := _read(path)) is not None:
            number, _, rest = name.partition("-")
            runs[rest if number.isdigit() and rest else name] = _whole(record, path, "")
    return runs


def _read(path: str) -> Any:
    """What a file of JSON holds, or None where there is no such file."""
    fs, place = locate(path)
    try:
        data = ask(fs, "cat_file", place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: it is no JSON ({error})") from error


def _checked(record: Any, path: str) -> Record:
    """A run in which what is there is of the kind that it should be."""
    stages = record.get("stages") if isinstance(record, dict) else None
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        raise InputError(f"{path} is damaged: 'stages' is no list of objects")
    for stage in stages:
        numbers = {key: stage[key] for key in _NUMBERS if stage.get(key) is not None}
        for kind in ("dropped", "failed"):
            if not isinstance(stage.setdefault(kind, {}), dict):
                raise InputError(f"{path} is damaged: {kind!r} of a stage is no object")
            numbers |= {f"{kind} by {by}": number for by, number in stage[kind].items()}
        wrong = [key for key, number in numbers.items() if not isinstance(number, int | float)]
        if wrong or not isinstance(stage.get("stage"), str):
            raise InputError(f"{path} is damaged: {', '.join(wrong) or 'stage'!r} of a stage is not what it should be")
    return record
