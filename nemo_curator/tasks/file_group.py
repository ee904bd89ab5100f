"""A group of files that is read or was written together."""

from dataclasses import dataclass, field
from typing import Any

from nemo_curator.tasks.tasks import Task
from nemo_curator.utils.hash_utils import get_deterministic_hash


@dataclass(repr=False, eq=False)
class FileGroupTask(Task[list[str]]):
    """Paths or URLs. `reader_config` narrows a single file to a part of it: `byte_range` or `row_groups`."""

    dataset_name: str = ""
    data: list[str] = field(default_factory=list)
    reader_config: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.data, list):
            raise TypeError(f"FileGroupTask.data is a list of paths, not {type(self.data).__name__}")

    @property
    def num_items(self) -> int:
        return len(self.data)

    def validate(self) -> bool:
        return bool(self.data)

    def get_deterministic_id(self) -> str:
        return get_deterministic_hash(sorted(map(str, self.data)))
