"""Which rows clusters are found from, where there are more than fit into memory."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import InputError
from nemo_curator.ledger.counts import StageCount, counting
from nemo_curator.stages.deduplication.buckets import hash_keys
from nemo_curator.stages.deduplication.semantic.embeddings import EmbeddingReader
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.storage import open_bytes

ROWS_OF_A_CLUSTER = 256
"""More vectors for each cluster move the centres by less than another start does."""
LEAST_ROWS = 100_000
MOST_BYTES = 2**28
"""How large a sample may be. While it is drawn it takes four times that."""
MOST_FILES = 1000
READ_FOR_EACH = 4
"""How many rows are read for one that is taken."""


@dataclass
class Sample:
    """Draws rows with usable embeddings: all of them where they fit, else those whose ids have the smallest hashes.

    Which ones does not depend on the order of rows and files, as far as all are read. Of many large files parts are.
    """

    reader: EmbeddingReader
    n_clusters: int
    seed: int
    most_bytes: int = MOST_BYTES

    def draw(self, paths: list[str], fraction: float | None) -> np.ndarray:
        """The vectors, in the order of the hashes of their ids. `fraction` is of the files, chosen at random."""
        if fraction is not None:
            number = max(round(fraction * len(paths)), 1)
            paths = sorted(random.Random(self.seed).sample(paths, number))
        held: list[tuple[np.ndarray, np.ndarray]] = []
        rows, most = 0, LEAST_ROWS
        scratch = StageCount("sample")  # the rows are read again, and counted then
        with counting(scratch):
            for found in self._parts(paths):
                if not len(found.vectors) or (held and held[0][0].shape[1] != found.vectors.shape[1]):
                    continue
                most = self._most(found.vectors.shape[1])
                held.append((found.vectors, self._hashes(found.columns[self.reader.id_field])))
                rows += len(found.vectors)
                if rows > 2 * most:
                    held = [_smallest(held, most)]
                    rows = most
        if not held:
            problem = str(scratch.failures[0]) if scratch.failures else "they have no rows"
            raise InputError(f"no row of {len(paths)} files has a usable {self.reader.embedding_field}: {problem}")
        return _smallest(held, most)[0]

    def _most(self, dimensions: int) -> int:
        rows = max(ROWS_OF_A_CLUSTER * self.n_clusters, LEAST_ROWS)
        return max(min(rows, self.most_bytes // (4 * max(dimensions, 1))), self.n_clusters)

    def _parts(self, paths: list[str]) -> Iterator:
        """What is read: every file, or parts of files chosen at random once there are many rows."""
        wanted = READ_FOR_EACH * max(ROWS_OF_A_CLUSTER * self.n_clusters, LEAST_ROWS)
        draw = random.Random(self.seed)
        visited = paths if len(paths) <= MOST_FILES else sorted(draw.sample(paths, MOST_FILES))
        quota = -(-wanted // len(visited))
        dimensions: int | None = None
        for path in visited:
            rows = 0
            for found in self.reader.read(self._part(path, quota, draw), dimensions):
                yield found
                dimensions = dimensions or found.vectors.shape[1] or None
                rows += found.total
                if rows >= quota:
                    break

    def _part(self, path: str, quota: int, draw: random.Random) -> FileGroupTask:
        """A file, or as many of its row groups as have so many rows."""
        task = FileGroupTask(dataset_name="sample", data=[path])
        if self.reader.filetype != "parquet":
            return task
        try:
            with open_bytes(path, self.reader.read_kwargs.get("storage_options")) as file:
                footer = pq.ParquetFile(file).metadata
        except (OSError, ValueError, pa.ArrowException):
            return task  # its reader will say what is wrong with it
        if footer.num_rows > quota and footer.num_row_groups > 1:
            groups, rows = [], 0
            for group in draw.sample(range(footer.num_row_groups), footer.num_row_groups):
                if rows < quota:
                    groups.append(group)
                    rows += footer.row_group(group).num_rows
            task.reader_config = {"row_groups": sorted(groups)}
        return task

    def _hashes(self, ids: pa.ChunkedArray) -> np.ndarray:
        kind = ids.type
        is_key = pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
        hashes = hash_keys(pa.concat_arrays((ids if is_key else ids.cast(pa.string())).chunks))
        return (hashes ^ np.uint64(self.seed & 0xFFFFFFFF)) * np.uint64(0x9E3779B97F4A7C15)


def _smallest(held: list[tuple[np.ndarray, np.ndarray]], number: int) -> tuple[np.ndarray, np.ndarray]:
    vectors, hashes = (np.concatenate(parts) for parts in zip(*held))
    order = np.argsort(hashes, kind="stable")[:number]
    return vectors[order], hashes[order]
