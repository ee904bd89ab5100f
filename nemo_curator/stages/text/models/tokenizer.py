"""The stage that turns text into tokens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from nemo_curator.errors import StageSetupError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.models.encoder import (
    SENTENCE_LIMITS,
    Encoder,
    load_tokenizer,
    read_model_file,
    transformers,
)
from nemo_curator.tasks.document import DocumentBatch

INPUT_IDS, ATTENTION_MASK, SEQ_ORDER = "input_ids", "attention_mask", "_curator_seq_order"
_UNBOUNDED = 100_000
"""Tokenizers that know no limit give a huge one."""


def format_name_with_suffix(model_identifier: str, suffix: str = "_classifier") -> str:
    """Name a stage after its model: `org/My-Model` and `_tokenizer` become `my_model_tokenizer`."""
    return model_identifier.rstrip("/").rpartition("/")[2].replace("-", "_").lower() + suffix


@dataclass
class TokenizerStage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Add the tokens of each document; the text stays whole.

    Adds `input_ids` and `attention_mask`, lists that are as long as the document has tokens and no longer: a model
    pads the rows it takes at once. Tokens beyond `max_seq_length`, by default what the model takes, are cut off; of a
    text, only the first `max_chars` characters are looked at. With `sort_by_length`, rows are ordered by their number
    of tokens, so that little is padded, and `_curator_seq_order` tells where each was.
    """

    model_identifier: str
    cache_dir: str | None = None
    hf_token: str | None = field(default=None, repr=False)
    text_field: str = "text"
    max_chars: int | None = None
    max_seq_length: int | None = None
    padding_side: str = "right"
    sort_by_length: bool = True
    unk_token: bool = False
    transformers_init_kwargs: dict[str, Any] | None = None

    _encoder: Encoder | None = field(default=None, init=False, repr=False, compare=False)

    requires = {"transformers": "text"}

    def __post_init__(self) -> None:
        self.name = format_name_with_suffix(self.model_identifier, "_tokenizer")

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [self.text_field]

    def outputs(self) -> tuple[list[str], list[str]]:
        order = [SEQ_ORDER] if self.sort_by_length else []
        return ["data"], [self.text_field, INPUT_IDS, ATTENTION_MASK, *order]

    def setup_on_node(self, node_info: Any = None, worker_metadata: Any = None) -> None:
        self._load(may_download=True)

    def setup(self, worker_metadata: Any = None) -> None:
        tokenizer = self._load(may_download=False)
        if self.unk_token:
            tokenizer.pad_token = tokenizer.unk_token
        longest = self._longest(tokenizer) if self.max_seq_length is None else self.max_seq_length
        self._encoder = Encoder(tokenizer, max_length=longest)

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        if self._encoder is None:
            raise StageSetupError(f"{self.name}: call setup before process")
        texts = [text[: self.max_chars] for text in batch.text(self.text_field).texts()]
        tokens = ragged(self._encoder.ids(texts))
        ones = pa.LargeListArray.from_arrays(tokens.offsets, pa.array(np.ones(len(tokens.values), np.int8)))
        batch = batch.with_column(INPUT_IDS, tokens).with_column(ATTENTION_MASK, ones)
        if not self.sort_by_length:
            return batch
        order = np.argsort(np.diff(tokens.offsets), kind="stable")
        return batch.take(order).with_column(SEQ_ORDER, order)

    def _load(self, may_download: bool) -> Any:
        settings = {"padding_side": self.padding_side, **(self.transformers_init_kwargs or {})}
        return load_tokenizer(
            self.model_identifier,
            cache_dir=self.cache_dir,
            hf_token=self.hf_token,
            may_download=may_download,
            settings=settings,
        )

    def _longest(self, tokenizer: Any) -> int | None:
        where = {"cache_dir": self.cache_dir, "token": self.hf_token, "local_files_only": True}
        limits = read_model_file(self.model_identifier, SENTENCE_LIMITS, **where) or {}
        if limits.get("max_seq_length"):
            return limits["max_seq_length"]
        if tokenizer.model_max_length <= _UNBOUNDED:
            return tokenizer.model_max_length
        try:
            config = transformers().AutoConfig.from_pretrained(
                self.model_identifier, cache_dir=self.cache_dir, token=self.hf_token, local_files_only=True
            )
        except (OSError, ValueError):  # a folder with a tokenizer and nothing else has no limit
            return None
        return getattr(config, "max_position_embeddings", None)


def ragged(lists: Iterable[list[int]]) -> pa.LargeListArray:
    """Put lists of tokens behind each other in one array."""
    lengths, values = [0], [np.zeros(0, np.int32)]
    for one in lists:
        lengths.append(len(one))
        values.append(np.asarray(one, np.int32))
    return pa.LargeListArray.from_arrays(np.cumsum(lengths, dtype=np.int64), pa.array(np.concatenate(values)))
