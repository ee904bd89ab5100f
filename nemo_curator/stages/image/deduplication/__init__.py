"""Deduplication of images: by ids, by pixels and by perceptual hashes."""

from nemo_curator.stages.image.deduplication.hashes import (
    ImageHashDeduplicationStage,
    ImageHashStage,
    SimilarHashesRemovalStage,
)
from nemo_curator.stages.image.deduplication.phash import perceptual_hash
from nemo_curator.stages.image.deduplication.removal import ImageDuplicatesRemovalStage

__all__ = [
    "ImageDuplicatesRemovalStage",
    "ImageHashDeduplicationStage",
    "ImageHashStage",
    "SimilarHashesRemovalStage",
    "perceptual_hash",
]
