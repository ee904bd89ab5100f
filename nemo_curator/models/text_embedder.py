"""Transformers that turn the tokens of texts into one vector for each, as sentence-transformers does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nemo_curator.errors import InputError, need
from nemo_curator.ledger import pulse
from nemo_curator.stages.text.models.encoder import (
    SENTENCE_LIMITS,
    read_model_file,
    refuse_missing_folder,
    transformers,
)

Pooling = Literal["mean_pooling", "last_token", "cls_token", "max_pooling"]

TOKENS_ON_CPU, TOKENS_ON_GPU = 2**14, 2**18
"""How many tokens, with what fills short texts up, go through a model at once."""

_POOLINGS = {
    "pooling_mode_mean_tokens": "mean_pooling",
    "pooling_mode_lasttoken": "last_token",
    "pooling_mode_cls_token": "cls_token",
    "pooling_mode_max_tokens": "max_pooling",
    "mean": "mean_pooling",
    "lasttoken": "last_token",
    "cls": "cls_token",
    "max": "max_pooling",
}
_OTHER_FORMATS = ["onnx/*", "openvino/*", "*.bin", "*.h5", "*.msgpack", "*.ot", "*.tflite"]
_KNOWN_PARTS = {"Transformer", "Pooling", "Normalize"}


@dataclass(frozen=True)
class Recipe:
    """What a folder of sentence-transformers says about how its model is used."""

    pooling: Pooling = "mean_pooling"
    normalize: bool = True
    max_length: int | None = None


class TextEmbedder:
    """A model on a GPU where there is one, else on the CPU, in single precision there.

    With `pooling` the vectors are scaled to length one; without, all is done as the folder of the model says, where it
    is one of sentence-transformers. With `autocast`, a GPU works in half precision.
    """

    def __init__(
        self,
        model_identifier: str,
        *,
        pooling: Pooling | None = None,
        cache_dir: str | None = None,
        hf_token: str | None = None,
        autocast: bool = True,
        batch_size: int = 1024,
        settings: dict[str, Any] | None = None,
    ):
        refuse_missing_folder(model_identifier)
        self._torch = need("torch", extra="semantic")
        where = {"cache_dir": cache_dir, "token": hf_token, "local_files_only": True}
        self.recipe = Recipe(pooling) if pooling else read_recipe(model_identifier, **where)
        self._device = "cuda" if self._torch.cuda.is_available() else "cpu"
        self._autocast = autocast and self._device == "cuda"
        self._batch_size = batch_size
        try:
            model = transformers().AutoModel.from_pretrained(model_identifier, **where, **(settings or {}))
        except (OSError, ValueError) as error:
            raise InputError(f"no model {model_identifier!r} can be had; a local folder will do: {error}") from error
        self._model = model.to(self._device).eval()

    def embed(self, tokens: Sequence[np.ndarray]) -> np.ndarray:
        """One vector for each sequence of tokens, none of which is empty. Best given in the order of their lengths."""
        vectors = []
        at = 0
        while at < len(tokens):
            stop = self._stop(tokens, at)
            pulse.beat()
            vectors.append(self._forward(tokens[at:stop]))
            at = stop
        return np.concatenate(vectors) if vectors else np.empty((0, self._model.config.hidden_size), np.float32)

    def _stop(self, tokens: Sequence[np.ndarray], at: int) -> int:
        most = TOKENS_ON_CPU if self._device == "cpu" else TOKENS_ON_GPU
        longest, stop = 0, at
        while stop < len(tokens) and stop - at < self._batch_size:
            longest = max(longest, len(tokens[stop]))
            if stop > at and longest * (stop - at + 1) > most:
                break
            stop += 1
        return stop

    def _forward(self, tokens: Sequence[np.ndarray]) -> np.ndarray:
        torch = self._torch
        longest = max(map(len, tokens))
        ids = np.zeros((len(tokens), longest), np.int64)
        mask = np.zeros((len(tokens), longest), np.int64)
        for row, one in enumerate(tokens):
            ids[row, : len(one)] = one
            mask[row, : len(one)] = 1
        with torch.inference_mode(), torch.autocast(self._device, enabled=self._autocast):
            given = torch.from_numpy(mask).to(self._device)
            states = self._model(
                input_ids=torch.from_numpy(ids).to(self._device), attention_mask=given
            ).last_hidden_state.float()
            pooled = self._pooled(states, given)
            if self.recipe.normalize:
                pooled = torch.nn.functional.normalize(pooled)
        return pooled.cpu().numpy()

    def _pooled(self, states: Any, mask: Any) -> Any:
        """One vector for each row; rows are filled up on the right."""
        if self.recipe.pooling == "cls_token":
            return states[:, 0]
        if self.recipe.pooling == "last_token":
            return states[self._torch.arange(len(states), device=states.device), mask.sum(1) - 1]
        there = mask[..., None].bool()
        if self.recipe.pooling == "max_pooling":
            return states.masked_fill(~there, float("-inf")).amax(1)
        return states.masked_fill(~there, 0.0).sum(1) / mask.sum(1, keepdim=True)


def fetch_model(model_identifier: str, cache_dir: str | None = None, hf_token: str | None = None) -> None:
    """Bring a model of the hub into the cache, once on a machine. A local folder is one already."""
    refuse_missing_folder(model_identifier)
    if not Path(model_identifier).is_dir():
        hub = need("huggingface_hub", extra="text")
        hub.snapshot_download(model_identifier, cache_dir=cache_dir, token=hf_token, ignore_patterns=_OTHER_FORMATS)


def read_recipe(model_identifier: str, **where: Any) -> Recipe:
    """How sentence-transformers would use a model; mean pooling and length one where the folder does not say."""
    modules = read_model_file(model_identifier, "modules.json", **where)
    if modules is None:
        return Recipe()
    kinds = {module["type"].rpartition(".")[2]: module.get("path", "") for module in modules}
    if unknown := sorted(kinds.keys() - _KNOWN_PARTS):
        raise InputError(
            f"{model_identifier} has {unknown} after its transformer, which nothing here computes; "
            f"wanted {sorted(_KNOWN_PARTS)}"
        )
    limits = read_model_file(model_identifier, SENTENCE_LIMITS, **where) or {}
    pooling = _pooling(model_identifier, kinds.get("Pooling", "1_Pooling"), where)
    return Recipe(pooling, "Normalize" in kinds, limits.get("max_seq_length"))


def _pooling(model_identifier: str, folder: str, where: dict[str, Any]) -> Pooling:
    config = read_model_file(model_identifier, f"{folder}/config.json", **where) or {"pooling_mode_mean_tokens": True}
    mode = config.get("pooling_mode")
    wanted = [mode] if mode else [key for key, value in config.items() if key.startswith("pooling_mode_") and value]
    if len(wanted) != 1 or wanted[0] not in _POOLINGS:
        raise InputError(f"{model_identifier} pools by {wanted}; wanted one of {sorted(_POOLINGS)}")
    return _POOLINGS[wanted[0]]  # type: ignore[return-value]
