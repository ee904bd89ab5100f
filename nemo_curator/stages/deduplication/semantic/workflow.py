"""Semantic deduplication of data that has embeddings, in three steps over files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow.parquet as pq

from nemo_curator.errors import ContractError, InputError
from nemo_curator.pipeline.workflow import WorkflowBase, WorkflowRunResult
from nemo_curator.stages.deduplication.clusters import CLUSTERS_SUBDIR, summarize_clusters
from nemo_curator.stages.deduplication.semantic.clustering import KMeans
from nemo_curator.stages.deduplication.semantic.identify_duplicates import IdentifyDuplicatesStage, check_eps
from nemo_curator.stages.deduplication.semantic.kmeans import (
    COSINE_DIST_TO_CENT_COL,
    L2_DIST_TO_CENT_COL,
    MEMORY_BYTES,
    Init,
    KMeansStage,
)
from nemo_curator.stages.deduplication.semantic.output_folder import (
    DUPLICATE_FILES,
    ROW_FILES,
    TABLE_FILES,
    keep_only,
    take_over,
)
from nemo_curator.stages.deduplication.semantic.pairwise import DISTANCES, Against, PairwiseStage
from nemo_curator.stages.deduplication.semantic.ranking import RankingStrategy, ranking_for
from nemo_curator.stages.deduplication.semantic.survivors import is_duplicate
from nemo_curator.stages.deduplication.steps import InputFiles, Steps
from nemo_curator.utils.file_utils import get_all_file_paths_under, parse_bytes_string_to_int, write_json_file
from nemo_curator.utils.storage import open_bytes

if TYPE_CHECKING:
    from nemo_curator.backends.base import BaseExecutor
    from nemo_curator.ledger.checkpoint import OnChange

MIN_RECOMMENDED_N_CLUSTERS = 1000
"""With fewer clusters for very many rows each is larger, and the time goes with the square of its size."""
EPS_SWEEP = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2)
SWEEP_FILE = "eps_sweep.json"


@dataclass
class SemanticDeduplicationWorkflow(WorkflowBase):
    """Find the rows whose embedding is nearly that of another: write their ids to `output_path/duplicates`.

    Rows are put into `n_clusters` clusters by k-means; within a cluster each is compared with those that come before
    it, and is a duplicate where the cosine similarity to one of them is at least `1 - eps`. What comes first stays:
    `which_to_keep` "hard" puts first what is far from the centre of its cluster (by `distance_metric`), "easy" what is
    near it, "random" anything; a `ranking_strategy` over `metadata_fields` replaces that. As in a chain of similar
    rows each is removed for the one before it, `against="kept"` compares rows only with those that stay.

    Without `eps` it stops after the similarities. `output_path/eps_sweep.json` says for several how many rows would
    go, and `output_path/clusters` what was removed for what. `cache_path`, by default the `output_path`, gets
    `kmeans_results` and `pairwise_results`. With `perform_removal`, `output_path/deduplicated` gets the input without
    the duplicates, in the same files with all their columns. With `clear_output=False`, what an earlier run has left
    there is an error.
    """

    input_path: str | list[str]
    output_path: str
    n_clusters: int
    cache_path: str | None = None
    id_field: str = "id"
    embedding_field: str = "embeddings"
    embedding_dim: int | None = None
    metadata_fields: list[str] | None = None
    input_filetype: Literal["parquet", "jsonl"] = "parquet"
    input_file_extensions: list[str] | None = None
    max_iter: int = 300
    tol: float = 1e-4
    random_state: int = 42
    init: Init = "k-means||"
    n_init: int | Literal["auto"] = 1
    oversampling_factor: float = 2.0
    max_samples_per_batch: int = 1 << 15
    fit_data_fraction: float | None = None
    distance_metric: Literal["cosine", "l2"] = "cosine"
    which_to_keep: Literal["hard", "easy", "random"] = "hard"
    ranking_strategy: RankingStrategy | None = None
    pairwise_batch_size: int = 1024
    eps: float | None = None
    _duplicates_num_row_groups_hint: int | None = None
    read_kwargs: dict[str, Any] | None = None
    cache_kwargs: dict[str, Any] | None = None
    write_kwargs: dict[str, Any] | None = None
    clear_output: bool = True
    verbose: bool = True
    against: Against = field(default="earlier", kw_only=True)
    eps_sweep: Sequence[float] = field(default=EPS_SWEEP, kw_only=True)
    perform_removal: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.distance_metric not in DISTANCES:
            raise ValueError(f"Invalid distance_metric: {self.distance_metric!r}; wanted cosine or l2")
        if self.fit_data_fraction is not None and not 0 < self.fit_data_fraction < 1:
            raise ValueError(f"fit_data_fraction is {self.fit_data_fraction}; wanted a share between 0 and 1, or None")
        if self.eps is not None:
            check_eps(self.eps)
        for eps in self.eps_sweep:
            check_eps(eps)
        if self.eps is None and (self.against == "kept" or self.perform_removal):
            raise ValueError("against='kept' and perform_removal need eps, which says what a duplicate is")
        self._ranking = self.ranking_strategy or ranking_for(
            self.which_to_keep, DISTANCES[self.distance_metric], self.id_field, self.random_state
        )
        own = [self.id_field, L2_DIST_TO_CENT_COL, COSINE_DIST_TO_CENT_COL]
        if missing := sorted(set(self._ranking.metadata_cols) - {*own, *(self.metadata_fields or [])}):
            raise ContractError(f"ranking_strategy needs {missing}: name them in metadata_fields, beside {own}")
        KMeans(self.n_clusters, self.max_iter, self.tol, self.random_state, self.init, self.n_init)

    @property
    def kmeans_path(self) -> str:
        return f"{self.cache_path or self.output_path}/kmeans_results"

    @property
    def pairwise_path(self) -> str:
        return f"{self.cache_path or self.output_path}/pairwise_results"

    @property
    def duplicates_path(self) -> str:
        return f"{self.output_path}/duplicates"

    def run(
        self,
        kmeans_executor: BaseExecutor | None = None,
        pairwise_executor: BaseExecutor | None = None,
        *,
        checkpoint_path: str | os.PathLike | None = None,
        on_change: OnChange = "error",
        max_failed_fraction: float = 0.0,
        rejected_path: str | os.PathLike | None = None,
        memory_limit: int | str | None = None,
        report_path: str | os.PathLike | None = None,
    ) -> WorkflowRunResult:
        """Run the steps. The result has `kmeans_time`, `pairwise_time`, `total_time` and `num_duplicates`."""
        steps = Steps(
            "semantic_deduplication",
            kmeans_executor,
            checkpoint_path,
            on_change,
            max_failed_fraction,
            rejected_path,
            memory_limit,
            report_path,
        )
        self.last_result = steps.result
        with steps:
            self.run_steps(steps, kmeans_executor, pairwise_executor or kmeans_executor)
            if self.perform_removal:
                self._remove(steps)
        return steps.result

    def run_steps(
        self, steps: Steps, kmeans_executor: BaseExecutor | None, pairwise_executor: BaseExecutor | None
    ) -> None:
        """Run the steps, without removal; also as a part of another workflow."""
        if steps.checkpoint_path is None:  # what an earlier run has found is not to be taken for what this one finds
            take_over(self.duplicates_path, DUPLICATE_FILES, self._mode, self._storage_options)
            take_over(f"{self.output_path}/{CLUSTERS_SUBDIR}", TABLE_FILES, self._mode, self._storage_options)
        memory = MEMORY_BYTES
        if steps.memory_limit is not None:
            memory = min(memory, parse_bytes_string_to_int(steps.memory_limit) // 4)
        clusters = steps.run("kmeans", [self._kmeans(memory)], executor=kmeans_executor)
        written = {path for task in clusters for path in task.data}
        keep_only(self.kmeans_path, ROW_FILES, written, self._cache_kwargs.get("storage_options"))
        made = steps.run("pairwise", self._pairwise(memory), executor=pairwise_executor, max_failed_fraction=0.0)
        if self.against == "earlier":
            steps.result.add_metadata("eps_sweep", self._sweep())
        duplicates = 0 if self.eps is None else sum(task._metadata["num_removed"] for task in made)
        steps.result.add_metadata("num_duplicates", duplicates)
        if self.eps is not None:
            clusters_found = summarize_clusters(self.output_path, storage_options=self._storage_options)
            steps.result.add_metadata("clusters", clusters_found.to_dict())

    def _remove(self, steps: Steps) -> None:
        files = InputFiles(
            self.input_path,
            self.input_filetype,
            file_extensions=self.input_file_extensions,
            read_kwargs=self.read_kwargs,
        )
        removed = steps.remove(
            files,
            steps.find_files(files),
            self.duplicates_path,
            self.output_path,
            id_field=self.id_field,
            ids_field="id",
            ids_storage_options=self._storage_options,
            storage_options=self._storage_options,
        )
        check_unique(self.id_field, removed, steps.result.metadata["num_duplicates"])

    @property
    def _mode(self) -> Literal["overwrite", "error"]:
        return "overwrite" if self.clear_output else "error"

    @property
    def _storage_options(self) -> dict[str, Any] | None:
        return (self.write_kwargs or {}).get("storage_options")

    @property
    def _cache_kwargs(self) -> dict[str, Any]:
        return dict(self.write_kwargs or {}) if self.cache_kwargs is None else dict(self.cache_kwargs)

    def _kmeans(self, memory: int) -> KMeansStage:
        return KMeansStage(
            self.n_clusters,
            self.id_field,
            self.embedding_field,
            self.input_path,
            self.kmeans_path,
            self.metadata_fields,
            self.verbose,
            self.embedding_dim,
            self.input_filetype,
            self.input_file_extensions,
            self.read_kwargs,
            self._cache_kwargs,
            self.max_iter,
            self.tol,
            self.random_state,
            self.init,
            self.n_init,
            self.oversampling_factor,
            self.max_samples_per_batch,
            self.fit_data_fraction,
            self.cache_path or self.output_path,
            mode=self._mode,
            memory_bytes=memory,
        )

    def _pairwise(self, memory: int) -> list[Any]:
        similar = PairwiseStage(
            self.id_field,
            self.embedding_field,
            self.kmeans_path,
            self.pairwise_path,
            self._ranking,
            pairwise_batch_size=self.pairwise_batch_size,
            verbose=self.verbose,
            read_kwargs=_only_storage(self._cache_kwargs),
            write_kwargs=self._cache_kwargs,
            eps=self.eps,
            against=self.against,
            clusters_path=None if self.eps is None else self.output_path,
            clusters_kwargs=self.write_kwargs,
            mode=self._mode,
            memory_bytes=memory,
        )
        if self.eps is None:
            return [similar]
        identify = IdentifyDuplicatesStage(
            self.duplicates_path,
            self.eps,
            self._duplicates_num_row_groups_hint,
            self.verbose,
            _only_storage(self._cache_kwargs),
            self.write_kwargs,
            mode=self._mode,
        )
        return [similar, identify]

    def _sweep(self) -> list[dict[str, Any]]:
        """How many rows would go at several eps; written beside the duplicates."""
        counted = eps_sweep(self.pairwise_path, self.eps_sweep, self._cache_kwargs.get("storage_options"))
        write_json_file(f"{self.output_path}/{SWEEP_FILE}", counted, self._storage_options)
        return counted


def eps_sweep(
    pairwise_path: str, eps_values: Sequence[float] = EPS_SWEEP, storage_options: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Count for each eps how many of the rows with similarities in a folder would be duplicates, and what share."""
    rows, gone = 0, np.zeros(len(eps_values), np.int64)
    for path in get_all_file_paths_under(pairwise_path, False, [".parquet"], storage_options):
        with open_bytes(path, storage_options) as file:
            table = pq.read_table(file, columns=["cosine_sim_score"], use_threads=False)
            scores = table["cosine_sim_score"].to_numpy()
        rows += len(scores)
        gone += [int(is_duplicate(scores, 1 - eps).sum()) for eps in eps_values]
    return [
        {"eps": float(eps), "num_duplicates": int(number), "share": float(number / max(rows, 1))}
        for eps, number in zip(eps_values, gone)
    ]


def check_unique(id_field: str, removed: int, duplicates: int) -> None:
    """Raise if more rows were removed than are duplicates, because others have the same ids."""
    if removed > duplicates:
        raise InputError(
            f"{removed} rows have the ids of the {duplicates} duplicates, and were removed: the ids in {id_field!r} "
            "must be unique; name a column where they are, and run again"
        )


def _only_storage(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key == "storage_options"}
