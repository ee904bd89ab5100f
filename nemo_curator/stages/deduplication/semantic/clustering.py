"""k-means over vectors that fit into memory.

Starts as in Bahmani et al., "Scalable K-Means++" (2012), or Arthur and Vassilvitskii, "k-means++" (2007), and goes on
as in Lloyd, "Least squares quantization in PCM" (1982). A cluster that loses all its vectors keeps its centre.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nemo_curator.stages.deduplication.semantic.arithmetic import Arithmetic, arithmetic, one_thread_of_blas

ROUNDS = 5
"""How often candidates for centres are drawn; after five rounds more of them make no better start (Bahmani et al.)."""
START_ROWS = 32
"""Of how many vectors for each cluster the start is made: of more it would take longer than the steps after it."""
NOTHING = 1e-6
"""A squared distance that is no more than rounding: of vectors of length one in single precision."""


@dataclass(frozen=True)
class KMeans:
    """How clusters are found. `init` may be the centres to start from: a row for each cluster.

    `n_init` is how often it is tried from another start; the one with the least sum of squared distances counts.
    "auto" is ten times from random vectors, else once. `tol` is the share of that sum by which a step must lessen it.
    """

    n_clusters: int
    max_iter: int = 300
    tol: float = 1e-4
    random_state: int = 42
    init: Literal["k-means||", "k-means++", "random"] | np.ndarray = "k-means||"
    n_init: int | Literal["auto"] = 1
    oversampling_factor: float = 2.0

    def __post_init__(self) -> None:
        if self.n_clusters < 1 or self.max_iter < 1:
            raise ValueError(f"wanted at least 1; found n_clusters={self.n_clusters} and max_iter={self.max_iter}")
        if isinstance(self.init, str) and self.init not in _STARTS:
            raise ValueError(f"init is {self.init!r}; wanted {', '.join(_STARTS)} or an array of centres")
        if self.n_init != "auto" and self.n_init < 1:
            raise ValueError(f"n_init is {self.n_init}; wanted a number of starts, or 'auto'")
        if self.oversampling_factor <= 0:
            raise ValueError(f"oversampling_factor is {self.oversampling_factor}; wanted more than 0")

    def fit(self, vectors: np.ndarray, using: Arithmetic | None = None) -> np.ndarray:
        """Find the centres. There are fewer than wanted where fewer vectors differ."""
        if not len(vectors):
            raise ValueError("there are no vectors to find clusters of")
        using = using or arithmetic()
        held = using.hold(vectors)
        squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
        with one_thread_of_blas():
            tries = [self._lloyd(held, squares, start, using) for start in self._starts(vectors, using)]
        return min(tries, key=lambda one: one[0])[1]

    def _starts(self, vectors: np.ndarray, using: Arithmetic) -> list[np.ndarray]:
        if not isinstance(self.init, str):
            centres = np.asarray(self.init, np.float32)
            if centres.shape != (self.n_clusters, vectors.shape[1]):
                wanted = (self.n_clusters, vectors.shape[1])
                raise ValueError(f"init has the shape {centres.shape}; wanted {wanted}, a centre for each cluster")
            return [centres]
        times = (10 if self.init == "random" else 1) if self.n_init == "auto" else self.n_init
        draws = [np.random.default_rng([self.random_state, attempt]) for attempt in range(times)]
        return [_STARTS[self.init](_some(vectors, self.n_clusters, draw), self, draw, using) for draw in draws]

    def _lloyd(
        self, vectors: Any, squares: np.ndarray, centres: np.ndarray, using: Arithmetic
    ) -> tuple[float, np.ndarray]:
        """Move centres to the middle of their vectors until that brings no more; returns the sum of squares, too."""
        before = np.inf
        total = squares.sum()
        for _ in range(self.max_iter):
            labels, scores = nearest(vectors, centres, using)
            cost = max(float(total - 2 * scores.sum(dtype=np.float64)), 0.0)
            sums, sizes = using.sums(vectors, labels, len(centres))
            is_full = sizes > 0
            centres = centres.copy()
            centres[is_full] = sums[is_full] / sizes[is_full, None]
            if before - cost <= self.tol * before and before < np.inf:
                break
            before = cost
        return cost, centres


def nearest(vectors: Any, centres: np.ndarray, using: Arithmetic) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centre of each vector, the first of equals, and a score: half the square of its length less half the
    squared distance."""
    halves = np.einsum("ij,ij->i", centres, centres, dtype=np.float64) / -2
    return using.best(vectors, centres, halves.astype(np.float32))


def _some(vectors: np.ndarray, clusters: int, draw: np.random.Generator) -> np.ndarray:
    most = START_ROWS * clusters
    if len(vectors) <= most:
        return vectors
    return vectors[np.sort(draw.choice(len(vectors), most, replace=False))]


def _random(vectors: np.ndarray, wanted: KMeans, draw: np.random.Generator, _: Arithmetic) -> np.ndarray:
    number = min(wanted.n_clusters, len(vectors))
    return vectors[draw.choice(len(vectors), number, replace=False)].astype(np.float32)


def _plus_plus(vectors: np.ndarray, wanted: KMeans, draw: np.random.Generator, _: Arithmetic) -> np.ndarray:
    return _far_apart(vectors, np.ones(len(vectors)), wanted.n_clusters, draw)


def _scalable(vectors: np.ndarray, wanted: KMeans, draw: np.random.Generator, using: Arithmetic) -> np.ndarray:
    """Draw many candidates at once, the likelier the farther from those there are, and choose among them."""
    chosen = np.zeros(len(vectors), bool)
    chosen[draw.integers(len(vectors))] = True
    new = np.flatnonzero(chosen)
    distances = np.full(len(vectors), np.inf)
    held = using.hold(vectors)
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    for _ in range(ROUNDS):
        if len(new):
            _, scores = nearest(held, vectors[new], using)
            distances = np.minimum(distances, _without_rounding(squares - 2 * scores.astype(np.float64)))
        if not (total := distances.sum()):
            break
        wish = wanted.oversampling_factor * wanted.n_clusters * distances / total
        new = np.flatnonzero((draw.random(len(vectors)) < wish) & ~chosen)
        chosen[new] = True
    if (missing := wanted.n_clusters - chosen.sum()) > 0:  # few vectors, or unlucky draws
        others = np.flatnonzero(~chosen)
        chosen[draw.permutation(others)[:missing]] = True
    candidates = vectors[chosen]
    labels, _ = nearest(held, candidates, using)
    weights = np.bincount(labels, minlength=len(candidates)).astype(float)
    return _far_apart(candidates, weights, wanted.n_clusters, draw)


def _far_apart(vectors: np.ndarray, weights: np.ndarray, number: int, draw: np.random.Generator) -> np.ndarray:
    """Choose vectors one by one, each the likelier the farther from those there are, until none differs from them."""
    distances = np.ones(len(vectors))
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    chosen: list[int] = []
    while len(chosen) < number and (sums := np.cumsum(weights * distances))[-1] > 0:
        at = min(int(np.searchsorted(sums, draw.random() * sums[-1], "right")), len(vectors) - 1)
        products = (vectors @ vectors[at]).astype(np.float64)
        distance = _without_rounding(squares + squares[at] - 2 * products)
        distance[at] = 0.0
        distances = np.minimum(distances, distance) if chosen else distance
        chosen.append(at)
    return vectors[chosen].astype(np.float32)


def _without_rounding(distances: np.ndarray) -> np.ndarray:
    return np.where(distances > NOTHING, distances, 0.0)


_STARTS = {"k-means||": _scalable, "k-means++": _plus_plus, "random": _random}
