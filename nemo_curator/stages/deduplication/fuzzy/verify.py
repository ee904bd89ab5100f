"""Measure the candidates: a document goes if it shares a band with one that stays and is similar enough to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.kernels.survivors import find_estimated, find_survivors
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.buckets import bucket_folder, read_bucket
from nemo_curator.stages.deduplication.clusters import cluster_table, write_clusters
from nemo_curator.stages.deduplication.fuzzy.bands import ROW_FIELD, Signing
from nemo_curator.stages.deduplication.fuzzy.blocks import BlockTexts, Documents, Memberships, Sets, read_pairs
from nemo_curator.stages.deduplication.fuzzy.candidates import BYTES_FIELD, USER_ID_FIELD
from nemo_curator.stages.deduplication.fuzzy.components import COMPONENT_FIELD
from nemo_curator.stages.deduplication.fuzzy.delivery import files_in, read_if_there
from nemo_curator.stages.deduplication.fuzzy.identify_duplicates import DUPLICATE_IDS_SUBDIR
from nemo_curator.stages.deduplication.fuzzy.indexed import Indexed
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.keep import KEEP_KEY_FIELD, KeepRule
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.storage import locate
from nemo_curator.utils.whole_files import put

_INDEXED_AT_ONCE = 2**13


@dataclass
class VerifyStage(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Write the ids of documents to remove, and their clusters, of the components of a bucket.

    In keep order, each document is compared with those that stay and share a band with it, by exact Jaccard similarity
    of their shingles; with those of an index by their signatures, unless it has shingles. `working_bytes` bounds the
    memory that it takes: a component that does not fit is worked through from disk, block by block.
    """

    signing: Signing
    groups_path: str
    output_path: str
    removed_path: str
    threshold: float = 0.8
    rule: KeepRule = field(default_factory=KeepRule)
    id_field: str | None = None
    indexed_path: str | None = None
    has_shingles: bool = False
    working_bytes: int = 2**27
    storage_options: dict[str, Any] | None = None
    output_options: dict[str, Any] | None = None
    name: str = "verify"

    def process(self, task: FileGroupTask) -> FileGroupTask:
        bucket, number = task._metadata["bucket"], task._metadata["num_buckets"]
        documents = Documents.of(read_bucket(task, self._columns(), self.storage_options), self.rule)
        indexed = Indexed.of(self._files(self.indexed_path, bucket, number), self.storage_options)
        pairs = [read_if_there(path, self.storage_options) for path in self._files(self.groups_path, bucket, number)]
        rows = np.concatenate([indexed.rows, documents.rows])
        memberships = Memberships.of(rows, *read_pairs([table for table in pairs if table is not None]))
        blocks = documents.blocks(self.working_bytes)
        with BlockTexts(documents, blocks, task.data, self.working_bytes, self.storage_options) as texts:
            verdict = Verdict(self, documents, indexed, memberships, texts)
            for block in range(len(blocks)):
                verdict.judge(block)
        paths = self._write(bucket, verdict)
        removed = verdict.num_removed
        counts.dropped("stays", len(documents) - removed)
        counts.written(removed)
        metadata = {"partition_index": bucket, "num_removal_ids": removed, "num_rows": removed}
        return FileGroupTask(task.dataset_name, paths, _metadata={**task._metadata, **metadata})

    def _columns(self) -> list[str]:
        more = [USER_ID_FIELD] if self.id_field is not None else []
        return [COMPONENT_FIELD, ROW_FIELD, BYTES_FIELD, *more, *([KEEP_KEY_FIELD] if self.rule.by != "first" else [])]

    def _files(self, path: str | None, bucket: int, number: int) -> list[str]:
        return [] if path is None else files_in(bucket_folder(path, bucket, number), self.storage_options)

    def _write(self, bucket: int, verdict: Verdict) -> list[str]:
        """The ids, the clusters, and the numbers of the rows that go."""
        table, rows = verdict.clusters(), verdict.removed_rows()
        name = self.id_field or CURATOR_DEDUP_ID_STR
        path = f"{self.output_path}/{DUPLICATE_IDS_SUBDIR}/part.{bucket}.parquet"
        ids = pa.table({name: table["member_id"]}).sort_by(name)
        size = max(1000, min(len(ids) // 10, 1_000_000))
        _put(path, ids, self.output_options, row_group_size=size)
        clusters = write_clusters(self.output_path, bucket, table, self.output_options)
        kept = f"{self.removed_path}/part.{bucket}.parquet"
        _put(kept, pa.table({ROW_FIELD: rows}), self.storage_options)
        return [path, clusters, kept]


class Verdict:
    """Which documents of a bucket go, and for which others: those of the index stand before them."""

    def __init__(
        self, stage: VerifyStage, documents: Documents, indexed: Indexed, memberships: Memberships, texts: BlockTexts
    ):
        self.stage, self.documents, self.indexed = stage, documents, indexed
        self.memberships, self.texts = memberships, texts
        self.num_old = len(indexed.rows)
        self.survivors = np.full(self.num_old + len(documents), -1, np.int64)
        self.similarities = np.zeros(len(self.survivors))

    @property
    def num_removed(self) -> int:
        return int((self.survivors >= 0).sum())

    def judge(self, block: int) -> None:
        """Compare a block with the index, with what stays of the blocks before it, and within."""
        start, stop = self.texts.blocks[block]
        own = np.arange(start, stop) + self.num_old
        for first, last in self.indexed.chunks(_INDEXED_AT_ONCE):
            self._compare_with_index(block, own, np.arange(first, last))
        sets = self.texts.sets(block, own - self.num_old, self.stage.signing.char_ngrams)
        for earlier in range(block):
            before, after = self.texts.blocks[earlier]
            if self.documents.components[after - 1] == self.documents.components[start]:
                self._compare_with_block(earlier, np.arange(before, after) + self.num_old, own, sets)
        self._find(own, sets, 0, is_within=True)

    def clusters(self) -> pa.Table:
        """The table of clusters: a row for each document that goes."""
        gone = np.flatnonzero(self.survivors >= 0)
        ids = self._ids()
        by = self.survivors[gone]
        is_estimate = (by < self.num_old) & (not self.stage.has_shingles)
        measured = pa.array(np.where(is_estimate, "estimate", "jaccard"), pa.string())
        return cluster_table(ids.take(pa.array(by)), ids.take(pa.array(gone)), self.similarities[gone], measured)

    def removed_rows(self) -> np.ndarray:
        return np.sort(self.documents.rows[self.survivors[self.num_old :] >= 0])

    def _ids(self) -> pa.Array:
        if not self.num_old:
            return self.documents.ids
        return pa.concat_arrays([self.indexed.ids.cast(self.documents.ids.type), self.documents.ids])

    def _compare_with_block(self, earlier: int, before: np.ndarray, own: np.ndarray, sets: Sets) -> None:
        open_ = own[self.survivors[own] < 0]
        stays = self.memberships.share(before[self.survivors[before] < 0], open_)
        if len(stays):
            kept = self.texts.sets(earlier, stays - self.num_old, self.stage.signing.char_ngrams)
            self._find(np.concatenate([stays, own]), kept.with_more(sets), len(stays), is_within=False)

    def _compare_with_index(self, block: int, own: np.ndarray, old: np.ndarray) -> None:
        near = self.memberships.share(own[self.survivors[own] < 0], old)
        if not len(near):
            return
        old = self.memberships.share(old, near)
        documents = np.concatenate([old, near])
        if self.stage.has_shingles:
            sets = self.texts.sets(block, near - self.num_old, self.stage.signing.char_ngrams)
            self._find(documents, self.indexed.sets(old).with_more(sets), len(old), is_within=False)
            return
        texts, of = self.texts.texts(block, near - self.num_old)
        own_signatures = self.stage.signing.sign(texts)[of].astype(np.uint64)
        signatures = self.indexed.signatures(old, self.stage.signing.use_64bit_hash)
        taken = self.memberships.take(documents)
        found = find_estimated(
            np.concatenate([signatures, own_signatures]),
            taken.starts,
            *taken.dense(),
            len(old),
            self.stage.threshold,
        )
        self._note(documents, *found)

    def _find(self, documents: np.ndarray, sets: Sets, num_kept: int, *, is_within: bool) -> None:
        """Find survivors among documents of which the first `num_kept` stay."""
        is_decided = self.survivors[documents] >= 0
        taken = self.memberships.take(documents)
        groups, starts = taken.dense()
        found = find_survivors(
            sets.hashes,
            sets.offsets,
            sets.of,
            taken.starts,
            groups,
            starts,
            num_kept,
            is_decided,
            is_within,
            self.stage.threshold,
        )
        self._note(documents, *found)

    def _note(self, documents: np.ndarray, survivors: np.ndarray, similarities: np.ndarray) -> None:
        gone = np.flatnonzero(survivors >= 0)
        self.survivors[documents[gone]] = documents[survivors[gone]]
        self.similarities[documents[gone]] = similarities[gone]


def _put(path: str, table: pa.Table, storage_options: dict[str, Any] | None, **settings: Any) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", **settings)
    put(*locate(path, storage_options), sink.getvalue().to_pybytes())
