"""Writers of documents."""

from nemo_curator.stages.text.io.writer.base import BaseWriter
from nemo_curator.stages.text.io.writer.huggingface import HuggingFaceWriter
from nemo_curator.stages.text.io.writer.jsonl import JsonlWriter
from nemo_curator.stages.text.io.writer.megatron_tokenizer import MegatronTokenizerWriter
from nemo_curator.stages.text.io.writer.parquet import ParquetWriter

__all__ = ["BaseWriter", "HuggingFaceWriter", "JsonlWriter", "MegatronTokenizerWriter", "ParquetWriter"]
