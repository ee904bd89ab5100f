"""Hashes of the texts in lines of JSON, where nothing else of them is wanted: no object is made of a text."""

from __future__ import annotations

import codecs
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from nemo_curator.ledger import counts
from nemo_curator.stages.deduplication.hashing import HASH_BYTES, digest_of
from nemo_curator.stages.text.io.reader import JsonlReaderStage
from nemo_curator.stages.text.io.reader.records import Columns, check_utf8
from nemo_curator.stages.text.io.reader.row_numbers import RowNumbers, number_column
from nemo_curator.tasks.document import DocumentBatch

_QUOTE = ord('"')


class TextHashReader(JsonlReaderStage):
    """Reads hashes and row numbers in place of texts. Lines that are not plain go the long way, by `hash_batch`."""

    def hashing(
        self, text_field: str, method: str, names: tuple[str, str, str], hash_batch: Callable[[DocumentBatch], pa.Table]
    ) -> TextHashReader:
        """Say what is read, and the names of both halves of the hash and of the id."""
        keys = [("text", msgspec.Raw, msgspec.Raw(b"null"))]
        kind: Any = msgspec.defstruct("Record", keys, rename={"text": text_field}, gc=False)
        self._decoder = msgspec.json.Decoder(kind)
        self._digest = digest_of(method)
        self._hash_names = names
        self._hash_batch = hash_batch
        return self

    def _parse(
        self, lines: bytes, count: int, where: Callable[[int, int], str], numbers: RowNumbers | None
    ) -> list[Columns]:
        has_numbers = numbers is not None and numbers.has(count)
        hashes = self._hashes(lines, count) if has_numbers else None
        if hashes is None or numbers is None:
            parts = [part.tables()[0] for part in super()._parse(lines, count, where, numbers)]
            return [_columns(self._hash_batch(DocumentBatch.from_arrow(part))) for part in parts]
        counts.seen(count, len(lines))
        columns = [*map(pa.array, hashes), number_column(numbers.take(count))]
        return [Columns(dict(zip(self._hash_names, columns)), {}, count)]

    def _hashes(self, lines: bytes, count: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Both halves of the hash of each text; None if one is missing, no text, or there are not so many records."""
        digest = self._digest
        try:
            check_utf8(lines)  # the decoder looks at what it copies, not into it
            records = self._decoder.decode_lines(lines)
            if len(records) != count:
                return None
            with strict_escapes():
                joined = b"".join([digest(text_bytes(record.text))[:HASH_BYTES] for record in records])
        except (ValueError, RecursionError, MemoryError):
            return None
        halves = np.frombuffer(joined, "<u8").reshape(-1, 2)
        return np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1])


def text_bytes(value: msgspec.Raw) -> bytes:
    """The UTF-8 of a text that is written as JSON, within `strict_escapes`. Raises ValueError if it is none."""
    written = memoryview(value)  # slices of it copy nothing
    if written[0] != _QUOTE:
        raise ValueError("not a text")
    try:
        return codecs.escape_decode(written[1:-1])[0]
    except DeprecationWarning:  # an escape of JSON that bytes of Python do not have
        return msgspec.json.decode(value, type=str).encode()


@contextmanager
def strict_escapes() -> Iterator[None]:
    """Let Python say which escapes it does not know, rather than keep them as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        yield


def _columns(table: pa.Table) -> Columns:
    return Columns({name: table[name].combine_chunks() for name in table.column_names}, {}, len(table))
