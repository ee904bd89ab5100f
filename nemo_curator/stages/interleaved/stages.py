"""What the filters of interleaved documents share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks.interleaved import InterleavedBatch, check_required, column_of, renumbered

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class BaseInterleavedFilterStage(ProcessingStage[InterleavedBatch, InterleavedBatch]):
    """Keep the texts and images for which `content_keep_mask` is true.

    What stays of a sample is numbered anew; a sample of which nothing but metadata stays is dropped, and counts as
    one. With `drop_invalid_rows` an image that could not be loaded, whose `materialize_error` says why, goes as well.
    """

    drop_invalid_rows: bool = True
    name: str = "interleaved_filter"

    @abstractmethod
    def content_keep_mask(self, task: InterleavedBatch, df: pd.DataFrame) -> Any:
        """Which rows of the frame stay, as booleans. Rows of metadata stay whatever it says."""

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], ["sample_id", "position", "modality"]

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], ["sample_id", "position", "modality"]

    def process(self, task: InterleavedBatch) -> InterleavedBatch:
        import pyarrow.compute as pc

        frame = task.to_pandas()
        table = task.to_pyarrow()
        check_required(table)  # a row without a modality would be gone without a word
        keep = column_of(self.content_keep_mask(task, frame))
        if len(keep) != table.num_rows:
            raise ValueError(f"content_keep_mask of {self.name} gave {len(keep)} values for {table.num_rows} rows")
        if self.drop_invalid_rows and "materialize_error" in table.column_names:
            keep = pc.and_(keep, pc.is_null(table.column("materialize_error")))
        keep = pc.or_(keep, pc.equal(table.column("modality"), "metadata"))
        kept = task.with_data(renumbered(table.filter(keep)))
        counts.dropped(self.name, task.num_items - kept.num_items)
        return kept
