"""Stages that score documents, and keep those whose scores pass."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from nemo_curator.errors import ContractError
from nemo_curator.ledger.counts import filtered
from nemo_curator.stages.base import ProcessingStage, Spec
from nemo_curator.stages.text.fields import as_list, one_each
from nemo_curator.stages.text.filters.doc_filter import DocumentFilter, scores_each
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.text_column import TextColumn


@dataclass(frozen=True)
class Judged:
    """What a filter says of each row of a batch: its score and whether it stays."""

    by: str
    keep: np.ndarray
    scores: Any
    score_field: str | None = None
    text_field: str | None = None


Judge: TypeAlias = Callable[[DocumentBatch], Judged]


class FilterStage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """What stages with filters share: they let them load their models."""

    is_row_wise = True

    def hold(self, functions: list[Any]) -> None:
        self.filters = [one for one in functions if isinstance(one, DocumentFilter)]
        self.requires = {module: extra for one in self.filters for module, extra in one.requires.items()}

    def setup_on_node(self, node_info: Any = None, worker_metadata: Any = None) -> None:
        _call(self.filters, "model_check_or_download")

    def setup(self, worker_metadata: Any = None) -> None:
        _call(self.filters, "load_model")
        _call(self.filters, "load_tokenizer")


@dataclass
class ScoreFilter(FilterStage):
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
        self.hold(filters)

    def inputs(self) -> Spec:
        return ["data"], _distinct(text_field for _, text_field, _, _ in self._steps)

    def outputs(self) -> Spec:
        scores = [score_field for _, _, score_field, _ in self._steps if score_field is not None]
        return ["data"], _distinct([*self.inputs()[1], *scores])

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        return keep_judged(batch, self.judges())

    def judges(self) -> Iterator[Judge]:
        """Each filter as a function of a batch."""
        for one, text_field, score_field, invert in self._steps:
            yield functools.partial(_judge_column, one, text_field, score_field, invert)


@dataclass
class Score(FilterStage):
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
        self.hold(functions)

    def inputs(self) -> Spec:
        return ["data"], _distinct(text_field for _, text_field, _ in self._steps)

    def outputs(self) -> Spec:
        return ["data"], _distinct([*self.inputs()[1], *(score_field for _, _, score_field in self._steps)])

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        for one, text_field, score_field in self._steps:
            if isinstance(one, DocumentFilter):
                scores = _scores_of(one, batch, text_field)
            elif batch.holds_text(text_field):
                scores = [one(text) for text in batch.text(text_field).texts()]
            else:
                scores = [one(value) for value in batch.values(text_field)]
            filtered(_name(one, self.name), batch, scores=scores, text_field=text_field)
            # without rows nobody knows of what type the scores would be; numbers fit with most
            batch = batch.with_column(score_field, scores if len(scores) else np.zeros(0))
        return batch


@dataclass
class Filter(FilterStage):
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
        self.hold(functions)

    def inputs(self) -> Spec:
        return ["data"], _distinct(field for _, field, _ in self._steps)

    def outputs(self) -> Spec:
        return self.inputs()

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        return keep_judged(batch, self.judges())

    def judges(self) -> Iterator[Judge]:
        """Each filter or function as a function of a batch."""
        for one, field, invert in self._steps:
            yield functools.partial(_judge_values, one, field, invert, _name(one, self.name))


def keep_judged(batch: DocumentBatch, judges: Iterable[Judge]) -> DocumentBatch:
    """Let judges decide in order, each on the rows that the one before left, and report what they drop."""
    for judge in judges:
        if batch.num_items == 0:
            break
        made = judge(batch)
        scored = batch if made.score_field is None else batch.with_column(made.score_field, made.scores)
        filtered(made.by, batch, made.keep, made.scores, text_field=made.text_field)
        batch = scored if made.keep.all() else scored.filter(made.keep)
    return batch


def judge_texts(one: DocumentFilter, texts: TextColumn, invert: bool, score_field: str | None = None) -> Judged:
    """Let a filter score texts and decide on the scores."""
    scores = _scores(one.score_texts, texts, one.name)
    return Judged(one.name, _mask(one.keep_texts(texts, scores), invert), scores, score_field)


def _judge_column(
    one: DocumentFilter, text_field: str, score_field: str | None, invert: bool, batch: DocumentBatch
) -> Judged:
    if scores_each(one) and not batch.holds_text(text_field):
        scores = _scores_of(one, batch, text_field)
        return Judged(one.name, _mask(one.keep_scores(scores), invert), scores, score_field)
    return replace(judge_texts(one, batch.text(text_field), invert, score_field), text_field=text_field)


def _judge_values(one: Any, field: str, invert: bool, name: str, batch: DocumentBatch) -> Judged:
    values = batch.values(field)
    if not isinstance(one, DocumentFilter):
        return Judged(name, _mask([bool(one(value)) for value in values], invert), values, text_field=field)
    keep = np.zeros(len(values), bool)  # what has no score is not kept, inverted or not
    scored = np.array([value is not None for value in values], bool)
    keep[scored] = _mask(one.keep_scores([value for value in values if value is not None]), invert)
    return Judged(name, keep, values)


def _scores_of(one: DocumentFilter, batch: DocumentBatch, field: str) -> Any:
    if scores_each(one) and not batch.holds_text(field):
        return [one.score_document(value) for value in batch.values(field)]
    return _scores(one.score_texts, batch.text(field), one.name)


def _scores(score: Callable[[TextColumn], Any], texts: TextColumn, name: str) -> Any:
    scores = score(texts)
    if len(scores) != len(texts):
        raise ContractError(f"{name} made {len(scores)} scores for {len(texts)} texts")
    return scores


def _mask(keep: Any, invert: bool) -> np.ndarray:
    mask = np.asarray(keep, dtype=bool)
    return ~mask if invert else mask


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
