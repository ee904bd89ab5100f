"""What the filters of images share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.image.embedders.clip_embedder import as_numpy
from nemo_curator.stages.image.usable import set_aside
from nemo_curator.stages.resources import gpus_or
from nemo_curator.tasks.image import ImageBatch, ImageObject


@dataclass
class BaseFilterStage(ProcessingStage[ImageBatch, ImageBatch]):
    """Keep the images whose score, made by a model from their embedding, is good enough.

    The score becomes an attribute of the images that stay, with `score_only` of all. An image without an embedding,
    or with one that the model does not take, fails and is set aside. A subclass makes the model and judges scores, or
    has `setup` and `process` of its own. `num_gpus_per_worker` counts where there is a GPU.
    """

    model_dir: str | None = None
    num_gpus_per_worker: float = 0.25
    model_inference_batch_size: int = 32
    score_threshold: float = 0.5
    verbose: bool = False
    name: str = "image_filter"
    score_only: bool = field(default=False, kw_only=True)

    model: Any = field(default=None, init=False, repr=False, compare=False)

    score_field: ClassVar[str] = "score"

    is_row_wise = True
    requires = {"torch": "image", "safetensors": "image"}

    def __post_init__(self) -> None:
        self.resources = gpus_or(self.num_gpus_per_worker, 1.0)
        if self.model_inference_batch_size < 1:
            raise ValueError(f"model_inference_batch_size is {self.model_inference_batch_size}; wanted at least 1")

    def make_model(self) -> Any:
        """A model with `setup` that makes an array of scores of an array of embeddings."""
        raise NotImplementedError(f"{type(self).__name__} defines neither make_model nor setup")

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        """Which scores are good enough."""
        raise NotImplementedError(f"{type(self).__name__} defines neither keep_scores nor process")

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def setup(self, worker_metadata: Any = None) -> None:
        self.model = self.make_model()
        self.model.setup()

    def teardown(self) -> None:
        self.model = None

    def process(self, task: ImageBatch) -> ImageBatch:
        usable = task.with_images(with_embedding(task, getattr(self.model, "dimensions", None)))
        scores = np.empty(0, np.float32)
        for images in self.yield_next_batch(usable):
            made = as_numpy(self.model(np.stack([np.asarray(image.embedding, np.float32) for image in images])))
            scores = np.concatenate([scores, made.reshape(len(images))])
        return judged(
            self.name, usable, self.score_field, scores, None if self.score_only else self.keep_scores(scores)
        )

    def yield_next_batch(self, task: ImageBatch) -> Iterator[list[ImageObject]]:
        """The images of a task, as many at a time as the model takes."""
        for start in range(0, len(task.data), self.model_inference_batch_size):
            yield task.data[start : start + self.model_inference_batch_size]


def judged(
    name: str, task: ImageBatch, score_field: str, scores: Sequence[Any] | np.ndarray, keep: np.ndarray | None
) -> ImageBatch:
    """A batch of the images that are kept, which get their scores; None keeps all."""
    plain = [score.item() if isinstance(score, np.generic) else score for score in scores]
    if keep is None:
        keep = np.ones(len(plain), bool)
    counts.filtered(name, task, keep, plain)
    for image, score, stays in zip(task.data, plain, keep, strict=True):
        if stays:
            setattr(image, score_field, score)
    return task.filter(keep)


def with_embedding(task: ImageBatch, dimensions: int | None) -> list[ImageObject]:
    """The images that can be scored; the others fail."""
    usable = []
    for image in task.data:
        if image.embedding is None:
            set_aside(image, "has no embedding: an ImageEmbeddingStage goes before the filter", task)
            continue
        vector = np.asarray(image.embedding)
        if vector.ndim != 1 or (dimensions is not None and len(vector) != dimensions):
            set_aside(image, f"has an embedding of shape {vector.shape}; the model takes {dimensions} numbers", task)
        elif not np.isfinite(vector).all():
            set_aside(image, "has an embedding that is not finite", task)
        else:
            usable.append(image)
    return usable
