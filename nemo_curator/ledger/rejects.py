"""Rows that did not come through, kept with the reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nemo_curator.utils.storage import locate
from nemo_curator.utils.whole_files import put

if TYPE_CHECKING:
    from nemo_curator.ledger.counts import StageCount
    from nemo_curator.tasks.document import DocumentBatch


@dataclass(frozen=True)
class Reject:
    """A row that a filter dropped, or that failed: then `error` says why."""

    stage: str
    filter: str
    row: Any
    score: Any = None
    error: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class Rejects:
    """Where rejected rows go: JSONL files in a folder, or behind a URL, one for each partition that has any.

    With `sample`, at most so many rows of each partition are kept for each filter and each kind of error.
    """

    path: str
    sample: int | None = None

    def write(self, partition: str, place: int, counts: Iterable[StageCount]) -> None:
        """Write what some stages rejected of a partition, and let go of it."""
        lines = [json.dumps(line, ensure_ascii=False, default=str) for line in self._kept(counts)]
        if not lines:
            return
        fs, folder = locate(self.path)
        name = f"{partition.replace('/', '_')}-{place}.jsonl"
        data = "".join(f"{line}\n" for line in lines).encode(errors="replace")
        put(fs, f"{folder}/{name}", data)

    def _kept(self, counts: Iterable[StageCount]) -> Iterator[dict[str, Any]]:
        for count in counts:
            kept: Counter[tuple[str, str | None]] = Counter()
            for reject in count.rejects or []:
                kind = reject.filter, reject.error and reject.error.partition(":")[0]
                kept[kind] += 1
                if self.sample is None or kept[kind] <= self.sample:
                    yield vars(reject)
            count.rejects = None


def rejected(batch: DocumentBatch, keep: np.ndarray, scores: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """The rows of a batch that are not kept, each with its score."""
    gone = np.flatnonzero(~keep)
    table = batch.filter(~keep)
    columns = {name: table.values(name) for name in table.get_columns()}
    for at, row in enumerate(gone):
        score: Any = None if scores is None else scores[int(row)]
        plain = score.item() if isinstance(score, np.generic) else score
        yield {name: values[at] for name, values in columns.items()}, plain
