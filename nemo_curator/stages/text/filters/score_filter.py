"""Stages that score documents, and keep those whose scores pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nemo_curator.errors import ContractError
from nemo_curator.ledger.counts import dropped
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.fields import as_list, one_each
from nemo_curator.stages.text.filters.doc_filter import DocumentFilter
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.text_column import TextColumn


class _FilterStage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """What the three stages share: they hold filters, and let them load their models."""

    is_row_wise = True

    def _filters(self) -> list[DocumentFilter]:
        raise NotImplementedError

    @property
    def requires(self) -> dict[str, str]:
        return {module: extra for one in self._filters() for module, extra in one.requires.items()}

    def setup_on_node(self, node_info: Any = None, worker_metadata: Any = None) -> None:
        _call(self._filters(), "model_check_or_download")

    def setup(self, worker_metadata: Any = None) -> None:
        _call(self._filters(), "load_model")
        _call(self._filters(), "load_tokenizer")


@dataclass
class ScoreFilter(_FilterStage):
    """Keep the documents whose scores pass.

    Takes one filter or several, which run in order, each on what the one before left. `text_field` and `invert` are
    one for all or one for each; with `score_field` the scores are kept as columns. The name is that of the filter
    unless you give one.
    """

    filter_obj: DocumentFilter | list[DocumentFilter]
    text_field: str | list[str] = "text"
    score_field: str | list[str] | None = None
    invert: bool | list[bool] = False
    name: str = "score_filter"

    def __post_init__(self) -> None:
        many = isinstance(self.filter_obj, list)
        self.filter_obj = as_list(self.filter_obj, DocumentFilter, "filter_obj")
        count = len(self.filter_obj)
        self.text_field = one_each(self.text_field, count, str, "text_field")
        self.invert = one_each(self.invert, count, bool, "invert")
        if self.score_field is None:
            self.score_field = [None] * count
        else:
            self.score_field = one_each(self.score_field, count, str, "score_field", shared=False)
        if self.name == "score_filter":
            self.name = _chain_name("score_filter", [one.name for one in self.filter_obj], many)

    def _filters(self) -> list[DocumentFilter]:
        return self.filter_obj

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], list(dict.fromkeys(self.text_field))

    def outputs(self) -> tuple[list[str], list[str]]:
        kept = [name for name in self.score_field if name is not None]
        return ["data"], list(dict.fromkeys([*self.text_field, *kept]))

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        steps = zip(self.filter_obj, self.text_field, self.score_field, self.invert)
        for one, text_field, score_field, invert in steps:
            if batch.num_items == 0:
                break
            scores = _scores(one.score_texts, batch.text(text_field), one.name)
            keep = _mask(one.keep_scores(scores), invert)
            if score_field is not None:
                batch = batch.with_column(score_field, scores)
            batch = _keep(batch, keep, one.name)
        return batch


@dataclass
class Score(_FilterStage):
    """Add a column of scores for each filter or function; nothing is removed."""

    score_fn: Callable[[str], Any] | DocumentFilter | list[Callable[[str], Any] | DocumentFilter]
    score_field: str | list[str]
    text_field: str | list[str] = "text"
    name: str = "score_fn"

    def __post_init__(self) -> None:
        many = isinstance(self.score_fn, list)
        self.score_fn = as_list(self.score_fn, Callable, "score_fn", DocumentFilter)
        count = len(self.score_fn)
        self.score_field = one_each(self.score_field, count, str, "score_field", shared=False)
        self.text_field = one_each(self.text_field, count, str, "text_field")
        if self.name == "score_fn":
            self.name = _chain_name("score", [_name(one, "score_fn") for one in self.score_fn], many)

    def _filters(self) -> list[DocumentFilter]:
        return [one for one in self.score_fn if isinstance(one, DocumentFilter)]

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], list(dict.fromkeys(self.text_field))

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], list(dict.fromkeys([*self.text_field, *self.score_field]))

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        for one, text_field, score_field in zip(self.score_fn, self.text_field, self.score_field):
            texts = batch.text(text_field)
            if isinstance(one, DocumentFilter):
                scores = _scores(one.score_texts, texts, one.name)
            else:
                scores = [one(text) for text in texts.texts()]
            batch = batch.with_column(score_field, scores)
        return batch


@dataclass
class Filter(_FilterStage):
    """Keep the documents for which a function of a column, or a filter's decision on scores in a column, is true."""

    filter_fn: Callable[[Any], bool] | DocumentFilter | list[Callable[[Any], bool] | DocumentFilter]
    filter_field: str | list[str]
    invert: bool | list[bool] = False
    name: str = "filter_fn"

    def __post_init__(self) -> None:
        many = isinstance(self.filter_fn, list)
        self.filter_fn = as_list(self.filter_fn, Callable, "filter_fn", DocumentFilter)
        count = len(self.filter_fn)
        self.filter_field = one_each(self.filter_field, count, str, "filter_field", shared=False)
        self.invert = one_each(self.invert, count, bool, "invert")
        if self.name == "filter_fn":
            self.name = _chain_name("filter", [_name(one, "filter_fn") for one in self.filter_fn], many)

    def _filters(self) -> list[DocumentFilter]:
        return [one for one in self.filter_fn if isinstance(one, DocumentFilter)]

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], list(dict.fromkeys(self.filter_field))

    def outputs(self) -> tuple[list[str], list[str]]:
        return self.inputs()

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        for one, field, invert in zip(self.filter_fn, self.filter_field, self.invert):
            if batch.num_items == 0:
                break
            values = batch.column(field).to_pylist()
            keep = (
                one.keep_scores(values) if isinstance(one, DocumentFilter) else [bool(one(value)) for value in values]
            )
            batch = _keep(batch, _mask(keep, invert), _name(one, self.name))
        return batch


def _scores(score: Callable[[TextColumn], Any], texts: TextColumn, name: str) -> Any:
    scores = score(texts)
    if len(scores) != len(texts):
        raise ContractError(f"{name} made {len(scores)} scores for {len(texts)} texts")
    return scores


def _mask(keep: Any, invert: bool) -> np.ndarray:
    mask = np.asarray(keep, dtype=bool)
    return ~mask if invert else mask


def _keep(batch: DocumentBatch, keep: np.ndarray, name: str) -> DocumentBatch:
    gone = len(keep) - int(np.count_nonzero(keep))
    dropped(name, gone)
    return batch.filter(keep) if gone else batch


def _name(one: Any, otherwise: str) -> str:
    return one.name if isinstance(one, DocumentFilter) else otherwise


def _chain_name(kind: str, names: list[str], many: bool) -> str:
    return f"{kind}_chain_of_{'_'.join(names)}" if many else names[0]


def _call(filters: list[DocumentFilter], method: str) -> None:
    for one in filters:
        hook = getattr(one, method, None)
        if hook is not None:
            hook()
