import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import InputError, RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication.clusters import explain, read_clusters
from nemo_curator.stages.deduplication.semantic import (
    ClusterWiseFilePartitioningStage,
    IdentifyDuplicatesStage,
    KMeansStage,
    PairwiseStage,
    RankingStrategy,
)
from nemo_curator.stages.deduplication.semantic.pairwise import pairwise_cosine_similarity_batched
from nemo_curator.stages.deduplication.semantic.ranking import ranking_for
from nemo_curator.stages.deduplication.semantic.survivors import best_kept, survivors
from tests.stages.deduplication.semantic.vectors import around, blobs, unit, write

HERE = LocalExecutor(num_workers=0)


def clusters(tmp_path, number, vectors, **columns):
    """The clusters of some vectors, and where they are."""
    folder = write(tmp_path / "in", vectors, **columns)
    out = str(tmp_path / "kmeans")
    stage = KMeansStage(number, "id", "embeddings", folder, out, metadata_fields=list(columns))
    Pipeline("clusters", stages=[stage]).run(HERE)
    return out


def similar(tmp_path, kmeans, executor=HERE, **options):
    """The rows of all clusters with their similarities, by id."""
    out = tmp_path / f"pairwise-{len(list(tmp_path.iterdir()))}"
    Pipeline("similar", stages=[PairwiseStage("id", "embeddings", kmeans, str(out), **options)]).run(executor)
    tables = [pq.read_table(path) for path in sorted(out.glob("cluster_*.parquet"))]
    return pa.concat_tables(tables).sort_by("id").to_pandas().set_index("id")


def test_numpy_gives_numpy_and_torch_gives_torch():
    torch = pytest.importorskip("torch")
    vectors = unit(70, 5)
    scores, at = pairwise_cosine_similarity_batched(vectors, 16)
    expected = np.triu(vectors @ vectors.T, 1)
    np.testing.assert_allclose(scores, expected.max(0), atol=1e-6)
    assert at.tolist() == expected.argmax(0).tolist()
    assert (scores.dtype, at.dtype) == (np.float32, np.int64)
    of_torch = pairwise_cosine_similarity_batched(torch.from_numpy(vectors), 16)
    assert (of_torch[0].dtype, of_torch[1].dtype) == (torch.float32, torch.int64)
    assert of_torch[0].tolist() == scores.tolist()
    assert of_torch[1].tolist() == at.tolist()


def test_the_first_row_and_one_unlike_all_earlier_ones_get_nothing_and_themselves():
    scores, at = pairwise_cosine_similarity_batched(around([0, 180, 90.001]))
    assert scores.tolist()[:2] == [0, 0]
    assert at.tolist()[:2] == [0, 1]


def test_of_equal_rows_the_first_is_found_and_the_similarity_is_one():
    scores, at = pairwise_cosine_similarity_batched(np.repeat(unit(1, 300), 50, 0), 7)
    assert scores.tolist() == [0.0] + [1.0] * 49
    assert at.tolist() == [0] * 50


def test_a_row_is_compared_with_those_that_rank_before_it(tmp_path):
    angles = [0, 4, 9, 50]
    found = similar(tmp_path, clusters(tmp_path, 1, around(angles)))
    # the centre is near 15 degrees: from the outside in come 50, 0, 4, 9
    assert found["max_id"].tolist() == [3, 0, 1, 3]
    expected = np.cos(np.deg2rad([50, 4, 5, 0]))
    expected[3] = 0
    np.testing.assert_allclose(found["cosine_sim_score"], expected, atol=1e-6)
    assert found["cosine_sim_score"].dtype == np.float32


def test_easy_ranks_the_other_way_round_and_equal_distances_by_id(tmp_path):
    kmeans = clusters(tmp_path, 1, around([0, 4, 9, 50, 50]))
    hard = similar(tmp_path, kmeans, which_to_keep="hard", sim_metric="l2")
    assert hard["max_id"][4] == 4
    assert hard["max_id"][3] == 4
    easy = similar(tmp_path, kmeans, which_to_keep="easy")
    assert easy["max_id"][3] == 2
    assert easy["max_id"][4] == 3


def test_random_ranks_depend_on_the_seed_alone(tmp_path):
    kmeans = clusters(tmp_path, 1, unit(60, 2))
    one, other, third = (similar(tmp_path, kmeans, which_to_keep="random", random_seed=seed) for seed in (1, 1, 2))
    assert one["max_id"].tolist() == other["max_id"].tolist() != third["max_id"].tolist()


def test_a_strategy_ranks_by_columns_and_one_that_is_missing_is_an_error(tmp_path):
    kmeans = clusters(tmp_path, 1, around([0, 1, 2, 3]), score=[1.0, 9.0, 5.0, 7.0])
    by_score = RankingStrategy.metadata_based(["score"], ascending=False)
    assert similar(tmp_path, kmeans, ranking_strategy=by_score)["max_id"].tolist() == [1, 1, 1, 1]
    with pytest.raises(RunFailedError, match=r"Required columns \['length'\] not found"):
        similar(tmp_path, kmeans, ranking_strategy=RankingStrategy(["length"]))


def test_rank_cluster_sorts_shuffles_and_checks():
    frame = pd.DataFrame({"id": [1, 2, 3], "a": [1, 1, 0], "b": [5, 6, 7]})
    assert RankingStrategy(["a", "b"], [True, False]).rank_cluster(frame)["id"].tolist() == [3, 2, 1]
    assert sorted(RankingStrategy.random().rank_cluster(frame)["id"]) == [1, 2, 3]
    assert RankingStrategy().rank_cluster(frame)["id"].tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match=r"Length of ascending \(1\) must match metadata_cols \(2\)"):
        RankingStrategy(["a", "b"], [True])
    with pytest.raises(ValueError, match="Invalid strategy: best"):
        RankingStrategy(strategy="best")
    with pytest.raises(ValueError, match="which_to_keep is 'all'"):
        ranking_for("all", "d", "id")


