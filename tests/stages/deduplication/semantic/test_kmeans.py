import json

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication.semantic import sample
from nemo_curator.stages.deduplication.semantic.kmeans import (
    COSINE_DIST_TO_CENT_COL,
    L2_DIST_TO_CENT_COL,
    KMeansReadFitWriteStage,
    KMeansStage,
)
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from tests.stages.deduplication.semantic.vectors import blobs, read, write

HERE = LocalExecutor(num_workers=0)


def run(stage, executor=HERE, **settings):
    pipeline = Pipeline("clusters", stages=[stage])
    pipeline.run(executor, **settings)
    return pipeline.last_run


def clusters_of(folder):
    """The cluster of each id."""
    found = {}
    for path in folder.rglob("centroid=*/*.parquet"):
        for number in pq.ParquetFile(path).read(columns=["id"])["id"].to_pylist():
            found[number] = int(path.parent.name.partition("=")[2])
    return found


def bytes_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_rows_are_written_by_cluster_with_their_distances(tmp_path):
    vectors = blobs()
    score = np.arange(len(vectors)) / 7
    folder = write(tmp_path / "in", vectors, score=score, other=score)
    stage = KMeansStage(4, "id", "embeddings", folder, str(tmp_path / "out"), metadata_fields=["score"])
    run(stage)
    rows = read(tmp_path / "out")
    assert list(rows.columns) == ["id", "score", "embeddings", L2_DIST_TO_CENT_COL, COSINE_DIST_TO_CENT_COL]
    assert rows["id"].tolist() == list(range(len(vectors)))
    assert rows["score"].tolist() == score.tolist()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(np.stack(rows["embeddings"]), unit, atol=1e-6)
    centres = np.load(tmp_path / "out" / "_kmeans_centroids.npy")
    of = np.array([clusters_of(tmp_path / "out")[number] for number in rows["id"]])
    gaps = np.linalg.norm(unit[:, None] - centres[None], axis=2)
    assert of.tolist() == gaps.argmin(1).tolist()
    np.testing.assert_allclose(rows[L2_DIST_TO_CENT_COL], gaps.min(1), atol=1e-5)
    cosine = 1 - (unit * centres[of]).sum(1) / np.linalg.norm(centres[of], axis=1)
    np.testing.assert_allclose(rows[COSINE_DIST_TO_CENT_COL], cosine, atol=1e-5)


def test_the_clusters_are_those_of_pandas_partitions(tmp_path):
    folder = write(tmp_path / "in", blobs())
    run(KMeansStage(4, "id", "embeddings", folder, str(tmp_path / "out"), cache_path=str(tmp_path)))
    assert (tmp_path / "kmeans_centroids.npy").is_file()
    table = pq.read_table(tmp_path / "out").to_pandas()
    assert sorted(table["centroid"].astype(int).unique()) == [0, 1, 2, 3]
    assert len(table) == 130


def test_files_do_not_depend_on_the_number_of_workers(tmp_path):
    folder = write(tmp_path / "in", blobs(), files=4)
    for workers in (0, 2):
        run(
            KMeansStage(4, "id", "embeddings", folder, str(tmp_path / f"out{workers}")),
            LocalExecutor(num_workers=workers),
        )
    assert bytes_of(tmp_path / "out0") == bytes_of(tmp_path / "out2")


def test_clusters_do_not_depend_on_which_file_a_row_is_in(tmp_path):
    vectors = blobs()
    order = np.random.default_rng(3).permutation(len(vectors))
    write(tmp_path / "a", vectors, files=3)
    write(tmp_path / "b", vectors[order], files=5, ids=order)
    for name in "ab":
        run(KMeansStage(4, "id", "embeddings", str(tmp_path / name), str(tmp_path / f"out-{name}")))
    assert clusters_of(tmp_path / "out-a") == clusters_of(tmp_path / "out-b")


def test_jsonl_and_parquet_give_the_same_clusters(tmp_path):
    vectors = blobs()
    vectors[0] = [1, 0, 0, 0, 0, 0, 0, 0]
    write(tmp_path / "parquet", vectors)
    (tmp_path / "jsonl").mkdir()
    # whole numbers among fractions: such a column travels as JSON
    lists = [[int(value) if value in (0, 1) else float(value) for value in row] for row in vectors]
    lines = [json.dumps({"id": number, "embeddings": row}) for number, row in enumerate(lists)]
    (tmp_path / "jsonl" / "0.jsonl").write_text("\n".join(lines) + "\n")
    for kind in ("parquet", "jsonl"):
        stage = KMeansStage(
            4, "id", "embeddings", str(tmp_path / kind), str(tmp_path / f"out-{kind}"), input_filetype=kind
        )
        run(stage)
    assert clusters_of(tmp_path / "out-parquet") == clusters_of(tmp_path / "out-jsonl")


