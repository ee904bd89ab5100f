"""Keeping images whose caption is about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nemo_curator.errors import StageSetupError
from nemo_curator.stages.image.clip_stage import ClipStage
from nemo_curator.stages.image.embedders.clip_embedder import as_numpy
from nemo_curator.stages.image.filters.base import judged, with_embedding
from nemo_curator.stages.image.usable import PixelUse
from nemo_curator.tasks.image import ImageBatch, ImageObject


@dataclass
class ImageTextSimilarityFilterStage(ClipStage):
    """Keep images whose caption is at least so similar to them.

    The score, `text_similarity`, is the cosine between the embedding that the image has and that of its caption by the
    same model; without a caption it is 0.0. The default is that of LAION-5B for English captions (Schuhmann et al.,
    2022), which used ViT-B/32: other models score in other ranges. With `score_only` all images stay. One without an
    embedding fails and is set aside.
    """

    min_similarity: float = 0.28
    caption_field: str = "caption"
    score_only: bool = False
    name: str = "image_text_similarity_filter"

    score_field: ClassVar[str] = "text_similarity"
    pixel_use: ClassVar[PixelUse] = "none"

    def process(self, task: ImageBatch) -> ImageBatch:
        if self.model is None:
            raise StageSetupError(f"{self.name}: call setup before process")
        captions = {image: caption for image in task.data if (caption := self._caption(image))}
        texts = list(dict.fromkeys(captions.values()))
        vectors: dict[str, np.ndarray] = {}
        for start in range(0, len(texts), self.model_inference_batch_size):
            some = texts[start : start + self.model_inference_batch_size]
            vectors.update(zip(some, as_numpy(self.model.encode_text(some)), strict=True))
        dimensions = len(next(iter(vectors.values()))) if vectors else None
        usable = task.with_images(with_embedding(task, dimensions))
        scores = [
            float(np.dot(as_numpy(image.embedding), vectors[captions[image]])) if image in captions else 0.0
            for image in usable.data
        ]
        keep = None if self.score_only else np.array([score >= self.min_similarity for score in scores], bool)
        return judged(self.name, usable, self.score_field, scores, keep)

    def _caption(self, image: ImageObject) -> str:
        return str(getattr(image, self.caption_field, None) or "").strip()
