"""Remove lines, and keep the documents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.ledger.counts import filtered
from nemo_curator.stages.base import Spec
from nemo_curator.stages.text.fields import as_list, one_each
from nemo_curator.stages.text.filters.doc_filter import DocumentFilter
from nemo_curator.stages.text.filters.score_filter import FilterStage, judge_texts
from nemo_curator.stages.text.segments import join_segments, split_texts
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.text_column import TextColumn


@dataclass
class LineFilter(FilterStage):
    """Remove the lines that a filter does not keep, and drop the documents of which too much is gone.

    Takes one filter or several, as `ScoreFilter` does; each sees every line that the one before left as a text of its
    own. What counts is the share of the words of a document that stood in removed lines: `removed_share_field` keeps it
    as a column, and documents with more than `max_removed_share` are dropped. Blank lines are lines like others unless
    `keep_blank_lines`. A document that loses every line is empty then, and a null text stays null.

    Example:
        >>> from nemo_curator.stages.text.filters import WordCountFilter
        >>> batch = DocumentBatch(data=pa.table({"text": ["Home\\nA cat sat on the mat.\\nNext"]}))
        >>> stage = LineFilter(WordCountFilter(min_words=3), removed_share_field="removed")
        >>> stage.process(batch).to_pyarrow().to_pylist()
        [{'text': 'A cat sat on the mat.', 'removed': 0.25}]
    """

    filter_obj: DocumentFilter | list[DocumentFilter]
    text_field: str = "text"
    invert: bool | list[bool] = False
    removed_share_field: str | None = None
    max_removed_share: float = 1.0
    keep_blank_lines: bool = False
    name: str = "line_filter"

    def __post_init__(self) -> None:
        self._line_filters = as_list(self.filter_obj, DocumentFilter, "filter_obj")
        self._inverts = one_each(self.invert, len(self._line_filters), bool, "invert")
        self.hold(self._line_filters)

    def inputs(self) -> Spec:
        return ["data"], [self.text_field]

    def outputs(self) -> Spec:
        return ["data"], [self.text_field, *([self.removed_share_field] if self.removed_share_field else [])]

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        texts = batch.text(self.text_field)
        lines, offsets = split_texts(texts, "\n")
        column = TextColumn(lines)
        wants_share = self.removed_share_field is not None or self.max_removed_share < 1
        words = column.word_counts if wants_share else None  # counted first, what the filters leave has its counts
        stays = self._kept(column)
        made = batch
        if not stays.all():
            starts = np.concatenate([[0], np.cumsum(stays)])[offsets]
            kept = join_segments(lines.filter(pa.array(stays)), starts, "\n", texts.array.type)
            made = batch.with_column(self.text_field, kept)
        if words is None:
            return made
        before, removed = (np.concatenate([[0], np.cumsum(each)])[offsets] for each in (words, words * ~stays))
        shares = np.diff(removed) / np.maximum(np.diff(before), 1)
        if self.removed_share_field is not None:
            made = made.with_column(self.removed_share_field, shares)
        keep = shares <= self.max_removed_share
        filtered(self.name, batch, keep, shares, text_field=self.text_field)
        return made if keep.all() else made.filter(keep)

    def _kept(self, column: TextColumn) -> np.ndarray:
        """Which lines stay; how many each filter removed goes into the statistics of the stage."""
        spared = np.asarray(pc.is_null(column.array))
        if self.keep_blank_lines:
            spared |= column.word_counts == 0
        rows = np.flatnonzero(~spared)
        left = column.filter(~spared) if spared.any() else column
        for one, invert in zip(self._line_filters, self._inverts):
            keep = judge_texts(one, left, invert).keep
            self._log_metric(f"lines_removed_by_{one.name}", int(np.count_nonzero(~keep)))
            if not keep.all():
                rows, left = rows[keep], left.filter(keep)
        spared[rows] = True
        return spared
