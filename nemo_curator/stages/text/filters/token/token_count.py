"""How many tokens a model makes of a document."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nemo_curator.stages.text.filters.doc_filter import DocumentFilter
from nemo_curator.stages.text.models.encoder import Encoder, load_tokenizer
from nemo_curator.tasks.text_column import TextColumn


@dataclass
class TokenCountFilter(DocumentFilter):
    """Keep documents with a number of tokens between two bounds, both included.

    The score is that number, with the special tokens of the model. Give a tokenizer, of transformers or any object
    with `encode`, or the name or folder of one for transformers to load.
    """

    tokenizer: Any = field(default=None, repr=False)
    hf_model_name: str | None = None
    hf_token: str | None = field(default=None, repr=False)
    min_tokens: int = 0
    max_tokens: float = math.inf
    transformers_init_kwargs: dict[str, Any] | None = None
    name: str = "token_count"

    _loaded_encoder: Encoder | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if (self.tokenizer is None) == (self.hf_model_name is None):
            raise ValueError("TokenCountFilter: give one of tokenizer and hf_model_name")
        self.requires = {} if self.hf_model_name is None else {"transformers": "text"}

    def model_check_or_download(self) -> None:
        if self.hf_model_name is not None:
            self._load(may_download=True)

    def load_tokenizer(self) -> None:
        self._encoder()

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return np.asarray(self._encoder().counts(texts.texts()), np.int64)

    def keep_scores(self, scores: Any) -> np.ndarray:
        counts = np.asarray(scores)
        return (self.min_tokens <= counts) & (counts <= self.max_tokens)

    def _encoder(self) -> Encoder:
        if self._loaded_encoder is None:
            tokenizer = self._load(may_download=False) if self.tokenizer is None else self.tokenizer
            self._loaded_encoder = Encoder(tokenizer)
        return self._loaded_encoder

    def _load(self, may_download: bool) -> Any:
        return load_tokenizer(
            str(self.hf_model_name),
            hf_token=self.hf_token,
            may_download=may_download,
            settings=self.transformers_init_kwargs,
        )
