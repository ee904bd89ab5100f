"""k-means and the search for similar vectors beside faiss and scikit-learn, on the same numbers in one run.

    python benchmarks/semantic.py [--rows 50000] [--dimensions 384] [--clusters 500] [--steps 5]

Each starts from the same centres and takes the same steps. What is not installed is left out.
"""

import argparse
import time
from importlib.util import find_spec

import numpy as np

from nemo_curator.stages.deduplication.semantic.arithmetic import OnCpu, OnTorch
from nemo_curator.stages.deduplication.semantic.clustering import KMeans, nearest
from nemo_curator.stages.deduplication.semantic.pairwise import pairwise_cosine_similarity_batched
from nemo_curator.stages.resources import has_gpu


def vectors(rows, dimensions, directions):
    """Rows of length one around some directions."""
    draw = np.random.default_rng(0)
    centres = draw.standard_normal((directions, dimensions))
    made = centres[draw.integers(0, directions, rows)] + draw.standard_normal((rows, dimensions))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def of_faiss(rows, start, steps):
    import faiss

    clustering = faiss.Clustering(rows.shape[1], len(start))
    clustering.niter, clustering.max_points_per_centroid = steps, len(rows)
    clustering.min_points_per_centroid = 1
    faiss.copy_array_to_vector(start.ravel(), clustering.centroids)
    clustering.train(rows, faiss.IndexFlatL2(rows.shape[1]))
    return faiss.vector_to_array(clustering.centroids).reshape(start.shape)


def of_scikit_learn(rows, start, steps):
    from sklearn.cluster import KMeans as Theirs

    return Theirs(len(start), init=start, n_init=1, max_iter=steps, tol=0).fit(rows).cluster_centers_


def similarity_of_faiss(rows):
    import faiss

    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    return index.search(rows, 2)[0][:, 1]


def ours(using):
    return lambda rows, start, steps: KMeans(len(start), max_iter=steps, tol=0, init=start).fit(rows, using)


def clusterings():
    yield "Curator", ours(OnCpu())
    if has_gpu() and find_spec("torch"):
        yield "Curator on the GPU", ours(OnTorch())
    if find_spec("faiss"):
        yield "faiss", of_faiss
    if find_spec("sklearn"):
        yield "scikit-learn", of_scikit_learn


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, value in (("rows", 50_000), ("dimensions", 384), ("clusters", 500), ("steps", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    rows = vectors(given.rows, given.dimensions, 2 * given.clusters)
    start = rows[np.random.default_rng(1).choice(len(rows), given.clusters, replace=False)]
    ours(OnCpu())(rows[:1000], start[:10], 1)  # compiles
    print(f"k-means: {given.rows} × {given.dimensions}, {given.clusters} clusters, {given.steps} steps")
    for name, cluster in clusterings():
        begin = time.perf_counter()
        centres = np.asarray(cluster(rows, start, given.steps), np.float32)
        seconds = time.perf_counter() - begin
        labels, _ = nearest(rows, centres, OnCpu())
        distance = float(((rows - centres[labels]) ** 2).sum(1).mean())
        print(f"  {name:24} {given.rows * given.steps / seconds:10,.0f} rows·steps/s   mean square {distance:.4f}")
    block = rows[:10_000]
    print(f"largest similarity to an earlier one: {len(block)} × {given.dimensions}")
    searches = [("Curator", lambda: pairwise_cosine_similarity_batched(block))]
    if find_spec("faiss"):
        searches.append(("faiss, to any other", lambda: similarity_of_faiss(block)))
    for name, search in searches:
        begin = time.perf_counter()
        search()
        seconds = time.perf_counter() - begin
        print(f"  {name:24} {len(block) ** 2 / 2 / seconds / 1e6:10,.0f} million pairs/s")


if __name__ == "__main__":
    main()
