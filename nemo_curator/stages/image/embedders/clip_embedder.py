"""Embeddings of images by CLIP."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from nemo_curator.errors import StageSetupError
from nemo_curator.stages.image.clip_stage import ClipStage
from nemo_curator.stages.image.usable import PixelUse, set_aside, usable_pixels
from nemo_curator.tasks.image import ImageBatch, ImageObject


@dataclass
class ImageEmbeddingStage(ClipStage):
    """Give each image its CLIP embedding: a vector of length one in single precision, with 768 numbers by default.

    The model is CLIP ViT-L/14 in `model_dir`, as `CLIPImageEmbeddings` finds it, or another CLIP or SigLIP that
    `model_id` names. Images are decoded and scaled in threads, while the model is at those before. A JPEG is decoded
    to no more than it takes for the same embedding up to its fifth digit; with `full_decode` to all its pixels. An
    image that cannot be decoded to height, width and RGB in 8 bits fails and is set aside. With `remove_image_data`
    the image goes when it has been used, its bytes and its pixels. `num_gpus_per_worker` counts where there is a GPU;
    else a worker takes up to four CPUs. `verbose` changes nothing: the account of the run says it all.
    """

    verbose: bool = False
    remove_image_data: bool = False
    name: str = "image_embedding"
    full_decode: bool = field(default=False, kw_only=True)

    pixel_use: ClassVar[PixelUse] = "decodes"

    def setup(self, worker_metadata: Any = None) -> None:
        super().setup()
        self.model.setup()

    def process(self, task: ImageBatch) -> ImageBatch:
        if self.model is None:
            raise StageSetupError(f"{self.name}: call setup before process")
        embedded: list[ImageObject] = []
        for images, prepared in self._prepared(task.data):
            embedded += self._embedded(images, prepared, task)
        if self.remove_image_data:  # now that none of them will be asked for again because another has failed
            for image in embedded:
                image.image_data = None
        task.data = embedded
        return task

    def _prepared(self, images: list[ImageObject]) -> Iterator[tuple[list[ImageObject], list[np.ndarray | str]]]:
        """As many images as the model takes with its input, or what is wrong with one, while the next are prepared."""
        size = self.model_inference_batch_size
        groups = [images[start : start + size] for start in range(0, len(images), size)]
        with ThreadPoolExecutor(self.model.threads, thread_name_prefix="prepare") as pool:
            ahead = pool.map(self._prepare, groups[0]) if groups else iter(())
            for group, following in zip(groups, [*groups[1:], []]):
                prepared = list(ahead)
                ahead = pool.map(self._prepare, following)
                yield group, prepared

    def _prepare(self, image: ImageObject) -> np.ndarray | str:
        pixels = usable_pixels(image, None if self.full_decode else self.model.decode_size)
        return pixels if isinstance(pixels, str) else self.model.prepare(pixels)

    def _embedded(
        self, images: list[ImageObject], prepared: list[np.ndarray | str], task: ImageBatch
    ) -> list[ImageObject]:
        """Those of some images that have an embedding now."""
        usable = []
        for image, made in zip(images, prepared, strict=True):
            if isinstance(made, str):
                set_aside(image, made, task)
            else:
                usable.append((image, made))
        if not usable:
            return []
        vectors = as_numpy(self.model.embed([made for _, made in usable]))
        embedded = []
        for (image, _), vector in zip(usable, vectors, strict=True):
            if not np.isfinite(vector).all():
                set_aside(image, "has an embedding that is not finite", task)
                continue
            image.embedding = vector
            image.drop_pixels()
            embedded.append(image)
        return embedded


def as_numpy(values: Any) -> np.ndarray:
    """What a model returned, in single precision in the memory of the CPU."""
    values = values.detach().cpu() if hasattr(values, "detach") else values
    return np.asarray(values, dtype=np.float32)
