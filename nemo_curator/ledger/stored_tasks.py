"""Tasks on disk: as JSON what is small, as Arrow files what is data. Nothing is pickled."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from fsspec import AbstractFileSystem

from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.tasks import Task
from nemo_curator.utils.client_utils import is_remote_url

Stored = list[dict[str, Any]]
_PLAIN = (str, int, float, bool, type(None))


def store_tasks(tasks: list[Task], fs: AbstractFileSystem, folder: str, name: str) -> Stored | None:
    """Describe tasks as JSON, with Arrow files in the folder for documents; None if one is of another kind."""
    if not all(map(_is_storable, tasks)):
        return None
    stored = []
    for number, task in enumerate(tasks):
        one = {
            "dataset_name": task.dataset_name,
            "metadata": task._metadata,
            "task_id": task.task_id,
            "source_id": task._source_id,
            "elided": task._elided,
        }
        if isinstance(task, FileGroupTask):
            one |= {"files": task.data, "reader_config": task.reader_config}
        elif isinstance(task, DocumentBatch):
            one |= {"documents": f"tasks/{name}-{number}.arrow", "outside": task._outside}
            _write_table(task.to_pyarrow(), fs, f"{folder}/{one['documents']}")
            if task._absent is not None:
                one["absent"] = f"tasks/{name}-{number}-absent.arrow"
                _write_table(task._absent, fs, f"{folder}/{one['absent']}")
        stored.append(one)
    return stored


def load_tasks(stored: Stored, fs: AbstractFileSystem, folder: str) -> list[Task]:
    return [_load(one, fs, folder) for one in stored]


def outputs_exist(stored: Stored) -> bool:
    """Whether the files that the tasks stand for are still there."""
    from fsspec.core import url_to_fs

    paths = [path for one in stored for path in one.get("files", [])]
    return all(url_to_fs(path)[0].exists(path) for path in paths if not path.startswith(("http://", "https://")))


def remove_outputs(record: dict[str, Any]) -> None:
    """Delete the files that were written from an input that is not there any more."""
    from fsspec.core import url_to_fs

    read = {path for path, *_ in record["input"]}
    written = [one["files"] for one in record["tasks"] if "num_rows" in one["metadata"]]
    for path in (path for paths in written for path in paths if path not in read):
        fs, place = url_to_fs(path)
        if fs.exists(place):
            fs.rm_file(place)


def _load(one: dict[str, Any], fs: AbstractFileSystem, folder: str) -> Task:
    task: Task
    if "files" in one:
        config = {key: tuple(value) if key == "byte_range" else value for key, value in one["reader_config"].items()}
        task = FileGroupTask(one["dataset_name"], one["files"], reader_config=config, _metadata=one["metadata"])
    else:
        table = _read_table(fs, f"{folder}/{one['documents']}")
        absent = _read_table(fs, f"{folder}/{one['absent']}") if "absent" in one else None
        task = DocumentBatch.from_arrow(
            table, dataset_name=one["dataset_name"], metadata=one["metadata"], absent=absent
        )
        task._outside = one["outside"]
    task.task_id, task._source_id, task._elided = one["task_id"], one["source_id"], one["elided"]
    return task


def _write_table(table: pa.Table, fs: AbstractFileSystem, path: str) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    if not is_remote_url(path):
        fs.makedirs(path.rpartition("/")[0], exist_ok=True)
    fs.pipe_file(path, sink.getvalue().to_pybytes())


def _read_table(fs: AbstractFileSystem, path: str) -> pa.Table:
    with fs.open(path, "rb") as file:
        return pa.ipc.open_stream(file).read_all()


def _is_storable(task: Task) -> bool:
    return type(task) in (FileGroupTask, DocumentBatch) and _is_plain(task._metadata)


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return isinstance(value, _PLAIN)
