"""Rows in buckets by their key: the one shuffle that deduplication needs, made of ordinary stages and files.

`BucketWriter` puts the rows of each batch into Parquet files `<path>/<bucket>/<source partition>.parquet`; a pipeline
that begins with `BucketSource` then takes one bucket at a time. Rows with equal keys are in the same bucket.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem

from nemo_curator.errors import ContractError, InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.text.io.writer.base import absolute, file_name
from nemo_curator.stages.text.io.writer.parquet import plain
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.sentinels import EmptyTask
from nemo_curator.tasks.tasks import Task
from nemo_curator.utils.file_utils import check_output_mode, refuse_to_empty
from nemo_curator.utils.find_files import each
from nemo_curator.utils.hash_utils import get_deterministic_hash
from nemo_curator.utils.storage import ask, locate, open_bytes
from nemo_curator.utils.whole_files import put, remove_leftovers

MOST_BUCKETS = 2**14
MANIFEST = "buckets.json"

_HEADROOM = 2
_HASHED_AT_ONCE = 2**22
_POINT = 0x9FB21C651E98DF25
_BYTES = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
)


def buckets_for(total_bytes: int, memory_bytes: int) -> int:
    """The number of buckets, a power of two, with which a bucket of twice the even share fits into the memory."""
    if total_bytes < 0 or memory_bytes < 1:
        raise ValueError(f"wanted bytes and memory; found total_bytes={total_bytes} and memory_bytes={memory_bytes}")
    wanted = max(-(-total_bytes * _HEADROOM // memory_bytes), 1)
    number = 1 << (wanted - 1).bit_length()
    if number > MOST_BUCKETS:
        raise ValueError(
            f"{total_bytes} bytes in {memory_bytes} bytes of memory are {number} buckets, of at most {MOST_BUCKETS}; "
            "give more memory or write fewer columns"
        )
    return number


def bucket_of(keys: pa.Array | pa.ChunkedArray, num_buckets: int) -> np.ndarray:
    """The bucket of each key, which depends on the key alone. Integers, text and bytes are keys; nulls share one."""
    array = keys.combine_chunks() if isinstance(keys, pa.ChunkedArray) else keys
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    mixed = hash_keys(array)
    if array.null_count:
        mixed[array.is_null().to_numpy(zero_copy_only=False)] = 0
    return (mixed >> np.uint64(40)).astype(np.int64) & (num_buckets - 1)


def hash_keys(keys: pa.Array) -> np.ndarray:
    """64 bits for each key, equal for equal ones. Of others two may share them, and such are easy to make."""
    return _mixed(_numbers_of(keys))


@dataclass
class BucketWriter(ProcessingStage[DocumentBatch, FileGroupTask]):
    """Write each row into the bucket of its key, in Parquet files named after the source of the batch.

    `num_buckets` is a power of two (see `buckets_for`). With `fields`, only these columns and the key are written.
    With a larger `batch_size` more goes into one file. The folder must be empty when the run starts; `overwrite`
    empties it, and `ignore` writes beside what is there, where the buckets are the same. A batch that is done again
    writes the same files.
    """

    path: str
    key_field: str
    num_buckets: int
    fields: list[str] | None = None
    mode: Literal["error", "ignore", "overwrite"] = "error"
    storage_options: dict[str, Any] | None = None
    name: str = "bucket_writer"

    _folder = ""
    _goes_on = False

    def __post_init__(self) -> None:
        if not 1 <= self.num_buckets <= MOST_BUCKETS or self.num_buckets & (self.num_buckets - 1):
            raise ValueError(f"num_buckets is {self.num_buckets}; wanted a power of two up to {MOST_BUCKETS}")
        if self.mode not in ("error", "ignore", "overwrite"):
            raise ValueError(f"{self.name}: unknown mode {self.mode!r}; known are error, ignore and overwrite")

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], list(dict.fromkeys([self.key_field, *(self.fields or [])]))

    def validate_input(self, task: Task) -> bool:
        return not task.num_items or super().validate_input(task)

    def check_inputs(self, paths: list[str]) -> None:
        """Raise if the run would delete files that it reads."""
        if self.mode == "overwrite":
            refuse_to_empty(self.path, paths)

    def before_run(self, earlier: bool | None = None) -> bool:
        self._folder = absolute(self.path)
        self._goes_on = earlier is not None or self.mode == "ignore"
        fs, place = locate(self._folder, self.storage_options)
        if earlier is None:
            check_output_mode(self.mode, fs, self._folder)
        wanted = {"num_buckets": self.num_buckets, "key": self.key_field}
        if (there := _manifest(fs, place)) not in (None, wanted):
            raise FileExistsError(f"cannot write to {self._folder}: its buckets are {there}, wanted {wanted}; empty it")
        self.after_run()
        put(fs, f"{place}/{MANIFEST}", json.dumps(wanted).encode())
        return True

    def after_run(self) -> None:
        for bucket in range(self.num_buckets):  # what workers that were killed have left
            remove_leftovers(f"{self._root}/{_name(bucket, self.num_buckets)}")

    def process(self, task: DocumentBatch) -> FileGroupTask:
        return self.process_batch([task])[0]

    def process_batch(self, tasks: list[DocumentBatch]) -> list[FileGroupTask]:
        """Write the rows of all tasks, into one file for each bucket that has any."""
        table = pa.concat_tables([self._table(task) for task in tasks], promote_options="permissive")
        ids = bucket_of(table[self.key_field], self.num_buckets) if len(table) else np.empty(0, np.int64)
        table = table.take(np.argsort(ids, kind="stable"))
        starts = np.searchsorted(np.sort(ids), np.arange(self.num_buckets + 1))
        pieces = [table.slice(start, stop - start) for start, stop in pairwise(starts)]
        paths = self._paths(tasks[0])
        rows = {path: piece for path, piece in zip(paths, pieces) if piece.num_rows}
        try:
            each(lambda path: self._write(path, rows[path]), list(rows))
            if self._goes_on:  # an attempt before may have read another file of this name
                others = [self._paths(task) for task in tasks[1:]]  # it may have written them one by one
                each(self._remove, [path for path in sum(others, paths) if path not in rows])
        except Exception:
            each(self._remove, list(rows))  # the tasks are tried one by one, under names of their own
            raise
        counts.written(table.num_rows)
        metadata = {**tasks[0]._metadata, "format": "parquet", "num_rows": table.num_rows}
        return [FileGroupTask(dataset_name=tasks[0].dataset_name, data=list(rows), _metadata=metadata)]

    def _paths(self, task: DocumentBatch) -> list[str]:
        """One for each bucket."""
        name = file_name(task)
        return [f"{self._root}/{_name(bucket, self.num_buckets)}/{name}.parquet" for bucket in range(self.num_buckets)]

    def _table(self, task: DocumentBatch) -> pa.Table:
        if not task.num_items:
            return pa.table({})
        return plain(task.to_pyarrow().select(self.inputs()[1]) if self.fields else task.to_pyarrow())

    def _write(self, path: str, rows: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="lz4", use_dictionary=False)  # most of it is hashes, and read once
        put(*locate(path, self.storage_options), sink.getvalue().to_pybytes())

    def _remove(self, path: str) -> None:
        fs, place = locate(path, self.storage_options)
        with suppress(FileNotFoundError, KeyError):  # of memory://
            ask(fs, "rm_file", place)

    @property
    def _root(self) -> str:
        return self._folder or absolute(self.path)


@dataclass
class BucketSource(ProcessingStage[EmptyTask, FileGroupTask]):
    """List the buckets that a `BucketWriter` has filled: a task for each, with its files in the order of their names.

    `read_bucket` reads what a task lists.
    """

    path: str
    storage_options: dict[str, Any] | None = None
    name: str = "bucket_source"

    resources = Resources(cpus=0.5)
    is_source_stage = True

    def num_workers(self) -> int | None:
        return 1

    def process(self, _: EmptyTask) -> list[FileGroupTask]:
        path = absolute(self.path)
        fs, place = locate(path, self.storage_options)
        fs.invalidate_cache()
        manifest = _manifest(fs, place)
        if manifest is None:
            raise InputError(f"cannot read {path}: there is no {MANIFEST}; write the buckets with BucketWriter")
        number = manifest["num_buckets"]
        names = sorted(name[len(place) + 1 :] for name in ask(fs, "find", place))
        names = [name for name in names if name != MANIFEST and not name.rpartition("/")[2].startswith(".")]
        folders = [_name(bucket, number) for bucket in range(number)]
        if strange := [name for name in names if name.rpartition("/")[0] not in set(folders)]:
            raise InputError(f"{path} has {number} buckets and holds {strange[0]}, which is in none; empty the folder")
        files: dict[str, list[str]] = {}
        for name in names:
            files.setdefault(name.partition("/")[0], []).append(f"{path}/{name}")
        return [self._task(bucket, number, files[name]) for bucket, name in enumerate(folders) if name in files]

    def _task(self, bucket: int, number: int, paths: list[str]) -> FileGroupTask:
        folder = paths[0].rpartition("/")[0]
        place = {"bucket": bucket, "num_buckets": number, "source_files": [folder]}
        task = FileGroupTask(dataset_name=absolute(self.path).rpartition("/")[2], data=paths, _metadata=place)
        task._source_id = get_deterministic_hash([_name(bucket, number)], f"of {number}")
        return task


def bucket_folder(path: str, bucket: int, num_buckets: int) -> str:
    """The folder of one bucket."""
    return f"{absolute(path)}/{_name(bucket, num_buckets)}"


def read_bucket(
    task: FileGroupTask, columns: list[str] | None = None, storage_options: dict[str, Any] | None = None
) -> pa.Table:
    """Read a whole bucket, or these columns of it: its rows in the order of the files. Reports the rows as seen."""
    tables = each(partial(_read, columns=columns, storage_options=storage_options), task.data)
    table = pa.concat_tables(tables, promote_options="permissive")
    counts.seen(table.num_rows)
    return table


def read_parts(
    task: FileGroupTask,
    part_bytes: int,
    columns: list[str] | None = None,
    storage_options: dict[str, Any] | None = None,
) -> Iterator[pa.Table]:
    """Read a bucket file by file, in the order of their names, put together to parts of about this size or more."""
    held: list[pa.Table] = []
    for path in task.data:
        held.append(_read(path, columns, storage_options))
        if sum(table.nbytes for table in held) >= part_bytes:
            yield pa.concat_tables(held, promote_options="permissive")
            held = []
    if held:
        yield pa.concat_tables(held, promote_options="permissive")


def read_files_of(
    path: str, bucket: int, num_buckets: int, storage_options: dict[str, Any] | None = None
) -> pa.Table | None:
    """Read one bucket of those in a folder outside a pipeline over them; None where it holds nothing."""
    folder = f"{absolute(path)}/{_name(bucket, num_buckets)}"
    fs, place = locate(folder, storage_options)
    try:
        names = sorted(one.rpartition("/")[2] for one in ask(fs, "ls", place, detail=False))
    except FileNotFoundError:
        return None
    names = [name for name in names if name.endswith(".parquet") and not name.startswith(".")]
    tables = each(partial(_read, columns=None, storage_options=storage_options), [f"{folder}/{name}" for name in names])
    return pa.concat_tables(tables, promote_options="permissive") if tables else None


def _read(path: str, columns: list[str] | None, storage_options: dict[str, Any] | None) -> pa.Table:
    with open_bytes(path, storage_options) as file:
        data = file.read()
    try:
        return pq.ParquetFile(pa.BufferReader(data)).read(columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} is damaged: {error}; write its partition again") from error


def _manifest(fs: AbstractFileSystem, place: str) -> dict[str, Any] | None:
    try:
        return json.loads(ask(fs, "cat_file", f"{place}/{MANIFEST}"))
    except FileNotFoundError:
        return None


def _name(bucket: int, number: int) -> str:
    return f"{bucket:0{len(str(number - 1))}}"


def _numbers_of(keys: pa.Array) -> np.ndarray:
    """A number for each key: equal for equal ones."""
    kind = keys.type
    if pa.types.is_null(kind):
        return np.zeros(len(keys), np.uint64)
    if pa.types.is_integer(kind):
        numbers = keys.fill_null(0).to_numpy(zero_copy_only=False)
        return numbers.astype(np.int64 if pa.types.is_signed_integer(kind) else np.uint64).view(np.uint64)
    if pa.types.is_fixed_size_binary(kind):
        keys = keys.cast(pa.binary())
    elif not any(is_kind(kind) for is_kind in _BYTES):
        raise ContractError(f"a key is an integer, text or bytes, not {kind}; make one that is")
    texts = keys.cast(pa.large_binary())
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    return np.concatenate([np.empty(0, np.uint64), *(_polynomials(data, part) for part in _parts(offsets))])


def _parts(offsets: np.ndarray) -> Iterator[np.ndarray]:
    """Cut rows into runs of some MiB: a byte takes 24 while it is hashed."""
    at, end = 0, len(offsets) - 1
    while at < end:
        fits = int(np.searchsorted(offsets, offsets[at] + _HASHED_AT_ONCE, "right")) - 1
        stop = min(max(fits, at + 1), end)
        yield offsets[at : stop + 1]
        at = stop


def _polynomials(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The bytes of each row as the coefficients of a polynomial, at one point, modulo 2⁶⁴."""
    lengths = np.diff(offsets)
    starts = offsets[:-1] - offsets[0]
    powers = np.full(max(int(lengths.max()), 1), _POINT, np.uint64)
    np.multiply.accumulate(powers, out=powers)
    places = np.arange(offsets[-1] - offsets[0]) - np.repeat(starts, lengths)
    terms = (data[offsets[0] : offsets[-1]].astype(np.uint64) + np.uint64(1)) * powers[places]
    sums = np.zeros(len(lengths), np.uint64)
    is_full = lengths > 0
    if is_full.any():
        sums[is_full] = np.add.reduceat(terms, starts[is_full])
    return sums


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Spread numbers over 64 bits: the last steps of SplitMix64."""
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
