"""The stage that finds documents whose texts are the same: files in, ids of those to remove out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.deduplication.buckets import BucketWriter
from nemo_curator.stages.deduplication.exact.duplicates import (
    DUPLICATE_IDS_SUBDIR,
    CollectBuckets,
    IdentifyExactDuplicates,
    check_is_ours,
)
from nemo_curator.stages.deduplication.exact.hash_documents import EXACT_DUPLICATE_GROUP_FIELD, HashDocuments
from nemo_curator.stages.deduplication.hashing import check_hashing
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.keep import Keep, KeepRule, keep_rule
from nemo_curator.stages.deduplication.steps import InputFiles
from nemo_curator.stages.text.io.reader import JsonlReaderStage, ParquetReaderStage
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.tasks.file_group import FileGroupTask

BUCKETS_SUBDIR = "exact_buckets"
MOST_BUCKET_BYTES = 2**28

__all__ = ["EXACT_DUPLICATE_GROUP_FIELD", "ExactDuplicateIdentification"]


@dataclass
class ExactDuplicateIdentification(CompositeStage[FileGroupTask, FileGroupTask]):
    """Find the documents whose text another has, and write the ids of all but one of each.

    The ids are in `<output_path>/ExactDuplicateIds/part.<n>.parquet`, sorted, and the clusters beside them. A document
    without a text is like no other; empty texts are the same. The one that stays is the first in the order of `keep`.
    Texts are compared by a hash of 128 bits, byte for byte or as `normalize` says: any of `case`, `whitespace`, `nfc`
    or `nfkc`. `total_nparts` is the number of files.

    Where the tasks carry no row numbers, ids are assigned by the id generator, which must be running; the workflow
    needs none. The settings of a GPU do nothing here.
    """

    text_field: str
    output_path: str
    input_filetype: Literal["parquet", "jsonl"] = "parquet"
    read_kwargs: dict[str, Any] | None = None
    write_kwargs: dict[str, Any] | None = None
    assign_id: bool = True
    id_field: str | None = None
    total_nparts: int | None = None
    rmm_pool_size: int | Literal["auto"] | None = "auto"
    spill_memory_limit: int | Literal["auto"] | None = "auto"
    enable_statistics: bool = False
    use_async_memory: bool = True
    hash_method: str = field(default="md5", kw_only=True)
    normalize: str | Sequence[str] | None = field(default=None, kw_only=True)
    keep: Keep | KeepRule = field(default="first", kw_only=True)
    num_buckets: int = field(default=1, kw_only=True)
    memory_bytes: int = field(default=MOST_BUCKET_BYTES, kw_only=True)
    index_folders: list[str] = field(default_factory=list, kw_only=True)
    delivery_folder: str | None = field(default=None, kw_only=True)
    partitions_at_once: int = field(default=1, kw_only=True)
    has_row_numbers: bool = field(default=False, kw_only=True)
    env_vars: dict[str, Any] | None = field(default=None, kw_only=True)
    name: str = field(default="ExactDuplicateIds", kw_only=True)

    def __post_init__(self) -> None:
        super().__init__()
        check_ids(self.assign_id, self.id_field)
        InputFiles(input_filetype=self.input_filetype)
        check_hashing(self.hash_method, self.normalize)
        keep_rule(self.keep)

    def decompose(self) -> list[ProcessingStage]:
        ids = self.id_field or CURATOR_DEDUP_ID_STR
        keep = keep_rule(self.keep)
        parts = max(1, self.total_nparts or self.num_buckets)
        buckets = 1 << (max(parts, self.num_buckets) - 1).bit_length()
        write_kwargs = dict(self.write_kwargs or {})
        storage = write_kwargs.get("storage_options")
        folder = f"{absolute(self.output_path)}/{BUCKETS_SUBDIR}"
        normalize = check_hashing(self.hash_method, self.normalize)
        stages: list[ProcessingStage] = [
            HashDocuments(self._reader(keep), self.text_field, ids, self.hash_method, normalize, keep),
            _HashBuckets(folder, EXACT_DUPLICATE_GROUP_FIELD, buckets, mode="overwrite", storage_options=storage),
            CollectBuckets(buckets, parts, ids, list(self.index_folders), storage),
            IdentifyExactDuplicates(
                self.output_path, ids, folder, keep, self.delivery_folder, self.memory_bytes, write_kwargs
            ),
        ]
        for stage in stages:
            stage.runtime_env = {"env_vars": self.env_vars} if self.env_vars else None
        for stage in stages[:2]:
            stage.batch_size = self.partitions_at_once
        return stages

    def _reader(self, keep: KeepRule) -> JsonlReaderStage | ParquetReaderStage:
        """Reads the texts with the ids of the user, those that the tasks carry, or those of the id generator."""
        fields = list(dict.fromkeys([self.text_field, *keep.fields]))
        if self.id_field or self.has_row_numbers:
            files = InputFiles(input_filetype=self.input_filetype, read_kwargs=self.read_kwargs)
            return files.reader(fields, id_field=self.id_field)
        kind = JsonlReaderStage if self.input_filetype == "jsonl" else ParquetReaderStage
        return kind(fields, dict(self.read_kwargs or {}), _generate_ids=True)

    @property
    def duplicate_ids_path(self) -> str:
        return f"{absolute(self.output_path)}/{DUPLICATE_IDS_SUBDIR}"


class _HashBuckets(BucketWriter):
    """Empties its folder only where it is one of buckets."""

    def before_run(self, earlier: bool | None = None) -> bool:
        if earlier is None:
            check_is_ours(self.path, self.storage_options)
        return super().before_run(earlier)


def check_ids(assign_id: bool, id_field: str | None) -> None:
    if not assign_id and id_field is None:
        raise ValueError("id_field must be provided if assign_id is False")
    if assign_id and id_field is not None:
        raise ValueError("id_field must be None if assign_id is True")
