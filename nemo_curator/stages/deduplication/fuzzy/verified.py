"""The steps that find near duplicates by measuring them: bands, groups, components, candidates, verification."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import InputError
from nemo_curator.stages.deduplication.buckets import MANIFEST, BucketSource, BucketWriter, buckets_for
from nemo_curator.stages.deduplication.clusters import write_sources
from nemo_curator.stages.deduplication.fuzzy.bands import (
    BAND_FIELD,
    ROW_FIELD,
    SHINGLES_FIELD,
    SIGNATURE_FIELD,
    BandStage,
    Signing,
)
from nemo_curator.stages.deduplication.fuzzy.blocks import IN_MEMORY
from nemo_curator.stages.deduplication.fuzzy.candidates import CandidateReader, CandidateTexts, IndexedCandidates
from nemo_curator.stages.deduplication.fuzzy.components import COMPONENT_FIELD, Candidates
from nemo_curator.stages.deduplication.fuzzy.delivery import (
    BANDS,
    DOCUMENTS,
    DeliverBands,
    DeliverDocuments,
    Part,
    files_in,
    read_rows,
)
from nemo_curator.stages.deduplication.fuzzy.groups import GroupStage
from nemo_curator.stages.deduplication.fuzzy.verify import VerifyStage
from nemo_curator.stages.deduplication.index import Delivery, Index
from nemo_curator.stages.deduplication.keep import KeepRule
from nemo_curator.stages.deduplication.steps import InputFiles, Steps
from nemo_curator.stages.deduplication.text_lines import TextLineReader
from nemo_curator.stages.text.io.reader import JsonlReaderStage, ParquetReaderStage
from nemo_curator.stages.text.io.reader.row_numbers import ROW_NUMBERS
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.file_utils import parse_bytes_string_to_int
from nemo_curator.utils.storage import ask, is_local, kind_of, locate
from nemo_curator.utils.whole_files import put

CACHE_SUBDIR = "FuzzyVerified"
_OURS = "curator_cache.json"
_FOR_A_BAND = 64
"""Bytes in memory for each band of a bucket while its groups are found."""
_JOINED = 4
"""Batches of a partition whose rows go into one file of a bucket; with a limit of the memory each goes into its own."""
_WORKING, _LEAST_WORKING = 2**28, 2**24
"""Bytes that a worker takes for a bucket: not of this machine, for a run may go on on another one."""
_WORKERS = 8
"""With a limit of the memory, a bucket takes so small a share of it."""
_PARALLEL_BYTES = 2**22


@dataclass
class Verified:
    """One run. `find` writes the ids to remove and the clusters; `deliver` adds what stays to the index."""

    steps: Steps
    files: InputFiles
    signing: Signing
    cache_path: str
    output_path: str
    text_field: str = "text"
    id_field: str | None = None
    threshold: float = 0.8
    rule: KeepRule = field(default_factory=KeepRule)
    index: Index | None = None
    index_shingles: bool = False
    cache_options: dict[str, Any] | None = None
    output_options: dict[str, Any] | None = None
    parts: list[FileGroupTask] = field(default_factory=list, init=False)
    _delivery: Delivery | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._root = prepare_cache(
            self.cache_path, self.steps.checkpoint_path, self.cache_options, goes_on=self.steps.goes_on("bands")
        )
        self._removed = f"{self.removed_path}/all.parquet"
        self._delivery = None if self.index is None else self.index.begin(self.output_path)

    @property
    def removed_path(self) -> str:
        """A folder with the row numbers of what goes."""
        return self._path("removed")

    @property
    def first_id(self) -> int:
        """The first id of this delivery: those of an index come before."""
        return 0 if self._delivery is None else self._delivery.first_id

    @property
    def earlier_folders(self) -> list[str]:
        """The deliveries that this one is compared with."""
        return [] if self.index is None else [self.index.folder(one) for one in self.index.deliveries]

    def find(self, tasks: list[FileGroupTask]) -> int:
        """Find the documents to remove; returns how many there are."""
        candidates = self._candidates(tasks)
        self.parts = self._verify(candidates, tasks) if len(candidates) else []
        removed = [read_rows(task.data[2], self.cache_options) for task in self.parts]
        rows = np.sort(np.concatenate([np.empty(0, np.int64), *removed]))
        self._write(self._removed, pa.table({ROW_FIELD: rows}))
        self._name_as_upstream()
        return len(rows)

    def _name_as_upstream(self) -> None:
        """Say it also under the names that the result has in NVIDIA's package."""
        result = self.steps.result
        seconds = {
            name: result.get_metadata(f"{name}_time") or 0.0 for name in ("bands", "groups", "candidates", "verify")
        }
        result.extend_metadata({"minhash_time": seconds["bands"], "lsh_time": seconds["groups"]})
        result.add_metadata("connected_components_pipeline_time", seconds["candidates"] + seconds["verify"])
        for theirs, ours in (("minhash", "bands"), ("lsh", "groups"), ("connected_components", "verify")):
            result.add_pipeline_tasks(theirs, result.pipeline_tasks.get(ours))

    def deliver(self, tasks: list[FileGroupTask]) -> None:
        """Write what stays into a folder of its own, and then its name into the index."""
        index, old = self.index, self._delivery
        if index is None or old is None:
            return
        delivery = replace(old, name=_free_name(index, old.name), num_rows=self.steps.num_rows)
        folder, options = index.folder(delivery), index.storage_options
        _remove_folder(folder, options)
        given = folder, self._removed, self.cache_options, options
        steps = replace(self.steps, checkpoint_path=None)
        steps.result = self.steps.result
        if bands := steps.run("find_index_bands", [BucketSource(self._path(BANDS), self.cache_options)]):
            steps.run("index_bands", [DeliverBands(*given)], bands)
        documents = [FileGroupTask("documents", [path]) for path in files_in(self._path(DOCUMENTS), self.cache_options)]
        if documents:
            steps.run("index_documents", [DeliverDocuments(*given)], documents)
        fs, place = locate(f"{folder}/{BANDS}/{MANIFEST}", options)
        put(fs, place, json.dumps({"num_buckets": self._num_buckets(BANDS), "key": BAND_FIELD}).encode())
        if self.id_field is None:
            write_sources(folder, tasks, storage_options=options)
        index.add(delivery)
        if delivery.name != old.name:
            _remove_folder(index.folder(old), options)

    def _candidates(self, tasks: list[FileGroupTask]) -> Candidates:
        """Hash the bands of all documents, and connect those that share one."""
        keeps = self.index is not None
        writer = self._writer(BANDS, BAND_FIELD, self.steps.num_rows * self.signing.num_bands * _FOR_A_BAND)
        stage = BandStage(
            self.signing,
            self.text_field,
            self.id_field if keeps else None,
            self._path(DOCUMENTS) if keeps else None,
            self.index_shingles,
            self.cache_options,
        )
        more = [self.id_field] if self.id_field is not None and keeps else []
        self.steps.run("bands", [self._reader([self.text_field, *more]), stage, writer], tasks)
        options = None if self.index is None else self.index.storage_options
        parts = [Part.of(folder, options) for folder in self.earlier_folders]
        groups = GroupStage(self._path("groups"), parts, self.first_id, self.cache_options)
        found = self.steps.run("groups", [BucketSource(self._path(BANDS), self.cache_options), groups])
        paths = sorted(task.data[0] for task in found if task._metadata["num_rows"])
        candidates = Candidates.of(paths, self.cache_options)
        if len(candidates):
            candidates.write(self._path("labels.parquet"), self.cache_options)
            text_bytes = self._text_bytes() * len(candidates) // max(self.steps.num_rows, 1)
            self._text_buckets = self._writer("texts", COMPONENT_FIELD, text_bytes * IN_MEMORY, text_bytes)
            _remove_folder(self._path("members"), self.cache_options)
            candidates.write_groups(paths, replace(self._text_buckets, path=self._path("members")))
        return candidates

    def _verify(self, candidates: Candidates, tasks: list[FileGroupTask]) -> list[FileGroupTask]:
        """Read the candidates again and measure them; a task for each bucket, with its files."""
        has_some = [task for task in tasks if any(candidates.any_in(*each) for each in task._metadata[ROW_NUMBERS])]
        labels = self._path("labels.parquet")
        stage = CandidateTexts(labels, self.text_field, self.id_field, self.rule, self.cache_options)
        more = dict.fromkeys([*self.rule.fields, *([self.id_field] if self.id_field else [])])
        fields = [self.text_field, *(name for name in more if name != self.text_field)]
        self.steps.run("candidates", [self._candidate_reader(fields, labels), stage, self._text_buckets], has_some)
        indexed = self._indexed(candidates)
        verify = VerifyStage(
            self.signing,
            self._path("members"),
            absolute(self.output_path),
            self._path("removed_parts"),
            self.threshold,
            self.rule,
            self.id_field,
            indexed,
            self.index_shingles,
            self._working_bytes,
            self.cache_options,
            self.output_options,
        )
        return self.steps.run("verify", [BucketSource(self._path("texts"), self.cache_options), verify])

    def _reader(self, fields: list[str]) -> JsonlReaderStage | ParquetReaderStage:
        reader = self.files.reader(fields, numbers_field=ROW_FIELD)
        is_jsonl = isinstance(reader, JsonlReaderStage)
        return (
            TextLineReader(fields, reader.read_kwargs, _row_numbers=True, _ids_field=ROW_FIELD) if is_jsonl else reader
        )

    def _candidate_reader(self, fields: list[str], labels: str) -> JsonlReaderStage | ParquetReaderStage:
        reader = self._reader(fields)
        if not isinstance(reader, JsonlReaderStage):
            return reader
        settings: dict[str, Any] = {"labels_path": labels, "labels_storage_options": self.cache_options}
        return CandidateReader(fields, reader.read_kwargs, _row_numbers=True, _ids_field=ROW_FIELD, **settings)

    def _indexed(self, candidates: Candidates) -> str | None:
        """Put what the index has of the candidates beside their texts; None if it has nothing."""
        if self.index is None or not candidates.any_in(0, self.first_id):
            return None
        paths = [
            path
            for one in self.index.deliveries
            if candidates.any_in(one.first_id, one.first_id + one.num_rows)
            for path in files_in(f"{self.index.folder(one)}/{DOCUMENTS}", self.index.storage_options)
        ]
        column = SHINGLES_FIELD if self.index_shingles else SIGNATURE_FIELD
        options = self.index.storage_options
        stage = IndexedCandidates(self._path("labels.parquet"), column, self.cache_options, options)
        writer = replace(self._text_buckets, path=self._path("indexed"))
        self.steps.run("indexed", [stage, writer], [FileGroupTask("indexed", [path]) for path in paths])
        return self._path("indexed")

    @property
    def _working_bytes(self) -> int:
        if self.steps.memory_limit is None:
            return _WORKING
        return max(parse_bytes_string_to_int(self.steps.memory_limit) // _WORKERS, _LEAST_WORKING)

    def _writer(self, name: str, key: str, total_bytes: int, least_bytes: int = 0) -> BucketWriter:
        """A writer of as many buckets as the data needs, or as there are of a run that goes on."""
        number = self._num_buckets(name)
        if number is None:
            number = max(buckets_for(total_bytes, self._working_bytes), 4 if least_bytes > _PARALLEL_BYTES else 1)
        writer = BucketWriter(self._path(name), key, number, mode="overwrite", storage_options=self.cache_options)
        writer.batch_size = _JOINED if self.steps.memory_limit is None else 1
        return writer

    def _num_buckets(self, name: str) -> int | None:
        fs, place = locate(f"{self._path(name)}/{MANIFEST}", self.cache_options)
        try:
            return int(json.loads(ask(fs, "cat_file", place))["num_buckets"])
        except FileNotFoundError:
            return None

    def _text_bytes(self) -> int:
        """Bytes of all texts, as they were in memory."""
        stages = self.steps.result.runs["bands"].stages
        return sum(stage.bytes_in for stage in stages if stage.stage == BandStage.name)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _write(self, path: str, table: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        put(*locate(path, self.cache_options), sink.getvalue().to_pybytes())


def prepare_cache(
    cache_path: str,
    checkpoint_path: str | os.PathLike | None,
    storage_options: dict[str, Any] | None,
    *,
    goes_on: bool,
) -> str:
    """The folder of our intermediate files, emptied unless a run with this checkpoint goes on with the step that writes
    the first of them. Others' files are not deleted."""
    root = f"{absolute(cache_path)}/{CACHE_SUBDIR}"
    fs, place = locate(root, storage_options)
    fs.invalidate_cache()
    checkpoint = None if checkpoint_path is None else absolute(os.fspath(checkpoint_path))
    if kind_of(fs, place) == "directory" and ask(fs, "ls", place, detail=False):
        try:
            there = json.loads(ask(fs, "cat_file", f"{place}/{_OURS}"))
        except FileNotFoundError:
            raise InputError(
                f"{root} has files that are not of a cache of deduplication; give another cache_path"
            ) from None
        if checkpoint is None or there["checkpoint"] != checkpoint or not goes_on:
            _remove_folder(root, storage_options)
    put(fs, f"{place}/{_OURS}", json.dumps({"checkpoint": checkpoint}).encode())
    return root


def _free_name(index: Index, name: str) -> str:
    """A folder that is of no delivery: one that is written anew must stay whole until the new one is."""
    fs, place = locate(index.path, index.storage_options)
    taken = (
        {each.rstrip("/").rpartition("/")[2] for each in ask(fs, "ls", place, detail=False)}
        if kind_of(fs, place)
        else set()
    )
    listed = {one["name"] for one in (index._found or {}).get("deliveries", [])}
    if name not in listed:
        return name
    return next(free for at in range(2, len(taken) + 3) if (free := f"{name}-{at}") not in listed)


def _remove_folder(path: str, storage_options: dict[str, Any] | None) -> None:
    fs, place = locate(path, storage_options)
    if kind_of(fs, place) != "directory":
        return
    if is_local(fs):
        shutil.rmtree(place)
    else:
        ask(fs, "rm", place, recursive=True)
