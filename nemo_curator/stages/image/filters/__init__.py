"""Filters of images: by scores of models, and by the pixels alone."""

from nemo_curator.stages.image.filters.aesthetic_filter import ImageAestheticFilterStage
from nemo_curator.stages.image.filters.base import BaseFilterStage
from nemo_curator.stages.image.filters.nsfw_filter import ImageNSFWFilterStage
from nemo_curator.stages.image.filters.pixel_filters import (
    ImageAspectRatioFilterStage,
    ImageBlurFilterStage,
    ImageEntropyFilterStage,
    ImageResolutionFilterStage,
    PixelFilterStage,
)
from nemo_curator.stages.image.filters.text_similarity import ImageTextSimilarityFilterStage

__all__ = [
    "BaseFilterStage",
    "ImageAestheticFilterStage",
    "ImageAspectRatioFilterStage",
    "ImageBlurFilterStage",
    "ImageEntropyFilterStage",
    "ImageNSFWFilterStage",
    "ImageResolutionFilterStage",
    "ImageTextSimilarityFilterStage",
    "PixelFilterStage",
]
