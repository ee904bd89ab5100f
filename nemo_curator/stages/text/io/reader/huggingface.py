"""Data sets of Hugging Face: from the hub, from folders of `save_to_disk`, from files that `datasets` reads."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from nemo_curator.errors import InputError, StorageError, need
from nemo_curator.ledger import counts
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.file_partitioning import DEFAULT_BLOCK_BYTES
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.text.io.reader.base import BATCH_BYTES, BaseReader, ReaderOutput
from nemo_curator.stages.text.io.reader.parquet import DAMAGE
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.sentinels import EmptyTask
from nemo_curator.utils.hash_utils import get_deterministic_hash

STREAM_ROWS = 256
"""How many rows of a stream are asked for at once."""
_SAVED = ("dataset_dict.json", "state.json")
"""A folder with one of these was written by `save_to_disk`."""
_SHARE = (
    "put the cache of data sets (cache_dir in read_kwargs, or HF_HOME) where all machines see it, or read it streaming"
)


@dataclass(frozen=True)
class DatasetSource:
    """Which data set it is: what `datasets.load_dataset` is told, whatever is read of it."""

    path: str
    config_name: str | None = None
    revision: str | None = None
    data_files: str | list[str] | dict[str, Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def is_saved(self) -> bool:
        """Whether this is a folder of `save_to_disk`."""
        return any((Path(self.path) / name).is_file() for name in _SAVED)

    def load(self, split: str | None = None, *, streaming: bool = False) -> Any:
        """The data set, or all its splits by their names."""
        datasets = need("datasets", extra="huggingface")
        try:
            if self.is_saved:
                return datasets.load_from_disk(self.path, keep_in_memory=False)
            given = {"revision": self.revision, "data_files": self.data_files, **self.settings}
            return datasets.load_dataset(self.path, self.config_name, split=split, streaming=streaming, **given)
        except ConnectionError as error:
            raise StorageError(f"cannot load the data set {self.path}: {error}") from error
        except Exception as error:  # `datasets` and the readers behind it raise errors of every kind
            cause = f" ({error.__cause__})" if error.__cause__ else ""
            raise InputError(f"cannot load the data set {self.path}: {error}{cause}") from error


@dataclass
class HuggingFaceReader(CompositeStage[EmptyTask, DocumentBatch]):
    """Read a data set of Hugging Face into documents.

    `path` is a name on the hub, a folder of `save_to_disk`, a folder of files, or the name of a format (`json`,
    `parquet`, `csv`, `text`) for `data_files`. `split` is written as in `datasets`: `train`, `train+test`,
    `train[:10%]`; a folder of a single saved data set has one, whatever it is called. `read_kwargs` are other settings
    of `load_dataset`, such as `token` and `cache_dir`; `fields` are the columns to read.

    The data set is prepared once, where the run is started, and then read in parallel from the Arrow files of its
    cache, which workers on other machines must see too. A partition is `rows_per_partition` rows, or about 16 MiB.
    With `streaming` nothing is kept: a partition is a shard, which is one file of the data set as a rule.
    """

    path: str
    config_name: str | None = None
    split: str = "train"
    revision: str | None = None
    data_files: str | list[str] | dict[str, Any] | None = None
    fields: list[str] | None = None
    streaming: bool = False
    rows_per_partition: int | None = None
    read_kwargs: dict[str, Any] | None = None
    _generate_ids: bool = False
    _assign_ids: bool = False
    name: str = "huggingface_reader"

    def __post_init__(self) -> None:
        super().__init__()
        self.decompose()  # what does not fit is said at once

    def decompose(self) -> list[ProcessingStage]:
        settings = dict(self.read_kwargs or {})
        source = DatasetSource(os.fspath(self.path), self.config_name, self.revision, self.data_files, settings)
        reader = HuggingFaceReaderStage(
            self.fields,
            _generate_ids=self._generate_ids,
            _assign_ids=self._assign_ids,
            stream=source if self.streaming else None,
            split=self.split,
        )
        parts = HuggingFacePartitioningStage(source, self.split, self.fields, self.rows_per_partition, self.streaming)
        return [parts, reader]

    def get_description(self) -> str:
        return f"Read {self.split} of the data set {self.path}"


@dataclass
class HuggingFacePartitioningStage(ProcessingStage[EmptyTask, FileGroupTask]):
    """Find the Arrow files of a data set, or its shards, and cut what is wanted of them into partitions."""

    source: DatasetSource
    split: str = "train"
    fields: list[str] | None = None
    rows_per_partition: int | None = None
    streaming: bool = False
    name: str = "huggingface_partitioning"

    resources = Resources(cpus=0.5)
    requires = {"datasets": "huggingface"}

    def __post_init__(self) -> None:
        if self.rows_per_partition is not None and self.rows_per_partition < 1:
            raise ValueError(f"{self.name}: rows_per_partition is {self.rows_per_partition}; wanted at least 1")
        if self.streaming and self.rows_per_partition is not None:
            raise ValueError(f"{self.name}: the partitions of a stream are its shards; give no rows_per_partition")

    def num_workers(self) -> int | None:
        return 1

    def process(self, _: EmptyTask) -> list[FileGroupTask]:
        parts = self._shards() if self.streaming and not self.source.is_saved else self._ranges()
        return [self._task(path, config, at, len(parts)) for at, (path, config) in enumerate(parts)]

    def _shards(self) -> list[tuple[str, dict[str, Any]]]:
        stream = self.source.load(self.split, streaming=True)
        self._check_fields(stream.column_names)
        return [(self.source.path, {"shard": (at, stream.num_shards)}) for at in range(stream.num_shards)]

    def _ranges(self) -> list[tuple[str, dict[str, Any]]]:
        """The rows that the split names, as ranges of rows of Arrow files."""
        splits = self.source.load()
        if not hasattr(splits, "keys"):
            splits = {re.match(r"[^\[+]*", self.split)[0]: splits}  # type: ignore[index]
        wanted = self._wanted({name: len(one) for name, one in splits.items()})
        for name, _, _ in wanted:
            self._check_fields(splits[name].column_names)
        return [
            (path, {"rows": (first, min(first + step, last))})
            for name, start, stop in wanted
            for path, begin, end, step in _overlaps(_files(splits[name]), start, stop, self.rows_per_partition)
            for first, last in [(first, end) for first in range(begin, end, step)]
        ]

    def _wanted(self, sizes: dict[str, int]) -> list[tuple[str, int, int]]:
        datasets = need("datasets", extra="huggingface")
        try:
            instructions = datasets.ReadInstruction.from_spec(self.split).to_absolute(sizes)
        except (ValueError, AssertionError, KeyError) as error:
            problem = f"{self.name}: split is {self.split!r}; {self.source.path} has {sizes}"
            raise InputError(f"{problem}: {error}") from error
        return [
            (one.splitname, one.from_ or 0, sizes[one.splitname] if one.to is None else one.to) for one in instructions
        ]

    def _check_fields(self, found: list[str] | None) -> None:
        if found is not None and (missing := [name for name in self.fields or [] if name not in found]):
            raise InputError(f"{self.name}: {self.source.path} has no {missing}; its columns are {found}")

    def _task(self, path: str, config: dict[str, Any], index: int, total: int) -> FileGroupTask:
        source = self.source
        where = f"{source.path}/{config['shard']}" if "shard" in config else path
        task = FileGroupTask(
            dataset_name=Path(source.path).name,
            data=[path],
            reader_config=config,
            _metadata={"source_files": [where], "partition_index": index, "total_partitions": total},
        )
        known = [source.path, str(source.config_name), str(source.data_files), self.split, Path(path).name]
        task._source_id = get_deterministic_hash(known, f"{index} {config}")
        return task


@dataclass
class HuggingFaceReaderStage(BaseReader):
    """Read rows of the Arrow files of a data set, or with `stream` its shards, as documents.

    Images and audio stay what they are in Arrow: structs of `bytes` and `path`.
    """

    name: str = "huggingface_reader"
    stream: DatasetSource | None = field(default=None, kw_only=True)
    split: str = field(default="train", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stream is not None:
            self.requires = {"datasets": "huggingface"}
            if self._made:
                raise ValueError(
                    f"{self.name}: nobody knows how many rows a shard has; no ids can be given to a stream"
                )

    def count_records(self, path: str, reader_config: dict[str, Any]) -> int:
        start, stop = reader_config["rows"]
        return stop - start

    def process(self, task: FileGroupTask) -> Iterator[DocumentBatch]:
        if "shard" in task.reader_config:
            yield from self._streamed(task)
            return
        made = self.read_task(task, {}, self.fields)
        if made.data is not None:
            yield self._with_ids(_batch(made.data, task), task)

    def read_task(self, task: FileGroupTask, read_kwargs: dict[str, Any], fields: list[str] | None) -> ReaderOutput:
        """Read a range of rows; no data where the file is damaged, which is counted."""
        path, (start, stop) = task.data[0], task.reader_config["rows"]
        try:
            table = _columns(_rows(path, start, stop), fields)
        except DAMAGE as error:
            problem: Exception = error
            if isinstance(error, FileNotFoundError):
                problem = InputError(f"{path} is not on this machine; {_SHARE}")
            counts.cut_short(problem, source=f"{path}, rows {start} to {stop}", rows=stop - start)
            return ReaderOutput(None)
        counts.seen(len(table), table.nbytes)
        return ReaderOutput(table)

    def _streamed(self, task: FileGroupTask) -> Iterator[DocumentBatch]:
        (at, count), source = task.reader_config["shard"], self.stream
        assert source is not None
        held: list[pa.Table] = []
        read = 0
        try:
            shard = source.load(self.split, streaming=True).shard(num_shards=count, index=at)
            for table in shard.with_format("arrow").iter(STREAM_ROWS):
                counts.seen(len(table), table.nbytes)
                read += len(table)
                held.append(_columns(table, self.fields))
                if sum(one.nbytes for one in held) >= BATCH_BYTES:
                    yield _batch(pa.concat_tables(held), task)
                    held = []
        except Exception as error:  # whatever the reader behind `datasets` finds wrong with its file
            counts.cut_short(error, source=f"{source.path}, shard {at} of {count}, after row {read}")
        if held:
            yield _batch(pa.concat_tables(held), task)


def _files(dataset: Any) -> list[tuple[str, int]]:
    """The Arrow files of a data set, each with its rows."""
    files = [entry["filename"] for entry in dataset.cache_files]
    sizes = [(path, pa.ipc.open_stream(pa.memory_map(path)).read_all().num_rows) for path in files]
    if sum(rows for _, rows in sizes) != len(dataset):
        raise InputError(f"a data set of {len(dataset)} rows has {sizes} in its files; save it anew with save_to_disk")
    return sizes


def _overlaps(
    files: list[tuple[str, int]], start: int, stop: int, rows: int | None
) -> Iterator[tuple[str, int, int, int]]:
    """The files that have rows of a range: which rows of theirs, and how many make a partition."""
    before = 0
    for path, size in files:
        begin, end = max(start - before, 0), min(stop - before, size)
        before += size
        if begin < end:
            yield path, begin, end, rows or max(DEFAULT_BLOCK_BYTES * size // max(Path(path).stat().st_size, 1), 1)


def _rows(path: str, start: int, stop: int) -> pa.Table:
    """Some rows of an Arrow stream, as they are in the file that is mapped into memory."""
    found, before = [], 0
    reader = pa.ipc.open_stream(pa.memory_map(path))
    for batch in reader:
        begin, end = max(start - before, 0), min(stop - before, batch.num_rows)
        if begin < end:
            found.append(batch.slice(begin, end - begin))
        before += batch.num_rows
        if before >= stop:
            break
    table = pa.Table.from_batches(found, reader.schema)
    if len(table) != stop - start:
        raise InputError(f"{path} has {before} rows; wanted those from {start} to {stop}: it has changed; run again")
    return table


def _columns(table: pa.Table, fields: list[str] | None) -> pa.Table:
    table = table.select(fields) if fields else table
    return table.replace_schema_metadata(None)  # it speaks of the data set, and the batch is not that


def _batch(table: pa.Table, task: FileGroupTask) -> DocumentBatch:
    return DocumentBatch.from_arrow(table, dataset_name=task.dataset_name, metadata=dict(task._metadata))
