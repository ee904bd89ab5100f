"""Filters that look at the pixels alone and need no model."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.image.filters.base import judged
from nemo_curator.stages.image.usable import with_pixels
from nemo_curator.tasks.image import ImageBatch, ImageObject

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""What red, green and blue weigh in how bright a pixel is (ITU-R BT.601)."""


@dataclass
class PixelFilterStage(ProcessingStage[ImageBatch, ImageBatch]):
    """Keep the images whose score, a number made of their pixels, is good enough.

    The score becomes an attribute of the images that stay, with `score_only` of all. An image without pixels fails and
    is set aside.
    """

    score_only: bool = field(default=False, kw_only=True)

    score_field: ClassVar[str]

    is_row_wise = True

    @abstractmethod
    def score_pixels(self, pixels: np.ndarray) -> float:
        """The score of an array of height, width and RGB in 8 bits."""

    @abstractmethod
    def keep_score(self, score: float) -> bool:
        """Whether a score is good enough."""

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def process(self, task: ImageBatch) -> ImageBatch:
        usable: list[ImageObject] = []
        scores: list[float] = []
        for image, pixels in with_pixels(task.data, task):
            usable.append(image)
            scores.append(self.score_pixels(pixels))
        keep = None if self.score_only else np.array([self.keep_score(score) for score in scores], bool)
        return judged(self.name, task.with_images(usable), self.score_field, scores, keep)


@dataclass
class ImageResolutionFilterStage(PixelFilterStage):
    """Keep images whose short side has at least `min_side` pixels. The score, `short_side`, is that length.

    The default is that of the basic filter of DataComp (Gadre et al., 2023).
    """

    min_side: int = 200
    name: str = "image_resolution_filter"

    score_field: ClassVar[str] = "short_side"

    def score_pixels(self, pixels: np.ndarray) -> int:
        return min(pixels.shape[:2])

    def keep_score(self, score: float) -> bool:
        return score >= self.min_side


@dataclass
class ImageAspectRatioFilterStage(PixelFilterStage):
    """Keep images whose long side is at most `max_aspect_ratio` times the short one.

    The score, `aspect_ratio`, is how many times, at least 1. The default is that of the basic filter of DataComp.
    """

    max_aspect_ratio: float = 3.0
    name: str = "image_aspect_ratio_filter"

    score_field: ClassVar[str] = "aspect_ratio"

    def score_pixels(self, pixels: np.ndarray) -> float:
        short, long = sorted(pixels.shape[:2])
        return long / short

    def keep_score(self, score: float) -> bool:
        return score <= self.max_aspect_ratio


@dataclass
class ImageBlurFilterStage(PixelFilterStage):
    """Keep images that are at least this sharp. The score, `sharpness`, is the variance of the Laplacian.

    It is taken of the grey levels of the pixels that have four neighbours (Pech-Pacheco et al., 2000), grows with
    the contrast, and falls when an image is enlarged. An image without such pixels scores 0.0.
    """

    min_sharpness: float = 100.0
    name: str = "image_blur_filter"

    score_field: ClassVar[str] = "sharpness"

    def score_pixels(self, pixels: np.ndarray) -> float:
        if min(pixels.shape[:2]) < 3:
            return 0.0
        gray = grey_levels(pixels)
        neighbours = gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:]
        return float((neighbours - 4 * gray[1:-1, 1:-1]).var(dtype=np.float64))

    def keep_score(self, score: float) -> bool:
        return score >= self.min_sharpness


@dataclass
class ImageEntropyFilterStage(PixelFilterStage):
    """Keep images that are not empty: plain areas, scanned blank pages, test cards.

    The score, `entropy`, is that of how often each of the 256 grey levels appears, 0 to 8 bits.
    """

    min_bits: float = 3.0
    name: str = "image_entropy_filter"

    score_field: ClassVar[str] = "entropy"

    def score_pixels(self, pixels: np.ndarray) -> float:
        levels = np.bincount(np.rint(grey_levels(pixels)).astype(np.uint8).reshape(-1), minlength=256)
        shares = levels[levels > 0] / levels.sum()
        return max(float(-(shares * np.log2(shares)).sum()), 0.0)

    def keep_score(self, score: float) -> bool:
        return score >= self.min_bits


def grey_levels(pixels: np.ndarray) -> np.ndarray:
    """How bright each pixel is, 0 to 255 in single precision."""
    return pixels @ _LUMA