def test_rows_without_a_usable_embedding_fail_alone_and_are_named(tmp_path):
    vectors = list(blobs())
    vectors[3], vectors[4], vectors[5], vectors[6] = None, vectors[4] * 0, vectors[5][:3], vectors[6] * np.nan
    ids = [f"doc-{number}" for number in range(len(vectors))]
    folder = write(tmp_path / "in", vectors, ids=[*ids[:-1], None])
    stage = KMeansStage(4, "id", "embeddings", folder, str(tmp_path / "out"))
    with pytest.raises(RunFailedError):
        run(stage)
    ran = run(stage, max_failed_fraction=0.1)
    assert ran.stages[-1].rows_failed == 5
    said = " ".join(map(str, ran.stages[-1].failures))
    for words in ("has no embedding", "all zeros", "has 3 dimensions, not 8", "no finite number", "id is missing"):
        assert words in said
    assert "'doc-3'" in said
    assert "0.parquet" in said
    assert set(clusters_of(tmp_path / "out")) == set(ids) - {"doc-3", "doc-4", "doc-5", "doc-6", ids[-1]}


def test_fewer_rows_than_clusters_are_fine(tmp_path):
    folder = write(tmp_path / "in", blobs()[:7])
    run(KMeansStage(100, "id", "embeddings", folder, str(tmp_path / "out")))
    assert sorted(clusters_of(tmp_path / "out").values()) == list(range(7))


def test_no_usable_row_at_all_is_an_error_that_says_why(tmp_path):
    folder = write(tmp_path / "in", [None, None])
    with pytest.raises(RunFailedError, match="has no embedding"):
        run(KMeansStage(2, "id", "embeddings", folder, str(tmp_path / "out")), max_failed_fraction=0.5)


def test_a_column_that_is_not_there_is_an_error(tmp_path):
    folder = write(tmp_path / "in", blobs())
    with pytest.raises(RunFailedError, match="vectors"):
        run(KMeansStage(2, "id", "vectors", folder, str(tmp_path / "out")))


def test_a_fraction_of_the_files_is_enough_to_find_clusters(tmp_path):
    folder = write(tmp_path / "in", np.random.default_rng(0).permutation(blobs()), files=10)
    run(KMeansStage(4, "id", "embeddings", folder, str(tmp_path / "out"), fit_data_fraction=0.3))
    assert len(clusters_of(tmp_path / "out")) == 130
    assert len(set(clusters_of(tmp_path / "out").values())) == 4
    with pytest.raises(ValueError, match=r"fit_data_fraction is 1\.5"):
        KMeansStage(4, "id", "embeddings", folder, str(tmp_path / "out"), fit_data_fraction=1.5)


def test_of_more_rows_than_are_wanted_those_with_the_smallest_hashes_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "LEAST_ROWS", 20)
    monkeypatch.setattr(sample, "ROWS_OF_A_CLUSTER", 5)
    monkeypatch.setattr(sample, "READ_FOR_EACH", 100)
    vectors = blobs()
    order = np.random.default_rng(3).permutation(len(vectors))
    write(tmp_path / "a", vectors, files=3)
    write(tmp_path / "b", vectors[order], files=5, ids=order)
    drawn = []
    for name in "ab":
        reader = sample.EmbeddingReader("id", "embeddings")
        paths = sorted(map(str, (tmp_path / name).iterdir()))
        drawn.append(sample.Sample(reader, 4, 42).draw(paths, None))
    assert drawn[0].shape == (20, 8)
    assert drawn[0].tolist() == drawn[1].tolist()


def test_a_sample_is_no_larger_than_it_may_be(tmp_path):
    write(tmp_path / "in", blobs())
    reader = sample.EmbeddingReader("id", "embeddings")
    paths = sorted(map(str, (tmp_path / "in").iterdir()))
    assert sample.Sample(reader, 4, 42, most_bytes=50 * 8 * 4).draw(paths, None).shape == (50, 8)


