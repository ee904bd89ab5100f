"""k-means over files: centres from a sample, then every row to the nearest of them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.deduplication.semantic.arithmetic import OnCpu
from nemo_curator.stages.deduplication.semantic.clustering import KMeans, nearest
from nemo_curator.stages.deduplication.semantic.embeddings import Embedded, EmbeddingReader
from nemo_curator.stages.deduplication.semantic.output_folder import CLUSTER_FILES, Mode, take_over
from nemo_curator.stages.deduplication.semantic.sample import Sample
from nemo_curator.stages.file_partitioning import FilePartitioningStage, pack
from nemo_curator.stages.resources import one_gpu_or
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.stages.text.io.writer.parquet import plain
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.sentinels import EmptyTask
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_utils import check_disallowed_kwargs, get_default_file_extensions, refuse_to_empty
from nemo_curator.utils.find_files import Found, each, with_sizes
from nemo_curator.utils.storage import locate, open_bytes
from nemo_curator.utils.whole_files import put, remove_leftovers

L2_DIST_TO_CENT_COL, COSINE_DIST_TO_CENT_COL = "l2_dist_to_cent", "cosine_dist_to_cent"
CENTROIDS = "kmeans_centroids.npy"

MEMORY_BYTES = 2**30
"""About how much of the data a task may hold in memory. An eighth of it is how much is read together: each such group
of rows writes a file into every cluster it has rows of."""

Init = Literal["k-means||", "k-means++", "random"] | np.ndarray


@dataclass
class KMeansStage(CompositeStage[EmptyTask, FileGroupTask]):
    """Put rows into clusters of similar embeddings: `output_path/centroid=<number>/*.parquet`.

    The files hold the id, the embedding scaled to length one, `metadata_fields`, and the distances to the centre,
    `l2_dist_to_cent` and `cosine_dist_to_cent`. Centres are found from all rows where these fit into memory, else from
    a sample; with `fit_data_fraction`, from that share of the files. They are kept as `kmeans_centroids.npy` in
    `cache_path`, or as `_kmeans_centroids.npy` beside the clusters. A row without a usable embedding or id fails
    alone. `init` may be an array of centres. What an earlier run has left there is replaced; `mode="error"` refuses to.
    `memory_bytes` is about how much of the data a task holds; `embedding_dim` and `max_samples_per_batch` have no
    effect.
    """

    n_clusters: int
    id_field: str
    embedding_field: str
    input_path: str | list[str]
    output_path: str
    metadata_fields: list[str] | None = None
    verbose: bool = False
    embedding_dim: int | None = None
    input_filetype: Literal["parquet", "jsonl"] = "parquet"
    input_file_extensions: list[str] | None = None
    read_kwargs: dict[str, Any] | None = None
    write_kwargs: dict[str, Any] | None = None
    max_iter: int = 300
    tol: float = 1e-4
    random_state: int = 42
    init: Init = "k-means||"
    n_init: int | Literal["auto"] = 1
    oversampling_factor: float = 2.0
    max_samples_per_batch: int = 1 << 15
    fit_data_fraction: float | None = None
    cache_path: str | None = None
    name: str = "KMeansStage"
    mode: Mode = field(default="overwrite", kw_only=True)
    memory_bytes: int = field(default=MEMORY_BYTES, kw_only=True)

    def __post_init__(self) -> None:
        super().__init__()
        self._clusters()  # raises if a parameter is wrong

    def decompose(self) -> list[ProcessingStage]:
        files = FilePartitioningStage(
            self.input_path,
            files_per_partition=1,
            file_extensions=self.input_file_extensions or get_default_file_extensions(self.input_filetype),
            storage_options=(self.read_kwargs or {}).get("storage_options"),
        )
        return [files, self._clusters()]

    def _clusters(self) -> KMeansReadFitWriteStage:
        return KMeansReadFitWriteStage(
            self.id_field,
            self.embedding_field,
            self.output_path,
            self.input_filetype,
            self.n_clusters,
            metadata_fields=self.metadata_fields,
            max_iter=self.max_iter,
            tol=self.tol,
            random_state=self.random_state,
            init=self.init,
            n_init=self.n_init,
            oversampling_factor=self.oversampling_factor,
            read_kwargs=self.read_kwargs,
            write_kwargs=self.write_kwargs,
            fit_data_fraction=self.fit_data_fraction,
            cache_path=self.cache_path,
            mode=self.mode,
            memory_bytes=self.memory_bytes,
        )


@dataclass
class KMeansReadFitWriteStage(CompositeStage[FileGroupTask, FileGroupTask]):
    """Read files of embeddings, find clusters, and write the rows of each: `KMeansStage` without the finding of files.

    It is two stages: one that sees all files and finds the centres, and one that puts rows to them, in parallel.
    """

    id_field: str
    embedding_field: str
    output_path: str
    filetype: Literal["parquet", "jsonl"]
    n_clusters: int
    metadata_fields: list[str] | None = None
    embedding_dim: int | None = None
    verbose: bool = False
    max_iter: int = 300
    tol: float = 1e-4
    random_state: int = 42
    init: Init = "k-means||"
    n_init: int | Literal["auto"] = 1
    oversampling_factor: float = 2.0
    max_samples_per_batch: int = 1 << 15
    read_kwargs: dict[str, Any] | None = None
    write_kwargs: dict[str, Any] | None = None
    fit_data_fraction: float | None = None
    cache_path: str | None = None
    name: str = "KMeansReadFitWriteStage"
    mode: Mode = field(default="overwrite", kw_only=True)
    memory_bytes: int = field(default=MEMORY_BYTES, kw_only=True)

    def __post_init__(self) -> None:
        super().__init__()
        self.decompose()  # raises if a parameter is wrong

    def decompose(self) -> list[ProcessingStage]:
        settings = dict(self.write_kwargs or {})
        check_disallowed_kwargs(settings, ["partition_file_name", "partition_cols", "index"])
        reader = EmbeddingReader(
            self.id_field,
            self.embedding_field,
            list(self.metadata_fields or []),
            self.filetype,
            dict(self.read_kwargs or {}),
        )
        kmeans = KMeans(
            self.n_clusters,
            self.max_iter,
            self.tol,
            self.random_state,
            self.init,
            self.n_init,
            self.oversampling_factor,
        )
        centroids = f"{self.cache_path}/{CENTROIDS}" if self.cache_path else f"{self.output_path}/_{CENTROIDS}"
        memory = self.memory_bytes
        storage = settings.get("storage_options")
        fit = FitClustersStage(reader, kmeans, centroids, self.fit_data_fraction, storage, memory_bytes=memory)
        return [fit, AssignClustersStage(reader, self.output_path, settings, self.mode, memory_bytes=memory)]


@dataclass
class FitClustersStage(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Find the centres of clusters and write them to a file; the files are passed on, small ones together.

    It sees all files at once. Where there are fewer different rows than clusters, there are fewer centres.
    """

    reader: EmbeddingReader
    kmeans: KMeans
    centroids_path: str
    fit_data_fraction: float | None = None
    storage_options: dict[str, Any] | None = None
    name: str = "fit_clusters"
    memory_bytes: int = field(default=MEMORY_BYTES, kw_only=True)

    is_barrier = True

    def __post_init__(self) -> None:
        self.resources = one_gpu_or(float(os.cpu_count() or 1))
        if self.fit_data_fraction is not None and not 0 < self.fit_data_fraction < 1:
            raise ValueError(f"fit_data_fraction is {self.fit_data_fraction}; wanted a share between 0 and 1, or None")

    def process(self, task: FileGroupTask) -> list[FileGroupTask]:
        return self.process_batch([task])

    def process_batch(self, tasks: list[FileGroupTask]) -> list[FileGroupTask]:
        self.reader.check_columns(tasks[0])
        paths = [path for task in tasks for path in task.data]
        sample = Sample(self.reader, self.kmeans.n_clusters, self.kmeans.random_state, self.memory_bytes // 4)
        with self._time_metric("kmeans_read_time"):
            vectors = sample.draw(paths, self.fit_data_fraction)
        with self._time_metric("kmeans_fit_time"):
            centres = self.kmeans.fit(vectors)
        path = absolute(self.centroids_path)
        _save(centres, path, self.storage_options)
        sized = with_sizes([Found(one, None, "") for one in paths], self.reader.read_kwargs.get("storage_options"))
        most = self.memory_bytes // 8
        groups = pack([(one.path, most if one.size is None else one.size) for one in sized], most)
        return [
            FileGroupTask(tasks[0].dataset_name, group, _metadata={"centroids": path, "source_files": list(group)})
            for group in groups
        ]


@dataclass
class AssignClustersStage(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Write each row into the folder of the cluster with the nearest centre, with its distances to that."""

    reader: EmbeddingReader
    output_path: str
    write_kwargs: dict[str, Any] = field(default_factory=dict)
    mode: Mode = "overwrite"
    name: str = "assign_clusters"
    memory_bytes: int = field(default=MEMORY_BYTES, kw_only=True)

    _folder = ""

    def check_inputs(self, paths: list[str]) -> None:
        """Raise if the run would delete files that it reads."""
        refuse_to_empty(self.output_path, paths)

    def before_run(self, earlier: Any = None) -> bool:
        self._folder = absolute(self.output_path)
        if earlier is None:
            take_over(self._folder, CLUSTER_FILES, self.mode, self.write_kwargs.get("storage_options"))
        return True

    def after_run(self) -> None:
        if not is_remote_url(self._folder):  # what workers that were killed have left
            for folder in Path(self._folder).glob("centroid=*"):
                remove_leftovers(str(folder))

    def process(self, task: FileGroupTask) -> FileGroupTask:
        centres = _load(task._metadata["centroids"], self.write_kwargs.get("storage_options"))
        paths: list[str] = []
        rows = 0
        with self._time_metric("kmeans_predict_write_time"):
            for number, found in enumerate(self._groups(task, centres.shape[1])):
                paths += self._write(found, centres, f"{task.task_id}_{number}")
                rows += len(found.vectors)
        counts.written(rows)
        self._log_metric("num_rows", rows)
        return FileGroupTask(task.dataset_name, paths, _metadata={**task._metadata, "format": "parquet"})

    def _groups(self, task: FileGroupTask, dimensions: int) -> Iterator[Embedded]:
        """The rows of a task, together as far as that stays within some memory."""
        held: list[Embedded] = []
        for found in self.reader.read(task, dimensions):
            if held and sum(one.vectors.nbytes for one in held) + found.vectors.nbytes > self.memory_bytes // 8:
                yield _together(held)
                held = []
            held.append(found)
        if held:
            yield _together(held)

    def _write(self, found: Embedded, centres: np.ndarray, name: str) -> list[str]:
        """Write the rows of each cluster to a file of its own; returns the paths."""
        labels, _ = nearest(found.vectors, centres, OnCpu())
        table = with_distances(found, centres, labels, self.reader.embedding_field)
        table = table.take(np.argsort(labels, kind="stable"))
        there, starts = np.unique(np.sort(labels), return_index=True)
        folder = self._folder or absolute(self.output_path)
        pieces = {
            f"{folder}/centroid={label}/{name}.parquet": table.slice(start, stop - start)
            for label, (start, stop) in zip(there, pairwise([*starts, len(labels)]))
        }
        # each file waits for the disk
        each(lambda path: write_table(pieces[path], path, self.write_kwargs), list(pieces), at_once=True)
        return list(pieces)


def with_distances(found: Embedded, centres: np.ndarray, labels: np.ndarray, embedding_field: str) -> pa.Table:
    """The rows as a table, with their embeddings and their distances to their centres."""
    square, cosine = distances(found.vectors, centres, labels)
    table = plain(found.columns)
    for name, values in (
        (embedding_field, as_lists(found.vectors)),
        (L2_DIST_TO_CENT_COL, pa.array(square)),
        (COSINE_DIST_TO_CENT_COL, pa.array(cosine)),
    ):
        table = table.append_column(name, values)
    return table


def distances(vectors: np.ndarray, centres: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each vector is from its centre: the length of the difference, and one less the cosine."""
    lengths = np.maximum(np.linalg.norm(centres.astype(np.float64), axis=1), 1e-30)
    straight, cosine = np.empty(len(vectors), np.float32), np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), 4096):
        rows = vectors[start : start + 4096].astype(np.float64)
        at = labels[start : start + 4096]
        straight[start : start + 4096] = np.sqrt(np.einsum("ij,ij->i", rows - centres[at], rows - centres[at]))
        cosine[start : start + 4096] = 1 - np.einsum("ij,ij->i", rows, centres[at]) / lengths[at]
    return straight, cosine


