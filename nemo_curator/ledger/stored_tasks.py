"""Tasks on disk: as JSON what is small, as Arrow files what is data. Nothing is pickled."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa
from fsspec import AbstractFileSystem

from nemo_curator.ledger.stored_images import can_be_stored, images_as_table, images_of_table, is_plain
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.image import ImageBatch
from nemo_curator.tasks.tasks import Task
from nemo_curator.utils.client_utils import is_remote_url, local_path
from nemo_curator.utils.storage import ask, is_local, kind_of, locate
from nemo_curator.utils.whole_files import put

Stored = list[dict[str, Any]]
Storages = dict[str, dict[str, Any]]
"""The storage options of the folders that stages write to."""


def store_tasks(tasks: list[Task], fs: AbstractFileSystem, folder: str, name: str) -> Stored | None:
    """Describe tasks as JSON, with files in the folder for what is in them; None if one cannot be described."""
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
            one["bytes"] = _write_table(task.to_pyarrow(), fs, f"{folder}/{one['documents']}")
            if task._absent is not None:
                one["absent"] = f"tasks/{name}-{number}-absent.arrow"
                one["absent_bytes"] = _write_table(task._absent, fs, f"{folder}/{one['absent']}")
        elif isinstance(task, ImageBatch):
            one["images"] = f"tasks/{name}-{number}.arrow"
            one["bytes"] = _write_table(images_as_table(task.data), fs, f"{folder}/{one['images']}")
        stored.append(one)
    return stored


def load_tasks(stored: Stored, fs: AbstractFileSystem, folder: str) -> list[Task]:
    return [_load(one, fs, folder) for one in stored]


def output_storages(stages: Sequence[ProcessingStage]) -> Storages:
    """How the folders are reached that stages write to; what is remembered of them is forgotten."""
    found = {}
    for stage in stages:
        kwargs = getattr(stage, "write_kwargs", None) or {}
        options = getattr(stage, "storage_options", None) or kwargs.get("storage_options")
        if hasattr(stage, "path"):
            path = str(stage.path).rstrip("/")
            folder = path if is_remote_url(path) else str(local_path(path))
            found[folder] = dict(options or {})
            locate(folder, found[folder])[0].invalidate_cache()
    return found


def are_there(stored: Stored, fs: AbstractFileSystem, folder: str, storages: Storages) -> bool:
    """Whether the files that the tasks stand for are still there, as long as they were."""
    for one in stored:
        for what, size in (("documents", "bytes"), ("images", "bytes"), ("absent", "absent_bytes")):
            if what in one and _size(fs, f"{folder}/{one[what]}") != one.get(size):
                return False
        paths = [path for path in one.get("files", []) if not path.startswith(("http://", "https://"))]
        wanted = one["metadata"].get("num_bytes") if len(paths) == 1 else None
        for path in paths:
            of, place = _locate(path, storages)
            if not (_exists(of, place) if wanted is None else _size(of, place) == wanted):
                return False
    return True


def _size(fs: AbstractFileSystem, place: str) -> int | None:
    try:
        return ask(fs, "info", place)["size"]
    except FileNotFoundError:
        return None


def _exists(fs: AbstractFileSystem, place: str) -> bool:
    folder = fs._parent(place)
    if not is_local(fs) and folder not in fs.dircache:
        with suppress(FileNotFoundError):
            ask(fs, "ls", folder, detail=False)  # a thousand files for one request: now it knows them all
    return kind_of(fs, place) == "file"


def remove_outputs(record: dict[str, Any], storages: Storages) -> None:
    """Delete the files that were written for a partition, into folders that the pipeline still writes to."""
    read = {path for path, *_ in record["input"]}
    written = [one["files"] for one in record["tasks"] if "files" in one and "num_rows" in one["metadata"]]
    folders = tuple(f"{folder}/" for folder in storages)
    for path in (path for paths in written for path in paths if path not in read and path.startswith(folders)):
        fs, place = _locate(path, storages)
        if _exists(fs, place):
            ask(fs, "rm_file", place)


def _locate(path: str, storages: Storages) -> tuple[AbstractFileSystem, str]:
    return locate(path, next((options for folder, options in storages.items() if path.startswith(f"{folder}/")), None))


def _load(one: dict[str, Any], fs: AbstractFileSystem, folder: str) -> Task:
    task: Task
    if "files" in one:
        config = {key: tuple(value) if key == "byte_range" else value for key, value in one["reader_config"].items()}
        task = FileGroupTask(one["dataset_name"], one["files"], reader_config=config, _metadata=one["metadata"])
    elif "images" in one:
        images = images_of_table(_read_table(fs, f"{folder}/{one['images']}"))
        task = ImageBatch(one["dataset_name"], images, _metadata=one["metadata"])
    else:
        table = _read_table(fs, f"{folder}/{one['documents']}")
        absent = _read_table(fs, f"{folder}/{one['absent']}") if "absent" in one else None
        task = DocumentBatch.from_arrow(
            table, dataset_name=one["dataset_name"], metadata=one["metadata"], absent=absent
        )
        task._outside = one["outside"]
    task.task_id, task._source_id, task._elided = one["task_id"], one["source_id"], one["elided"]
    return task


def _write_table(table: pa.Table, fs: AbstractFileSystem, path: str) -> int:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    data = sink.getvalue().to_pybytes()
    put(fs, path, data)
    return len(data)


def _read_table(fs: AbstractFileSystem, path: str) -> pa.Table:
    return pa.ipc.open_stream(ask(fs, "cat_file", path)).read_all()


def _is_storable(task: Task) -> bool:
    if type(task) is ImageBatch:
        return is_plain(task._metadata) and all(map(can_be_stored, task.data))
    return type(task) in (FileGroupTask, DocumentBatch) and is_plain(task._metadata)
