"""Stages that work on images."""

from nemo_curator.stages.image.deduplication import ImageDuplicatesRemovalStage, ImageHashDeduplicationStage
from nemo_curator.stages.image.download import ImageDownloadStage
from nemo_curator.stages.image.embedders import ImageEmbeddingStage
from nemo_curator.stages.image.filters import (
    ImageAestheticFilterStage,
    ImageAspectRatioFilterStage,
    ImageBlurFilterStage,
    ImageEntropyFilterStage,
    ImageNSFWFilterStage,
    ImageResolutionFilterStage,
    ImageTextSimilarityFilterStage,
)
from nemo_curator.stages.image.io import ConvertImageBatchToDocumentBatchStage, ImageReaderStage, ImageWriterStage

__all__ = [
    "ConvertImageBatchToDocumentBatchStage",
    "ImageAestheticFilterStage",
    "ImageAspectRatioFilterStage",
    "ImageBlurFilterStage",
    "ImageDownloadStage",
    "ImageDuplicatesRemovalStage",
    "ImageEmbeddingStage",
    "ImageEntropyFilterStage",
    "ImageHashDeduplicationStage",
    "ImageNSFWFilterStage",
    "ImageReaderStage",
    "ImageResolutionFilterStage",
    "ImageTextSimilarityFilterStage",
    "ImageWriterStage",
]
