"""Tokenizers: loaded from a folder or a hub, and applied to many texts at once."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from nemo_curator.errors import InputError, need

_NO_ADVICE = "TRANSFORMERS_NO_ADVISORY_WARNINGS"
SENTENCE_LIMITS = "sentence_bert_config.json"
"""Where sentence-transformers keeps how many tokens its model takes, which may be less than its tokenizer's limit."""
CHARS_AT_ONCE = 1 << 20
"""What a fast tokenizer makes of a text takes thirty times its memory, until it has become numbers."""


def load_tokenizer(
    model_identifier: str,
    *,
    cache_dir: str | None = None,
    hf_token: str | None = None,
    may_download: bool = False,
    settings: dict[str, Any] | None = None,
) -> Any:
    """Load a tokenizer by transformers, from a local folder or by its name on the Hugging Face hub.

    Unless it may be downloaded, it has to be in the folder or in the cache.
    """
    refuse_missing_folder(model_identifier)
    try:
        return transformers().AutoTokenizer.from_pretrained(
            model_identifier,
            cache_dir=cache_dir,
            token=hf_token,
            local_files_only=not may_download,
            **(settings or {}),
        )
    except OSError as error:
        raise InputError(f"no tokenizer {model_identifier!r} can be had; a local folder will do: {error}") from error


def transformers() -> ModuleType:
    """Import transformers without its advice to install torch, which no tokenizer needs."""
    before = os.environ.get(_NO_ADVICE)
    os.environ[_NO_ADVICE] = "1"
    try:
        return need("transformers", extra="text")
    finally:
        if before is None:
            del os.environ[_NO_ADVICE]
        else:
            os.environ[_NO_ADVICE] = before


def read_model_file(model_identifier: str, name: str, **where: Any) -> Any:
    """What a JSON file says that belongs to a model, in its folder or in the cache; None where there is none.

    `where` are settings of transformers: `cache_dir`, `token`, `local_files_only`.
    """
    if Path(model_identifier).is_dir():
        path: Path | None = Path(model_identifier) / name
    else:
        found = transformers().utils.cached_file(
            model_identifier,
            name,
            **where,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        path = None if found is None else Path(found)
    return json.loads(path.read_text()) if path is not None and path.is_file() else None


class Encoder:
    """A tokenizer made ready for one purpose; the one it is made from stays as it is.

    With `special`, the special tokens of the model are added. With `max_length`, longer documents are cut to as many
    tokens. Nothing is padded.
    """

    def __init__(self, tokenizer: Any, *, special: bool = True, max_length: int | None = None):
        self._tokenizer, self._special, self._max_length = tokenizer, special, max_length
        self._backend = None
        if getattr(tokenizer, "is_fast", False):
            self._backend = copy.deepcopy(tokenizer.backend_tokenizer)
            self._backend.no_padding()
            self._backend.no_truncation()
            if max_length is not None:
                self._backend.enable_truncation(max_length, direction=tokenizer.truncation_side)

    def ids(self, texts: list[str], at_once: int = 1000) -> Iterator[list[int]]:
        """Yield the tokens of each text."""
        for run in _runs(texts, at_once):
            if self._backend is not None:
                for encoding in self._backend.encode_batch_fast(run, add_special_tokens=self._special):
                    yield encoding.ids
            else:
                yield from map(self._encode, run)

    def counts(self, texts: list[str]) -> list[int]:
        """Count the tokens of each text."""
        if self._backend is None:
            return [len(self._encode(text)) for text in texts]
        batches = (self._backend.encode_batch_fast(run, add_special_tokens=self._special) for run in _runs(texts, 1000))
        return [len(encoding) for batch in batches for encoding in batch]

    def _encode(self, text: str) -> list[int]:
        if not hasattr(self._tokenizer, "is_fast"):  # not of transformers: all it must have is `encode`
            return self._tokenizer.encode(text)
        cut = {} if self._max_length is None else {"truncation": True, "max_length": self._max_length}
        return self._tokenizer.encode(text, add_special_tokens=self._special, **cut)


def refuse_missing_folder(model_identifier: str) -> None:
    """Raise if what looks like a path leads to no folder."""
    # asked for a path that is not there, the hub's client tries for a minute to find a model of that name
    looks_like_path = model_identifier.startswith(("/", "./", "../", "~")) or model_identifier.count("/") > 1
    if looks_like_path and not Path(model_identifier).is_dir():
        raise InputError(f"there is no folder {model_identifier!r} to load a model from")


def _runs(texts: list[str], at_once: int) -> Iterator[list[str]]:
    run: list[str] = []
    chars = 0
    for text in texts:
        if run and (len(run) == at_once or chars + len(text) > CHARS_AT_ONCE):
            yield run
            run, chars = [], 0
        run.append(text)
        chars += len(text)
    if run:
        yield run
