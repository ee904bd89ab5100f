"""Say of every document which filter would drop it, and drop none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.ledger.counts import filtered
from nemo_curator.stages.base import Spec
from nemo_curator.stages.text.fields import as_list
from nemo_curator.stages.text.filters.doc_filter import DocumentFilter
from nemo_curator.stages.text.filters.score_filter import Filter, FilterStage, ScoreFilter
from nemo_curator.tasks.document import DocumentBatch, to_array


@dataclass
class MarkRejected(FilterStage):
    """Keep all documents, and add a column with the name of the filter that rejects each; null where none does.

    Takes filters, or the `ScoreFilter` and `Filter` stages of a recipe, which run in order. Each sees only those that
    none before it rejected, so the name is that of the first; where a filter did not see a document its score is null.
    Documents for which the column has a name already, from a stage before, keep it.
    """

    filter_obj: DocumentFilter | ScoreFilter | Filter | list[Any]
    reason_field: str = "rejected_by"
    text_field: str = "text"
    name: str = "mark_rejected"

    def __post_init__(self) -> None:
        given = as_list(self.filter_obj, DocumentFilter, "filter_obj", ScoreFilter, Filter)
        self._stages = [ScoreFilter(one, self.text_field) if isinstance(one, DocumentFilter) else one for one in given]
        self.hold([one for stage in self._stages for one in stage.filters])

    def inputs(self) -> Spec:
        made: set[str] = set()
        needed: dict[str, None] = {}
        for stage in self._stages:
            needed.update(dict.fromkeys(field for field in stage.inputs()[1] if field not in made))
            made.update(stage.outputs()[1])
        return ["data"], list(needed)

    def outputs(self) -> Spec:
        made = [field for stage in self._stages for field in stage.outputs()[1]]
        return ["data"], list(dict.fromkeys([*made, self.reason_field]))

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        reasons = np.full(batch.num_items, None, dtype=object)
        left = batch
        rows = np.arange(batch.num_items)
        if self.reason_field in batch.get_columns():
            column = batch.column(self.reason_field)
            reasons = np.array(column.to_pylist(), dtype=object)
            rows = np.flatnonzero(np.asarray(column.is_null()))
            left = batch.take(rows)
        for judge in (judge for stage in self._stages for judge in stage.judges()):
            made = judge(left)
            filtered(made.by, left, scores=made.scores, text_field=made.text_field)
            if made.score_field is not None:
                left = left.with_column(made.score_field, made.scores)
                scores = _spread(made.scores, rows, batch.num_items)
                if made.score_field in batch.get_columns():  # of those that were looked at before
                    scores = pc.coalesce(scores, batch.column(made.score_field).cast(scores.type))
                batch = batch.with_column(made.score_field, scores)
            reasons[rows[~made.keep]] = made.by
            if not made.keep.all():
                rows, left = rows[made.keep], left.filter(made.keep)
        return batch.with_column(self.reason_field, pa.array(reasons, pa.string()))


def _spread(scores: Any, rows: np.ndarray, count: int) -> pa.Array | pa.ChunkedArray:
    """The scores at their rows, and nulls between them."""
    places = np.full(count, -1)
    places[rows] = np.arange(len(rows))
    return to_array(scores).take(pa.array(places, mask=places < 0))
