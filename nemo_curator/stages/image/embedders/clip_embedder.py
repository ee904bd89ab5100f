"""Embeddings of images by CLIP."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nemo_curator.models.clip import CLIP_ID, CLIPImageEmbeddings
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.image.usable import set_aside, with_pixels
from nemo_curator.stages.resources import gpus_or
from nemo_curator.tasks.image import ImageBatch, ImageObject

MOST_CPUS = 4
"""For one worker without a GPU: it holds a model of a gigabyte, and matrices this large keep several CPUs busy."""


@dataclass
class ImageEmbeddingStage(ProcessingStage[ImageBatch, ImageBatch]):
    """Give each image its CLIP embedding: a vector of length one in single precision, with 768 numbers by default.

    The model is CLIP ViT-L/14 in `model_dir`, as `CLIPImageEmbeddings` finds it, or another CLIP or SigLIP that
    `model_id` names. An image that cannot be decoded to height, width and RGB in 8 bits fails and is set aside. With
    `remove_image_data` the image goes when it has been used, its bytes and its pixels. `num_gpus_per_worker` counts
    where there is a GPU; else a worker takes up to four CPUs. `verbose` changes nothing: the account of the run says
    it all.
    """

    model_dir: str | None = None
    num_gpus_per_worker: float = 0.25
    model_inference_batch_size: int = 32
    verbose: bool = False
    remove_image_data: bool = False
    name: str = "image_embedding"
    model_id: str = CLIP_ID
    revision: str | None = None

    model: Any = field(default=None, init=False, repr=False, compare=False)

    is_row_wise = True
    requires = {"torch": "image", "transformers": "image", "PIL": "image"}

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
        self.model.setup()

    def teardown(self) -> None:
        self.model = None

    def process(self, task: ImageBatch) -> ImageBatch:
        embedded: list[ImageObject] = []
        for start in range(0, len(task.data), self.model_inference_batch_size):
            embedded += self._embedded(task.data[start : start + self.model_inference_batch_size], task)
        task.data = embedded
        return task

    def _embedded(self, images: list[ImageObject], task: ImageBatch) -> list[ImageObject]:
        """Those of some images that have an embedding now."""
        usable = list(with_pixels(images, task))
        if not usable:
            return []
        vectors = as_numpy(self.model([pixels for _, pixels in usable]))
        embedded = []
        for (image, _), vector in zip(usable, vectors, strict=True):
            if not np.isfinite(vector).all():
                set_aside(image, "has an embedding that is not finite", task)
                continue
            image.embedding = vector
            image.drop_pixels()
            if self.remove_image_data:
                image.image_data = None
            embedded.append(image)
        return embedded


def as_numpy(values: Any) -> np.ndarray:
    """What a model returned, in single precision in the memory of the CPU."""
    values = values.detach().cpu() if hasattr(values, "detach") else values
    return np.asarray(values, dtype=np.float32)
