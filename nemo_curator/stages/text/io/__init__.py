"""Reading and writing documents."""

from nemo_curator.stages.text.io.reader import HuggingFaceReader, JsonlReader, ParquetReader
from nemo_curator.stages.text.io.writer import HuggingFaceWriter, JsonlWriter, ParquetWriter

__all__ = ["HuggingFaceReader", "HuggingFaceWriter", "JsonlReader", "JsonlWriter", "ParquetReader", "ParquetWriter"]
