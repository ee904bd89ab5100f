"""Stages that score documents, and keep those whose scores pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nemo_curator.errors import ContractError
from nemo_curator.ledger.counts import dropped
from nemo_curator.stages.base import ProcessingStage, Spec
from nemo_curator.stages.text.fields import as_list, one_each
from nemo_curator.stages.text.filters.doc_filter import DocumentFilter
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.text_column import TextColumn


class _FilterStage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """What the three stages share: they hold filters, and let them load their models."""

    is_row_wise = True

    def _hold(self, functions: list[Any]) -> None:
        self._filters = [one for one in functions if isinstance(one, DocumentFilter)]
        self.requires = {module: extra for one in self._filters for module, extra in one.requires.items()}

    def setup_on_node(self, node_info: Any = None, worker_metadata: Any = None) -> None:
        _call(self._filters, "model_check_or_download")

    def setup(self, worker_metadata: Any = None) -> None:
        _call(self._filters, "load_model")
        _call(self._filters, "load_tokenizer")


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
        filters = as_list(self.filter_obj, DocumentFilter, "filter_obj")
        if self.name == "score_filter":
            self.name = _chain_name("score_filter", [one.name for one in filters], self.filter_obj)
        count = len(filters)
        scores: list[Any] = [None] * count
        if self.score_field is not None:
            scores = one_each(self.score_field, count, str, "score_field", shared=False)
        texts = one_each(self.text_field, count, str, "text_field")
        inverts = one_each(self.invert, count, bool, "invert")
        self.filter_obj, self.text_field, self.score_field, self.invert = filters, texts, scores, inverts
        self._steps = list(zip(filters, texts, scores, inverts))
        self._hold(filters)

    def inputs(self) -> Spec:
        return ["data"], _distinct(text_field for _, text_field, _, _ in self._steps)

    def outputs(self) -> Spec:
        scores = [score_field for _, _, score_field, _ in self._steps if score_field is not None]
        return ["data"], _distinct([*self.inputs()[1], *scores])

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        for one, text_field, score_field, invert in self._steps:
            if batch.num_items == 0:
                break
            texts = batch.text(text_field)
            scores = _scores(one.score_texts, texts, one.name)
            keep = _mask(one.keep_texts(texts, scores), invert)
            before = batch
            if score_field is not None:
                batch = batch.with_column(score_field, scores)
            batch = _keep(before, batch, keep, one.name, scores)
        return batch


@dataclass
class Score(_FilterStage):
    """Add a column of scores for each filter or function; nothing is removed."""

    score_fn: Callable[[str], Any] | DocumentFilter | list[Callable[[str], Any] | DocumentFilter]
    score_field: str | list[str]
    text_field: str | list[str] = "text"
    name: str = "score_fn"

    def __post_init__(self) -> None:
        functions = as_list(self.score_fn, Callable, "score_fn", DocumentFilter)
        if self.name == "score_fn":
            self.name = _chain_name("score", [_name(one, "score_fn") for one in functions], self.score_fn)
        scores = one_each(self.score_field, len(functions), str, "score_field", shared=False)
        texts = one_each(self.text_field, len(functions), str, "text_field")
        self.score_fn, self.score_field, self.text_field = functions, scores, texts
        self._steps = list(zip(functions, texts, scores))
        self._hold(functions)

    def inputs(self) -> Spec:
        return ["data"], _distinct(text_field for _, text_field, _ in self._steps)

    def outputs(self) -> Spec:
        return ["data"], _distinct([*self.inputs()[1], *(score_field for _, _, score_field in self._steps)])

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        for one, text_field, score_field in self._steps:
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
        functions = as_list(self.filter_fn, Callable, "filter_fn", DocumentFilter)
        if self.name == "filter_fn":
            self.name = _chain_name("filter", [_name(one, "filter_fn") for one in functions], self.filter_fn)
        fields = one_each(self.filter_field, len(functions), str, "filter_field", shared=False)
        inverts = one_each(self.invert, len(functions), bool, "invert")
        self.filter_fn, self.filter_field, self.invert = functions, fields, inverts
        self._steps = list(zip(functions, fields, inverts))
        self._hold(functions)

    def inputs(self) -> Spec:
        return ["data"], _distinct(field for _, field, _ in self._steps)

    def outputs(self) -> Spec:
        return self.inputs()

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        for one, field, invert in self._steps:
            if batch.num_items == 0:
                break
            values = batch.values(field)
            keep = (
                one.keep_scores(values) if isinstance(one, DocumentFilter) else [bool(one(value)) for value in values]
            )
            batch = _keep(batch, batch, _mask(keep, invert), _name(one, self.name), values)
        return batch


def _scores(score: Callable[[TextColumn], Any], texts: TextColumn, name: str) -> Any:
    scores = score(texts)
    if len(scores) != len(texts):
        raise ContractError(f"{name} made {len(scores)} scores for {len(texts)} texts")
    return scores


def _mask(keep: Any, invert: bool) -> np.ndarray:
    mask = np.asarray(keep, dtype=bool)
    return ~mask if invert else mask


def _keep(before: DocumentBatch, batch: DocumentBatch, keep: np.ndarray, name: str, scores: Any) -> DocumentBatch:
    gone = len(keep) - int(np.count_nonzero(keep))
    dropped(name, gone, before, keep, scores)
    return batch.filter(keep) if gone else batch


def _name(one: Any, otherwise: str) -> str:
    return one.name if isinstance(one, DocumentFilter) else otherwise


def _chain_name(kind: str, names: list[str], given: Any) -> str:
    return f"{kind}_chain_of_{'_'.join(names)}" if isinstance(given, list) else names[0]


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _call(filters: list[DocumentFilter], method: str) -> None:
    for one in filters:
        hook = getattr(one, method, None)
        if hook is not None:
            hook()
