"""Samples by how many images they have for their words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nemo_curator.stages.interleaved.stages import BaseInterleavedFilterStage
from nemo_curator.tasks.interleaved import InterleavedBatch
from nemo_curator.tasks.text_column import TextColumn

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class InterleavedImageToTextRatioFilterStage(BaseInterleavedFilterStage):
    """Keep samples with at least `min_ratio` and at most `max_ratio` images a word; others go as a whole.

    Words are what whitespace separates in the rows of texts; a sample without any counts as having one.
    """

    min_ratio: float = 0.0
    max_ratio: float = math.inf
    name: str = "interleaved_image_to_text_ratio_filter"

    def __post_init__(self) -> None:
        if not self.min_ratio <= self.max_ratio:
            raise ValueError(f"min_ratio is {self.min_ratio} and max_ratio {self.max_ratio}; no ratio is within them")

    def content_keep_mask(self, task: InterleavedBatch, df: pd.DataFrame) -> Any:
        table = task.to_pyarrow()
        if "text_content" not in table.column_names:
            words = np.zeros(table.num_rows)
        else:
            words = TextColumn(table.column("text_content").cast("string")).word_counts
        modality = table.column("modality").to_numpy(zero_copy_only=False)
        samples = table.column("sample_id").combine_chunks().dictionary_encode()
        sample, number = samples.indices.to_numpy(), len(samples.dictionary)
        texts = np.bincount(sample, np.where(modality == "text", words, 0), minlength=number)
        images = np.bincount(sample, modality == "image", minlength=number)
        ratio = images / np.maximum(texts, 1)
        return ((ratio >= self.min_ratio) & (ratio <= self.max_ratio))[sample]
