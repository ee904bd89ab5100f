"""Embeddings for tests."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def unit(rows, dimensions, seed=0):
    made = np.random.default_rng(seed).standard_normal((rows, dimensions)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def around(angles):
    """Vectors on the unit circle, at these angles in degrees: the cosine of the difference is their similarity."""
    radians = np.deg2rad(np.asarray(angles, float))
    return np.stack([np.cos(radians), np.sin(radians)], 1).astype(np.float32)


def blobs(clusters=4, rows=30, dimensions=8, doubled=10, seed=0):
    """Rows around some directions, of which the first `doubled` stand there once more, nearly the same."""
    draw = np.random.default_rng(seed)
    centres = 5 * unit(clusters, dimensions, seed)
    made = np.concatenate([centre + draw.standard_normal((rows, dimensions)) for centre in centres])
    made = np.concatenate([made, made[:doubled] * (1 + 1e-6)])
    return made.astype(np.float32)


def write(folder, vectors, files=3, ids=None, **columns):
    """Parquet files of ids from 0 on, embeddings and other columns."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = np.arange(len(vectors)) if ids is None else np.asarray(ids)
    parts = zip(*(np.array_split(np.arange(len(vectors)), files),))
    for number, (rows,) in enumerate(parts):
        lists = pa.array([vectors[row] for row in rows], pa.list_(pa.float32()))
        others = {name: pa.array([values[row] for row in rows]) for name, values in columns.items()}
        pq.write_table(pa.table({"id": ids[rows], "embeddings": lists, **others}), folder / f"{number}.parquet")
    return str(folder)


def read(folder):
    """All rows of the Parquet files below a folder, sorted by id."""
    tables = [pq.ParquetFile(path).read() for path in sorted(folder.rglob("*.parquet"))]
    return pa.concat_tables(tables).sort_by("id").to_pandas()
