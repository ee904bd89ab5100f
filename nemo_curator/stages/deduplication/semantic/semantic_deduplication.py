"""Semantic deduplication as a stage of a pipeline."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.semantic.arithmetic import arithmetic, cosines
from nemo_curator.stages.deduplication.semantic.clustering import KMeans, nearest
from nemo_curator.stages.deduplication.semantic.embeddings import Embedded, Lists, unit_rows, usual
from nemo_curator.stages.deduplication.semantic.identify_duplicates import check_eps
from nemo_curator.stages.deduplication.semantic.kmeans import Init, distances
from nemo_curator.stages.deduplication.semantic.pairwise import DISTANCES, Against
from nemo_curator.stages.deduplication.semantic.ranking import RankingStrategy, ranking_for
from nemo_curator.stages.deduplication.semantic.sample import LEAST_ROWS, ROWS_OF_A_CLUSTER
from nemo_curator.stages.deduplication.semantic.survivors import best_kept, is_duplicate
from nemo_curator.stages.resources import one_gpu_or
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.image import ImageBatch, ImageObject
from nemo_curator.tasks.tasks import Task

OF_IMAGES = "image_embedding"
"""Stands for `ImageObject.embedding`, as the guide writes it."""

_ROW = "_curator_row"


@dataclass
class SemanticDeduplicationStage(ProcessingStage[Task, Task]):
    """Drop documents or images whose embedding is nearly that of another one that comes through the pipeline.

    It waits for all of them, and passes on the batches in their order, each without its duplicates. Of all that is in
    the batches only ids and embeddings are held in memory, in single precision. Embeddings are a column of
    `DocumentBatch`, or an attribute of `ImageObject`, where `image_embedding` means `embedding`. One that is missing,
    all zeros, not finite, or of another number of dimensions is a failure of that row, which is set aside.

    The parameters are those of `SemanticDeduplicationWorkflow`; `metadata_fields` are columns or attributes for a
    `ranking_strategy`.

    Example:
        >>> stage = SemanticDeduplicationStage(
        ...     id_field="image_id", embedding_field="image_embedding", n_clusters=100, eps=0.01
        ... )
        >>> stage.is_barrier
        True
    """

    id_field: str = "id"
    embedding_field: str = "embeddings"
    n_clusters: int = 100
    eps: float = 0.01
    which_to_keep: Literal["hard", "easy", "random"] = "hard"
    distance_metric: Literal["cosine", "l2"] = "cosine"
    ranking_strategy: RankingStrategy | None = None
    metadata_fields: list[str] = field(default_factory=list)
    max_iter: int = 300
    tol: float = 1e-4
    random_state: int = 42
    init: Init = "k-means||"
    n_init: int | Literal["auto"] = 1
    oversampling_factor: float = 2.0
    pairwise_batch_size: int = 1024
    against: Against = "earlier"
    name: str = "semantic_deduplication"

    is_barrier = True

    def __post_init__(self) -> None:
        self.resources = one_gpu_or(float(os.cpu_count() or 1))
        check_eps(self.eps)
        if self.distance_metric not in DISTANCES:
            raise ValueError(f"distance_metric is {self.distance_metric!r}; wanted cosine or l2")
        self._kmeans()  # raises if a parameter is wrong
        self._ranking()

    def inputs(self) -> dict[type[Task], tuple[list[str], list[str]]]:
        columns = list(dict.fromkeys([self.id_field, self.embedding_field, *self.metadata_fields]))
        return {DocumentBatch: (["data"], columns), ImageBatch: (["data"], [])}

    def process(self, task: Task) -> Task:
        return self.process_batch([task])[0]

    def process_batch(self, tasks: list[Task]) -> list[Task]:
        rows = [self._rows(task) for task in tasks]
        dimensions = usual(length for _, column in rows for length in Lists.of(column).lengths)
        vectors = np.empty((sum(len(table) for table, _ in rows), dimensions), np.float32)
        usable: list[np.ndarray] = []
        columns: list[pa.Table] = []
        at = 0
        for task, (table, column) in zip(tasks, rows):
            found = unit_rows(column, table, dimensions)
            vectors[at : at + len(found.vectors)] = found.vectors
            at += len(found.vectors)
            columns.append(found.columns)
            usable.append(np.isin(np.arange(len(table)), list(found.problems), invert=True))
            self._report(found, table, task)
        kept = self._kept(vectors[:at], pa.concat_tables(columns, promote_options="permissive"))
        starts = np.cumsum([0, *(int(one.sum()) for one in usable)])
        parts = [kept[start:stop] for start, stop in pairwise(starts)]
        return [self._without(task, is_usable, part) for task, is_usable, part in zip(tasks, usable, parts)]

    def _report(self, found: Embedded, table: pa.Table, task: Task) -> None:
        for row, problem in found.problems.items():
            record = {self.id_field: table[self.id_field][row].as_py()}
            counts.failed(InputError(f"{self.embedding_field} {problem}"), source=task.task_id, record=record)

    def _rows(self, task: Task) -> tuple[pa.Table, pa.ChunkedArray | pa.Array]:
        """Ids and metadata of a batch, and its embeddings."""
        names = list(dict.fromkeys([self.id_field, *self.metadata_fields]))
        if isinstance(task, DocumentBatch):
            if not task.num_items:
                return pa.table({name: pa.nulls(0) for name in names}), pa.nulls(0)
            return pa.table({name: task.column(name) for name in names}), task.column(self.embedding_field)
        images: list[ImageObject] = task.data
        table = pa.table({name: pa.array([getattr(image, name, None) for image in images]) for name in names})
        attribute = "embedding" if self.embedding_field == OF_IMAGES else self.embedding_field
        values = [getattr(image, attribute, None) for image in images]
        flat = [None if value is None else np.asarray(value).reshape(-1) for value in values]
        return table, pa.array(flat, pa.list_(pa.float32()))

    def _kept(self, vectors: np.ndarray, columns: pa.Table) -> np.ndarray:
        """Which rows stay."""
        stays = np.ones(len(vectors), bool)
        if len(vectors) < 2:
            return stays
        using = arithmetic()
        most = max(ROWS_OF_A_CLUSTER * self.n_clusters, LEAST_ROWS)
        chosen = np.random.default_rng(self.random_state).permutation(len(vectors))[:most]
        centres = self._kmeans().fit(vectors if len(vectors) <= most else vectors[np.sort(chosen)], using)
        labels, _ = nearest(using.hold(vectors), centres, using)
        straight, cosine = distances(vectors, centres, labels)
        frame = columns.append_column(_ROW, pa.array(np.arange(len(columns)))).to_pandas()
        frame[DISTANCES["l2"]], frame[DISTANCES["cosine"]] = straight, cosine
        ranking = self._ranking()
        order = np.argsort(labels, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
            ranked = ranking.rank_cluster(frame.iloc[members])[_ROW].to_numpy()
            stays[ranked[self._is_duplicate(vectors[ranked], using)]] = False
        return stays

    def _is_duplicate(self, vectors: np.ndarray, using: Any) -> np.ndarray:
        if self.against == "kept":
            at = best_kept(vectors, self.pairwise_batch_size, 1 - self.eps)
        else:
            at, _ = using.best_earlier(using.hold(vectors), self.pairwise_batch_size)
        is_other = at != np.arange(len(at))
        return is_other & is_duplicate(cosines(vectors, vectors[at]), 1 - self.eps)

    def _without(self, task: Any, is_usable: np.ndarray, kept: np.ndarray) -> Task:
        """The rows that can be compared and stay."""
        candidates = task if is_usable.all() else task.filter(is_usable)
        counts.filtered(self.name, candidates, kept)
        return candidates if kept.all() else candidates.filter(kept)

    def _kmeans(self) -> KMeans:
        return KMeans(
            self.n_clusters,
            self.max_iter,
            self.tol,
            self.random_state,
            self.init,
            self.n_init,
            self.oversampling_factor,
        )

    def _ranking(self) -> RankingStrategy:
        distance = DISTANCES[self.distance_metric]
        return self.ranking_strategy or ranking_for(self.which_to_keep, distance, self.id_field, self.random_state)
