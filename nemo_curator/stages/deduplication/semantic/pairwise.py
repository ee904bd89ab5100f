"""How similar the rows of a cluster are to those that come before them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.deduplication.clusters import CLUSTERS_SUBDIR, cluster_table, write_clusters
from nemo_curator.stages.deduplication.semantic.arithmetic import OnCpu, OnTorch, arithmetic, cosines
from nemo_curator.stages.deduplication.semantic.embeddings import Lists
from nemo_curator.stages.deduplication.semantic.kmeans import (
    COSINE_DIST_TO_CENT_COL,
    L2_DIST_TO_CENT_COL,
    MEMORY_BYTES,
    write_table,
)
from nemo_curator.stages.deduplication.semantic.output_folder import PAIRWISE_FILES, TABLE_FILES, Mode, take_over
from nemo_curator.stages.deduplication.semantic.pairwise_io import ClusterWiseFilePartitioningStage
from nemo_curator.stages.deduplication.semantic.ranking import RankingStrategy, ranking_for
from nemo_curator.stages.deduplication.semantic.survivors import best_kept, survivors
from nemo_curator.stages.resources import one_gpu_or
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.sentinels import EmptyTask
from nemo_curator.utils.file_utils import check_disallowed_kwargs, refuse_to_empty
from nemo_curator.utils.storage import open_bytes
from nemo_curator.utils.whole_files import remove_leftovers

DISTANCES = {"cosine": COSINE_DIST_TO_CENT_COL, "l2": L2_DIST_TO_CENT_COL}

_ROW = "_curator_row"

Against = Literal["earlier", "kept"]


def pairwise_cosine_similarity_batched(vectors: Any, batch_size: int = 1024) -> tuple[Any, Any]:
    """Find for each row the largest cosine similarity to an earlier one, and which that is; rows have the length one.

    The first row, and one to which all earlier ones have a negative similarity, gets 0 and itself. Arrays of numpy
    give arrays of numpy, tensors of torch give tensors on their device.
    """
    if isinstance(vectors, np.ndarray):
        at, _ = OnCpu().best_earlier(np.ascontiguousarray(vectors, np.float32), batch_size)
        return _scores(vectors, at), at
    import torch

    on = OnTorch(str(vectors.device))
    at, _ = on.best_earlier(vectors.float(), batch_size)
    scores = _scores(vectors.float().cpu().numpy(), at)
    return torch.from_numpy(scores).to(vectors.device), torch.from_numpy(at).to(vectors.device)


@dataclass
class PairwiseStage(CompositeStage[EmptyTask, FileGroupTask]):
    """Write for every row of the clusters in `input_path` which earlier row of its cluster it is most similar to.

    `output_path/cluster_<number>.parquet` has `id`, `max_id` and `cosine_sim_score`. Earlier are rows farther from
    the centre ("hard"), or nearer to it ("easy"), by `sim_metric` "cosine" or "l2", or "random" ones; a
    `ranking_strategy` replaces that. `embedding_dim` has no effect.

    A cluster whose embeddings take more than half of `memory_bytes` is put into a file, and parts of it are in memory.
    With `eps` and `clusters_path`, the table of clusters is written there. `against="kept"` compares rows only with
    those that stay at this `eps`: then nothing is removed for the sake of what is removed itself.
    """

    id_field: str
    embedding_field: str
    input_path: str
    output_path: str
    ranking_strategy: RankingStrategy | None = None
    embedding_dim: int | None = None
    pairwise_batch_size: int = 1024
    verbose: bool = False
    read_kwargs: dict[str, Any] | None = None
    write_kwargs: dict[str, Any] | None = None
    which_to_keep: Literal["hard", "easy", "random"] = "hard"
    sim_metric: Literal["cosine", "l2"] = "cosine"
    random_seed: int = 42
    name: str = "PairwiseStage"
    eps: float | None = field(default=None, kw_only=True)
    against: Against = field(default="earlier", kw_only=True)
    clusters_path: str | None = field(default=None, kw_only=True)
    clusters_kwargs: dict[str, Any] | None = field(default=None, kw_only=True)
    mode: Mode = field(default="overwrite", kw_only=True)
    memory_bytes: int = field(default=MEMORY_BYTES, kw_only=True)

    def __post_init__(self) -> None:
        super().__init__()
        if self.sim_metric not in DISTANCES:
            raise ValueError(f"sim_metric is {self.sim_metric!r}; wanted cosine or l2")
        self.decompose()  # raises if a parameter is wrong

    def decompose(self) -> list[ProcessingStage]:
        ranking = self.ranking_strategy or ranking_for(
            self.which_to_keep, DISTANCES[self.sim_metric], self.id_field, self.random_seed
        )
        similar = PairwiseCosineSimilarityStage(
            self.id_field,
            self.embedding_field,
            self.output_path,
            ranking,
            self.pairwise_batch_size,
            read_kwargs=self.read_kwargs,
            write_kwargs=self.write_kwargs,
            eps=self.eps,
            against=self.against,
            clusters_path=self.clusters_path,
            clusters_kwargs=self.clusters_kwargs,
            mode=self.mode,
            memory_bytes=self.memory_bytes,
        )
        options = (self.read_kwargs or {}).get("storage_options")
        return [ClusterWiseFilePartitioningStage(self.input_path, options), similar]


@dataclass
class PairwiseCosineSimilarityStage(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Write which earlier row of its cluster every row is most similar to; see `PairwiseStage`.

    A similarity that was found is worked out again in double precision: of equal rows it is 1. Of equally similar
    earlier rows it is the first.
    """

    id_field: str
    embedding_field: str
    output_path: str
    ranking_strategy: RankingStrategy
    pairwise_batch_size: int = 1024
    verbose: bool = False
    embedding_dim: int | None = None
    read_kwargs: dict[str, Any] | None = None
    write_kwargs: dict[str, Any] | None = None
    name: str = "PairwiseCosineSimilarityStage"
    eps: float | None = field(default=None, kw_only=True)
    against: Against = field(default="earlier", kw_only=True)
    clusters_path: str | None = field(default=None, kw_only=True)
    clusters_kwargs: dict[str, Any] | None = field(default=None, kw_only=True)
    mode: Mode = field(default="overwrite", kw_only=True)
    memory_bytes: int = field(default=MEMORY_BYTES, kw_only=True)

    _folder = ""

    def __post_init__(self) -> None:
        self.resources = one_gpu_or(1.0)
        self.read_kwargs, self.write_kwargs = dict(self.read_kwargs or {}), dict(self.write_kwargs or {})
        check_disallowed_kwargs(self.read_kwargs, ["columns", "filters"])
        if self.pairwise_batch_size < 1:
            raise ValueError(f"pairwise_batch_size is {self.pairwise_batch_size}; wanted at least 1")
        if self.against not in ("earlier", "kept"):
            raise ValueError(f"against is {self.against!r}; wanted earlier or kept")
        if self.eps is None and (self.against == "kept" or self.clusters_path):
            raise ValueError("which rows stay depends on eps; give one, or leave out against and clusters_path")

    def check_inputs(self, paths: list[str]) -> None:
        """Raise if the run would delete files that it reads."""
        refuse_to_empty(self.output_path, paths)

    def before_run(self, earlier: Any = None) -> bool:
        self._folder = absolute(self.output_path)
        if earlier is None:
            take_over(self._folder, PAIRWISE_FILES, self.mode, (self.write_kwargs or {}).get("storage_options"))
            if self.clusters_path:
                take_over(f"{self.clusters_path}/{CLUSTERS_SUBDIR}", TABLE_FILES, self.mode, self._of_clusters)
        return True

    def after_run(self) -> None:
        remove_leftovers(self._folder)  # of workers that were killed

    def process(self, task: FileGroupTask) -> FileGroupTask:
        number = task._metadata["centroid_id"]
        rows = self._rows(task)
        counts.seen(len(rows))
        ranked, order = self._ranked(rows, task)
        ids = ranked[self.id_field]
        with tempfile.TemporaryFile() as file:
            vectors = self._vectors(task, order, file)
            at, scores = self._similar(vectors)
            if self.clusters_path:
                self._write_clusters(number, vectors, ids, at, scores)
        table = pa.table({"id": ids, "max_id": ids.take(pa.array(at)), "cosine_sim_score": pa.array(scores)})
        path = f"{self._folder or absolute(self.output_path)}/cluster_{number}.parquet"
        write_table(table, path, self.write_kwargs or {})
        counts.written(len(table))
        return FileGroupTask(task.dataset_name, [path], _metadata={**task._metadata, "num_rows": len(table)})

    def _ranked(self, rows: pa.Table, task: FileGroupTask) -> tuple[pa.Table, np.ndarray]:
        """The rows in their order, and where each was."""
        frame = rows.append_column(_ROW, pa.array(np.arange(len(rows)))).to_pandas()
        order = self.ranking_strategy.rank_cluster(frame)[_ROW].to_numpy()
        if not np.array_equal(np.sort(order), np.arange(len(rows))):
            raise InputError(f"rank_cluster left {len(order)} of {len(rows)} rows of {task.dataset_name}")
        return rows.take(pa.array(order)), order

    def _vectors(self, task: FileGroupTask, order: np.ndarray, file: Any) -> np.ndarray:
        """The embeddings in the order of the rows; of a large cluster in a file that is mapped into memory."""
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        vectors: np.ndarray | None = None
        done = 0
        for part in self._batches(task):
            lists = Lists.of(part)
            rows = lists.matrix(np.arange(len(lists.lengths)), int(lists.lengths[0]))
            if vectors is None:
                shape = (len(order), rows.shape[1])
                is_large = 4 * shape[0] * shape[1] > self.memory_bytes // 2
                vectors = np.memmap(file, np.float32, "w+", shape=shape) if is_large else np.empty(shape, np.float32)
            vectors[places[done : done + len(rows)]] = rows
            done += len(rows)
        assert vectors is not None  # k-means writes no file without rows
        return vectors

    def _similar(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        using = arithmetic()
        if self.against == "kept" and self.eps is not None:
            at = best_kept(vectors, self.pairwise_batch_size, 1 - self.eps)
        else:
            at, _ = using.best_earlier(using.hold(vectors), self.pairwise_batch_size)
        return at, _scores(vectors, at)

    def _write_clusters(
        self, number: int, vectors: np.ndarray, ids: pa.ChunkedArray, at: np.ndarray, scores: np.ndarray
    ) -> None:
        assert self.eps is not None
        root = survivors(at, scores, 1 - self.eps)
        gone = np.flatnonzero(root != np.arange(len(root)))
        similarity = cosines(vectors[gone], vectors[root[gone]])
        table = cluster_table(ids.take(pa.array(root[gone])), ids.take(pa.array(gone)), similarity, "cosine")
        write_clusters(str(self.clusters_path), number, table, self._of_clusters)

    @property
    def _of_clusters(self) -> dict[str, Any] | None:
        return (self.clusters_kwargs or {}).get("storage_options")

    def _rows(self, task: FileGroupTask) -> pa.Table:
        """All columns but the embeddings."""
        tables = []
        for path in task.data:
            with self._open(path) as file:
                parquet = pq.ParquetFile(file)
                names = [name for name in parquet.schema_arrow.names if name != self.embedding_field]
                if self.id_field not in names:
                    raise InputError(f"{path} has no {self.id_field!r}; its columns are {names}")
                tables.append(parquet.read(columns=names, use_threads=False))  # it is one of many small files
        return pa.concat_tables(tables, promote_options="permissive").combine_chunks()

    def _batches(self, task: FileGroupTask) -> Iterator[pa.Array]:
        for path in task.data:
            with self._open(path) as file:
                for batch in pq.ParquetFile(file).iter_batches(4096, columns=[self.embedding_field], use_threads=False):
                    yield batch.column(0)

    def _open(self, path: str) -> Any:
        return open_bytes(path, (self.read_kwargs or {}).get("storage_options"))


def _scores(vectors: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The similarity of each row to the one that was found for it; to itself 0."""
    scores = np.zeros(len(at), np.float32)
    for start in range(0, len(at), 4096):
        rows = np.arange(start, min(start + 4096, len(at)))
        found = cosines(vectors[rows], vectors[at[rows]])
        scores[rows] = np.where(at[rows] == rows, np.float32(0), found)
    return scores
