import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.stages.deduplication.semantic import arithmetic
from nemo_curator.stages.deduplication.semantic.arithmetic import OnCpu, OnTorch, cosines
from tests.stages.deduplication.semantic.vectors import unit


def torch_on_cpu():
    pytest.importorskip("torch")
    return OnTorch("cpu")


@pytest.fixture(params=["numpy", "torch"])
def using(request):
    return OnCpu() if request.param == "numpy" else torch_on_cpu()


def test_best_is_the_largest_product_with_its_bias(using):
    vectors, others = unit(300, 7), unit(40, 7, seed=1)
    bias = np.linspace(-0.5, 0.5, 40).astype(np.float32)
    products = vectors @ others.T + bias
    at, value = using.best(using.hold(vectors), others, bias)
    assert at.tolist() == products.argmax(1).tolist()
    np.testing.assert_allclose(value, products.max(1), atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 1000))
def test_best_earlier_is_what_the_strict_upper_triangle_says(rows, batch, seed):
    vectors = unit(rows, 4, seed)
    products = np.triu(vectors @ vectors.T, 1)
    at, value = OnCpu().best_earlier(vectors, batch)
    np.testing.assert_allclose(value, products.max(0), atol=1e-6)
    np.testing.assert_allclose(products[at, np.arange(rows)], products.max(0), atol=2e-6)
    assert (at <= np.arange(rows)).all()


def test_torch_finds_the_earlier_ones_that_numpy_finds():
    using, vectors = torch_on_cpu(), unit(200, 6)
    for rows in (7, 64, 500):
        assert (
            using.best_earlier(using.hold(vectors), rows)[0].tolist() == OnCpu().best_earlier(vectors, rows)[0].tolist()
        )


def test_sums_of_torch_are_those_of_numpy():
    using, vectors = torch_on_cpu(), unit(100, 5)
    labels = np.random.default_rng(0).integers(0, 9, 100)
    for one, other in zip(using.sums(using.hold(vectors), labels, 10), OnCpu().sums(vectors, labels, 10)):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_a_wide_search_goes_over_several_tiles(monkeypatch):
    vectors = unit(100, 4)
    at = OnCpu().best_earlier(vectors, 16)[0]
    monkeypatch.setattr(arithmetic, "TILE_CELLS", 64)
    assert OnCpu().best_earlier(vectors, 16)[0].tolist() == at.tolist()
    assert OnCpu().best(vectors, vectors[:9])[0].tolist() == (vectors @ vectors[:9].T).argmax(1).tolist()


def test_the_products_do_not_depend_on_the_number_of_threads():
    code = (
        "import hashlib, numpy as np, pyarrow as pa, sys\n"
        "from nemo_curator.stages.deduplication.semantic.clustering import KMeans\n"
        "from nemo_curator.stages.deduplication.semantic.arithmetic import OnCpu\n"
        "pa.set_cpu_count(int(sys.argv[1]))\n"
        "v = np.random.default_rng(0).standard_normal((3000, 48)).astype(np.float32)\n"
        "found = KMeans(20).fit(v, OnCpu()), *OnCpu().best_earlier(v, 100)\n"
        "print(hashlib.sha256(b''.join(one.tobytes() for one in found)).hexdigest())\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code, threads],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
        ).stdout
        for threads in ("1", "2")
    }
    assert len(printed) == 1


def test_work_is_done_on_as_many_threads_as_were_granted():
    before = pa.cpu_count()
    pa.set_cpu_count(2)
    try:
        assert arithmetic.over(lambda start: start, range(0, 10, 3)) == [0, 3, 6, 9]
    finally:
        pa.set_cpu_count(before)


def test_the_cosine_of_equal_rows_is_one_and_negative_ones_are_none():
    vectors = unit(50, 384)
    assert cosines(vectors, vectors).tolist() == [1.0] * 50
    assert cosines(vectors, -vectors).tolist() == [0.0] * 50
