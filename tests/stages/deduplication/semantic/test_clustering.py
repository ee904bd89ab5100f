import numpy as np
import pytest

from nemo_curator.stages.deduplication.semantic.arithmetic import OnCpu, OnTorch
from nemo_curator.stages.deduplication.semantic.clustering import KMeans, nearest
from tests.stages.deduplication.semantic.vectors import blobs, unit

STARTS = ["k-means||", "k-means++", "random"]


def cost(vectors, centres):
    return sum(((vectors - centres[at]) ** 2).sum(1) for at in [nearest(vectors, centres, OnCpu())[0]]).sum()


@pytest.mark.parametrize("init", STARTS)
def test_every_start_finds_clusters_that_are_far_apart(init):
    centres = 100 * unit(6, 16)
    vectors = np.concatenate([centre + unit(50, 16, seed=at) for at, centre in enumerate(centres)]).astype(np.float32)
    found = KMeans(6, init=init, n_init=10).fit(vectors)
    labels, _ = nearest(vectors, found, OnCpu())
    assert all(len(set(labels[at * 50 : at * 50 + 50])) == 1 for at in range(6))
    assert len(set(labels)) == 6


@pytest.mark.parametrize("init", STARTS)
def test_fewer_vectors_than_clusters_are_fine(init):
    assert KMeans(50, init=init).fit(unit(20, 4)).shape == (20, 4)


@pytest.mark.parametrize("init", ["k-means||", "k-means++"])
def test_equal_vectors_are_one_cluster(init):
    assert KMeans(5, init=init).fit(np.repeat(unit(2, 4), 10, 0)).shape == (2, 4)


def test_the_same_state_gives_the_same_centres_and_another_state_others():
    vectors = unit(500, 8)
    assert (KMeans(10).fit(vectors) == KMeans(10).fit(vectors)).all()
    assert (KMeans(10).fit(vectors) != KMeans(10, random_state=7).fit(vectors)).any()


def test_steps_lessen_the_squares_and_more_starts_do_not_add_to_them():
    vectors = unit(600, 8)
    costs = [cost(vectors, KMeans(20, max_iter=steps, tol=0).fit(vectors)) for steps in (1, 3, 30)]
    assert costs == sorted(costs, reverse=True)
    tried = [cost(vectors, KMeans(20, n_init=times, init="random").fit(vectors)) for times in (1, 8)]
    assert tried[1] <= tried[0] + 1e-3


def test_a_large_tolerance_stops_early():
    vectors = unit(600, 8)
    assert cost(vectors, KMeans(20, tol=0.5).fit(vectors)) > cost(vectors, KMeans(20, tol=0).fit(vectors))


def test_auto_is_ten_starts_from_random_vectors_and_one_of_the_others():
    vectors = unit(300, 8)
    assert (KMeans(9, n_init="auto").fit(vectors) == KMeans(9).fit(vectors)).all()
    assert (
        KMeans(9, init="random", n_init="auto").fit(vectors) == KMeans(9, init="random", n_init=10).fit(vectors)
    ).all()


def test_given_centres_are_where_it_starts_and_one_without_vectors_stays():
    vectors = np.float32([[1, 0], [0.9, 0.1]])
    far = np.float32([[1, 0.1], [-50, -50]])
    found = KMeans(2, init=far).fit(vectors)
    assert found[1].tolist() == [-50, -50]
    np.testing.assert_allclose(found[0], [0.95, 0.05], atol=1e-6)
    with pytest.raises(ValueError, match=r"shape \(2, 2\); wanted \(3, 2\)"):
        KMeans(3, init=far).fit(vectors)


def test_torch_finds_the_same_centres():
    pytest.importorskip("torch")
    vectors = blobs()
    np.testing.assert_allclose(KMeans(4).fit(vectors, OnTorch("cpu")), KMeans(4).fit(vectors, OnCpu()), atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_clusters": 0}, "n_clusters=0"),
        ({"n_clusters": 2, "max_iter": 0}, "max_iter=0"),
        ({"n_clusters": 2, "init": "best"}, "init is 'best'"),
        ({"n_clusters": 2, "n_init": 0}, "n_init is 0"),
        ({"n_clusters": 2, "oversampling_factor": 0}, "oversampling_factor"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        KMeans(**settings)


def test_no_vectors_are_an_error():
    with pytest.raises(ValueError, match="no vectors"):
        KMeans(2).fit(np.empty((0, 3), np.float32))
