"""Hash the bands of every document's signature: documents that share one are candidates for near duplicates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.kernels.shingles import shingle_sets
from nemo_curator.kernels.sketches import band_hashes, signatures
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.io.writer.base import file_name
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.text_column import TextColumn
from nemo_curator.utils.storage import locate
from nemo_curator.utils.whole_files import put

BAND_FIELD = "_band_hash"
ROW_FIELD = "_curator_row"
"""Row numbers, which are not the ids where a column of the files has those, whatever its name."""
SIGNATURE_FIELD = "_signature"
SHINGLES_FIELD = "_shingles"

_ROWS = 2**14
"""Documents whose bands go into one batch: 5 MiB with 20 bands."""
_SIGNED_AT_ONCE = 2**10
"""Documents whose signatures are in memory at once: 2 MiB with 260 hashes."""


@dataclass(frozen=True)
class Signing:
    """How texts become signatures, and signatures bands. Only what is signed in the same way can be compared."""

    method: Literal["fast", "minhash"] = "fast"
    num_bands: int = 20
    minhashes_per_band: int = 13
    char_ngrams: int = 24
    seed: int = 42
    use_64bit_hash: bool = False

    def sign(self, texts: TextColumn) -> np.ndarray:
        return signatures(
            texts,
            method=self.method,
            num_hashes=self.num_bands * self.minhashes_per_band,
            char_ngrams=self.char_ngrams,
            seed=self.seed,
            use_64bit_hash=self.use_64bit_hash,
        )


@dataclass
class BandStage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Make a row of each band of each document: its hash, and the id of the document. Nulls are no documents.

    With `documents_path` the signatures, and with `keeps_shingles` the sets of shingles, are kept there in files, for
    an index.
    """

    signing: Signing
    text_field: str = "text"
    id_field: str | None = None
    documents_path: str | None = None
    keeps_shingles: bool = False
    storage_options: dict[str, Any] | None = None
    name: str = "bands"

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [self.text_field, ROW_FIELD, *([] if self.id_field is None else [self.id_field])]

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [BAND_FIELD, ROW_FIELD]

    def validate_input(self, task: Any) -> bool:
        return not task.num_items or super().validate_input(task)

    def process(self, batch: DocumentBatch) -> Iterator[DocumentBatch]:
        if batch.num_items:
            has_text = batch.column(self.text_field).is_valid().to_numpy()
            counts.dropped("no_text", int((~has_text).sum()))
            batch = batch if has_text.all() else batch.filter(has_text)
        tables = []
        for start in range(0, batch.num_items, _ROWS):
            part = batch.slice(start, _ROWS)
            bands, documents = self._sign(part)
            tables += [documents] if self.documents_path else []
            rows = np.repeat(part.column(ROW_FIELD).to_numpy(), self.signing.num_bands)
            table = pa.table({BAND_FIELD: bands.ravel(), ROW_FIELD: rows})
            yield DocumentBatch(batch.dataset_name, table, _metadata=dict(batch._metadata))
        if tables:
            self._write(batch, pa.concat_tables(tables))

    def _sign(self, part: DocumentBatch) -> tuple[np.ndarray, pa.Table]:
        """The band hashes of some documents, and what an index keeps of them."""
        texts = part.text(self.text_field)
        bands, kept = [], []
        for start in range(0, part.num_items, _SIGNED_AT_ONCE):
            some = texts.slice(start, _SIGNED_AT_ONCE)
            signed = self.signing.sign(some)
            bands.append(band_hashes(signed, self.signing.num_bands))
            if self.documents_path:
                kept.append(self._kept(part.slice(start, _SIGNED_AT_ONCE), some, signed))
        return np.concatenate(bands), pa.concat_tables(kept) if kept else pa.table({})

    def _kept(self, part: DocumentBatch, texts: TextColumn, signed: np.ndarray) -> pa.Table:
        columns = {ROW_FIELD: part.column(ROW_FIELD)}
        if self.id_field is not None:
            columns["id"] = part.column(self.id_field)
        columns[SIGNATURE_FIELD] = as_binary(signed)
        if self.keeps_shingles:
            hashes, offsets = shingle_sets(texts, self.signing.char_ngrams)
            columns[SHINGLES_FIELD] = pa.LargeBinaryArray.from_buffers(
                pa.large_binary(), len(offsets) - 1, [None, pa.py_buffer(offsets * 8), pa.py_buffer(hashes)]
            )
        return pa.table(columns)

    def _write(self, batch: DocumentBatch, table: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", use_dictionary=False, row_group_size=_SIGNED_AT_ONCE)
        path = f"{self.documents_path}/{file_name(batch)}.parquet"
        put(*locate(path, self.storage_options), sink.getvalue().to_pybytes())


def as_binary(signed: np.ndarray) -> pa.Array:
    """Signatures as bytes of a fixed length."""
    width = signed.shape[1] * signed.itemsize
    buffers = [None, pa.py_buffer(np.ascontiguousarray(signed))]
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(signed), buffers)


def from_binary(column: pa.ChunkedArray | pa.Array, use_64bit_hash: bool) -> np.ndarray:
    """Signatures as they were, in 64 bits."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    kind = np.dtype(np.uint64 if use_64bit_hash else np.uint32)
    places = array.type.byte_width // kind.itemsize
    flat = np.frombuffer(array.buffers()[1], kind)[array.offset * places : (array.offset + len(array)) * places]
    return flat.reshape(len(array), places).astype(np.uint64)
