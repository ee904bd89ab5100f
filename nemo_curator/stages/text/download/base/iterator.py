"""From files to batches of documents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from nemo_curator.errors import MissingExtraError
from nemo_curator.ledger.counts import dropped, failed, seen
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.text.download.base.extract import DocumentExtractor
from nemo_curator.stages.text.download.base.merged import merged
from nemo_curator.stages.text.download.base.rows import Row, batched, make_table, size_of
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.column_utils import resolve_filename_column

__getattr__ = merged(__name__)


class DocumentIterator(ABC):
    """Finds the records of a file."""

    @abstractmethod
    def iterate(self, file_path: str) -> Iterator[dict[str, Any]]:
        """Yield one record after the other. To raise ends the file; to hand on what was found lets it go on."""

    @abstractmethod
    def output_columns(self) -> list[str]:
        """Keys that every record has."""


@dataclass
class DocumentIterateExtractStage(ProcessingStage[FileGroupTask, DocumentBatch]):
    """Turn files into documents, in batches of bounded size and at least one for each file.

    The columns are those that the extractor names, or without one the iterator, then any others that the documents
    have. `add_filename_column` adds the name of the file, as `file_name` or under a name of your own; the extractor
    sees it too. `record_limit` bounds the documents of each file. A record that cannot be extracted is set aside; an
    iterator that raises ends its file, and what came before is kept.
    """

    iterator: DocumentIterator
    extractor: DocumentExtractor | None = None
    record_limit: int | None = None
    add_filename_column: bool | str = True
    max_calls_per_worker: int | None = None

    resources = Resources(cpus=1.0)

    def __post_init__(self) -> None:
        if self.record_limit is not None and self.record_limit < 1:
            raise ValueError(f"record_limit is {self.record_limit}; wanted at least 1, or None for all records")
        parts = [type(self.iterator).__name__.lower()]
        if self.extractor is not None:
            parts.append(type(self.extractor).__name__.lower())
        self.name = f"{'iterate_extract' if len(parts) == 2 else 'iterate'}_{'_'.join(parts)}"

    @property
    def filename_column(self) -> str | None:
        return resolve_filename_column(self.add_filename_column)

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        columns = (self.extractor or self.iterator).output_columns()
        added = [] if self.filename_column is None else [self.filename_column]
        return ["data"], list(dict.fromkeys([*columns, *added]))

    def ray_stage_spec(self) -> dict[str, Any]:
        limit = {} if self.max_calls_per_worker is None else {"max_calls_per_worker": self.max_calls_per_worker}
        return {**super().ray_stage_spec(), **limit}

    def process(self, task: FileGroupTask) -> Iterator[DocumentBatch]:
        columns = self.outputs()[1]
        for path in task.data:
            metadata = {**task._metadata, "source_files": [path]}
            is_empty = True
            for rows in batched(self._rows(path)):
                for table, absent in _tables(rows, columns, path):
                    is_empty = False
                    yield DocumentBatch.from_arrow(
                        table, dataset_name=task.dataset_name, metadata=dict(metadata), absent=absent
                    )
            if is_empty:
                table, _ = make_table([], columns)
                yield DocumentBatch.from_arrow(table, dataset_name=task.dataset_name, metadata=metadata)

    def _rows(self, path: str) -> Iterator[Row]:
        """Yield the documents of a file, and report when it has ended what became of its records."""
        added = {} if self.filename_column is None else {self.filename_column: Path(path).name}
        number = kept = 0
        without: Counter[str] = Counter()
        for number, record in enumerate(self._records(path), start=1):
            try:
                document = self._document(record, added)
                size = size_of(document)
            except MissingExtraError:
                raise
            except Exception as error:  # one record must not cost its file, whatever a user's extractor raises
                failed(error, source=f"{path}, record {number}", record=record)
                continue
            if document is None:
                without[self._reason()] += 1
                continue
            yield Row(number, document, size)
            kept += 1
            if kept == self.record_limit:
                break
        seen(number)
        for reason, count in without.items():
            dropped(reason, count)

    def _reason(self) -> str:
        return getattr(self.extractor, "drop_reason", None) or type(self.extractor).__name__

    def _records(self, path: str) -> Iterator[dict[str, Any]]:
        number = 1
        try:
            for record in self.iterator.iterate(path):
                yield record
                number += 1
        except MissingExtraError:
            raise
        except Exception as error:  # as above
            failed(error, source=f"{path}, record {number}")
            seen(1)

    def _document(self, record: dict[str, Any], added: dict[str, str]) -> dict[str, Any] | None:
        named = {**record, **added}
        document = named if self.extractor is None else self.extractor.extract(named)
        return None if document is None else {**document, **added}


def _tables(rows: list[Row], columns: list[str], path: str) -> Iterator[tuple[pa.Table, pa.Table | None]]:
    """Make a table; where values do not go into one, make more, down to the row that goes into none."""
    try:
        table = make_table([row.values for row in rows], columns)
    except Exception as error:  # Arrow and json raise errors of many kinds
        if len(rows) == 1:
            failed(error, source=f"{path}, record {rows[0].number}", record=rows[0].values)
            return
        half = len(rows) // 2
        yield from _tables(rows[:half], columns, path)
        yield from _tables(rows[half:], columns, path)
        return
    rows.clear()  # the table has them; what follows may take long
    yield table
