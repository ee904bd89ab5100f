"""Keeping images that people like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nemo_curator.models.aesthetics import AestheticScorer
from nemo_curator.stages.image.filters.base import BaseFilterStage
from nemo_curator.stages.image.usable import PixelUse


@dataclass
class ImageAestheticFilterStage(BaseFilterStage):
    """Keep images whose `aesthetic_score` is at least `score_threshold`.

    The score is what the linear head on CLIP ViT-L/14 by ttj gives, roughly 1 to 10: the default, which is that of the
    API, keeps nearly all.
    """

    name: str = "image_aesthetic_filter"

    score_field: ClassVar[str] = "aesthetic_score"
    pixel_use: ClassVar[PixelUse] = "none"
    is_light = True

    def setup_on_node(self, node_info: Any = None, worker_metadata: Any = None) -> None:
        AestheticScorer.download_weights_on_node(self.model_dir)

    def make_model(self) -> AestheticScorer:
        return AestheticScorer(self.model_dir)

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return scores >= self.score_threshold
