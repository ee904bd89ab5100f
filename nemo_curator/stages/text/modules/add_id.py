"""Give every document an id."""

from __future__ import annotations

from dataclasses import dataclass

from nemo_curator.errors import ContractError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks.document import DocumentBatch


@dataclass
class AddId(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Add a column of ids, `<prefix>_<task id>_<row>`: unique in a run, the same whenever the same input is read."""

    id_field: str
    id_prefix: str | None = None
    overwrite: bool = False
    name: str = "add_id"

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [self.id_field]

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        if self.id_field in batch.get_columns() and not self.overwrite:
            raise ContractError(f"{self.name}: column {self.id_field!r} is there already; overwrite=True replaces it")
        start = f"{self.id_prefix}_{batch.task_id}" if self.id_prefix else batch.task_id
        return batch.with_column(self.id_field, [f"{start}_{row}" for row in range(batch.num_items)])
