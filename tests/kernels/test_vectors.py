import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.kernels.vectors import sums_by_label


@given(st.integers(0, 40), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_sums_by_label_are_those_of_the_rows_of_each_label(rows, number, seed):
    draw = np.random.default_rng(seed)
    vectors = draw.standard_normal((rows, 3)).astype(np.float32)
    labels = draw.integers(0, number, rows)
    sums, sizes = sums_by_label(vectors, labels, number)
    for label in range(number):
        np.testing.assert_allclose(sums[label], vectors[labels == label].astype(float).sum(0), atol=1e-9)
        assert sizes[label] == (labels == label).sum()
