"""Sums of rows of numbers."""

from __future__ import annotations

import numpy as np

from nemo_curator.kernels.compile import kernel


@kernel("float32[:, ::1], int64[::1], int64")
def sums_by_label(vectors, labels, number):
    """Add up the vectors of each label, in the order in which they stand; also returns how many each has."""
    sums = np.zeros((number, vectors.shape[1]), np.float64)
    sizes = np.zeros(number, np.int64)
    for row in range(labels.size):
        label = labels[row]
        sizes[label] += 1
        for at in range(vectors.shape[1]):
            sums[label, at] += vectors[row, at]
    return sums, sizes
