"""Fuzzy deduplication from files to files."""

from __future__ import annotations

import os
import warnings
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from nemo_curator.pipeline.workflow import WorkflowBase, WorkflowRunResult
from nemo_curator.stages.deduplication.fuzzy.bands import Signing
from nemo_curator.stages.deduplication.fuzzy.connected import Connected
from nemo_curator.stages.deduplication.fuzzy.identify_duplicates import DUPLICATE_IDS_SUBDIR
from nemo_curator.stages.deduplication.fuzzy.output import Output
from nemo_curator.stages.deduplication.fuzzy.verified import Verified
from nemo_curator.stages.deduplication.index import Index
from nemo_curator.stages.deduplication.keep import Keep, keep_rule
from nemo_curator.stages.deduplication.steps import InputFiles, Steps

if TYPE_CHECKING:
    from nemo_curator.backends.base import BaseExecutor
    from nemo_curator.ledger.checkpoint import OnChange
    from nemo_curator.tasks.tasks import Task

ID_GENERATOR_OUTPUT_FILENAME = "fuzzy_id_generator.json"
_SHORT_NGRAMS = 20


@dataclass
class FuzzyDeduplicationWorkflow(WorkflowBase):
    """Find documents that are nearly the same, and with `perform_removal` write the data set without them.

    Documents whose MinHash signatures share a band are candidates; with `verify` each is compared, in keep order, with
    the candidates that stay, and is removed if the Jaccard similarity of their shingles, which are all windows of
    `char_ngrams` characters, is `threshold` or more. So nothing hangs together by chains. Pairs of similarity s are
    found with probability 1-(1-s^r)^b, with b `num_bands` of r `minhashes_per_band`. Without `verify`, all documents
    that are connected by shared bands are one group, of which one stays.

    The ids to remove are in `<output_path>/FuzzyDuplicateIds`, why they are removed in `<output_path>/clusters` (see
    `explain`), and with `perform_removal` what stays is in `<output_path>/deduplicated`, in the files, format and
    columns of the input. Intermediate files are in `cache_path`. A text that is null is no document; empty texts are
    duplicates of one another.

    With `index_path` the documents are also compared with those of earlier deliveries, which always stay and are not
    read again: by their signatures, or exactly with `index_shingles`, which takes 8 bytes for each character. What
    stays is remembered for later runs unless `extend_index` is false. A delivery is known by its `output_path`: a run
    that is repeated takes the place it had.

    `id_field` names a column of ids to use instead of row numbers. The settings of a GPU do nothing here.

    Example:
        >>> workflow = FuzzyDeduplicationWorkflow("cache/", "unlike/", "documents/", "jsonl", perform_removal=True)
        >>> workflow.num_bands, workflow.minhashes_per_band, workflow.threshold
        (20, 13, 0.8)
    """

    cache_path: str
    output_path: str
    input_path: str | list[str] | None = None
    input_filetype: Literal["parquet", "jsonl"] = "parquet"
    input_blocksize: str | int = "1GiB"
    input_file_extensions: list[str] | None = None
    read_kwargs: dict[str, Any] | None = None
    cache_kwargs: dict[str, Any] | None = None
    write_kwargs: dict[str, Any] | None = None
    text_field: str = "text"
    perform_removal: bool = False
    seed: int = 42
    char_ngrams: int = 24
    num_bands: int = 20
    minhashes_per_band: int = 13
    use_64_bit_hash: bool = False
    bands_per_iteration: int = 5
    lsh_num_output_partitions: int | None = None
    lsh_rmm_pool_size: int | Literal["auto"] | None = "auto"
    lsh_spill_memory_limit: int | Literal["auto"] | None = "auto"
    env_vars: dict[str, Any] | None = None
    use_async_memory: bool = True
    verify: bool = field(default=True, kw_only=True)
    threshold: float = field(default=0.8, kw_only=True)
    method: Literal["fast", "minhash"] = field(default="fast", kw_only=True)
    keep: Keep = field(default="first", kw_only=True)
    id_field: str | None = field(default=None, kw_only=True)
    index_path: str | None = field(default=None, kw_only=True)
    index_shingles: bool = field(default=False, kw_only=True)
    extend_index: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not 1 <= self.bands_per_iteration <= self.num_bands:
            raise ValueError("bands_per_iteration must be between [1, num_bands]")
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold is {self.threshold}; wanted a Jaccard similarity above 0 and up to 1")
        if self.method not in ("fast", "minhash"):
            raise ValueError(f"method is {self.method!r}; wanted 'fast' or 'minhash'")
        keep_rule(self.keep)
        self._files()
        if not self.verify:
            self._check_unverified()

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

        `metadata` of what it returns has `num_duplicates`, a summary of `clusters`, and seconds for each step.
        """
        if initial_tasks is not None and self.input_path is not None:
            warnings.warn("initial_tasks are given, so input_path is ignored", stacklevel=2)
        steps = Steps(
            "fuzzy_deduplication",
            executor,
            checkpoint_path,
            on_change,
            max_failed_fraction,
            rejected_path,
            memory_limit,
            report_path,
            keep_processes=True,
        )
        self.last_result = steps.result
        output = Output(self.output_path, ID_GENERATOR_OUTPUT_FILENAME, self.id_field, self._output_options)
        find = self._find_verified if self.verify else self._find_connected
        with steps:
            find(steps, initial_tasks, output)
        return steps.result

    def _find_verified(self, steps: Steps, initial_tasks: list[Task] | None, output: Output) -> None:
        verified = self._verified(steps)
        tasks = steps.number_rows(self._files(), initial_tasks, first_id=verified.first_id)
        verified.rule.check_sources(tasks)
        removed = verified.find(tasks)
        output.finish(steps, tasks, removed, verified.parts)
        output.explain(steps, tasks, verified.parts, verified.earlier_folders)
        if self.perform_removal:
            steps.remove(
                self._files(),
                tasks,
                verified.removed_path,
                self.output_path,
                ids_storage_options=verified.cache_options,
                storage_options=self._output_options,
            )
        if self.extend_index:
            verified.deliver(tasks)

    def _find_connected(self, steps: Steps, initial_tasks: list[Task] | None, output: Output) -> None:
        tasks = steps.number_rows(self._files(), initial_tasks)
        connected = Connected(
            steps,
            self._files(),
            self.cache_path,
            self.output_path,
            self.text_field,
            self.num_bands,
            self.minhashes_per_band,
            self.char_ngrams,
            self.seed,
            self.use_64_bit_hash,
            self.bands_per_iteration,
            self.lsh_num_output_partitions,
            self.cache_kwargs,
            self.write_kwargs,
        )
        found = connected.find(tasks)
        removed = sum(task._metadata["num_removal_ids"] for task in found)
        output.finish(steps, tasks, removed, found)
        if self.perform_removal:
            ids = f"{self.output_path}/{DUPLICATE_IDS_SUBDIR}" if found else None
            steps.remove(self._files(), tasks, ids, self.output_path, storage_options=self._output_options)

    def _check_unverified(self) -> None:
        given: dict[str, Any] = {"id_field": self.id_field, "index_path": self.index_path}
        given |= {"keep": None if self.keep == "first" else self.keep}
        if wrong := [name for name, value in given.items() if value is not None]:
            raise ValueError(f"{', '.join(wrong)} can be given with verify=True alone")
        if self.char_ngrams < _SHORT_NGRAMS:
            warnings.warn(
                f"char_ngrams is {self.char_ngrams}: below {_SHORT_NGRAMS} some 5 % of what is removed without "
                "verification are no duplicates",
                stacklevel=4,
            )

    def _verified(self, steps: Steps) -> Verified:
        return Verified(
            steps,
            self._files(),
            self._signing,
            self.cache_path,
            self.output_path,
            self.text_field,
            self.id_field,
            self.threshold,
            keep_rule(self.keep),
            self._index(),
            self.index_shingles,
            (self.cache_kwargs or {}).get("storage_options"),
            self._output_options,
        )

    def _index(self) -> Index | None:
        if self.index_path is None:
            return None
        settings = {
            **asdict(self._signing),
            "shingles": self.index_shingles,
            "ids": "row numbers" if self.id_field is None else f"column {self.id_field}",
        }
        return Index.open(self.index_path, "fuzzy", settings, self._output_options)

    @property
    def _signing(self) -> Signing:
        return Signing(
            self.method,
            self.num_bands,
            self.minhashes_per_band,
            self.char_ngrams,
            self.seed,
            self.use_64_bit_hash,
        )

    def _files(self) -> InputFiles:
        return InputFiles(
            self.input_path,
            self.input_filetype,
            self.input_blocksize,
            file_extensions=self.input_file_extensions,
            read_kwargs=self.read_kwargs,
        )

    @property
    def _output_options(self) -> dict[str, Any] | None:
        return (self.write_kwargs or {}).get("storage_options")
