"""Keeping images whose caption is about them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from nemo_curator.errors import StageSetupError
from nemo_curator.models.clip import CLIP_ID, CLIPImageEmbeddings
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.image.embedders.clip_embedder import MOST_CPUS, as_numpy
from nemo_curator.stages.image.filters.base import judged, with_embedding
from nemo_curator.stages.resources import gpus_or
from nemo_curator.tasks.image import ImageBatch, ImageObject


@dataclass
class ImageTextSimilarityFilterStage(ProcessingStage[ImageBatch, ImageBatch]):
    """Keep images whose caption is at least so similar to them.

    The score, `text_similarity`, is the cosine between the embedding that the image has and that of its caption by the
    same model; without a caption it is 0.0. The default is that of LAION-5B for English captions (Schuhmann et al.,
    2022), which used ViT-B/32: other models score in other ranges. With `score_only` all images stay. One without an
    embedding fails and is set aside.
    """

    model_dir: str | None = None
    num_gpus_per_worker: float = 0.25
    model_inference_batch_size: int = 32
    min_similarity: float = 0.28
    caption_field: str = "caption"
    score_only: bool = False
    name: str = "image_text_similarity_filter"
    model_id: str = CLIP_ID
    revision: str | None = None

    model: Any = field(default=None, init=False, repr=False, compare=False)

    score_field: ClassVar[str] = "text_similarity"

    is_row_wise = True
    requires = {"torch": "image", "transformers": "image"}

    def __post_init__(self) -> None:
        self.resources = gpus_or(self.num_gpus_per_worker, float(min(MOST_CPUS, os.cpu_count() or 1)))
        if self.model_inference_batch_size < 1:
            raise ValueError(f"model_inference_batch_size is {self.model_inference_batch_size}; wanted at least 1")

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def setup_on_node(self, node_info: Any = None, worker_metadata: Any = None) -> None:
        CLIPImageEmbeddings.download_weights_on_node(self.model_dir, self.model_id, self.revision)

    def setup(self, worker_metadata: Any = None) -> None:
        self.model = CLIPImageEmbeddings(self.model_dir, self.model_id, self.revision)

    def teardown(self) -> None:
        self.model = None

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
