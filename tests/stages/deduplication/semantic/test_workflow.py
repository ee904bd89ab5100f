import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import ContractError, InputError, RunFailedError
from nemo_curator.stages.deduplication.clusters import explain, summarize_clusters
from nemo_curator.stages.deduplication.semantic import RankingStrategy, SemanticDeduplicationWorkflow
from tests.stages.deduplication.semantic.vectors import around, blobs, unit, write

HERE = LocalExecutor(num_workers=0)


def ids_in(folder):
    tables = [pq.ParquetFile(path).read() for path in sorted(folder.glob("*.parquet"))]
    return sorted(number for table in tables for number in table["id"].to_pylist())


def bytes_of(folder, *names):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in names
        for path in sorted((folder / name).rglob("*"))
        if path.is_file()
    }


FOLDERS = ("kmeans_results", "pairwise_results", "duplicates", "clusters")


def test_near_duplicates_are_found_and_all_that_is_documented_is_written(tmp_path):
    folder = write(tmp_path / "in", blobs())
    workflow = SemanticDeduplicationWorkflow(folder, str(tmp_path / "out"), n_clusters=4, eps=0.0001)
    result = workflow.run(HERE)
    gone = ids_in(tmp_path / "out" / "duplicates")
    assert sorted(number % 120 for number in gone) == list(range(10))  # one of each pair
    assert result.workflow_name == "semantic_deduplication"
    assert result.metadata["num_duplicates"] == 10
    assert {"kmeans_time", "pairwise_time", "total_time"} <= result.metadata.keys()
    assert set(result.pipeline_tasks) == {"kmeans", "pairwise"}
    assert result.runs["kmeans"].stages[-1].rows_in == 130
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == [
        "clusters",
        "duplicates",
        "eps_sweep.json",
        "kmeans_centroids.npy",
        "kmeans_results",
        "pairwise_results",
    ]
    scores = pq.read_table(tmp_path / "out" / "pairwise_results" / "cluster_0.parquet")
    assert scores.schema.names == ["id", "max_id", "cosine_sim_score"]
    assert str(scores.schema.field("cosine_sim_score").type) == "float"
    assert summarize_clusters(str(tmp_path / "out")).removed == 10
    assert "was removed" in str(explain(str(tmp_path / "out"), gone[0]))


def test_the_sweep_says_what_every_eps_would_remove(tmp_path):
    folder = write(tmp_path / "in", around([0, 1, 5, 15, 40]))
    sweep = [0.0002, 0.003, 0.02, 0.5]
    workflow = SemanticDeduplicationWorkflow(folder, str(tmp_path / "out"), n_clusters=1, eps_sweep=sweep)
    result = workflow.run(HERE)
    table = json.loads((tmp_path / "out" / "eps_sweep.json").read_text())
    assert [row["num_duplicates"] for row in table] == [1, 2, 3, 4]
    assert [row["share"] for row in table] == [0.2, 0.4, 0.6, 0.8]
    assert result.metadata["eps_sweep"] == table
    assert result.metadata["num_duplicates"] == 0
    for eps, row in zip(sweep, table):
        again = SemanticDeduplicationWorkflow(folder, str(tmp_path / f"{eps}"), n_clusters=1, eps=eps).run(HERE)
        assert again.metadata["num_duplicates"] == row["num_duplicates"]


def test_without_eps_it_stops_after_the_similarities_and_old_duplicates_are_gone(tmp_path):
    folder = write(tmp_path / "in", blobs())
    out = str(tmp_path / "out")
    SemanticDeduplicationWorkflow(folder, out, n_clusters=4, eps=0.1).run(HERE)
    SemanticDeduplicationWorkflow(folder, out, n_clusters=2).run(HERE)
    assert list((tmp_path / "out" / "duplicates").iterdir()) == []
    assert len(list((tmp_path / "out" / "pairwise_results").iterdir())) == 2
    with pytest.raises(FileExistsError, match="earlier run"):
        SemanticDeduplicationWorkflow(folder, out, n_clusters=2, clear_output=False).run(HERE)


def test_input_below_the_output_is_left_alone(tmp_path):
    folder = write(tmp_path / "out" / "embeddings", blobs())
    SemanticDeduplicationWorkflow(folder, str(tmp_path / "out"), n_clusters=4, eps=0.1).run(HERE)
    assert len(list((tmp_path / "out" / "embeddings").iterdir())) == 3
    assert ids_in(tmp_path / "out" / "duplicates")


