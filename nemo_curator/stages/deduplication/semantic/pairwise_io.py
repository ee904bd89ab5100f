"""The clusters that k-means has written, as tasks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from nemo_curator.errors import InputError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.sentinels import EmptyTask
from nemo_curator.utils.hash_utils import get_deterministic_hash
from nemo_curator.utils.storage import ask, locate

_CLUSTER = re.compile(r"centroid=(\d+)/([^/.][^/]*)\.parquet")


@dataclass
class ClusterWiseFilePartitioningStage(ProcessingStage[EmptyTask, FileGroupTask]):
    """List the folders `centroid=<number>` of a path: a task for each, with its Parquet files."""

    input_path: str
    storage_options: dict[str, Any] | None = None
    name: str = "pairwise_file_partitioning"

    resources = Resources(cpus=0.5)

    def num_workers(self) -> int | None:
        return 1

    def process(self, _: EmptyTask) -> list[FileGroupTask]:
        path = absolute(self.input_path)
        fs, place = locate(path, self.storage_options)
        fs.invalidate_cache()
        clusters: dict[int, list[str]] = {}
        for name in sorted(name[len(place) + 1 :] for name in ask(fs, "find", place)):
            if found := _CLUSTER.fullmatch(name):
                clusters.setdefault(int(found[1]), []).append(f"{path}/{name}")
        if not clusters:
            raise InputError(f"there are no clusters in {path}; KMeansStage writes them")
        return [self._task(number, clusters[number]) for number in sorted(clusters)]

    def _task(self, number: int, paths: list[str]) -> FileGroupTask:
        place = {"centroid_id": number, "filetype": "parquet", "source_files": [paths[0].rpartition("/")[0]]}
        task = FileGroupTask(dataset_name=f"cluster_{number}", data=paths, _metadata=place)
        task._source_id = get_deterministic_hash([f"centroid={number}"])
        return task
