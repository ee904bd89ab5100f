"""Readers of documents."""

from nemo_curator.stages.text.io.reader.base import BaseFileReader, BaseReader, ReaderOutput
from nemo_curator.stages.text.io.reader.huggingface import HuggingFaceReader, HuggingFaceReaderStage
from nemo_curator.stages.text.io.reader.jsonl import JsonlReader, JsonlReaderStage
from nemo_curator.stages.text.io.reader.parquet import ParquetReader, ParquetReaderStage

__all__ = [
    "BaseFileReader",
    "BaseReader",
    "HuggingFaceReader",
    "HuggingFaceReaderStage",
    "JsonlReader",
    "JsonlReaderStage",
    "ParquetReader",
    "ParquetReaderStage",
    "ReaderOutput",
]