def test_files_that_are_not_its_own_are_never_deleted(tmp_path):
    folder = write(tmp_path / "in", blobs())
    (tmp_path / "out" / "duplicates").mkdir(parents=True)
    (tmp_path / "out" / "duplicates" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"notes\.txt"):
        SemanticDeduplicationWorkflow(folder, str(tmp_path / "out"), n_clusters=4, eps=0.1).run(HERE)
    assert (tmp_path / "out" / "duplicates" / "notes.txt").is_file()


def test_which_row_stays_can_be_chosen(tmp_path):
    folder = write(tmp_path / "in", np.repeat(unit(1, 4), 5, 0), score=[3, 9, 4, 8, 1])
    best = RankingStrategy.metadata_based(["score"], ascending=False)
    for name, wanted, options in (
        ("hard", [0, 1, 2, 3], {}),
        ("easy", [1, 2, 3, 4], {"which_to_keep": "easy"}),
        ("best", [0, 2, 3, 4], {"ranking_strategy": best, "metadata_fields": ["score"]}),
    ):
        SemanticDeduplicationWorkflow(folder, str(tmp_path / name), n_clusters=2, eps=0.01, **options).run(HERE)
        assert ids_in(tmp_path / name / "duplicates") == wanted


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_removal_copies_the_input_without_the_duplicates(tmp_path, kind):
    vectors = blobs()
    folder = write(tmp_path / "in", vectors, note=[f"n{row}" for row in range(len(vectors))])
    if kind == "jsonl":
        for path in list((tmp_path / "in").iterdir()):
            rows = pq.read_table(path).to_pylist()
            path.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            path.unlink()
    workflow = SemanticDeduplicationWorkflow(
        folder, str(tmp_path / "out"), n_clusters=4, eps=0.0001, input_filetype=kind, perform_removal=True
    )
    assert workflow.run(HERE).metadata["num_duplicates_removed"] == 10
    gone = ids_in(tmp_path / "out" / "duplicates")
    copies = sorted((tmp_path / "out" / "deduplicated").iterdir())
    assert [path.name for path in copies] == [f"{number}.{kind}" for number in range(3)]
    if kind == "parquet":
        rows = [row for path in copies for row in pq.read_table(path).to_pylist()]
    else:
        rows = [json.loads(line) for path in copies for line in path.read_text().splitlines()]
    assert [row["id"] for row in rows] == [number for number in range(130) if number not in gone]
    assert all(row["note"] == f"n{row['id']}" for row in rows)


def test_clusters_of_files_that_were_read_otherwise_before_do_not_count(tmp_path):
    vectors = blobs()
    folder = write(tmp_path / "in", vectors[:120])
    state = {"checkpoint_path": str(tmp_path / "state"), "on_change": "redo"}
    for name in ("out", "out", "anew"):
        workflow = SemanticDeduplicationWorkflow(folder, str(tmp_path / name), n_clusters=4, eps=0.0001)
        workflow.run(HERE, **(state if name == "out" else {}))
        write(tmp_path / "in", vectors, files=4)  # there is one file more from the second run on
    assert ids_in(tmp_path / "out" / "duplicates") == ids_in(tmp_path / "anew" / "duplicates")
    assert len(ids_in(tmp_path / "out" / "duplicates")) == 10
    assert len(ids_in(tmp_path / "out" / "pairwise_results")) == 130


def test_ids_that_come_twice_fail_where_other_rows_were_removed_for_them(tmp_path):
    folder = write(tmp_path / "in", around([0, 0, 90, 180]), ids=[1, 2, 1, 2])
    workflow = SemanticDeduplicationWorkflow(
        folder, str(tmp_path / "out"), n_clusters=3, eps=0.01, which_to_keep="easy", perform_removal=True
    )
    with pytest.raises(InputError, match="unique"):
        workflow.run(HERE)


def test_what_is_not_similar_at_all_stays_at_any_eps(tmp_path):
    folder = write(tmp_path / "in", around([0, 91, 182, 183]))
    SemanticDeduplicationWorkflow(folder, str(tmp_path / "out"), n_clusters=1, eps=1.0).run(HERE)
    assert len(ids_in(tmp_path / "out" / "duplicates")) == 1


