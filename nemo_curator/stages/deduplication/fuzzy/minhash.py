"""MinHash signatures of documents, in files."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pyarrow as pa

from nemo_curator.errors import InputError
from nemo_curator.kernels.minhash import permutations
from nemo_curator.kernels.sketches import signatures
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.fuzzy.utils import CURATOR_DEFAULT_MINHASH_FIELD
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR, get_id_generator_actor
from nemo_curator.stages.deduplication.parquet_files import name_of, start_folder, storage_of, writing
from nemo_curator.stages.text.io.reader import JsonlReaderStage, ParquetReaderStage
from nemo_curator.stages.text.io.reader.row_numbers import ROW_NUMBERS
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.tasks import Task
from nemo_curator.tasks.text_column import TextColumn
from nemo_curator.utils.file_utils import refuse_to_empty

if TYPE_CHECKING:
    import pandas as pd

    from nemo_curator.backends.base import WorkerMetadata

_SIGNED_AT_ONCE = 2**10
_WRITTEN_AT_ONCE = 2**14
"""Documents whose signatures are in memory at once: 17 MiB with 260 hashes of 32 bits."""


class MinHash(ABC):
    """How texts become signatures."""

    def __init__(
        self, seed: int = 42, num_hashes: int = 260, char_ngrams: int = 24, use_64bit_hash: bool = False
    ) -> None:
        if char_ngrams < 2:
            raise ValueError(f"char_ngrams is {char_ngrams}; wanted windows of 2 characters or more")
        self.seed = seed
        self.num_hashes = num_hashes
        self.char_ngrams = char_ngrams
        self.use_64bit_hash = use_64bit_hash

    @staticmethod
    def generate_seeds(n_permutations: int = 260, seed: int = 0, bit_width: int = 32) -> np.ndarray:
        """The factor and the summand of each permutation, as rows."""
        return permutations(n_permutations, seed, bit_width)

    @abstractmethod
    def compute_minhashes(self, text_series: Any) -> Any:
        """The signature of each text, as lists."""


class GPUMinHash(MinHash):
    """MinHash as cuDF computes it, to the bit, on the CPU. `pool` does nothing.

    `method="fast"` makes sketches instead, which are as accurate in a fraction of the time; the two cannot be compared.
    """

    def __init__(
        self,
        seed: int = 42,
        num_hashes: int = 260,
        char_ngrams: int = 24,
        use_64bit_hash: bool = False,
        pool: bool = False,
        *,
        method: Literal["fast", "minhash"] = "minhash",
    ) -> None:
        super().__init__(seed, num_hashes, char_ngrams, use_64bit_hash)
        self.pool = pool
        self.method = method

    def compute_minhashes(
        self, text_series: pa.Array | pa.ChunkedArray | pd.Series | TextColumn
    ) -> pa.ListArray | pa.ChunkedArray | pd.Series:
        """The signature of each text: of an Arrow array as lists, of a pandas series as one. A null has none."""
        if isinstance(text_series, TextColumn):
            return self._signed(text_series)
        if isinstance(text_series, pa.Array | pa.ChunkedArray):
            return self._signed(TextColumn(text_series))
        if not (hasattr(text_series, "index") and hasattr(text_series, "to_numpy")):
            raise TypeError(f"wanted texts in a pandas Series or an Arrow array, not in a {type(text_series).__name__}")
        texts = TextColumn(pa.array(text_series, pa.large_string(), from_pandas=True))
        return type(text_series)(list(self._signed(texts).to_pandas()), index=text_series.index, dtype=object)

    def _signed(self, texts: TextColumn) -> pa.ListArray | pa.ChunkedArray:
        parts = [self._some(texts.slice(at, _SIGNED_AT_ONCE)) for at in range(0, len(texts), _SIGNED_AT_ONCE)]
        return pa.chunked_array(parts or [self._some(texts)])

    def _some(self, texts: TextColumn) -> pa.ListArray:
        found = signatures(
            texts,
            method=self.method,
            num_hashes=self.num_hashes,
            char_ngrams=self.char_ngrams,
            seed=self.seed,
            use_64bit_hash=self.use_64bit_hash,
        )
        starts = pa.array(np.arange(0, found.size + 1, self.num_hashes, dtype=np.int32))
        nulls = texts.array.is_null()
        nulls = nulls.combine_chunks() if isinstance(nulls, pa.ChunkedArray) else nulls
        return pa.ListArray.from_arrays(starts, pa.array(found.ravel()), mask=nulls)


@dataclass
class MinHashStage(ProcessingStage[FileGroupTask | DocumentBatch, FileGroupTask]):
    """Write the signature and the id of each document: `<output_path>/MinHashStage/<source>.parquet`.

    It takes documents with their ids, or files and reads them, where `read_format` is `jsonl` or `parquet`. Their ids
    are those that the files were numbered with, else those of the id generator that is running, else a column of them.
    A document without a text has no signature. The folder is emptied when the run starts, unless it goes on from a
    checkpoint. `pool` does nothing here.
    """

    output_path: str
    text_field: str = "text"
    minhash_field: str = CURATOR_DEFAULT_MINHASH_FIELD
    char_ngrams: int = 24
    num_hashes: int = 260
    seed: int = 42
    use_64bit_hash: bool = False
    read_format: Literal["jsonl", "parquet"] | None = None
    read_kwargs: dict[str, Any] | None = None
    write_kwargs: dict[str, Any] | None = None
    pool: bool = True
    method: Literal["fast", "minhash"] = field(default="minhash", kw_only=True)
    name: str = field(default="MinHashStage", kw_only=True)

    _minhash: GPUMinHash | None = field(default=None, init=False, repr=False)
    _generating: JsonlReaderStage | ParquetReaderStage | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.read_format not in (None, "jsonl", "parquet"):
            raise ValueError(f"unknown read_format {self.read_format!r}; wanted 'jsonl' or 'parquet'")

    def inputs(self) -> dict[type[Task], tuple[list[str], list[str]]]:
        return {
            FileGroupTask: (["data"], []),
            DocumentBatch: (["data"], [CURATOR_DEDUP_ID_STR, self.text_field]),
        }

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [CURATOR_DEDUP_ID_STR, self.minhash_field]

    def validate_input(self, task: Task) -> bool:
        return not task.num_items or super().validate_input(task)

    @property
    def path(self) -> str:
        return f"{absolute(self.output_path)}/{self.name}"

    def check_inputs(self, paths: list[str]) -> None:
        """Raise if the run would delete files that it reads."""
        refuse_to_empty(self.path, paths)

    def before_run(self, earlier: dict[str, Any] | None = None) -> dict[str, Any]:
        if self.read_format is not None and is_generator_running():
            self._generating = self._reader([self.text_field], generates_ids=True)
        ids = self._generating.before_run(earlier["ids"] if earlier else None) if self._generating else None
        if earlier is None:
            start_folder(self.path, storage_of(self.write_kwargs))
        return {"ids": ids}

    def setup(self, _: WorkerMetadata | None = None) -> None:
        self._minhash = GPUMinHash(
            self.seed, self.num_hashes, self.char_ngrams, self.use_64bit_hash, self.pool, method=self.method
        )

    def process(self, task: FileGroupTask | DocumentBatch) -> FileGroupTask:
        if self._minhash is None:
            raise RuntimeError("MinHash processor not initialized. Call setup() first.")
        batches = self._read(task) if isinstance(task, FileGroupTask) else self._given(task)
        path = f"{self.path}/{name_of(task)}.parquet"
        rows = 0
        with writing(path, self.write_kwargs) as write:
            for batch in batches:
                for start in range(0, batch.num_items, _WRITTEN_AT_ONCE):
                    write(self._signed(batch.slice(start, _WRITTEN_AT_ONCE)))
                rows += batch.num_items
            if not rows:
                write(self._nothing())
        metadata = {"minhash_field": self.minhash_field, "num_hashes": self.num_hashes, "num_rows": rows}
        return FileGroupTask(task.dataset_name, [path], _metadata={**task._metadata, **metadata})

    def _signed(self, part: DocumentBatch) -> pa.Table:
        minhash = cast("GPUMinHash", self._minhash)
        with self._time_metric("minhash_compute_time"):
            signed = minhash.compute_minhashes(part.text(self.text_field))
        return pa.table([part.column(CURATOR_DEDUP_ID_STR), signed], names=self.outputs()[1])

    def _nothing(self) -> pa.Table:
        kinds = [pa.int64(), pa.list_(pa.uint64() if self.use_64bit_hash else pa.uint32())]
        return pa.schema(list(zip(self.outputs()[1], kinds))).empty_table()

    def _given(self, batch: DocumentBatch) -> list[DocumentBatch]:
        if self.read_format is not None:
            warnings.warn(
                f"{self.name}: read_format is {self.read_format!r}, and documents came that were read", stacklevel=2
            )
        return [batch] if batch.num_items else []

    def _read(self, task: FileGroupTask) -> Iterator[DocumentBatch]:
        if self.read_format is None:
            raise ValueError(f"{self.name} got files to read; give read_format='jsonl' or 'parquet'")
        if ROW_NUMBERS in task._metadata:
            reader = self._reader([self.text_field], is_numbered=True)
        else:
            reader = self._generating or self._reader([CURATOR_DEDUP_ID_STR, self.text_field])
        made = reader.process(task)
        for batch in [made] if isinstance(made, DocumentBatch) else made:
            if batch.num_items and batch.column(CURATOR_DEDUP_ID_STR).null_count:
                raise InputError(
                    f"{', '.join(map(str, task.data))} has documents without {CURATOR_DEDUP_ID_STR!r}; number the "
                    "files with Steps.number_rows, or start an id generator with create_id_generator_actor()"
                )
            yield batch

    def _reader(
        self, fields: list[str], *, generates_ids: bool = False, is_numbered: bool = False
    ) -> JsonlReaderStage | ParquetReaderStage:
        kind = JsonlReaderStage if self.read_format == "jsonl" else ParquetReaderStage
        return kind(fields, dict(self.read_kwargs or {}), _generate_ids=generates_ids, _row_numbers=is_numbered)


def is_generator_running() -> bool:
    """Whether there is an id generator that gives ids to the records of files."""
    try:
        get_id_generator_actor()
    except ValueError:
        return False
    return True
