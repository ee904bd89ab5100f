"""Deduplication of lines or paragraphs from files to files."""

from __future__ import annotations

import heapq
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.pipeline.workflow import WorkflowBase, WorkflowRunResult
from nemo_curator.stages.deduplication.steps import InputFiles, Steps
from nemo_curator.stages.text.deduplication.cuts import BLOCK, Cuts, PartCutter, cut_buckets
from nemo_curator.stages.text.deduplication.lines.stages import (
    FREQUENT,
    HASH,
    NORMALIZATIONS,
    HashLinesStage,
    RepeatedLinesStage,
)
from nemo_curator.stages.text.deduplication.rewriting import Rewriting, check_fraction
from nemo_curator.stages.text.deduplication.steps import CuttingSteps
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.utils.storage import locate
from nemo_curator.utils.whole_files import put

if TYPE_CHECKING:
    from nemo_curator.backends.base import BaseExecutor
    from nemo_curator.ledger.checkpoint import OnChange
    from nemo_curator.tasks.tasks import Task

FREQUENT_FILE = "frequent.parquet"

_SEPARATORS = {"line": "\n", "paragraph": "\n\n"}
_BYTES_OF_LINE, _BYTES_OF_HASH = 40, 100
"""How long a line is, and what its hash takes in memory while a bucket is sorted, about."""


@dataclass
class LineDeduplicationWorkflow(WorkflowBase):
    r"""Remove lines, or paragraphs, that occur more than `max_occurrences` times in all documents together.

    With `keep="first"` the first occurrence stays, by the order of the files and of the places in them; with `"none"`
    none does. A line is what line feeds separate, a paragraph what two line feeds do. They are compared by 128-bit
    hashes without the white space around them; `normalize` names what else makes no difference: "case", "accents",
    "punctuation", and "digits", which makes each a 0 (all four is what CCNet does; Wenzek and others 2019). Blank ones,
    and those of fewer than `min_chars` characters after that, stay.

    The files are written again under `<output_path>/deduplicated` with all their columns. A document of which only
    white space is left is dropped, and one that loses more than `max_removed_fraction` of its characters;
    `removed_field` adds the share as a column. `<output_path>/frequent.parquet` has the `num_frequent` parts that occur
    most often, with a sample of each.

    Example:
        >>> ccnet = ["case", "accents", "digits", "punctuation"]
        >>> workflow = LineDeduplicationWorkflow("lines/", "documents/", "jsonl", unit="paragraph", normalize=ccnet)
        >>> workflow.keep
        'first'
    """

    output_path: str
    input_path: str | list[str] | None = None
    input_filetype: Literal["parquet", "jsonl"] = "parquet"
    input_blocksize: str | int | None = None
    input_file_extensions: list[str] | None = None
    read_kwargs: dict[str, Any] | None = None
    write_kwargs: dict[str, Any] | None = None
    text_field: str = "text"
    unit: Literal["line", "paragraph"] = "line"
    normalize: Sequence[str] = field(default=(), kw_only=True)
    min_chars: int = field(default=1, kw_only=True)
    max_occurrences: int = field(default=1, kw_only=True)
    keep: Literal["first", "none"] = field(default="first", kw_only=True)
    max_removed_fraction: float = field(default=1.0, kw_only=True)
    removed_field: str | None = field(default=None, kw_only=True)
    num_frequent: int = field(default=100, kw_only=True)

    def __post_init__(self) -> None:
        if self.unit not in _SEPARATORS:
            raise ValueError(f"unknown unit {self.unit!r}; wanted 'line' or 'paragraph'")
        if self.keep not in ("first", "none"):
            raise ValueError(f"unknown keep {self.keep!r}; wanted 'first' or 'none'")
        self.normalize = (self.normalize,) if isinstance(self.normalize, str) else tuple(self.normalize)
        if unknown := set(self.normalize) - set(NORMALIZATIONS):
            raise ValueError(f"normalize names {sorted(unknown)}; wanted any of {NORMALIZATIONS}")
        if self.max_occurrences < 1:
            raise ValueError(f"max_occurrences is {self.max_occurrences}; wanted at least 1")
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

        `metadata` of what it returns has the numbers of parts removed and of documents edited and dropped.
        """
        steps = Steps(
            "line_deduplication",
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
            found, cuts = self._repeated_lines(cutting)
            frequent = heapq.nsmallest(
                self.num_frequent, ((-count, id_, at) for task in found for count, id_, at in task._metadata[FREQUENT])
            )
            samples: dict[int, list[int]] = {}
            for _, id_, at in frequent:
                samples.setdefault(id_, []).append(at)
            cutter = PartCutter(_SEPARATORS[self.unit])
            rewriting = Rewriting(self.text_field, cutter, cuts, self.max_removed_fraction, self.removed_field, samples)
            facts = cutting.rewrite(rewriting)
            self._write_frequent(steps, frequent)
            removed = sum(task._metadata["num_rows"] for task in found)
            steps.result.extend_metadata({f"num_removed_{self.unit}s": removed, **facts})
            cutting.delete_buckets()
        return steps.result

    def _repeated_lines(self, cutting: CuttingSteps) -> tuple[list[Task], Cuts]:
        """Put the hashes of all lines into buckets, and find those that occur too often."""
        hashing = HashLinesStage(self.text_field, self.unit, tuple(self.normalize), self.min_chars)
        num_buckets = cutting.buckets_for(cutting.text_bytes() / _BYTES_OF_LINE * _BYTES_OF_HASH)
        hashes = cutting.into_buckets("line_hashes", HASH, num_buckets)
        written = cutting.read("hashes", self.text_field, [hashing, hashes])
        cuts = cutting.into_buckets("line_cuts", BLOCK, cut_buckets(cutting.steps.num_rows))
        finding = RepeatedLinesStage(self.max_occurrences, self.keep, self.num_frequent, self._storage_options)
        found = cutting.from_buckets("repeated_lines", hashes, written, [finding, cuts])
        return found, cutting.cuts(cuts, found)

    def _write_frequent(self, steps: Steps, frequent: list[tuple[int, int, int]]) -> None:
        made = steps.result.pipeline_tasks["removal"]
        texts = {(id_, at): text for task in made for id_, at, text in task._metadata["samples"]}
        table = pa.table(
            {
                "occurrences": pa.array([-count for count, _, _ in frequent], pa.int64()),
                self.unit: pa.array([texts.get((id_, at)) for _, id_, at in frequent], pa.string()),
            }
        )
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        path = f"{absolute(self.output_path)}/{FREQUENT_FILE}"
        put(*locate(path, self._storage_options), sink.getvalue().to_pybytes())
        steps.result.add_metadata("frequent_path", path)

    @property
    def _storage_options(self) -> dict[str, Any] | None:
        return (self.write_kwargs or {}).get("storage_options")
