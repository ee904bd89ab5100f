"""Frames in and out: documents of a frame that is at hand, and the documents of a result as one frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from nemo_curator.errors import ContractError
from nemo_curator.tasks.document import DocumentBatch, concat_batches
from nemo_curator.tasks.tasks import Task

if TYPE_CHECKING:
    import pandas as pd

BATCH_BYTES = 2**24
"""What a batch holds where nobody says how many rows."""


def from_frame(frame: Any, *, rows_per_batch: int | None = None, dataset_name: str = "frame") -> list[DocumentBatch]:
    """Cut a frame into batches of documents, for `initial_tasks` of a run: slices of its memory, not copies.

    A frame is one of pandas or polars, a table or batch of Arrow, whatever else has `__arrow_c_stream__`, or a list of
    dicts. An index of pandas that has a name becomes a column; one without is left out. A batch has `rows_per_batch`
    rows, or about 16 MiB.

    Example:
        >>> batches = from_frame([{"text": "a"}, {"text": "b"}, {"text": "c"}], rows_per_batch=2)
        >>> [batch.num_items for batch in batches]
        [2, 1]
        >>> to_arrow(batches).column("text").to_pylist()
        ['a', 'b', 'c']
    """
    if rows_per_batch is not None and rows_per_batch < 1:
        raise ValueError(f"rows_per_batch is {rows_per_batch}; wanted at least 1")
    if is_pandas := hasattr(frame, "iloc"):
        frame = _with_named_index(frame)
    whole = DocumentBatch(dataset_name, frame)
    if is_pandas:
        whole = DocumentBatch.from_arrow(whole.to_pyarrow(), dataset_name=dataset_name)
    if not whole.num_items:
        return [whole]
    rows = rows_per_batch or max(BATCH_BYTES * whole.num_items // max(whole.nbytes, 1), 1)
    return [whole.slice(start, rows) for start in range(0, whole.num_items, rows)]


def to_arrow(tasks: Task | Iterable[Task]) -> pa.Table:
    """The documents of a result as one table of Arrow."""
    return _joined(tasks).to_pyarrow()


def to_pandas(tasks: Task | Iterable[Task]) -> pd.DataFrame:
    """The documents of a result as one frame of pandas; integers and booleans with nulls stay what they are."""
    return _joined(tasks).to_pandas()


def to_polars(tasks: Task | Iterable[Task]) -> Any:
    """The documents of a result as one frame of polars, which must be installed."""
    return _joined(tasks).to_polars()


def _joined(tasks: Task | Iterable[Task]) -> DocumentBatch:
    batches: list[DocumentBatch] = []
    for task in [tasks] if isinstance(tasks, Task) else tasks:
        if not isinstance(task, DocumentBatch):
            raise ContractError(
                f"wanted DocumentBatch, found {type(task).__name__}: a pipeline gives back what its last stage makes, "
                "so leave out the writer, or read what it wrote"
            )
        batches.append(task)
    if not batches:
        return DocumentBatch()
    try:
        return concat_batches(batches)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        kinds: dict[str, set[str]] = {}
        for batch in batches:
            for one in batch.to_pyarrow().schema:
                kinds.setdefault(one.name, set()).add(str(one.type))
        differing = {name: sorted(types) for name, types in kinds.items() if len(types) > 1}
        raise ContractError(f"the batches do not make one frame: columns have several types: {differing}") from error


def _with_named_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Make columns of what has a name in the index, and drop the rest of it."""
    names = list(frame.index.names)
    if twice := sorted({str(name) for name in names if name is not None} & {str(name) for name in frame.columns}):
        raise ContractError(f"the frame has {twice} both in its index and as columns; rename one of them")
    unnamed = [level for level, name in enumerate(names) if name is None]
    if len(unnamed) == len(names):
        return frame
    return frame.reset_index(level=unnamed, drop=True).reset_index() if unnamed else frame.reset_index()
