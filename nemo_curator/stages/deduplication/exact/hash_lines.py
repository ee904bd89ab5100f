"""Hashes of the texts in lines of JSON, where nothing else of them is wanted: no object is made of a text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from nemo_curator.ledger import counts
from nemo_curator.stages.deduplication.hashing import HASH_BYTES, digest_of
from nemo_curator.stages.text.io.reader import JsonlReaderStage
from nemo_curator.stages.text.io.reader.records import Columns
from nemo_curator.stages.text.io.reader.row_numbers import RowNumbers, number_column
from nemo_curator.tasks.document import DocumentBatch

_QUOTE = ord('"')
_SHORT = {b"n": b"\n", b'"': b'"', b"t": b"\t", b"r": b"\r", b"/": b"/"}
_RARE = 32  # bytes for each escape, beyond which it is faster to look at escapes alone


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
        hashes = self._hashes(lines, count)
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
            if not lines.isascii():
                lines.decode()  # the decoder looks at what it copies, not into it
            records = self._decoder.decode_lines(lines)
            if len(records) != count:
                return None
            joined = b"".join([digest(text_bytes(bytes(record.text)))[:HASH_BYTES] for record in records])
        except (ValueError, RecursionError, MemoryError):
            return None
        halves = np.frombuffer(joined, "<u8").reshape(-1, 2)
        return np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1])


def text_bytes(value: bytes) -> bytes:
    """The UTF-8 of a text that is written as JSON. Raises ValueError if it is none."""
    if value[0] != _QUOTE:
        raise ValueError("not a text")
    text = value[1:-1]
    escapes = text.count(b"\\")
    if not escapes:
        return text
    if escapes * _RARE <= len(text):
        first, *others = text.split(b"\\")
        # an escaped backslash leaves a part without a first byte
        chars = [_SHORT.get(part[:1]) for part in others]
        if None not in chars:
            return b"".join([first, *(char + part[1:] for char, part in zip(chars, others))])  # type: ignore[operator]
    return msgspec.json.decode(value, type=str).encode()


def _columns(table: pa.Table) -> Columns:
    return Columns({name: table[name].combine_chunks() for name in table.column_names}, {}, len(table))