def as_lists(vectors: np.ndarray) -> pa.ListArray:
    offsets = np.arange(len(vectors) + 1) * vectors.shape[1]
    kind = pa.LargeListArray if offsets[-1] >= 2**31 else pa.ListArray
    values = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    return kind.from_arrays(pa.array(offsets, pa.int64() if kind is pa.LargeListArray else pa.int32()), values)


def write_table(table: pa.Table, path: str, write_kwargs: dict[str, Any], **settings: Any) -> None:
    """Write a Parquet file that appears when it is complete."""
    own = {key: value for key, value in write_kwargs.items() if key not in ("storage_options", "index", "engine")}
    sink = pa.BufferOutputStream()
    # embeddings neither repeat nor compress
    pq.write_table(table, sink, **{"compression": "lz4", "use_dictionary": False, **own, **settings})
    put(*locate(path, write_kwargs.get("storage_options")), sink.getvalue().to_pybytes())


def _together(found: list[Embedded]) -> Embedded:
    if len(found) == 1:
        return found[0]
    columns = pa.concat_tables([plain(one.columns) for one in found], promote_options="permissive")
    return Embedded(np.concatenate([one.vectors for one in found]), columns, {}, sum(one.total for one in found))


def _save(centres: np.ndarray, path: str, storage_options: dict[str, Any] | None) -> None:
    file = io.BytesIO()
    np.save(file, centres)
    put(*locate(path, storage_options), file.getvalue())


def _load(path: str, storage_options: dict[str, Any] | None) -> np.ndarray:
    try:
        with open_bytes(path, storage_options) as file:
            return np.load(io.BytesIO(file.read()), allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(f"{path}, the centres of the clusters, is gone; run it again with on_change='redo'") from error
