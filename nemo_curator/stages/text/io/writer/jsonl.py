"""JSON Lines: one object a line."""

from __future__ import annotations

import bz2
import json
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import zstandard

from nemo_curator.stages.text.io.settings import asks_for_more
from nemo_curator.stages.text.io.writer.base import BaseWriter
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.json_column import is_json
from nemo_curator.utils.find_files import COMPRESSIONS, compression_of

ROWS_AT_ONCE = 1024
_DONE_ANYWAY: dict[str, tuple | None] = {
    "storage_options": None,
    "lines": (True,),
    "orient": ("records",),
    "force_ascii": (False,),
    "index": (None, False),
    "compression": ("infer", None, *COMPRESSIONS.values()),
}
"""Settings of `pandas.DataFrame.to_json` that ask for what is done anyway."""
COMPRESSORS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.compressobj(wbits=31),
    "bz2": bz2.BZ2Compressor,
    "xz": lzma.LZMACompressor,
    "zstd": lambda: zstandard.ZstdCompressor(write_checksum=True).compressobj(),
}


@dataclass
class JsonlWriter(BaseWriter):
    """Write documents as JSON Lines.

    Text stays as it is, a key that was absent stays absent, and JSON text is written as it came. Compression follows
    the extension (`jsonl.gz`), or the extension `write_kwargs={"compression": "gzip"}`; also `bz2`, `xz` and `zstd`.
    Other settings are those of `pandas.DataFrame.to_json`.
    """

    file_extension: str = "jsonl"
    name: str = "jsonl_writer"

    def __post_init__(self) -> None:
        super().__post_init__()
        wanted = self.write_kwargs.get("compression", "infer")
        method = wanted.get("method", "infer") if isinstance(wanted, dict) else wanted
        if method not in ("infer", None):
            self.file_extension = _with_suffix(self.file_extension, method)

    def write_data(self, task: DocumentBatch, file_path: str) -> None:
        if asks_for_more(self.write_kwargs, _DONE_ANYWAY):
            settings = {"force_ascii": False, **self.write_kwargs, "lines": True, "orient": "records"}
            task.to_pandas().to_json(file_path, **settings)
            return
        lines, method = encode(task), compression_of(file_path)
        self.put(file_path, _compressed(lines, method) if method else lines)


def encode(batch: DocumentBatch) -> Iterator[bytes]:
    """Put documents into lines, some at a time."""
    table = batch.to_pyarrow()
    gaps = {name: absent for name in table.column_names if (absent := batch.absent(name)) is not None}
    for at in range(0, table.num_rows, ROWS_AT_ONCE):
        rows = min(ROWS_AT_ONCE, table.num_rows - at)  # a table without columns would give more than it has
        yield _encode_rows(table.slice(at, rows), {name: absent[at : at + rows] for name, absent in gaps.items()})


def _compressed(pieces: Iterable[bytes], method: str) -> Iterator[bytes]:
    compressor = COMPRESSORS[method]()
    yield from map(compressor.compress, pieces)
    yield compressor.flush()


def _encode_rows(table: pa.Table, gaps: dict[str, np.ndarray]) -> bytes:
    names = table.column_names
    columns = [_values(column) for column in table.columns]
    rows = [dict(zip(names, row)) for row in zip(*columns)] if columns else [{}] * table.num_rows
    for name, absent in gaps.items():
        for at in np.flatnonzero(absent):
            del rows[at][name]
    return _encoder.encode_lines(rows)


def _values(column: pa.ChunkedArray) -> list[Any]:
    values = column.to_pylist()
    if not is_json(column.type):
        return values
    return [None if text is None else msgspec.Raw(_on_one_line(text)) for text in values]


def _on_one_line(text: str) -> str:
    return json.dumps(json.loads(text), ensure_ascii=False) if "\n" in text else text


def _with_suffix(extension: str, method: str) -> str:
    """The extension that tells how a file is compressed."""
    suffixes = {each: suffix for suffix, each in COMPRESSIONS.items()}
    if method not in suffixes or compression_of(f".{extension}") not in (None, method):
        raise ValueError(f"cannot compress .{extension} files with {method!r}; known are {', '.join(suffixes)}")
    return extension.removesuffix(suffixes[method]) + suffixes[method]


def _encode_other(value: Any) -> str:
    """Times of pandas, which nanoseconds become."""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise NotImplementedError(f"a {type(value).__name__} has no place in JSON")


_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=_encode_other)
