"""Dropping the documents whose ids are in a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.removal_ids import RemovalIds
from nemo_curator.tasks.document import DocumentBatch

_DONE_ANYWAY = {"storage_options", "engine", "dtype_backend"}


@dataclass
class TextDuplicatesRemovalStage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Keep the documents whose id is not in the Parquet files of `ids_to_remove_path`.

    The ids of the documents are in `id_field`, those to remove in `duplicate_id_field`; where the files have no such
    column, in their column `id_field`, or in the only one they have. Integers and texts are ids; what has none stays.
    """

    ids_to_remove_path: str
    id_field: str = CURATOR_DEDUP_ID_STR
    duplicate_id_field: str = "id"
    read_kwargs: dict[str, Any] | None = None
    drop_id_field: bool = False
    name: str = "DuplicatesRemovalStage"

    _ids: RemovalIds | None = None

    def __post_init__(self) -> None:
        if unknown := sorted((self.read_kwargs or {}).keys() - _DONE_ANYWAY):
            raise ValueError(f"{self.name}: read_kwargs takes storage_options, not {unknown}")

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [self.id_field]

    def before_run(self, earlier: Any = None) -> None:
        self._ids = self._open()

    def setup(self, _: Any = None) -> None:
        self._ids = self._ids or self._open()

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        ids = self._ids = self._ids or self._open()
        with self._time_metric("id_removal_time"):
            keep = ~ids.contains(batch.column(self.id_field))
        counts.filtered(self.name, batch, keep)
        kept = batch.filter(keep)
        if self.drop_id_field:
            kept = kept.select([name for name in kept.get_columns() if name != self.id_field])
        kept._metadata["num_removed"] = int(np.count_nonzero(~keep))
        return kept

    def _open(self) -> RemovalIds:
        storage_options = (self.read_kwargs or {}).get("storage_options")
        fields = [self.duplicate_id_field, self.id_field]
        return RemovalIds(self.ids_to_remove_path, fields, storage_options).open()
