"""The source of a download: lists of URLs, cut into shards."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.file_partitioning import common_folder
from nemo_curator.stages.image.download.url_lists import EXTENSIONS, OWN_COLUMNS, ListColumns, cut, find_columns
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.sentinels import EmptyTask
from nemo_curator.utils.file_utils import infer_dataset_name_from_path
from nemo_curator.utils.find_files import find_input_files
from nemo_curator.utils.hash_utils import get_deterministic_hash

SHARD, COLUMNS = "shard", "columns"
"""In the metadata of a task: the number of its shard, and which columns of its list are meant."""


@dataclass
class UrlShardsStage(ProcessingStage[EmptyTask, FileGroupTask]):
    """Find lists of URLs and cut each into shards of at most `urls_per_shard`, numbered over all lists.

    Lists are Parquet, CSV and TSV with a first line of names, JSON Lines, and text with one URL a line; blank lines
    count for nothing.
    """

    input_path: str | list[str]
    urls_per_shard: int = 10_000
    columns: ListColumns = field(default_factory=lambda: ListColumns(""))
    storage_options: dict[str, Any] | None = None
    name: str = "url_shards"

    resources = Resources(cpus=0.5)
    is_source_stage = True

    def __post_init__(self) -> None:
        if self.urls_per_shard < 1:
            raise ValueError(f"{self.name}: urls_per_shard is {self.urls_per_shard}; wanted at least 1")
        if taken := OWN_COLUMNS.intersection(self.columns.others):
            raise ValueError(f"{self.name}: {sorted(taken)} are columns that are written anyway; name others")

    def num_workers(self) -> int | None:
        return 1

    def process(self, _: EmptyTask) -> list[FileGroupTask]:
        lists = find_input_files(self.input_path, list(EXTENSIONS), self.storage_options)
        root = common_folder(one.root for one in lists)
        tasks: list[FileGroupTask] = []
        for one in lists:
            columns = asdict(find_columns(one.path, self.columns, self.storage_options))
            name = one.path[len(root) + 1 :] if root else one.path.rpartition("/")[2]
            for part in cut(one.path, self.urls_per_shard, self.storage_options):
                task = FileGroupTask(
                    dataset_name=infer_dataset_name_from_path(one.path),
                    data=[one.path],
                    reader_config=part,
                    _metadata={SHARD: len(tasks), COLUMNS: columns, "source_files": [one.path]},
                )
                task._source_id = get_deterministic_hash([name], f"{len(tasks)} {part}")
                tasks.append(task)
        return tasks
