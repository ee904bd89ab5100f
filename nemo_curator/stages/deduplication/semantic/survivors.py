"""Which rows of a cluster stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nemo_curator.ledger import pulse
from nemo_curator.stages.deduplication.semantic.arithmetic import cosines, one_thread_of_blas

WIDTH = 8192
ROUNDING = 1e-5
"""By how much a product in single precision may be off."""


def survivors(at: np.ndarray, scores: np.ndarray, min_similarity: float) -> np.ndarray:
    """For each row the one that stays for it: itself, or that of the earlier row which it is too similar to."""
    root = np.where(is_duplicate(scores, min_similarity), at, np.arange(len(at)))
    while not np.array_equal(further := root[root], root):
        root = further
    return root


def is_duplicate(scores: Any, min_similarity: float) -> Any:
    """Whether a similarity is at least this one, in single precision as it is kept. None at all is none."""
    return (scores >= np.float32(min_similarity)) & (scores > 0)


def best_kept(vectors: np.ndarray, rows: int, min_similarity: float) -> np.ndarray:
    """Find for each row the most similar earlier one that stays; a row stays unless one is at least so similar.

    Where there is none of a positive similarity, it is the row itself.
    """
    at = np.arange(len(vectors))
    kept = np.empty(0, np.int64)

    def is_like(row: int, other: int, product: float) -> bool:
        if abs(product - min_similarity) < ROUNDING:
            product = cosines(vectors[row : row + 1], vectors[other : other + 1])[0]
        return bool(is_duplicate(np.float32(product), min_similarity))

    with one_thread_of_blas():
        for start in range(0, len(vectors), rows):
            pulse.beat()
            block = np.ascontiguousarray(vectors[start : start + rows])
            best, found = np.zeros(len(block), np.float32), at[start : start + rows].copy()
            for left in range(0, len(kept), WIDTH):
                products = block @ vectors[kept[left : left + WIDTH]].T
                columns = products.argmax(1)
                values = products[np.arange(len(block)), columns]
                found = np.where(values > best, kept[left + columns], found)
                best = np.maximum(best, values)
            stays = _within(block @ block.T, best, found, start, is_like)
            at[start : start + rows] = found
            kept = np.concatenate([kept, start + np.flatnonzero(stays)])
    return at


def _within(
    products: np.ndarray,
    best: np.ndarray,
    found: np.ndarray,
    start: int,
    is_like: Callable[[int, int, float], bool],
) -> np.ndarray:
    """Take the rows of a block one by one, and compare each that stays with those behind it; changes best and found."""
    stays = np.zeros(len(best), bool)
    for row in range(len(best)):
        if found[row] != start + row and is_like(start + row, found[row], float(best[row])):
            continue
        stays[row] = True
        behind = products[row, row + 1 :]
        is_more = behind > best[row + 1 :]
        best[row + 1 :][is_more] = behind[is_more]
        found[row + 1 :][is_more] = start + row
    return stays
