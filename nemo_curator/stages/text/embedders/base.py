"""Embeddings of documents by a transformer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from nemo_curator.errors import StageSetupError
from nemo_curator.models.text_embedder import TextEmbedder, fetch_model
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.resources import Resources, one_gpu_or
from nemo_curator.stages.text.models.tokenizer import (
    ATTENTION_MASK,
    INPUT_IDS,
    SEQ_ORDER,
    TokenizerStage,
    format_name_with_suffix,
)
from nemo_curator.tasks.document import DocumentBatch

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


@dataclass(kw_only=True)
class EmbeddingCreatorStage(CompositeStage[DocumentBatch, DocumentBatch]):
    """Add the embedding of each document, as a list of single-precision numbers of length one.

    The model is a folder, or a name on the Hugging Face hub that is in the cache. With `use_sentence_transformer`, the
    folder says how tokens become one vector, and whether that has length one; else `embedding_pooling` does. Of a text
    the first `max_seq_length` tokens count, by default as many as the model takes. A document without text has no
    embedding. It needs torch, and uses a GPU where there is one.
    """

    model_identifier: str = MINILM
    use_sentence_transformer: bool = True
    text_field: str = "text"
    embedding_field: str = "embeddings"
    cache_dir: str | None = None
    max_chars: int | None = None
    max_seq_length: int | None = None
    padding_side: Literal["left", "right"] = "right"
    embedding_pooling: Literal["mean_pooling", "last_token"] = "mean_pooling"
    model_inference_batch_size: int = 1024
    autocast: bool = True
    sort_by_length: bool = True
    hf_token: str | None = field(default=None, repr=False)
    transformers_init_kwargs: dict[str, Any] | None = None
    name: str = "EmbeddingCreatorStage"

    def __post_init__(self) -> None:
        super().__init__()
        if self.embedding_pooling not in ("mean_pooling", "last_token"):
            raise ValueError(f"embedding_pooling is {self.embedding_pooling!r}; wanted mean_pooling or last_token")

    def decompose(self) -> list[ProcessingStage]:
        tokenizer = TokenizerStage(
            self.model_identifier,
            self.cache_dir,
            self.hf_token,
            self.text_field,
            self.max_chars,
            self.max_seq_length,
            self.padding_side,
            self.sort_by_length,
        )
        shared: dict[str, Any] = {
            "model_identifier": self.model_identifier,
            "embedding_field": self.embedding_field,
            "cache_dir": self.cache_dir,
            "hf_token": self.hf_token,
            "model_inference_batch_size": self.model_inference_batch_size,
            "has_seq_order": self.sort_by_length,
            "autocast": self.autocast,
            "transformers_init_kwargs": self.transformers_init_kwargs,
            "text_field": self.text_field,
        }
        if self.use_sentence_transformer:
            return [tokenizer, SentenceTransformerEmbeddingModelStage(**shared)]
        return [tokenizer, EmbeddingModelStage(**shared, pooling=self.embedding_pooling)]


@dataclass
class EmbeddingModelStage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Turn tokens into embeddings of length one, by mean or last-token pooling; the tokens go.

    Rows that were ordered by their length get their places back. A row without tokens, or without a text, has no
    embedding.
    """

    model_identifier: str
    embedding_field: str = "embeddings"
    pooling: Literal["mean_pooling", "last_token"] | None = "mean_pooling"
    hf_token: str | None = field(default=None, repr=False)
    model_inference_batch_size: int = 1024
    has_seq_order: bool = True
    padding_side: Literal["left", "right"] = "right"
    autocast: bool = True
    cache_dir: str | None = None
    transformers_init_kwargs: dict[str, Any] | None = None
    text_field: str | None = None

    _embedder: TextEmbedder | None = field(default=None, init=False, repr=False, compare=False)

    requires = {"torch": "semantic", "transformers": "text"}

    def __post_init__(self) -> None:
        self.name = format_name_with_suffix(self.model_identifier, "_model")
        self.resources: Resources = one_gpu_or(1.0)

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [INPUT_IDS, ATTENTION_MASK, *([SEQ_ORDER] if self.has_seq_order else [])]

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [self.embedding_field]

    def setup_on_node(self, node_info: Any = None, worker_metadata: Any = None) -> None:
        fetch_model(self.model_identifier, self.cache_dir, self.hf_token)

    def setup(self, worker_metadata: Any = None) -> None:
        self._embedder = TextEmbedder(
            self.model_identifier,
            pooling=self.pooling,
            cache_dir=self.cache_dir,
            hf_token=self.hf_token,
            autocast=self.autocast,
            batch_size=self.model_inference_batch_size,
            settings=self.transformers_init_kwargs,
        )

    def teardown(self) -> None:
        self._embedder = None

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        if self._embedder is None:
            raise StageSetupError(f"{self.name}: call setup before process")
        table = batch.to_pyarrow()
        lists = table[INPUT_IDS].combine_chunks()
        offsets, values = lists.offsets.to_numpy(), lists.values.to_numpy()
        is_there = np.diff(offsets) > 0
        if self.text_field is not None and self.text_field in table.column_names:
            is_there &= table[self.text_field].is_valid().to_numpy()
        rows = np.flatnonzero(is_there)
        tokens = [values[offsets[row] : offsets[row + 1]] for row in rows]
        vectors = self._embedder.embed(tokens)
        batch = batch.with_column(self.embedding_field, embedding_column(vectors, rows, len(table)))
        if self.has_seq_order:
            batch = batch.take(np.argsort(table[SEQ_ORDER].to_numpy()))
        return batch.select([name for name in batch.get_columns() if name not in self.inputs()[1]])


@dataclass
class SentenceTransformerEmbeddingModelStage(EmbeddingModelStage):
    """Turn tokens into embeddings as the folder of a sentence-transformers model says; the tokens go."""

    pooling: None = None


def embedding_column(vectors: np.ndarray, rows: np.ndarray, total: int) -> pa.ListArray:
    """A column of lists, null where a row has no vector."""
    lengths = np.zeros(total, np.int64)
    lengths[rows] = vectors.shape[1]
    missing = np.ones(total, bool)
    missing[rows] = False
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array(vectors.reshape(-1)), mask=pa.array(missing))
