"""Deduplication of long substrings from files to files."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from nemo_curator.kernels.substrings import SHORTEST
from nemo_curator.pipeline.workflow import WorkflowBase, WorkflowRunResult
from nemo_curator.stages.deduplication.steps import InputFiles, Steps
from nemo_curator.stages.text.deduplication.cuts import BLOCK, Cuts, SpanCutter, cut_buckets
from nemo_curator.stages.text.deduplication.rewriting import Rewriting, check_fraction
from nemo_curator.stages.text.deduplication.steps import CuttingSteps
from nemo_curator.stages.text.deduplication.substrings.stages import (
    KEY,
    USES,
    AnchorsStage,
    ContextsStage,
    RepeatedKeysStage,
    RepeatsStage,
)

if TYPE_CHECKING:
    from nemo_curator.backends.base import BaseExecutor
    from nemo_curator.ledger.checkpoint import OnChange
    from nemo_curator.tasks.tasks import Task

_BYTES_OF_KEY, _BYTES_OF_ITEM, _BYTES_OF_WINDOW = 24, 150, 56
"""What a key, a few windows beside their bytes, and each of them, take in memory while a bucket is worked on."""
_KEY_TABLE_BYTES = 2**27


@dataclass
class SubstringDeduplicationWorkflow(WorkflowBase):
    """Remove substrings of at least `min_length` bytes that occur more than once in all documents together.

    It finds all of them, as a suffix array does (Lee and others 2022), within one document and across documents, and
    compares them byte by byte. A substring is removed where the same bytes stand earlier, by the order of the files and
    of the places in them, without overlapping: its first occurrence stays. With `keep="none"` all occurrences go that
    have another one which they do not overlap. Lengths are bytes of UTF-8: 200 are about 50 tokens of English. A
    character that is only partly in such a substring stays.

    The files are written again under `<output_path>/deduplicated` with all their columns. A document of which only
    white space is left is dropped, and one that loses more than `max_removed_fraction` of its characters;
    `removed_field` adds the share as a column.

    Example:
        >>> workflow = SubstringDeduplicationWorkflow("substrings/", "documents/", "jsonl", removed_field="removed")
        >>> workflow.min_length
        200
    """

    output_path: str
    input_path: str | list[str] | None = None
    input_filetype: Literal["parquet", "jsonl"] = "parquet"
    input_blocksize: str | int | None = None
    input_file_extensions: list[str] | None = None
    read_kwargs: dict[str, Any] | None = None
    write_kwargs: dict[str, Any] | None = None
    text_field: str = "text"
    min_length: int = 200
    keep: Literal["first", "none"] = field(default="first", kw_only=True)
    max_removed_fraction: float = field(default=1.0, kw_only=True)
    removed_field: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.min_length < SHORTEST:
            raise ValueError(f"min_length is {self.min_length}; wanted at least {SHORTEST} bytes")
        if self.keep not in ("first", "none"):
            raise ValueError(f"unknown keep {self.keep!r}; wanted 'first' or 'none'")
        check_fraction(self.max_removed_fraction)

    def run(
        self,
        initial_tasks: list[Task] | None = None,
        executor: BaseExecutor | None = None,
        *,
        checkpoint_path: str | os.PathLike | None = None,
        on_change: OnChange = "error",
        max_failed_fraction: float = 0.0,
        rejected_path: str | os.PathLike | None = None,
        memory_limit: int | str | None = None,
        report_path: str | os.PathLike | None = None,
    ) -> WorkflowRunResult:
        """Deduplicate the files of `input_path`, or those of `initial_tasks`; the other settings are `Pipeline.run`'s.

        `metadata` of what it returns has the number of characters removed and of documents edited and dropped.
        """
        steps = Steps(
            "substring_deduplication",
            executor,
            checkpoint_path,
            on_change,
            max_failed_fraction,
            rejected_path,
            memory_limit,
            report_path,
        )
        self.last_result = steps.result
        files = InputFiles(
            self.input_path,
            self.input_filetype,
            self.input_blocksize,
            file_extensions=self.input_file_extensions,
            read_kwargs=self.read_kwargs,
        )
        with steps:
            cutting = CuttingSteps(steps, files, self.output_path, self._storage_options)
            cutting.number_rows(initial_tasks)
            repeated = self._repeated_keys(cutting)
            cuts = self._repeats(cutting, repeated)
            facts = cutting.rewrite(
                Rewriting(self.text_field, SpanCutter(), cuts, self.max_removed_fraction, self.removed_field)
            )
            steps.result.extend_metadata(facts)
            cutting.delete_buckets()
        return steps.result

    def _repeated_keys(self, cutting: CuttingSteps) -> list[Task]:
        """Find the keys that are there more than once; a few windows share one."""
        num_buckets = cutting.buckets_for(cutting.text_bytes() / (self.min_length / 4) * _BYTES_OF_KEY)
        anchors = cutting.into_buckets("substring_anchors", KEY, num_buckets)
        reading = AnchorsStage(self.text_field, self.min_length)
        written = cutting.read("anchors", self.text_field, [reading, anchors])
        keys = cutting.into_buckets("substring_keys", KEY, 1)
        return cutting.from_buckets("repeated_keys", anchors, written, [RepeatedKeysStage(self._storage_options), keys])

    def _repeats(self, cutting: CuttingSteps, repeated: list[Task]) -> Cuts:
        """Compare the windows whose keys are there more than once, and write the spans that are to be cut."""
        uses = sum(task._metadata[USES] for task in repeated)
        windows = uses * self.min_length / 4  # there are some 4 to 5 keys in min_length bytes
        size = uses * (_BYTES_OF_ITEM + 1.3 * self.min_length) + windows * _BYTES_OF_WINDOW
        num_buckets = cutting.buckets_for(size)
        num_marks = 1 << max(int(8 * windows / num_buckets), 1).bit_length()
        contexts = cutting.into_buckets("substring_contexts", KEY, num_buckets)
        reading = ContextsStage(
            self.text_field,
            self.min_length,
            sorted(str(path) for task in repeated for path in task.data),
            sum(task._metadata["num_rows"] for task in repeated),
            _KEY_TABLE_BYTES,
            self._storage_options,
        )
        written = cutting.read("contexts", self.text_field, [reading, contexts])
        cuts = cutting.into_buckets("substring_cuts", BLOCK, cut_buckets(cutting.steps.num_rows))
        comparing = RepeatsStage(self.min_length, num_marks, self.keep == "first", self._storage_options)
        found = cutting.from_buckets("repeats", contexts, written, [comparing, cuts])
        return cutting.cuts(cuts, found)

    @property
    def _storage_options(self) -> dict[str, Any] | None:
        return (self.write_kwargs or {}).get("storage_options")