def test_of_large_files_a_part_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "LEAST_ROWS", 10)
    monkeypatch.setattr(sample, "ROWS_OF_A_CLUSTER", 1)
    vectors = blobs()
    table = pa.table({"id": range(130), "embeddings": list(vectors)})
    pq.write_table(table, tmp_path / "0.parquet", row_group_size=10)
    reader = sample.EmbeddingReader("id", "embeddings")
    drawn = sample.Sample(reader, 4, 42)
    parts = list(drawn._parts([str(tmp_path / "0.parquet")]))
    assert sum(part.total for part in parts) == 40  # four for each of ten
    groups = {number // 10 for part in parts for number in part.columns["id"].to_pylist()}
    assert groups != {0, 1, 2, 3}


def test_large_inputs_are_written_in_pieces(tmp_path):
    folder = write(tmp_path / "in", blobs(), files=6)
    run(KMeansStage(4, "id", "embeddings", folder, str(tmp_path / "whole")))
    run(KMeansStage(4, "id", "embeddings", folder, str(tmp_path / "pieces"), memory_bytes=20_000))
    assert clusters_of(tmp_path / "whole") == clusters_of(tmp_path / "pieces")
    assert len(list((tmp_path / "pieces").rglob("*.parquet"))) > len(list((tmp_path / "whole").rglob("*.parquet")))


def test_given_centres_are_used(tmp_path):
    vectors = blobs()
    folder = write(tmp_path / "in", vectors)
    init = vectors[[0, 30, 60, 90]] / np.linalg.norm(vectors[[0, 30, 60, 90]], axis=1, keepdims=True)
    run(KMeansStage(4, "id", "embeddings", folder, str(tmp_path / "out"), init=init))
    of = clusters_of(tmp_path / "out")
    assert [of[number] for number in (0, 30, 60, 90)] == [0, 1, 2, 3]


def test_a_second_run_replaces_what_the_first_has_left_and_nothing_else(tmp_path):
    folder = write(tmp_path / "in", blobs())
    run(KMeansStage(4, "id", "embeddings", folder, str(tmp_path / "out")))
    run(KMeansStage(2, "id", "embeddings", folder, str(tmp_path / "out")))
    assert set(clusters_of(tmp_path / "out").values()) == {0, 1}
    with pytest.raises(FileExistsError, match="earlier run"):
        run(KMeansStage(2, "id", "embeddings", folder, str(tmp_path / "out"), mode="error"))
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"thesis\.txt"):
        run(KMeansStage(2, "id", "embeddings", folder, str(tmp_path / "out")))
    assert (tmp_path / "out" / "thesis.txt").is_file()


def test_input_below_the_output_is_not_deleted(tmp_path):
    folder = write(tmp_path / "out" / "centroid=0", blobs())
    with pytest.raises(ValueError, match="refused to empty"):
        run(KMeansStage(2, "id", "embeddings", folder, str(tmp_path / "out")))
    assert len(list((tmp_path / "out" / "centroid=0").iterdir())) == 3


def test_the_inner_stage_works_behind_any_source_of_files(tmp_path):
    folder = write(tmp_path / "in", blobs())
    stages = [
        FilePartitioningStage(folder, files_per_partition=2),
        KMeansReadFitWriteStage("id", "embeddings", str(tmp_path / "out"), "parquet", 4),
    ]
    Pipeline("clusters", stages=stages).run(HERE)
    assert len(clusters_of(tmp_path / "out")) == 130


def test_clusters_are_written_behind_a_url(tmp_path):
    folder = write(tmp_path / "in", blobs())
    run(KMeansStage(4, "id", "embeddings", folder, "memory://semantic-kmeans/out"))
    names = fsspec.filesystem("memory").find("/semantic-kmeans/out")
    assert {name.rpartition("/")[0].rpartition("=")[2] for name in names if name.endswith(".parquet")} == set("0123")


@pytest.mark.parametrize(
    "settings", [{"read_kwargs": {"columns": ["id"]}}, {"write_kwargs": {"partition_cols": ["id"]}}, {"init": "worst"}]
)
def test_settings_that_cannot_be_are_refused_when_the_stage_is_made(settings):
    with pytest.raises(ValueError):
        KMeansStage(4, "id", "embeddings", "in", "out", **settings)
