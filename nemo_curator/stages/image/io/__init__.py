"""Reading and writing images."""

from nemo_curator.stages.image.io.convert import ConvertImageBatchToDocumentBatchStage
from nemo_curator.stages.image.io.image_reader import ImageReaderStage
from nemo_curator.stages.image.io.image_writer import ImageWriterStage

__all__ = ["ConvertImageBatchToDocumentBatchStage", "ImageReaderStage", "ImageWriterStage"]
