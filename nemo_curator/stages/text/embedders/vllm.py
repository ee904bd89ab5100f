"""Embeddings of documents by vLLM, or by the same model without it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from nemo_curator.errors import StageSetupError, need
from nemo_curator.models.text_embedder import TextEmbedder, fetch_model
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import one_gpu_or
from nemo_curator.stages.text.embedders.base import embedding_column
from nemo_curator.stages.text.models.encoder import Encoder, load_tokenizer
from nemo_curator.stages.text.models.tokenizer import TokenizerStage, format_name_with_suffix
from nemo_curator.tasks.document import DocumentBatch

logger = logging.getLogger(__name__)

_DEFAULTS = {"enforce_eager": False, "runner": "pooling", "model_impl": "vllm"}


@dataclass
class VLLMEmbeddingModelStage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Add the embedding of each document, computed by vLLM where it is installed and there is a GPU.

    Elsewhere transformers runs the same model, on a GPU or the CPU, as its folder says that sentence-transformers
    would; a message says so. Of a text the first `max_chars` characters count, and as many tokens as the model takes.
    With `metadata_fields`, only these columns and the embedding stay. A document without text has no embedding.
    `embedding_output_dtype` is float32 or float16.
    """

    model_identifier: str
    vllm_init_kwargs: dict[str, Any] | None = None
    text_field: str = "text"
    pretokenize: bool = True
    embedding_field: str = "embeddings"
    max_chars: int | None = None
    cache_dir: str | None = None
    hf_token: str | None = field(default=None, repr=False)
    verbose: bool = False
    metadata_fields: list[str] | None = field(default=None, kw_only=True)
    model_inference_batch_size: int = field(default=8192, kw_only=True)
    embedding_output_dtype: Literal["float32", "float16"] = field(default="float32", kw_only=True)

    _model: Any = field(default=None, init=False, repr=False, compare=False)

    requires = {"torch": "semantic", "transformers": "text"}

    def __post_init__(self) -> None:
        self.name = format_name_with_suffix(self.model_identifier, "_vllm")
        self.resources = one_gpu_or(1.0)
        if self.embedding_output_dtype not in ("float32", "float16"):
            raise ValueError(f"embedding_output_dtype is {self.embedding_output_dtype!r}; wanted float32 or float16")

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [self.text_field, *(self.metadata_fields or [])]

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [*(self.metadata_fields or []), self.embedding_field]

    def setup_on_node(self, node_info: Any = None, worker_metadata: Any = None) -> None:
        fetch_model(self.model_identifier, self.cache_dir, self.hf_token)

    def setup(self, worker_metadata: Any = None) -> None:
        self._model = self._by_vllm() if uses_vllm() else self._by_transformers()

    def teardown(self) -> None:
        self._model = None

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        if self._model is None:
            raise StageSetupError(f"{self.name}: call setup before process")
        texts = batch.text(self.text_field)
        is_null = np.asarray(texts.array.is_null())
        chosen = [text[: self.max_chars] for text, missing in zip(texts.texts(), is_null) if not missing]
        vectors, rows = self._model.embed_texts(chosen)
        self._log_metrics(self._model.metrics)
        places = np.flatnonzero(~is_null)[rows]
        column = embedding_column(vectors, places, batch.num_items)
        if self.embedding_output_dtype == "float16":
            column = column.cast(pa.list_(pa.float16()))
        kept = batch if self.metadata_fields is None else batch.select(self.metadata_fields)
        return kept.with_column(self.embedding_field, column)

    def _by_vllm(self) -> OnVllm:
        vllm = need("vllm", extra="vllm")
        settings = {**_DEFAULTS, "disable_log_stats": not self.verbose, **(self.vllm_init_kwargs or {})}
        settings |= {} if self.cache_dir is None else {"download_dir": self.cache_dir}
        model = vllm.LLM(model=self.model_identifier, **settings)
        if not self.pretokenize:
            return OnVllm(vllm, model, None)
        tokenizer = load_tokenizer(self.model_identifier, cache_dir=self.cache_dir, hf_token=self.hf_token)
        return OnVllm(vllm, model, Encoder(tokenizer))

    def _by_transformers(self) -> OnTransformers:
        missing = "vllm is not installed" if find_spec("vllm") is None else "there is no GPU for vllm"
        logger.warning("%s: %s, so transformers runs the model", self.name, missing)
        embedder = TextEmbedder(
            self.model_identifier,
            cache_dir=self.cache_dir,
            hf_token=self.hf_token,
            batch_size=self.model_inference_batch_size,
        )
        tokenizer = TokenizerStage(self.model_identifier, self.cache_dir, self.hf_token)
        tokenizer.setup()
        assert tokenizer._encoder is not None
        return OnTransformers(embedder, tokenizer._encoder)


def uses_vllm() -> bool:
    """Whether vLLM can run here."""
    return find_spec("vllm") is not None and need("torch", extra="semantic").cuda.is_available()


class OnTransformers:
    """Texts to vectors by a model of transformers."""

    def __init__(self, embedder: TextEmbedder, encoder: Encoder):
        self._embedder, self._encoder = embedder, encoder
        self.metrics: dict[str, float] = {}

    def embed_texts(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """The vectors, and which text each belongs to: one without tokens has none."""
        start = time.perf_counter()
        tokens = [np.asarray(ids, np.int64) for ids in self._encoder.ids(texts)]
        lengths = np.array([len(ids) for ids in tokens], np.int64)
        order = np.argsort(lengths, kind="stable")
        order = order[lengths[order] > 0]
        middle = time.perf_counter()
        vectors = self._embedder.embed([tokens[at] for at in order])
        self.metrics = {
            "tokenization_time": middle - start,
            "vllm_embedding_time": time.perf_counter() - middle,
            "input_tokens": float(lengths.sum()),
        }
        back = np.argsort(order)
        return vectors[back], order[back]


class OnVllm:
    """Texts to vectors by vLLM."""

    def __init__(self, vllm: Any, model: Any, encoder: Encoder | None):
        self._vllm, self._model, self._encoder = vllm, model, encoder
        self.metrics: dict[str, float] = {}

    def embed_texts(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """The vectors, and which text each belongs to: one without tokens has none."""
        start = time.perf_counter()
        rows = np.arange(len(texts))
        prompts: list[Any] = texts
        if self._encoder is not None:
            longest = self._model.llm_engine.model_config.max_model_len
            tokens = [ids[:longest] for ids in self._encoder.ids(texts)]
            rows = np.array([row for row, ids in enumerate(tokens) if ids], np.int64)
            prompts = [self._vllm.TokensPrompt(prompt_token_ids=tokens[row]) for row in rows]
        middle = time.perf_counter()
        outputs = self._model.embed(prompts, truncate_prompt_tokens=-1, use_tqdm=False) if prompts else []
        self.metrics = {
            "tokenization_time": middle - start,
            "vllm_embedding_time": time.perf_counter() - middle,
            "input_tokens": float(sum(len(one.prompt_token_ids) for one in outputs)),
        }
        vectors = np.array([one.outputs.embedding for one in outputs], np.float32)
        return vectors.reshape(len(rows), -1), rows
