"""The stage that applies modifiers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from nemo_curator.errors import ContractError
from nemo_curator.stages.base import ProcessingStage, Spec
from nemo_curator.stages.text.fields import as_list, one_each
from nemo_curator.stages.text.modifiers.doc_modifier import DocumentModifier, modifies_each
from nemo_curator.tasks.document import DocumentBatch


@dataclass
class Modify(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Change columns by one modifier or function, or by several in order.

    `input_fields` is one column for all, one for each, or a list of columns for each, whose values are then passed by
    name. Results go to `output_fields`; None writes them back in place. The name is that of the modifier unless you
    give one.
    """

    modifier_fn: Callable[..., Any] | DocumentModifier | list[Callable[..., Any] | DocumentModifier]
    input_fields: str | list[str] | list[list[str]] = "text"
    output_fields: str | list[str | None] | None = None
    name: str = "modifier_fn"

    is_row_wise = True

    def __post_init__(self) -> None:
        functions = as_list(self.modifier_fn, Callable, "modifier_fn", DocumentModifier)
        if self.name == "modifier_fn":
            names = [_name(one) for one in functions]
            self.name = f"modifier_chain_of_{'_'.join(names)}" if isinstance(self.modifier_fn, list) else names[0]
        inputs = _inputs_each(self.input_fields, len(functions))
        outputs = _outputs_each(self.output_fields, inputs)
        self.modifier_fn, self.input_fields, self.output_fields = functions, inputs, list(outputs)
        self._steps = list(zip(functions, inputs, outputs))
        self.requires = {module: extra for one in functions for module, extra in getattr(one, "requires", {}).items()}

    def inputs(self) -> Spec:
        made: set[str] = set()
        needed: dict[str, None] = {}
        for _, fields, output in self._steps:
            needed.update(dict.fromkeys(field for field in fields if field not in made))
            made.add(output)
        return ["data"], list(needed)

    def outputs(self) -> Spec:
        return ["data"], list(dict.fromkeys(output for _, _, output in self._steps))

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        for modify, fields, output in self._steps:
            batch = _modified(batch, modify, fields, output)
        return batch


def _modified(batch: DocumentBatch, modify: Any, fields: list[str], output: str) -> DocumentBatch:
    if len(fields) > 1:
        call = modify.modify_document if isinstance(modify, DocumentModifier) else modify
        columns = [batch.values(field) for field in fields]
        return batch.with_column(output, _as_text([call(**dict(zip(fields, row))) for row in zip(*columns)]))
    field = fields[0]
    if not batch.num_items and output == field:
        return batch  # what a column without rows would become, nobody knows
    is_by_row = not isinstance(modify, DocumentModifier) or modifies_each(modify)
    if not isinstance(modify, DocumentModifier) or (is_by_row and not batch.holds_text(field)):
        call = modify.modify_document if isinstance(modify, DocumentModifier) else modify
        return batch.with_column(output, _as_text([call(value) for value in batch.values(field)]))
    texts = batch.text(field)
    changed = modify.modify_texts(texts)
    if changed is texts and output == field:
        return batch
    if len(changed) != len(texts):
        raise ContractError(f"{modify.name} made {len(changed)} texts of {len(texts)}")
    return batch.with_column(output, _as_text(changed) if isinstance(changed, list) else changed)


def _as_text(values: list[Any]) -> pa.Array | list[Any]:
    """Make a text column also of nulls alone; anything else finds its own type."""
    if all(value is None or isinstance(value, str) for value in values):
        return pa.array(values, pa.large_string())
    return values


def _inputs_each(fields: Any, count: int) -> list[list[str]]:
    if isinstance(fields, list) and any(isinstance(one, list) for one in fields):
        nested = one_each(fields, count, list, "input_fields")
        return [one_each(one, len(one), str, "input_fields") for one in nested]
    return [[field] for field in one_each(fields, count, str, "input_fields")]


def _outputs_each(outputs: Any, inputs: list[list[str]]) -> list[str]:
    if isinstance(outputs, str):
        return [outputs] * len(inputs)
    given = [None] * len(inputs) if outputs is None else list(outputs)
    if len(given) == 1:
        given = given * len(inputs)
    if len(given) != len(inputs):
        raise ValueError(f"output_fields has {len(given)} values for {len(inputs)} modifiers; wanted one for each")
    for output, fields in zip(given, inputs):
        if output is None and len(fields) > 1:
            raise ValueError(f"a modifier of {fields} needs a name in output_fields for its result")
    return [fields[0] if output is None else output for output, fields in zip(given, inputs)]


def _name(modify: Any) -> str:
    if isinstance(modify, DocumentModifier):
        return modify.name
    function = modify.func if isinstance(modify, functools.partial) else modify
    return getattr(function, "__name__", type(function).__name__)
