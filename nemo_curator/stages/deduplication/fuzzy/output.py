"""What a run leaves below `output_path` besides ids and clusters, and what it takes away there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from nemo_curator.stages.deduplication.clusters import (
    CLUSTERS_SUBDIR,
    cluster_table,
    summarize_clusters,
    write_clusters,
    write_sources,
)
from nemo_curator.stages.deduplication.fuzzy.identify_duplicates import DUPLICATE_IDS_SUBDIR
from nemo_curator.stages.deduplication.steps import Steps
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.storage import ask, kind_of, locate

_PART = re.compile(r"part\.\d+\.parquet")


@dataclass
class Output:
    """The output of one run."""

    path: str
    id_generator_file: str
    id_field: str | None = None
    storage_options: dict[str, Any] | None = None

    def finish(self, steps: Steps, tasks: list[FileGroupTask], removed: int, parts: list[FileGroupTask]) -> None:
        """Delete what an earlier run has left and this one has not written, and say in `result` what was found."""
        written = {path for task in parts for path in task.data}
        self._delete_others(DUPLICATE_IDS_SUBDIR, written)
        self._delete_others(CLUSTERS_SUBDIR, written)
        if self.id_field is None:
            steps.write_ids(tasks, self.id_generator_path, self.storage_options)
        path = self.id_generator_path if self.id_field is None else None
        steps.result.extend_metadata({"num_duplicates": removed, "id_generator_path": path})

    def explain(self, steps: Steps, tasks: list[FileGroupTask], parts: list[FileGroupTask], earlier: list[str]) -> None:
        """Write where the documents of the clusters come from, and sum up the clusters."""
        if not parts:
            write_clusters(self.path, 0, cluster_table([], []), self.storage_options)
        if self.id_field is None:
            write_sources(self.path, tasks, earlier, self.storage_options)
        clusters = summarize_clusters(self.path, storage_options=self.storage_options)
        steps.result.add_metadata("clusters", clusters.to_dict())

    @property
    def id_generator_path(self) -> str:
        return f"{absolute(self.path)}/{self.id_generator_file}"

    def _delete_others(self, folder: str, written: set[str]) -> None:
        path = f"{absolute(self.path)}/{folder}"
        fs, place = locate(path, self.storage_options)
        fs.invalidate_cache()
        if kind_of(fs, place) != "directory":
            return
        for each in ask(fs, "find", place):
            name = each.rpartition("/")[2]
            if _PART.fullmatch(name) and f"{path}/{name}" not in written:
                ask(fs, "rm_file", each)
