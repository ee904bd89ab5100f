"""The products of many vectors with many others: numpy on this machine's CPUs, torch where there is a GPU.

On CPUs the work is cut into tiles of a fixed size, each done by one thread: the numbers are the same on any number of
threads, and so are the clusters on every executor. Everything is float32: bfloat16 is off by as much as a small `eps`,
and slower on CPUs that do not have it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa

from nemo_curator.errors import need
from nemo_curator.kernels.vectors import sums_by_label
from nemo_curator.ledger import pulse
from nemo_curator.stages.resources import has_gpu

T = TypeVar("T")

CACHED_CELLS = 2**17
"""How many products one thread looks for the largest of at once: they stay in its cache."""
TILE_CELLS = 2**21
"""How many it holds at once where it compares many with many."""
BLOCK_ROWS = 4096
TIE = np.float32(1e-6)
"""Products of rows of length one that differ by less are equal but for rounding."""


class Arithmetic(Protocol):
    """What k-means and the search for similar vectors ask of numpy or torch; what comes out are arrays of numpy."""

    def hold(self, vectors: np.ndarray) -> Any:
        """Put vectors where the work is done."""

    def best(self, vectors: Any, others: np.ndarray, bias: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Find for each vector the other one with the largest product, plus its bias; the first of equals."""

    def best_earlier(self, vectors: Any, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Find for each vector the one before it with the largest product, `rows` at a time; the first of equals.

        Where all of these are negative, and of the first, it is the vector itself, with 0.
        """

    def sums(self, vectors: Any, labels: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Add up the vectors of each label; also returns how many each has."""


class OnCpu:
    """Numpy, in tiles."""

    def hold(self, vectors: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(vectors, np.float32)

    def best(
        self, vectors: np.ndarray, others: np.ndarray, bias: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        columns = np.ascontiguousarray(others.T, np.float32)
        rows = min(max(CACHED_CELLS // max(columns.shape[1], 1), 64), BLOCK_ROWS)

        def tile(start: int) -> tuple[np.ndarray, np.ndarray]:
            products = vectors[start : start + rows] @ columns
            if bias is not None:
                products += bias
            at = products.argmax(1)
            return at, products[np.arange(len(products)), at]

        return _joined(over(tile, range(0, len(vectors), rows)))

    def best_earlier(self, vectors: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
        width = max(TILE_CELLS // rows, 1)

        def band(start: int) -> tuple[np.ndarray, np.ndarray]:
            block = vectors[start : start + rows]
            places = np.arange(start, start + len(block))
            best = (places.copy(), np.zeros(len(block), np.float32))
            for left in range(0, start + len(block), width):
                products = block @ vectors[left : min(left + width, start + len(block))].T
                later = np.arange(left, left + products.shape[1]) >= places[:, None]
                products[later] = -1.0
                value = products.max(1)
                at = (products >= (value - TIE)[:, None]).argmax(1)
                best = _better(best, (at, value), left, places)
            return best

        return _joined(over(band, range(0, len(vectors), rows)))

    def sums(self, vectors: np.ndarray, labels: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        return sums_by_label(np.ascontiguousarray(vectors), labels, number)


class OnTorch:
    """Torch, on a GPU unless told otherwise."""

    def __init__(self, device: str = "cuda"):
        self._torch = need("torch", extra="semantic")
        self._device = device

    def hold(self, vectors: np.ndarray) -> Any:
        return self._torch.as_tensor(np.ascontiguousarray(vectors, np.float32), device=self._device)

    def best(self, vectors: Any, others: np.ndarray, bias: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        columns = self.hold(others).T
        added = None if bias is None else self.hold(bias)
        rows = max(2**28 // max(len(others), 1), 1)
        found = []
        for start in range(0, len(vectors), rows):
            pulse.beat()
            products = vectors[start : start + rows] @ columns
            value, at = (products if added is None else products.add_(added)).max(1)
            found.append((at.cpu().numpy(), value.cpu().numpy()))
        return _joined(found)

    def best_earlier(self, vectors: Any, rows: int) -> tuple[np.ndarray, np.ndarray]:
        width = max(2**28 // rows, 1)
        found = []
        for start in range(0, len(vectors), rows):
            pulse.beat()
            block = vectors[start : start + rows]
            stop = start + len(block)
            places = self._torch.arange(start, stop, device=self._device)[:, None]
            best = (np.arange(start, stop), np.zeros(len(block), np.float32))
            for left in range(0, stop, width):
                products = block @ vectors[left : min(left + width, stop)].T
                columns = self._torch.arange(left, left + products.shape[1], device=self._device)
                products.masked_fill_(columns >= places, -1.0)
                value = products.amax(1)
                at = (products >= (value - float(TIE))[:, None]).byte().argmax(1)
                best = _better(best, (at.cpu().numpy(), value.cpu().numpy()), left, np.arange(start, stop))
            found.append(best)
        return _joined(found)

    def sums(self, vectors: Any, labels: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        # not index_add_, which adds in any order: rows by label, and the differences of their running sums
        order = np.argsort(labels, kind="stable")
        sizes = np.bincount(labels, minlength=number)
        sums = np.zeros((number, vectors.shape[1]))
        ends = np.cumsum(sizes)
        chosen = self._torch.as_tensor(order, device=self._device)
        for label in np.flatnonzero(sizes):
            rows = vectors[chosen[ends[label] - sizes[label] : ends[label]]]
            sums[label] = rows.sum(0, dtype=self._torch.float64).cpu().numpy()
        return sums, sizes


def arithmetic() -> Arithmetic:
    """What works fastest here."""
    if has_gpu() and find_spec("torch") and need("torch", extra="semantic").cuda.is_available():
        return OnTorch()
    return OnCpu()


def over(do: Callable[[int], T], starts: range) -> list[T]:
    """Call a function for each tile, on as many threads as this process was granted CPUs."""

    def one(start: int) -> T:
        pulse.beat()
        return do(start)

    with one_thread_of_blas(), ThreadPoolExecutor(pa.cpu_count()) as threads:
        return list(threads.map(one, starts))


def one_thread_of_blas() -> AbstractContextManager:
    """Keep numpy from threads of its own: on two it adds in another order than on one."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="blas")


def cosines(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The cosine of each pair of rows, from 0 to 1, worked out in double precision: of equal rows it is 1."""
    found = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), BLOCK_ROWS):
        one = vectors[start : start + BLOCK_ROWS].astype(np.float64)
        other = others[start : start + BLOCK_ROWS].astype(np.float64)
        product = np.einsum("ij,ij->i", one, other)
        lengths = np.sqrt(np.einsum("ij,ij->i", one, one) * np.einsum("ij,ij->i", other, other))
        found[start : start + BLOCK_ROWS] = np.clip(product / np.maximum(lengths, 1e-300), 0.0, 1.0)
    return found


def _better(
    best: tuple[np.ndarray, np.ndarray], found: tuple[np.ndarray, np.ndarray], left: int, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Take what was found where it is more, or not less where there was nothing."""
    (at, value), (more_at, more) = best, found
    is_more = np.where(at == places, (more >= 0) & (more_at + left < places), more > value + TIE)
    return np.where(is_more, more_at + left, at), np.where(is_more, more, value)


def _joined(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    ats, values = zip(*parts)
    return np.concatenate(ats).astype(np.int64), np.concatenate(values)
