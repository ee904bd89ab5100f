"""Columns of nested or mixed values travel as their JSON text, marked by Arrow's own JSON type."""

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

JSON = pa.json_(pa.string())


def is_json(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.JsonType)


def encoded(texts: Iterable[str | None]) -> pa.ExtensionArray:
    """Make a JSON column of texts that are JSON already."""
    return pa.ExtensionArray.from_storage(JSON, pa.array(texts, pa.string()))


def decoded(column: pa.ChunkedArray | pa.Array) -> list[Any]:
    return [None if text is None else json.loads(text) for text in column.to_pylist()]
