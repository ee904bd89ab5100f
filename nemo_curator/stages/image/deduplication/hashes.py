"""Deduplication of images by hashes: the same pixels, or nearly the same picture."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from nemo_curator.kernels.hamming import BITS, find_near_hashes
from nemo_curator.ledger import counts
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.image.deduplication.phash import perceptual_hash
from nemo_curator.stages.image.usable import PixelUse, with_pixels
from nemo_curator.tasks.image import ImageBatch


@dataclass
class ImageHashDeduplicationStage(CompositeStage[ImageBatch, ImageBatch]):
    """Drop images with the pixels of an earlier one, or whose perceptual hash differs from its in few bits.

    The first of those that are alike stays, in the order in which images come, and an image goes only if it is like
    one that stays. At most `max_distance` of 64 bits may differ; None compares the pixels alone. Hashes are made where
    the pixels are; then it waits for all of them.
    """

    max_distance: int | None = 4
    name: str = "image_hash_deduplication"

    def __post_init__(self) -> None:
        super().__init__()
        _check(self.max_distance)

    def decompose(self) -> list[ProcessingStage]:
        return [ImageHashStage(self.max_distance is not None), SimilarHashesRemovalStage(self.max_distance, self.name)]


@dataclass
class ImageHashStage(ProcessingStage[ImageBatch, ImageBatch]):
    """Give each image its `content_hash`, of height, width and pixels, and its `perceptual_hash` of 64 bits.

    One in which there is nothing to see has None for the latter. An image without pixels fails and is set aside.
    """

    is_perceptual: bool = True
    name: str = "image_hash"

    pixel_use: ClassVar[PixelUse] = "decodes"
    is_row_wise = True
    requires = {"PIL": "image"}

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def process(self, task: ImageBatch) -> ImageBatch:
        hashed = []
        for image, pixels in with_pixels(task.data, task):
            hashes = perceptual_hash(pixels) if self.is_perceptual else None
            vars(image).update(content_hash=content_hash(pixels), perceptual_hash=hashes)
            image.drop_pixels()
            hashed.append(image)
        return task.with_images(hashed)


@dataclass
class SimilarHashesRemovalStage(ProcessingStage[ImageBatch, ImageBatch]):
    """Drop images whose `content_hash`, or nearly whose `perceptual_hash`, an earlier one has that stays.

    It waits for all of them, and passes on the batches in their order, each without its duplicates.
    """

    max_distance: int | None = 4
    name: str = "image_hash_deduplication"

    is_barrier = True

    def __post_init__(self) -> None:
        _check(self.max_distance)

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def process(self, task: ImageBatch) -> ImageBatch:
        return self.process_batch([task])[0]

    def process_batch(self, tasks: list[ImageBatch]) -> list[ImageBatch]:
        keep = self._kept([image for task in tasks for image in task.data])
        starts = np.cumsum([0, *(len(task.data) for task in tasks)])
        made = []
        for task, part in zip(tasks, (keep[start:stop] for start, stop in pairwise(starts))):
            counts.filtered(self.name, task, part)
            made.append(task.filter(part))
        return made

    def _kept(self, images: list[Any]) -> np.ndarray:
        keep = np.ones(len(images), bool)
        seen: set[str] = set()
        for at, image in enumerate(images):
            keep[at] = image.content_hash not in seen
            seen.add(image.content_hash)
        if self.max_distance is not None:
            rows = np.array([at for at in np.flatnonzero(keep) if images[at].perceptual_hash is not None], np.int64)
            hashes = np.array([images[at].perceptual_hash for at in rows], np.uint64)
            keep[rows] = find_near_hashes(hashes, self.max_distance) < 0
        return keep


def content_hash(pixels: np.ndarray) -> str:
    """A hash of 128 bits of the height, the width and all pixels."""
    made = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    made.update(np.ascontiguousarray(pixels).data)
    return made.hexdigest()


def _check(max_distance: int | None) -> None:
    if max_distance is not None and not 0 <= max_distance < BITS:
        raise ValueError(f"max_distance is {max_distance}; wanted 0 to {BITS - 1} bits, or None")