def test_a_chain_is_not_removed_as_a_whole_against_kept(tmp_path):
    folder = write(tmp_path / "in", around(np.arange(20) * 5))
    eps = 1 - np.cos(np.deg2rad(5.01))
    workflow = SemanticDeduplicationWorkflow(folder, str(tmp_path / "out"), n_clusters=1, eps=eps, against="kept")
    assert workflow.run(HERE).metadata["num_duplicates"] < 12
    assert not (tmp_path / "out" / "eps_sweep.json").exists()


def test_failed_rows_fail_the_run_unless_they_are_allowed(tmp_path):
    folder = write(tmp_path / "in", [*blobs(), None])
    workflow = SemanticDeduplicationWorkflow(folder, str(tmp_path / "out"), n_clusters=4, eps=0.1)
    with pytest.raises(RunFailedError, match="has no embedding"):
        workflow.run(HERE)
    result = workflow.run(HERE, max_failed_fraction=0.01)
    assert result.runs["kmeans"].rows_failed == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distance_metric": "dot"}, "distance_metric"),
        ({"which_to_keep": "most"}, "which_to_keep"),
        ({"fit_data_fraction": 0.0}, "fit_data_fraction"),
        ({"eps": 2}, "eps"),
        ({"against": "kept"}, "eps"),
        ({"perform_removal": True}, "eps"),
        ({"init": "x"}, "init"),
    ],
)
def test_settings_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SemanticDeduplicationWorkflow("in", "out", n_clusters=2, **options)


def test_a_ranking_column_that_is_not_read_is_refused_before_the_run():
    with pytest.raises(ContractError, match=r"needs \['score'\]: name them in metadata_fields"):
        SemanticDeduplicationWorkflow("in", "out", n_clusters=2, ranking_strategy=RankingStrategy(["score"]))


def test_files_do_not_depend_on_the_executor(tmp_path):
    folder = write(tmp_path / "in", blobs(), files=4)
    for workers in (0, 2):
        workflow = SemanticDeduplicationWorkflow(folder, str(tmp_path / f"{workers}"), n_clusters=4, eps=0.05)
        workflow.run(LocalExecutor(num_workers=workers))
    assert bytes_of(tmp_path / "0", *FOLDERS) == bytes_of(tmp_path / "2", *FOLDERS)


@pytest.mark.ray
@pytest.mark.parametrize("engine", ["ray_actor_pool.RayActorPoolExecutor", "xenna.XennaExecutor"])
def test_files_are_the_same_on_ray(tmp_path, ray_cluster, engine):
    import importlib

    module, name = engine.split(".")
    executor = getattr(importlib.import_module(f"nemo_curator.backends.{module}"), name)()
    folder = write(tmp_path / "in", blobs(), files=4)
    for place, one in (("here", HERE), ("ray", executor)):
        SemanticDeduplicationWorkflow(folder, str(tmp_path / place), n_clusters=4, eps=0.05).run(one)
    assert bytes_of(tmp_path / "here", *FOLDERS) == bytes_of(tmp_path / "ray", *FOLDERS)


SCRIPT = """
import sys
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.stages.deduplication.semantic import SemanticDeduplicationWorkflow
folder, out, checkpoint = sys.argv[1:]
workflow = SemanticDeduplicationWorkflow(folder, out, n_clusters=30, eps=0.05)
workflow.run(LocalExecutor(num_workers=0), checkpoint_path=checkpoint)
"""


def test_a_run_that_was_killed_goes_on_and_writes_the_same_files(tmp_path):
    folder = write(tmp_path / "in", blobs(clusters=30), files=4)
    SemanticDeduplicationWorkflow(folder, str(tmp_path / "whole"), n_clusters=30, eps=0.05).run(HERE)
    arguments = [sys.executable, "-c", SCRIPT, folder, str(tmp_path / "out"), str(tmp_path / "checkpoint")]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    for seen in ("kmeans_results/centroid=3", "pairwise_results/cluster_1.parquet"):
        process = subprocess.Popen(arguments, env=environment, start_new_session=True)
        while process.poll() is None and not (tmp_path / "out" / seen).exists():
            time.sleep(0.01)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(arguments, check=True, env=environment)
    assert bytes_of(tmp_path / "out", *FOLDERS) == bytes_of(tmp_path / "whole", *FOLDERS)
