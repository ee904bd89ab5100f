"""Semantic deduplication of texts, from files to files: embeddings, clusters, similarities, removal."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.clusters import write_sources
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.semantic.kmeans import Init
from nemo_curator.stages.deduplication.semantic.output_folder import take_over
from nemo_curator.stages.deduplication.semantic.pairwise import Against
from nemo_curator.stages.deduplication.semantic.ranking import RankingStrategy
from nemo_curator.stages.deduplication.semantic.workflow import SemanticDeduplicationWorkflow, check_unique
from nemo_curator.stages.deduplication.steps import DEDUPLICATED, InputFiles, Steps
from nemo_curator.stages.text.deduplication.removal import TextDuplicatesRemovalStage
from nemo_curator.stages.text.embedders.vllm import VLLMEmbeddingModelStage
from nemo_curator.stages.text.io.writer import JsonlWriter, ParquetWriter
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.file_utils import get_default_file_extensions

if TYPE_CHECKING:
    from nemo_curator.backends.base import BaseExecutor
    from nemo_curator.ledger.checkpoint import OnChange
    from nemo_curator.pipeline.workflow import WorkflowRunResult

ID_GENERATOR_OUTPUT_FILENAME = "semantic_id_generator.json"
_ROW = "_curator_row"
WRITER_FILES = {kind: re.compile(rf"[0-9a-f]{{12}}(-\d+)?\.{kind}") for kind in ("parquet", "jsonl")}


@dataclass
class TextSemanticDeduplicationWorkflow:
    """Find documents that mean nearly the same, and write the data set without them.

    Each text becomes an embedding by `model_identifier`, a folder or a name in the cache of the Hugging Face hub; then
    it goes on as `SemanticDeduplicationWorkflow` tells. The ids of the duplicates are in `output_path/duplicates`,
    what stays is in `output_path/deduplicated`: with the files, columns and format of the input, unless
    `output_fields`, `output_filetype` or `output_file_extension` ask for others. `cache_path` gets the embeddings.

    Documents are named by their row numbers, or by `id_field` where another one is given; with `use_id_generator` the
    numbers of each file are written to `id_generator_state_file`, by default `output_path/semantic_id_generator.json`.
    A document without a text is no duplicate, and stays.
    """

    input_path: str | list[str]
    output_path: str
    cache_path: str | None = None
    perform_removal: bool = True
    text_field: str = "text"
    embedding_field: str = "embeddings"
    model_identifier: str = "google/embeddinggemma-300m"
    embedding_max_chars: int | None = None
    embedding_pretokenize: bool = False
    embedding_vllm_init_kwargs: dict[str, Any] | None = None
    hf_token: str | None = field(default=None, repr=False)
    model_cache_dir: str | None = None
    n_clusters: int = 100
    id_field: str = CURATOR_DEDUP_ID_STR
    embedding_dim: int | None = None
    metadata_fields: list[str] | None = None
    distance_metric: Literal["cosine", "l2"] = "cosine"
    which_to_keep: Literal["hard", "easy", "random"] = "hard"
    eps: float | None = 0.01
    kmeans_max_iter: int = 300
    kmeans_tol: float = 1e-4
    kmeans_random_state: int = 42
    kmeans_init: Init = "k-means||"
    kmeans_n_init: int | Literal["auto"] = 1
    kmeans_oversampling_factor: float = 2.0
    kmeans_max_samples_per_batch: int = 1 << 15
    kmeans_fit_data_fraction: float | None = None
    ranking_strategy: RankingStrategy | None = None
    pairwise_batch_size: int = 1024
    _duplicates_num_row_groups_hint: int | None = None
    use_id_generator: bool = False
    id_generator_state_file: str | None = None
    input_filetype: Literal["parquet", "jsonl"] = "parquet"
    input_file_extensions: list[str] | None = None
    input_files_per_partition: int | None = None
    input_blocksize: int | str | None = None
    output_filetype: Literal["parquet", "jsonl"] = "parquet"
    output_file_extension: str | None = None
    output_fields: list[str] | None = None
    read_kwargs: dict[str, Any] = field(default_factory=dict)
    cache_kwargs: dict[str, Any] = field(default_factory=dict)
    write_kwargs: dict[str, Any] = field(default_factory=dict)
    verbose: bool = True
    clear_output: bool = True
    against: Against = field(default="earlier", kw_only=True)

    def __post_init__(self) -> None:
        if self.perform_removal and self.eps is None:
            raise ValueError("perform_removal needs eps, which says what a duplicate is; give one, or do not remove")
        if self.use_id_generator and self.id_field != CURATOR_DEDUP_ID_STR:
            raise ValueError(f"use_id_generator names documents in {CURATOR_DEDUP_ID_STR!r}; leave out id_field")
        if self.output_filetype not in WRITER_FILES:
            raise ValueError(f"unknown output_filetype {self.output_filetype!r}; known are {sorted(WRITER_FILES)}")
        self.last_result: WorkflowRunResult | None = None
        self._files()  # raises if a parameter is wrong
        self._semantic()

    def run(
        self,
        streaming_executor: BaseExecutor | tuple[BaseExecutor, BaseExecutor, BaseExecutor] | None = None,
        batch_executor: BaseExecutor | None = None,
        *,
        checkpoint_path: str | os.PathLike | None = None,
        on_change: OnChange = "error",
        max_failed_fraction: float = 0.0,
        rejected_path: str | os.PathLike | None = None,
        memory_limit: int | str | None = None,
        report_path: str | os.PathLike | None = None,
    ) -> WorkflowRunResult:
        """Run the steps: `streaming_executor` may be three, for embeddings, similarities and removal.

        The result has the seconds of each step, `num_duplicates`, `num_duplicates_removed`, and the paths.
        """
        embedding, pairwise, removal = _three(streaming_executor)
        steps = Steps(
            "text_semantic_deduplication",
            embedding,
            checkpoint_path,
            on_change,
            max_failed_fraction,
            rejected_path,
            memory_limit,
            report_path,
        )
        self.last_result = steps.result
        with steps:
            files = self._files()
            tasks = steps.number_rows(files) if self._is_numbered else steps.find_files(files)
            state = None
            if self.use_id_generator:
                state = self.id_generator_state_file or f"{self.output_path}/{ID_GENERATOR_OUTPUT_FILENAME}"
                steps.write_ids(tasks, state, self.write_kwargs.get("storage_options"))
            self._embed(steps, files, tasks)
            self._semantic().run_steps(steps, batch_executor, pairwise)
            if self._is_numbered and self.eps is not None:
                write_sources(self.output_path, tasks, storage_options=self.write_kwargs.get("storage_options"))
            if self.perform_removal:
                steps.executor = removal
                self._remove(steps, files, tasks)
                found = steps.result.metadata
                check_unique(self.id_field, found["num_duplicates_removed"], found["num_duplicates"])
            self._tell(steps.result, state)
        return steps.result

    @property
    def embeddings_path(self) -> str:
        return f"{self.cache_path or self.output_path}/embeddings"

    @property
    def semantic_dedup_path(self) -> str:
        return f"{self.cache_path or self.output_path}/semantic_dedup"

    @property
    def duplicates_path(self) -> str:
        return f"{self.output_path}/duplicates"

    @property
    def deduplicated_path(self) -> str:
        return f"{self.output_path}/{DEDUPLICATED}"

    @property
    def _is_numbered(self) -> bool:
        return self.id_field == CURATOR_DEDUP_ID_STR

    def _files(self) -> InputFiles:
        return InputFiles(
            self.input_path,
            self.input_filetype,
            self.input_blocksize,
            self.input_files_per_partition,
            self.input_file_extensions,
            self.read_kwargs,
        )

    def _embed(self, steps: Steps, files: InputFiles, tasks: list[FileGroupTask]) -> None:
        if not steps.goes_on("embeddings"):
            mode: Literal["overwrite", "error"] = "overwrite" if self.clear_output else "error"
            take_over(self.embeddings_path, WRITER_FILES["parquet"], mode, self.cache_kwargs.get("storage_options"))
        others = [self.id_field, *(self.metadata_fields or [])]
        fields = list(dict.fromkeys([self.text_field, *(self.metadata_fields or [])]))
        model = VLLMEmbeddingModelStage(
            self.model_identifier,
            self.embedding_vllm_init_kwargs,
            self.text_field,
            self.embedding_pretokenize,
            self.embedding_field,
            self.embedding_max_chars,
            self.model_cache_dir,
            self.hf_token,
            self.verbose,
            metadata_fields=others,
        )
        stages: list[ProcessingStage] = [
            files.reader(fields, id_field=None if self._is_numbered else self.id_field),
            model,
            WithEmbedding(self.embedding_field),
            ParquetWriter(self.embeddings_path, write_kwargs=self.cache_kwargs),
        ]
        steps.run("embeddings", stages, tasks)

    def _semantic(self) -> SemanticDeduplicationWorkflow:
        return SemanticDeduplicationWorkflow(
            self.embeddings_path,
            self.output_path,
            self.n_clusters,
            self.semantic_dedup_path,
            self.id_field,
            self.embedding_field,
            self.embedding_dim,
            self.metadata_fields,
            max_iter=self.kmeans_max_iter,
            tol=self.kmeans_tol,
            random_state=self.kmeans_random_state,
            init=self.kmeans_init,
            n_init=self.kmeans_n_init,
            oversampling_factor=self.kmeans_oversampling_factor,
            max_samples_per_batch=self.kmeans_max_samples_per_batch,
            fit_data_fraction=self.kmeans_fit_data_fraction,
            distance_metric=self.distance_metric,
            which_to_keep=self.which_to_keep,
            ranking_strategy=self.ranking_strategy,
            pairwise_batch_size=self.pairwise_batch_size,
            eps=self.eps,
            _duplicates_num_row_groups_hint=self._duplicates_num_row_groups_hint,
            read_kwargs={key: value for key, value in self.cache_kwargs.items() if key == "storage_options"},
            cache_kwargs=self.cache_kwargs,
            write_kwargs=self.write_kwargs,
            clear_output=self.clear_output,
            verbose=self.verbose,
            against=self.against,
        )

    def _remove(self, steps: Steps, files: InputFiles, tasks: list[FileGroupTask]) -> None:
        own = None if self._is_numbered else self.id_field
        storage = self.write_kwargs.get("storage_options")
        as_it_is = self.output_fields is None and self.output_filetype == self.input_filetype
        if as_it_is and self.output_file_extension is None and not self.write_kwargs.keys() - {"storage_options"}:
            steps.remove(
                files,
                tasks,
                self.duplicates_path,
                self.output_path,
                id_field=own,
                ids_field="id",
                ids_storage_options=storage,
                storage_options=storage,
            )
            return
        if not steps.goes_on("removal"):
            extension = self.output_file_extension or get_default_file_extensions(self.output_filetype)[0]
            ours = re.compile(rf"[0-9a-f]{{12}}(-\d+)?\.{re.escape(extension.lstrip('.'))}")
            take_over(self.deduplicated_path, ours, "overwrite" if self.clear_output else "error", storage)
        stages: list[ProcessingStage] = [self._removal_reader(files), self._filter(), self._writer()]
        made = steps.run("removal", stages, tasks)
        removed = sum(task._metadata.get("num_removed", 0) for task in made)
        steps.result.add_metadata("num_duplicates_removed", removed)

    @property
    def _numbers_field(self) -> str:
        """The column of the row numbers in the copy: one of that name in the input is the user's."""
        return CURATOR_DEDUP_ID_STR if CURATOR_DEDUP_ID_STR in (self.output_fields or []) else _ROW

    def _removal_reader(self, files: InputFiles) -> ProcessingStage:
        reader = files.reader([], numbers_field=self._numbers_field)
        if not self._is_numbered:
            return type(reader)(None, dict(self.read_kwargs))
        if self._numbers_field == CURATOR_DEDUP_ID_STR:  # asked for: then it is what the files call so that is not read
            reader.fields = [name for name in self.output_fields or [] if name != CURATOR_DEDUP_ID_STR]
        return reader

    def _filter(self) -> TextDuplicatesRemovalStage:
        return TextDuplicatesRemovalStage(
            self.duplicates_path,
            self._numbers_field if self._is_numbered else self.id_field,
            "id",
            {"storage_options": self.write_kwargs.get("storage_options")},
            drop_id_field=self._is_numbered and self._numbers_field == _ROW,
        )

    def _writer(self) -> JsonlWriter | ParquetWriter:
        kind = ParquetWriter if self.output_filetype == "parquet" else JsonlWriter
        writer = kind(self.deduplicated_path, write_kwargs=self.write_kwargs, fields=self.output_fields)
        if self.output_file_extension is not None:
            writer.file_extension = self.output_file_extension.lstrip(".")
        return writer

    def _tell(self, result: WorkflowRunResult, state: str | None) -> None:
        seconds = result.metadata
        result.extend_metadata(
            {
                "embedding_time": seconds["embeddings_time"],
                "identification_time": seconds["kmeans_time"] + seconds["pairwise_time"],
                "removal_time": seconds.get("removal_time", 0.0),
                "num_duplicates_removed": seconds.get("num_duplicates_removed", 0),
                "embeddings_path": self.embeddings_path,
                "semantic_dedup_path": self.semantic_dedup_path,
                "final_output_path": self.deduplicated_path if self.perform_removal else None,
                "id_generator_path": state,
            }
        )


@dataclass
class WithEmbedding(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Drop documents that have no embedding because they have no text: they are compared with nothing."""

    embedding_field: str
    name: str = "with_embedding"

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], [self.embedding_field]

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        keep = np.asarray(batch.column(self.embedding_field).is_valid())
        counts.filtered("no text", batch, keep)
        return batch.filter(keep)


def _three(executor: Any) -> tuple[Any, Any, Any]:
    if not isinstance(executor, tuple):
        return executor, executor, executor
    if len(executor) != 3:
        raise ValueError(f"streaming_executor is one, or three for embeddings, similarities and removal; {executor}")
    return executor
