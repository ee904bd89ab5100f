"""Embeddings of documents."""

from nemo_curator.stages.text.embedders.base import (
    EmbeddingCreatorStage,
    EmbeddingModelStage,
    SentenceTransformerEmbeddingModelStage,
)
from nemo_curator.stages.text.embedders.vllm import VLLMEmbeddingModelStage

__all__ = [
    "EmbeddingCreatorStage",
    "EmbeddingModelStage",
    "SentenceTransformerEmbeddingModelStage",
    "VLLMEmbeddingModelStage",
]
