"""Reading and writing documents."""

from nemo_curator.stages.text.io.reader import JsonlReader, ParquetReader
from nemo_curator.stages.text.io.writer import JsonlWriter, ParquetWriter

__all__ = ["JsonlReader", "JsonlWriter", "ParquetReader", "ParquetWriter"]