def test_clusters_larger_than_memory_are_worked_through_from_disk(tmp_path):
    kmeans = clusters(tmp_path, 2, blobs())
    held = similar(tmp_path, kmeans)
    assert similar(tmp_path, kmeans, pairwise_batch_size=16, memory_bytes=100).equals(held)


def test_a_cluster_of_one_row_is_like_nothing(tmp_path):
    found = similar(tmp_path, clusters(tmp_path, 3, np.float32([[1, 0], [0, 1], [-1, 0]])))
    assert found["max_id"].tolist() == [0, 1, 2]
    assert found["cosine_sim_score"].tolist() == [0, 0, 0]


def test_clusters_are_listed_by_number_and_a_folder_without_any_is_an_error(tmp_path):
    kmeans = clusters(tmp_path, 4, blobs())
    tasks = ClusterWiseFilePartitioningStage(kmeans).process(None)
    assert [task._metadata["centroid_id"] for task in tasks] == [0, 1, 2, 3]
    assert tasks[0]._metadata["filetype"] == "parquet"
    assert all("/centroid=0/" in path for path in tasks[0].data)
    with pytest.raises(InputError, match="no clusters"):
        ClusterWiseFilePartitioningStage(str(tmp_path / "in")).process(None)


def test_ids_of_duplicates_are_written_sorted_ten_clusters_a_file(tmp_path):
    kmeans = clusters(tmp_path, 13, np.concatenate([unit(60, 4), unit(60, 4)]))
    stages = [
        PairwiseStage("id", "embeddings", kmeans, str(tmp_path / "pairwise")),
        IdentifyDuplicatesStage(str(tmp_path / "duplicates"), eps=1e-6),
    ]
    made = Pipeline("duplicates", stages=stages).run(HERE)
    assert [task._metadata["num_removed"] for task in made] == [pq.read_table(task.data[0]).num_rows for task in made]
    assert len(made) == 2
    for task in made:
        ids = pq.read_table(task.data[0])["id"].to_pylist()
        assert ids == sorted(ids)
    everything = [number for task in made for number in pq.read_table(task.data[0])["id"].to_pylist()]
    assert len(everything) == 60
    assert {number % 60 for number in everything} == set(range(60))


@pytest.mark.parametrize("eps", [-0.1, 1.5])
def test_an_eps_that_is_no_share_is_refused(eps):
    with pytest.raises(ValueError, match="eps"):
        IdentifyDuplicatesStage("out", eps)


def chain(steps=20, degrees=5):
    """Each is like the next, and the ends are not alike."""
    return around(np.arange(steps) * degrees), 1 - np.cos(np.deg2rad(degrees + 0.01))


def test_a_chain_goes_but_for_its_first_and_against_kept_every_other_stays(tmp_path):
    vectors, eps = chain()
    kmeans = clusters(tmp_path, 1, vectors)
    rank = RankingStrategy(["id"])
    found = similar(tmp_path, kmeans, ranking_strategy=rank, eps=eps)
    assert (found["cosine_sim_score"] >= 1 - eps).sum() == 19
    kept = similar(tmp_path, kmeans, ranking_strategy=rank, eps=eps, against="kept")
    assert kept.index[kept["cosine_sim_score"] >= 1 - eps].tolist() == list(range(1, 20, 2))


def test_the_table_of_clusters_says_who_stays_and_how_like_it_is(tmp_path):
    vectors, eps = chain(4)
    kmeans = clusters(tmp_path, 1, vectors)
    similar(tmp_path, kmeans, ranking_strategy=RankingStrategy(["id"]), eps=eps, clusters_path=str(tmp_path / "o"))
    (table,) = read_clusters(str(tmp_path / "o"))
    assert table["member_id"].to_pylist() == [1, 2, 3]
    assert table["survivor_id"].to_pylist() == [0, 0, 0]
    np.testing.assert_allclose(table["similarity"], np.cos(np.deg2rad([5, 10, 15])), atol=1e-6)
    assert set(table["measured"].to_pylist()) == {"cosine"}
    assert "cosine similarity of their embeddings is 0.9962" in str(explain(str(tmp_path / "o"), 1))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 16), st.integers(0, 1000), st.sampled_from([0.3, 0.7, 0.95]))
def test_against_kept_is_what_a_plain_loop_keeps(rows, batch, seed, min_similarity):
    vectors = unit(rows, 3, seed)
    products = vectors.astype(float) @ vectors.T
    kept = []
    for row in range(rows):
        if not any(products[row, other] >= min_similarity for other in kept):
            kept.append(row)
    at = best_kept(vectors, batch, min_similarity)
    scores = np.where(at == np.arange(rows), 0, products[np.arange(rows), at]).astype(np.float32)
    root = survivors(at, scores, min_similarity)
    assert np.flatnonzero(root == np.arange(rows)).tolist() == kept
    assert all(other in kept for other in at[root != np.arange(rows)])


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="sim_metric"):
        PairwiseStage("id", "e", "in", "out", sim_metric="dot")
    with pytest.raises(ValueError, match="pairwise_batch_size"):
        PairwiseStage("id", "e", "in", "out", pairwise_batch_size=0)
    with pytest.raises(ValueError, match="eps"):
        PairwiseStage("id", "e", "in", "out", against="kept")
