"""Stages that work on images."""

from nemo_curator.stages.image.io import ConvertImageBatchToDocumentBatchStage, ImageReaderStage, ImageWriterStage

__all__ = ["ConvertImageBatchToDocumentBatchStage", "ImageReaderStage", "ImageWriterStage"]
