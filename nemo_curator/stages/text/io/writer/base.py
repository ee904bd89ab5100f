"""What all writers of documents share, and the hook for writers of your own."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.tasks import Task
from nemo_curator.utils.client_utils import is_remote_url, local_path
from nemo_curator.utils.file_utils import check_output_mode, refuse_to_empty
from nemo_curator.utils.hash_utils import get_deterministic_hash
from nemo_curator.utils.storage import ask, kind_of, locate
from nemo_curator.utils.whole_files import appearing_whole, remove_leftovers

MODES = ("ignore", "overwrite", "append", "error")


@dataclass
class BaseWriter(ProcessingStage[DocumentBatch, FileGroupTask]):
    """Write each batch to a file of its own in the folder `path`. A writer of your own defines `write_data`.

    What is in the folder when the run starts: `ignore` leaves it, `overwrite` deletes it, `error` refuses to write
    beside it, `append` leaves it and gives the files of this run names of their own. A file is named after the source
    of its batch, so the next run writes the same names. It appears when it is complete.
    """

    path: str
    file_extension: str
    write_kwargs: dict[str, Any] = field(default_factory=dict)
    fields: list[str] | None = None
    name: str = "BaseWriter"
    mode: Literal["ignore", "overwrite", "append", "error"] = "ignore"
    append_mode_implemented: bool = True

    _folder = _run = ""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"{self.name}: unknown mode {self.mode!r}; known are {', '.join(MODES)}")
        self.write_kwargs = dict(self.write_kwargs or {})

    @property
    def folder(self) -> str:
        """Where the files of the batches go."""
        return absolute(self.path)

    @abstractmethod
    def write_data(self, task: DocumentBatch, file_path: str) -> None:
        """Write the documents to this path, which is a temporary one where files can be renamed."""

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], list(self.fields or [])

    def validate_input(self, task: Task) -> bool:
        return not task.num_items or super().validate_input(task)

    def check_inputs(self, paths: list[str]) -> None:
        """Raise if the run would delete files that it reads."""
        if self.mode == "overwrite":
            refuse_to_empty(self.folder, paths)

    def before_run(self, earlier: str | None = None) -> str:
        self._folder = self.folder
        remove_leftovers(self._folder)
        if earlier is not None:
            self._run = earlier
            return earlier
        fs, place = locate(self._folder, self.write_kwargs.get("storage_options"))
        check_output_mode(self.mode, fs, self._folder, self.append_mode_implemented)
        # an object store has no empty folders
        is_beside = self.mode == "append" and kind_of(fs, place) == "directory"
        self._run = next_run(ask(fs, "ls", place, detail=False)) if is_beside else ""
        return self._run

    def after_run(self) -> None:
        remove_leftovers(self._folder)  # of workers that were killed

    def process(self, task: DocumentBatch) -> FileGroupTask:
        batch = task
        if self.fields:
            batch = task.select([name for name in self.fields if task.num_items or name in task.get_columns()])
        path = f"{self._folder or self.folder}/{file_name(task)}{self._run}.{self.file_extension.lstrip('.')}"
        with appearing_whole(path) as place:
            self.write_data(batch, place)
            size = 0 if is_remote_url(place) else Path(place).stat().st_size
        counts.written(batch.num_items, size)
        metadata = {**task._metadata, "format": self.file_extension, "num_rows": batch.num_items}
        metadata |= {"num_bytes": size} if size else {}
        return FileGroupTask(dataset_name=task.dataset_name, data=[path], _metadata=metadata)

    def put(self, path: str, pieces: Iterable[bytes]) -> None:
        """Write a file; to an object store in one go."""
        if is_remote_url(path):
            fs, place = locate(path, self.write_kwargs.get("storage_options"))
            data = b"".join(pieces)
            ask(fs, "pipe_file", place, data)
            counts.written(0, len(data))
        else:
            with Path(path).open("wb") as file:
                file.writelines(pieces)


def file_name(task: DocumentBatch) -> str:
    """Name a batch after its source: the same in every run, on every engine, whatever stages it went through."""
    source = [task._source_id] if task._source_id else task._metadata.get("source_files") or [task.dataset_name]
    return get_deterministic_hash(source, task.task_id or task.digest())


def next_run(paths: list[str]) -> str:
    """What tells the files of this run from those of earlier ones: nothing, `-1`, `-2`, …"""
    names = [path.rpartition("/")[2] for path in paths]
    runs = [int(found[1] or 0) for name in names if (found := re.match(r"[0-9a-f]{12}(?:-(\d+))?\.", name))]
    return f"-{max(runs) + 1}" if runs else ""


def absolute(path: str) -> str:
    return path.rstrip("/") if is_remote_url(path) else str(local_path(str(path)))
