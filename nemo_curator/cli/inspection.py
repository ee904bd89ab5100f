"""`curator inspect`: what is in files of documents."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.cli.documents import find_documents, read_documents
from nemo_curator.cli.output import print_json, print_table
from nemo_curator.ledger.counts import StageCount
from nemo_curator.pipeline.workflow import plain
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.json_column import is_json
from nemo_curator.tasks.text_column import TextColumn

SAMPLE = 1000
"""Texts whose language is told."""
SAMPLE_CHARS = 2000
"""What of each of them is looked at."""
MOST_COLUMNS = 1000
"""Columns that are listed; more would take memory without end."""
CELL_CHARS = 60
BAR_CHARS = 40


@dataclass
class Column:
    """What a column holds: values of which types, and how many are null or not there at all."""

    types: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    nulls: int = 0
    absent: int = 0


@dataclass
class Lengths:
    """Characters of texts, counted by powers of two: 0, 1, 2-3, 4-7, …"""

    buckets: np.ndarray = field(default_factory=lambda: np.zeros(64, np.int64))
    least: int | None = None
    most: int = 0
    chars: int = 0
    texts: int = 0

    def add(self, lengths: np.ndarray) -> None:
        if len(lengths):
            self.buckets += np.bincount(np.frexp(lengths.astype(float))[1], minlength=64)
            least = int(lengths.min())
            self.least = least if self.least is None else min(self.least, least)
            self.most = max(self.most, int(lengths.max()))
            self.chars += int(lengths.sum())
            self.texts += len(lengths)

    def histogram(self) -> list[dict[str, int]]:
        """The buckets from the first to the last that hold a text."""
        used = np.flatnonzero(self.buckets)
        if not len(used):
            return []
        return [
            {"from": 2 ** (at - 1) if at else 0, "to": 2**at - 1, "documents": int(self.buckets[at])}
            for at in range(int(used[0]), int(used[-1]) + 1)
        ]


@dataclass
class Sample:
    """Some of the texts, each as likely as the other, and the same in every run."""

    size: int
    texts: list[str] = field(default_factory=list)
    seen: int = 0
    random: random.Random = field(default_factory=lambda: random.Random(0))

    def add(self, column: pa.ChunkedArray) -> None:
        for row in range(len(column)):
            place = self.seen if self.seen < self.size else self.random.randrange(self.seen + 1)
            self.seen += 1
            if place < self.size:
                text = (column[row].as_py() or "")[:SAMPLE_CHARS]
                self.texts[place : place + 1] = [text]


@dataclass
class Summary:
    """What is known of some files; it grows by batches and keeps none of them."""

    text_field: str
    rows: int = 0
    columns: dict[str, Column] = field(default_factory=dict)
    has_more_columns: bool = False
    lengths: Lengths = field(default_factory=Lengths)
    sample: Sample | None = None
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, batch: DocumentBatch, examples: int) -> None:
        table = batch.to_pyarrow()
        for name, values in zip(table.column_names, table.columns):
            if name not in self.columns and len(self.columns) >= MOST_COLUMNS:
                self.has_more_columns = True
                continue
            column = self.columns.setdefault(name, Column())
            absent = batch.absent(name)
            column.rows += batch.num_items
            column.nulls += values.null_count
            column.absent += 0 if absent is None else int(absent.sum())
            if values.null_count < len(values):
                column.types[_type_name(values.type)] += len(values) - values.null_count
        self.rows += batch.num_items
        self._add_texts(table)
        if len(self.examples) < examples:
            self.examples += table.slice(0, examples - len(self.examples)).to_pylist()

    def _add_texts(self, table: pa.Table) -> None:
        at = table.schema.get_field_index(self.text_field)
        if at < 0 or not (pa.types.is_string(table.field(at).type) or pa.types.is_large_string(table.field(at).type)):
            return
        texts = table.column(at).drop_null()
        self.lengths.add(pc.utf8_length(texts).to_numpy())
        if self.sample is not None:
            self.sample.add(texts)

    def schema(self) -> list[dict[str, Any]]:
        return [
            {
                "column": name,
                "types": list(column.types) or ["null"],
                "nulls": column.nulls - column.absent,
                "absent": column.absent + self.rows - column.rows,
            }
            for name, column in self.columns.items()
        ]

    def languages(self) -> dict[str, int]:
        """How many texts of the sample are in which language, the most frequent first."""
        from nemo_curator.stages.text.filters.fasttext.fasttext_filters import LABEL, UNDETERMINED
        from nemo_curator.stages.text.filters.fasttext.model import SMALL_LANGUAGE_MODEL, load

        if self.sample is None or not self.sample.texts:
            return {}
        texts = TextColumn(pa.chunked_array([pa.array(self.sample.texts, pa.large_string())]))
        found = load(SMALL_LANGUAGE_MODEL).top(texts)
        names = (UNDETERMINED if one is None else one[1].removeprefix(LABEL) for one in found)
        return dict(Counter(names).most_common())


def inspect_files(
    paths: list[str], *, text_field: str, samples: int, languages: bool, limit: int | None, as_json: bool
) -> int:
    """Look at every document of some files, and print what they are like."""
    files = find_documents(paths)
    count = StageCount("inspect")
    summary = Summary(text_field, sample=Sample(SAMPLE) if languages else None)
    for batch in _batches([found.path for found in files], count, limit):
        summary.add(batch, samples)
    report = {
        "files": len(files),
        "bytes": sum(found.size or 0 for found in files),
        "rows": summary.rows,
        "failed": count.rows_failed,
        "columns": summary.schema(),
        "more_columns": summary.has_more_columns,
        "text_field": text_field,
        "characters": _lengths(summary.lengths),
        "languages": summary.languages() if languages else None,
        "samples": [_shortened(plain(row)) for row in summary.examples],
        "failures": [str(failure) for failure in count.failures],
    }
    print_json(report) if as_json else _print(report)
    return 1 if count.rows_failed else 0


def _batches(paths: list[str], count: StageCount, limit: int | None) -> Iterator[DocumentBatch]:
    """The documents of all files, or the first ones."""
    left = sys.maxsize if limit is None else limit
    for batch in chain.from_iterable(read_documents(path, count) for path in paths):
        yield batch.slice(0, left) if batch.num_items > left else batch
        left -= batch.num_items
        if left <= 0:
            return


def _lengths(lengths: Lengths) -> dict[str, Any] | None:
    if not lengths.texts:
        return None
    mean = round(lengths.chars / lengths.texts, 1)
    return {"least": lengths.least, "mean": mean, "most": lengths.most, "histogram": lengths.histogram()}


def _type_name(kind: pa.DataType) -> str:
    return "json" if is_json(kind) else str(kind)


def _shortened(value: Any) -> Any:
    """A value with its long texts cut."""
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [*map(_shortened, value[:5]), *(["…"] if len(value) > 5 else [])]
    return f"{value[:CELL_CHARS]}…" if isinstance(value, str) and len(value) > CELL_CHARS else value


def _print(report: dict[str, Any]) -> None:
    files = f"{report['files']:,} file{'s' * (report['files'] != 1)}"
    failed = f", {report['failed']:,} failed" if report["failed"] else ""
    print(f"{files}, {report['bytes']:,} bytes, {report['rows']:,} rows{failed}\n")
    rows = [(one["column"], " or ".join(one["types"]), one["nulls"], one["absent"]) for one in report["columns"]]
    print_table("Columns", ("column", "type", "null", "absent"), rows)
    if report["more_columns"]:
        print(f"There are more than {MOST_COLUMNS:,} columns; the others are left out.\n")
    if (lengths := report["characters"]) is not None:
        extent = f"{lengths['least']:,} to {lengths['most']:,}, mean {lengths['mean']:,}"
        title = f"Characters of {report['text_field']!r}: {extent}"
        bars = [(f"{one['from']:,} to {one['to']:,}", one["documents"]) for one in lengths["histogram"]]
        print_table(title, ("characters", "documents", ""), _with_bars(bars))
    else:
        print(f"No column {report['text_field']!r} holds text; --text-field names another one.\n")
    if report["languages"] is not None:
        bars = list(report["languages"].items())
        print_table(
            f"Languages of {sum(report['languages'].values()):,} texts", ("language", "texts", ""), _with_bars(bars)
        )
    for number, row in enumerate(report["samples"], start=1):
        print_table(f"Sample {number}", ("column", "value"), [(key, repr(value)) for key, value in row.items()])
    for failure in report["failures"]:
        print(failure)


def _with_bars(rows: list[tuple[str, int]]) -> list[tuple[str, int, str]]:
    most = max((count for _, count in rows), default=0)
    return [(name, count, "█" * -(-count * BAR_CHARS // most)) for name, count in rows]
