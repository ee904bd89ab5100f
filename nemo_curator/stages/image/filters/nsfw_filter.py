"""Keeping images that are safe for work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nemo_curator.models.nsfw import NSFWScorer
from nemo_curator.stages.image.filters.base import BaseFilterStage
from nemo_curator.stages.image.usable import PixelUse


@dataclass
class ImageNSFWFilterStage(BaseFilterStage):
    """Keep images whose `nsfw_score` is below `score_threshold`.

    The score is the probability that LAION's head on CLIP ViT-L/14 gives. Its weights are in `model_dir`, or in the
    file `weights_path`.
    """

    name: str = "image_nsfw_filter"
    weights_path: str | None = None

    score_field: ClassVar[str] = "nsfw_score"
    pixel_use: ClassVar[PixelUse] = "none"
    is_light = True

    def setup_on_node(self, node_info: Any = None, worker_metadata: Any = None) -> None:
        if self.weights_path is None:
            NSFWScorer.download_weights_on_node(self.model_dir)

    def make_model(self) -> NSFWScorer:
        return NSFWScorer(self.model_dir, self.weights_path)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return scores < self.score_threshold
