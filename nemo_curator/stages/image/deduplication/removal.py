"""Dropping the images whose ids are in a list."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.removal_ids import RemovalIds
from nemo_curator.stages.image.usable import PixelUse
from nemo_curator.tasks.image import ImageBatch
from nemo_curator.utils.find_files import find_input_files


@dataclass
class ImageDuplicatesRemovalStage(ProcessingStage[ImageBatch, ImageBatch]):
    """Keep the images whose `image_id` is not in the Parquet files of `removal_parquets_dir`.

    That is a folder or a URL; the ids are in the column `duplicate_id_field`, as texts or as integers. They are read a
    row group at a time and not all held. Null is the id of none, and an image without an id stays.
    """

    removal_parquets_dir: str
    duplicate_id_field: str = "id"
    verbose: bool = False
    num_workers_per_node: int | None = None
    name: str = "image_dedup_filter"
    storage_options: dict[str, Any] | None = None

    _ids: RemovalIds | None = field(default=None, init=False, repr=False, compare=False)

    pixel_use: ClassVar[PixelUse] = "none"
    is_light = True
    is_row_wise = True

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def xenna_stage_spec(self) -> dict[str, Any]:
        return {} if self.num_workers_per_node is None else {"num_workers_per_node": self.num_workers_per_node}

    def before_run(self, earlier: Any = None) -> None:
        self._ids = self._open()

    def setup(self, worker_metadata: Any = None) -> None:
        self._ids = self._ids or self._open()

    def process(self, task: ImageBatch) -> ImageBatch:
        ids = self._ids = self._ids or self._open()
        texts = [str(image.image_id) if image.image_id not in ("", None) else None for image in task.data]
        names = pa.array(map(_number, texts), pa.int64()) if ids.are_integers else pa.array(texts, pa.string())
        keep = ~ids.contains(names)
        counts.filtered(self.name, task, keep)
        return task.filter(keep)

    def _open(self) -> RemovalIds:
        try:
            find_input_files(self.removal_parquets_dir, [".parquet"], self.storage_options)
        except InputError as error:
            raise FileNotFoundError(f"No parquet files found in {self.removal_parquets_dir}: {error}") from error
        return RemovalIds(self.removal_parquets_dir, [self.duplicate_id_field], self.storage_options).open()


def _number(text: str | None) -> int | None:
    """The integer that is written like this, if one is."""
    try:
        number = int(text or "")
    except ValueError:
        return None
    return number if str(number) == text and -(2**63) <= number < 2**63 else None
