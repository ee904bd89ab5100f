"""Remove lines that are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.stages.text.modifiers.doc_modifier import DocumentModifier
from nemo_curator.stages.text.segments import join_segments, split_texts
from nemo_curator.tasks.text_column import TextColumn


@dataclass
class LineRemover(DocumentModifier):
    """Remove the lines that are equal to one of `patterns`, to the last space."""

    patterns: list[str]

    def modify_texts(self, texts: TextColumn) -> TextColumn | pa.Array:
        lines, offsets = split_texts(texts, "\n")
        gone = pc.is_in(lines, pa.array(self.patterns, lines.type)).to_numpy(zero_copy_only=False)
        if not gone.any():
            return texts
        kept = np.concatenate([[0], np.cumsum(~gone)])
        return join_segments(lines.filter(pa.array(~gone)), kept[offsets], "\n", texts.array.type)
