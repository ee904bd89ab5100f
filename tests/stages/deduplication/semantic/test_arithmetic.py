import threading

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from nemo_curator.stages.deduplication.semantic import arithmetic
from nemo_curator.stages.deduplication.semantic.arithmetic import OnCpu, OnTorch, cosines
from nemo_curator.stages.deduplication.semantic.clustering import KMeans
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


@pytest.fixture
def cpus():
    before = pa.cpu_count()
    yield pa.set_cpu_count
    pa.set_cpu_count(before)


def test_what_is_found_does_not_depend_on_the_number_of_threads(cpus):
    vectors = np.random.default_rng(0).standard_normal((3000, 48)).astype(np.float32)
    found = []
    for threads in (1, 2, 3):
        cpus(threads)
        with threadpool_limits(threads, user_api="blas"):
            found.append([KMeans(20).fit(vectors, OnCpu()), *OnCpu().best_earlier(vectors, 100)])
    for one in found[1:]:
        assert [array.tobytes() for array in one] == [array.tobytes() for array in found[0]]


def test_work_is_done_on_as_many_threads_as_were_granted(cpus):
    cpus(2)
    both = threading.Barrier(2, timeout=10)  # one thread alone would wait for the other for good
    assert arithmetic.over(lambda start: (both.wait(), start)[1], range(0, 12, 3)) == [0, 3, 6, 9]


def test_the_cosine_of_equal_rows_is_one_and_negative_ones_are_none():
    vectors = unit(50, 384)
    assert cosines(vectors, vectors).tolist() == [1.0] * 50
    assert cosines(vectors, -vectors).tolist() == [0.0] * 50
