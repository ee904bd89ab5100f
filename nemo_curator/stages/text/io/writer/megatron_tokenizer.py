"""Tokens for Megatron."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nemo_curator.errors import StageSetupError
from nemo_curator.ledger import counts
from nemo_curator.stages.text.io.writer.base import BaseWriter, absolute, file_name
from nemo_curator.stages.text.io.writer.megatron_index import appearing_as_pair, index_pieces, token_type
from nemo_curator.stages.text.models.encoder import Encoder, load_tokenizer
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_utils import check_disallowed_kwargs

logger = logging.getLogger(__name__)


@dataclass
class MegatronTokenizerWriter(BaseWriter):
    """Write the tokens of each batch to a pair of files that Megatron trains from: `.bin` and `.idx`.

    A row is a document and has no special tokens; with `append_eod` each is followed by the tokenizer's end of
    sequence. Tokens take 16 bits where the vocabulary, with the tokens added to it, allows, else 32. The index appears
    last. `model_identifier` is a local folder or a name on the Hugging Face hub; `tokenization_batch_size` documents
    are in memory as tokens.
    """

    file_extension: list[str] = field(default_factory=lambda: [".bin", ".idx"])  # type: ignore[assignment]
    fields: list[str] | None = field(default=None, init=False, repr=False)
    name: str = "megatron_tokenizer_writer"
    model_identifier: str | None = None
    cache_dir: str | None = None
    hf_token: str | None = field(default=None, repr=False)
    text_field: str = "text"
    tokenization_batch_size: int = 1000
    append_eod: bool = False
    transformers_init_kwargs: dict[str, Any] = field(default_factory=dict)
    _loaded: tuple[Encoder, np.dtype, int | None] | None = field(default=None, init=False, repr=False, compare=False)

    requires = {"transformers": "text"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model_identifier is None:
            raise ValueError("MegatronTokenizerWriter: model_identifier is missing; give a tokenizer's folder or name")
        check_disallowed_kwargs(self.transformers_init_kwargs, ["cache_dir", "token", "local_files_only"])

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [self.text_field]

    def setup_on_node(self, node_info: Any = None, worker_metadata: Any = None) -> None:
        self._load(may_download=True)

    def setup(self, worker_metadata: Any = None) -> None:
        tokenizer = self._load(may_download=False)
        end = tokenizer.eos_token_id if self.append_eod else None
        if self.append_eod and end is None:
            logger.warning("%s: the tokenizer has no end of sequence, so none is appended", self.name)
        # the size of a vocabulary leaves out tokens that were added to it
        self._loaded = Encoder(tokenizer, special=False), token_type(max(tokenizer.vocab_size, len(tokenizer))), end

    def process(self, task: DocumentBatch) -> FileGroupTask:
        if self._loaded is None:
            raise StageSetupError(f"{self.name}: call setup before process")
        _, dtype, end = self._loaded
        prefix = f"{self._folder or absolute(self.path)}/{file_name(task)}{self._run}"
        lengths: list[int] = []
        with appearing_as_pair(prefix, self.write_kwargs.get("storage_options")) as places:
            self.put(places[0], self._pieces(task, lengths))
            self.put(places[1], index_pieces(dtype, np.asarray(lengths, np.int32)))
            sizes = [0 if is_remote_url(place) else Path(place).stat().st_size for place in places]
        counts.written(task.num_items, sum(sizes))
        metadata = {
            **task._metadata,
            "format": "megatron",
            "file_prefix": prefix,
            "num_rows": task.num_items,
            "num_tokens": sum(lengths),
            "token_size": dtype.itemsize,
            "eod_token_id": end,
        }
        paths = [f"{prefix}.bin", f"{prefix}.idx"]
        return FileGroupTask(dataset_name=task.dataset_name, data=paths, _metadata=metadata)

    def write_data(self, task: DocumentBatch, file_path: str) -> None:
        """Write the tokens alone."""
        self.put(file_path, self._pieces(task, []))

    def _pieces(self, task: DocumentBatch, lengths: list[int]) -> Iterator[bytes]:
        """The tokens of each document; `lengths` is told how many there are."""
        encoder, dtype, end = self._loaded  # type: ignore[misc]
        tail = [] if end is None else [end]
        texts = task.text(self.text_field).texts() if task.num_items else []
        for ids in encoder.ids(texts, self.tokenization_batch_size):
            lengths.append(len(ids) + len(tail))
            yield np.asarray(ids + tail, dtype).tobytes()

    def _load(self, may_download: bool) -> Any:
        return load_tokenizer(
            str(self.model_identifier),
            cache_dir=self.cache_dir,
            hf_token=self.hf_token,
            may_download=may_download,
            settings=self.transformers_init_kwargs,
        )
