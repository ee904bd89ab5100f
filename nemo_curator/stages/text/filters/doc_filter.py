"""What a filter is: a score for a text, and which scores are kept."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from nemo_curator.stages.text.pairs import derive
from nemo_curator.tasks.text_column import TextColumn

Scores: TypeAlias = Any
"""Scores of a column, in order: a numpy array or a list."""


class DocumentFilter:
    """Scores documents and decides which to keep.

    Define `score_document` (one text) or `score_texts` (a column), and `keep_document` (one score) or `keep_scores`
    (all of them); the other of each pair follows. A null text is scored like the empty text. A filter that needs a
    model may define `model_check_or_download` (once on each machine), `load_model` and `load_tokenizer` (once on each
    worker); what these keep in attributes that begin with `_loaded` stays in its process.
    """

    requires: dict[str, str] = {}
    """Optional modules that the filter imports, each with the extra that installs it."""

    def __init__(self) -> None:
        self._name = type(self).__name__

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        derive(cls, "score_document", "score_texts", _score_one, _score_each)
        derive(cls, "keep_document", "keep_scores", _keep_one, _keep_each)
        own = cls.__dict__
        if "keep_texts" not in own and ("keep_document" in own or "keep_scores" in own):
            cls.keep_texts = DocumentFilter.keep_texts  # type: ignore[method-assign]

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if not key.startswith("_loaded")}

    @property
    def name(self) -> str:
        return self.__dict__.get("_name", type(self).__name__)

    def score_document(self, text: str) -> Any:
        """Score one text."""
        raise TypeError(f"{type(self).__name__} defines neither score_document nor score_texts")

    def score_texts(self, texts: TextColumn) -> Scores:
        """Score every text of a column, in order."""
        raise TypeError(f"{type(self).__name__} defines neither score_document nor score_texts")

    def keep_document(self, score: Any) -> bool:
        """Whether a document with this score stays."""
        raise TypeError(f"{type(self).__name__} defines neither keep_document nor keep_scores")

    def keep_scores(self, scores: Scores) -> np.ndarray:
        """Which of these scores stay, as booleans."""
        raise TypeError(f"{type(self).__name__} defines neither keep_document nor keep_scores")

    def keep_texts(self, texts: TextColumn, scores: Scores) -> np.ndarray:
        """Which documents stay, where the decision needs the texts besides their scores, as a random one does."""
        return self.keep_scores(scores)


def scores_each(one: DocumentFilter) -> bool:
    """Whether it is written for one value at a time, so that values need not be texts."""
    return type(one).score_texts is _score_each


def _score_one(self: DocumentFilter, text: str) -> Any:
    return _plain(self.score_texts(TextColumn([text])))[0]


def _score_each(self: DocumentFilter, texts: TextColumn) -> list[Any]:
    return [self.score_document(text) for text in texts.texts()]


def _keep_one(self: DocumentFilter, score: Any) -> bool:
    return bool(self.keep_scores(np.asarray([score]))[0])


def _keep_each(self: DocumentFilter, scores: Scores) -> np.ndarray:
    return np.fromiter((bool(self.keep_document(score)) for score in _plain(scores)), bool, len(scores))


def _plain(values: Any) -> Any:
    return values.tolist() if isinstance(values, np.ndarray) else values
