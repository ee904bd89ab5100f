"""Parquet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.stages.text.io.reader.parquet import IS_JSON
from nemo_curator.stages.text.io.settings import asks_for_more
from nemo_curator.stages.text.io.writer.base import BaseWriter
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.json_column import is_json
from nemo_curator.utils.client_utils import is_remote_url

_OF_PANDAS: dict[str, tuple | None] = {"engine": ("auto", "pyarrow"), "index": (None, False), "partition_cols": (None,)}
"""Settings of `pandas.DataFrame.to_parquet` alone, with the values that ask for what is done anyway."""


@dataclass
class ParquetWriter(BaseWriter):
    """Write documents as Parquet, compressed with zstd, each page with its checksum.

    What travels as JSON text is written as text that our reader knows again; a key that was absent is null.
    `write_kwargs` are settings of `pyarrow.parquet.write_table` or `pandas.DataFrame.to_parquet`.
    """

    file_extension: str = "parquet"
    name: str = "parquet_writer"

    def write_data(self, task: DocumentBatch, file_path: str) -> None:
        own = {key: value for key, value in self.write_kwargs.items() if key not in ("storage_options", *_OF_PANDAS)}
        if asks_for_more({key: self.write_kwargs[key] for key in self.write_kwargs.keys() & _OF_PANDAS}, _OF_PANDAS):
            task.to_pandas().to_parquet(file_path, **self.write_kwargs)
            return
        settings: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True, **own}
        settings["compression"] = settings["compression"] or "none"
        schema = settings.pop("schema", None)
        table = plain(task.to_pyarrow())
        table = table if schema is None else fitted(table, schema)
        if is_remote_url(file_path):
            sink = pa.BufferOutputStream()
            pq.write_table(table, sink, **settings)
            self.put(file_path, [sink.getvalue().to_pybytes()])
        else:
            pq.write_table(table, file_path, **settings)


def plain(table: pa.Table) -> pa.Table:
    """Make JSON columns text, marked so that our reader makes them JSON again."""
    fields, columns = [], []
    for one, column in zip(table.schema, table.columns):
        fields.append(pa.field(one.name, pa.string(), metadata=IS_JSON) if is_json(one.type) else one)
        columns.append(column.cast(pa.string()) if is_json(one.type) else column)
    return pa.table(columns, schema=pa.schema(fields))


def fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give a table the columns of a schema; one that it lacks is null."""
    have = set(table.column_names)
    columns = [table[one.name].cast(one.type) if one.name in have else pa.nulls(len(table), one.type) for one in schema]
    return pa.table(columns, schema=schema)
