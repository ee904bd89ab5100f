"""Parquet files between the steps of deduplication: read in parts, written whole, in folders that a run makes ready."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.text.io.writer.base import absolute, file_name
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.tasks import Task
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_utils import create_or_overwrite_dir, make_folder, refuse_to_empty
from nemo_curator.utils.hash_utils import get_deterministic_hash
from nemo_curator.utils.storage import ask, kind_of, locate, open_bytes
from nemo_curator.utils.whole_files import appearing_whole, put

MANIFEST = ".stage.json"
"""Lies in a folder that a stage has made; what else is in such a folder may be deleted by the next run."""

_ROWS = 2**14


def read_tables(
    path: str, columns: list[str], storage_options: dict[str, Any] | None = None, rows: int = _ROWS
) -> Iterator[pa.Table]:
    """Read these columns of a file, so many rows at a time; of a file without rows a table without any.

    With no columns named all are read. Who reads reports the rows as seen.
    """
    try:
        with open_bytes(path, storage_options) as source:
            file = pq.ParquetFile(source)
            if missing := [name for name in columns if name not in file.schema_arrow.names]:
                raise InputError(f"{path} has no {missing}; its columns are {file.schema_arrow.names}")
            if not file.metadata.num_rows:
                yield file.read(columns=columns or None, use_threads=False)
            for batch in file.iter_batches(rows, columns=columns or None, use_threads=False):
                yield pa.Table.from_batches([batch])
    except pa.ArrowException as error:
        raise InputError(f"{path} is damaged: {error}; write it again") from error


def write_table(path: str, table: pa.Table, write_kwargs: dict[str, Any] | None = None) -> None:
    """Write a file that appears when it is complete, and report its rows as written; settings as for `writing`."""
    with writing(path, write_kwargs) as write:
        write(table)


@contextmanager
def writing(path: str, write_kwargs: dict[str, Any] | None = None) -> Iterator[Callable[[pa.Table], None]]:
    """Give a function that adds a table to a file, which appears when all are in it. The rows are reported as written.

    `write_kwargs` are settings of `pyarrow.parquet.write_table`, with `storage_options`, and with `row_group_size_rows`
    for the rows of a row group.
    """
    settings = {"compression": "zstd", **(write_kwargs or {})}
    storage_options = settings.pop("storage_options", None)
    rows = settings.pop("row_group_size_rows", settings.pop("row_group_size", None))
    with ExitStack() as stack:
        if is_remote_url(path):
            place = f"{stack.enter_context(tempfile.TemporaryDirectory())}/whole.parquet"
        else:
            place = stack.enter_context(appearing_whole(path))
        writers: list[pq.ParquetWriter] = []

        def write(table: pa.Table) -> None:
            if not writers:
                writers.append(stack.enter_context(pq.ParquetWriter(place, table.schema, **settings)))
            writers[0].write_table(table, rows)
            counts.written(len(table))

        yield write
        writers[0].close()
        counts.written(0, Path(place).stat().st_size)
        if is_remote_url(path):
            fs, target = locate(path, storage_options)
            ask(fs, "put_file", place, target)


def start_folder(path: str, storage_options: dict[str, Any] | None = None) -> str:
    """Make an empty folder for a stage; return its place. One that holds what no stage has written is an error."""
    folder = absolute(path)
    fs, place = locate(folder, storage_options)
    fs.invalidate_cache()
    if kind_of(fs, place) == "file":
        raise NotADirectoryError(f"cannot write to {folder}: it is a file; give a folder")
    if kind_of(fs, place) == "directory":
        names = ask(fs, "ls", place, detail=False)
        if names and not any(name.rpartition("/")[2] == MANIFEST for name in names):
            raise FileExistsError(f"cannot write to {folder}: it holds {names[0]}, which no run has made; move it away")
        refuse_to_empty(folder)
        create_or_overwrite_dir(folder, fs if is_remote_url(folder) else None)
    else:
        make_folder(folder, fs)
    put(fs, f"{place}/{MANIFEST}", json.dumps({"made_by": "nemo_curator"}).encode())
    return folder


def name_of(task: Task) -> str:
    """Name what is made of a task after its source: the same in every run, on every engine."""
    if isinstance(task, DocumentBatch):
        return file_name(task)
    return get_deterministic_hash([task._source_id] if task._source_id else list(map(str, task.data)), task.task_id)


def storage_of(kwargs: dict[str, Any] | None) -> dict[str, Any] | None:
    """The storage options in settings for reading or writing."""
    return (kwargs or {}).get("storage_options")
