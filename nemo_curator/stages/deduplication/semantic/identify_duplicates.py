"""The ids of rows that are too similar to an earlier one of their cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.semantic.kmeans import write_table
from nemo_curator.stages.deduplication.semantic.output_folder import DUPLICATE_FILES, Mode, take_over
from nemo_curator.stages.deduplication.semantic.survivors import is_duplicate
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.file_utils import check_disallowed_kwargs, refuse_to_empty
from nemo_curator.utils.hash_utils import get_deterministic_hash
from nemo_curator.utils.storage import open_bytes
from nemo_curator.utils.whole_files import remove_leftovers

ROW_GROUPS = 10


@dataclass
class IdentifyDuplicatesStage(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Write the sorted ids of rows whose `cosine_sim_score` is at least `1 - eps` to `output_path/<hash>.parquet`.

    One file is written for ten clusters; `_num_row_groups_hint` says in how many row groups, by default ten.
    """

    output_path: str
    eps: float
    _num_row_groups_hint: int | None = None
    verbose: bool = False
    read_kwargs: dict[str, Any] | None = None
    write_kwargs: dict[str, Any] | None = None
    name: str = "IdentifyDuplicatesStage"
    mode: Mode = field(default="overwrite", kw_only=True)

    batch_size = 10
    _folder = ""

    def __post_init__(self) -> None:
        check_eps(self.eps)
        self.read_kwargs, self.write_kwargs = dict(self.read_kwargs or {}), dict(self.write_kwargs or {})
        check_disallowed_kwargs(self.read_kwargs, ["filters", "engine"])
        check_disallowed_kwargs(self.write_kwargs, ["index", "row_group_size"])

    def check_inputs(self, paths: list[str]) -> None:
        """Raise if the run would delete files that it reads."""
        refuse_to_empty(self.output_path, paths)

    def before_run(self, earlier: Any = None) -> bool:
        self._folder = absolute(self.output_path)
        if earlier is None:
            take_over(self._folder, DUPLICATE_FILES, self.mode, (self.write_kwargs or {}).get("storage_options"))
        return True

    def after_run(self) -> None:
        remove_leftovers(self._folder)  # of workers that were killed

    def process(self, task: FileGroupTask) -> FileGroupTask:
        return self.process_batch([task])[0]

    def process_batch(self, tasks: list[FileGroupTask]) -> list[FileGroupTask]:
        paths = [path for task in tasks for path in task.data]
        tables = [self._read(path) for path in paths]
        table = pa.concat_tables(tables, promote_options="permissive")
        gone = is_duplicate(table["cosine_sim_score"].to_numpy(), 1 - self.eps)
        ids = table.select(["id"]).filter(pa.array(gone)).sort_by("id")
        names = sorted(path.rpartition("/")[2] for path in paths)
        path = f"{self._folder or absolute(self.output_path)}/{get_deterministic_hash(names)}.parquet"
        rows = max(len(ids) // (self._num_row_groups_hint or ROW_GROUPS), 1)
        write_table(ids, path, self.write_kwargs or {}, row_group_size=rows)
        counts.seen(len(table))
        counts.dropped("no duplicate", len(table) - len(ids))
        counts.written(len(ids))
        metadata = {"num_removed": len(ids), "source_files": paths}
        return [FileGroupTask(tasks[0].dataset_name, [path], _metadata=metadata)]

    def _read(self, path: str) -> pa.Table:
        with open_bytes(path, (self.read_kwargs or {}).get("storage_options")) as file:
            return pq.read_table(file, columns=["id", "cosine_sim_score"], use_threads=False)


def check_eps(eps: float) -> None:
    if not 0 <= eps <= 1:
        raise ValueError(f"eps is {eps}; wanted a number from 0 to 1: rows of a similarity of 1 - eps or more go")
