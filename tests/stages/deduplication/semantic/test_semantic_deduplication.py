import numpy as np
import pyarrow as pa
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.semantic import (
    RankingStrategy,
    SemanticDeduplicationStage,
    SemanticDeduplicationWorkflow,
)
from nemo_curator.tasks import DocumentBatch, ImageBatch
from nemo_curator.tasks.image import ImageObject
from tests.stages.deduplication.semantic.test_workflow import ids_in
from tests.stages.deduplication.semantic.vectors import blobs, unit, write

HERE = LocalExecutor(num_workers=0)


def documents(vectors, batches=3, **columns):
    made = []
    for number, rows in enumerate(np.array_split(np.arange(len(vectors)), batches)):
        lists = pa.array([vectors[row] for row in rows], pa.list_(pa.float32()))
        others = {name: [values[row] for row in rows] for name, values in columns.items()}
        table = pa.table({"id": rows, "text": [f"t{row}" for row in rows], "embeddings": lists, **others})
        made.append(DocumentBatch("documents", table, task_id=f"batch_{number}"))
    return made


def images(vectors, batches=3):
    made = []
    for number, rows in enumerate(np.array_split(np.arange(len(vectors)), batches)):
        data = [ImageObject(image_id=f"{row:03}", embedding=vectors[row]) for row in rows]
        made.append(ImageBatch("images", data, task_id=f"batch_{number}"))
    return made


def kept(tasks):
    return [number for task in tasks for number in task.to_pyarrow()["id"].to_pylist()]


def run(stage, tasks, executor=HERE, **settings):
    pipeline = Pipeline("dedup", stages=[stage])
    return pipeline.run(executor, tasks, **settings), pipeline.last_run


def test_documents_go_as_the_workflow_says_and_the_rest_keeps_its_order(tmp_path):
    vectors = blobs()
    folder = write(tmp_path / "in", vectors)
    SemanticDeduplicationWorkflow(folder, str(tmp_path / "out"), n_clusters=4, eps=0.05).run(HERE)
    gone = set(ids_in(tmp_path / "out" / "duplicates"))
    made, ran = run(SemanticDeduplicationStage(n_clusters=4, eps=0.05), documents(vectors))
    assert [task.task_id for task in made] == ["batch_0", "batch_1", "batch_2"]
    assert kept(made) == [number for number in range(130) if number not in gone]
    assert made[0].get_columns() == ["id", "text", "embeddings"]
    assert ran.dropped() == {"semantic_deduplication": len(gone)}


def test_images_are_compared_by_their_embedding(tmp_path):
    vectors = blobs()
    stage = SemanticDeduplicationStage(id_field="image_id", embedding_field="image_embedding", n_clusters=4, eps=0.0001)
    made, ran = run(stage, images(vectors))
    left = [int(image.image_id) for task in made for image in task.data]
    assert left == sorted(left)
    assert sorted(set(range(120)) - {number % 120 for number in left}) == []
    assert len(left) == 120
    assert ran.dropped() == {"semantic_deduplication": 10}
    assert [task.task_id for task in made] == ["batch_0", "batch_1", "batch_2"]


def test_it_waits_for_all_and_workers_change_nothing():
    vectors = np.repeat(unit(5, 8), 6, 0)
    results = [
        kept(
            run(SemanticDeduplicationStage(n_clusters=3), documents(vectors, 6), LocalExecutor(num_workers=workers))[0]
        )
        for workers in (0, 2)
    ]
    assert len(results[0]) == 5
    assert results[0] == results[1]


@pytest.mark.ray
def test_it_runs_on_xenna_as_the_guide_shows(ray_cluster):
    from nemo_curator.backends.xenna import XennaExecutor

    stage = SemanticDeduplicationStage(id_field="image_id", embedding_field="image_embedding", n_clusters=100, eps=0.01)
    made, ran = run(stage, images(np.repeat(unit(5, 8), 6, 0)), XennaExecutor())
    assert sum(task.num_items for task in made) == 5
    assert ran.dropped() == {"semantic_deduplication": 25}


def test_what_has_no_usable_embedding_is_a_failure_of_that_row():
    vectors = list(blobs())
    vectors[2], vectors[50], vectors[60] = None, vectors[50] * 0, vectors[60][:2]
    made, ran = run(SemanticDeduplicationStage(n_clusters=4, eps=0.0), documents(vectors), max_failed_fraction=0.1)
    assert ran.rows_failed == 3
    assert not {2, 50, 60} & set(kept(made))
    assert "'id': 2" in str(ran.stages[0].failures[0])
    with pytest.raises(RunFailedError):
        run(SemanticDeduplicationStage(n_clusters=4), documents(vectors))


def test_rows_go_to_the_rejects_and_batches_may_become_empty(tmp_path):
    vectors = np.repeat(unit(1, 4), 6, 0)
    made, _ = run(SemanticDeduplicationStage(n_clusters=2), documents(vectors), rejected_path=str(tmp_path / "r"))
    assert [task.num_items for task in made] == [0, 0, 1]
    text = "".join(path.read_text() for path in (tmp_path / "r").rglob("*.jsonl"))
    assert text.count("semantic_deduplication") >= 5


def test_a_column_decides_who_stays():
    stage = SemanticDeduplicationStage(
        n_clusters=1, ranking_strategy=RankingStrategy(["score"], ascending=False), metadata_fields=["score"]
    )
    made, _ = run(stage, documents(np.repeat(unit(1, 4), 4, 0), score=[1, 7, 3, 5]))
    assert kept(made) == [1]


def test_nothing_to_compare_passes_through():
    made, _ = run(SemanticDeduplicationStage(), documents(unit(1, 4), batches=1))
    assert kept(made) == [0]


def test_what_it_cannot_use_at_all_is_not_deduplicated_batch_by_batch():
    tasks = documents(np.repeat(unit(1, 4), 6, 0))
    tasks[1] = DocumentBatch("documents", pa.table({"id": [7], "embeddings": ["no list"]}), task_id="batch_1")
    made, ran = run(SemanticDeduplicationStage(), tasks, max_failed_fraction=1.0)
    assert made == []
    assert ran.rows_failed == 5


class Doubled(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Give every batch twice."""

    name = "doubled"

    def process(self, task):
        return [task, task.copy()]


def test_stages_before_and_after_it_run_as_ever():
    stages = [Doubled(), SemanticDeduplicationStage(n_clusters=4, eps=1e-5), Doubled()]
    pipeline = Pipeline("dedup", stages=stages)
    made = pipeline.run(HERE, documents(unit(20, 4)))
    assert sum(task.num_items for task in made) == 40
    assert pipeline.last_run.dropped() == {"semantic_deduplication": 20}


@pytest.mark.parametrize("options", [{"eps": -1}, {"distance_metric": "x"}, {"which_to_keep": "x"}, {"n_clusters": 0}])
def test_settings_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError):
        SemanticDeduplicationStage(**options)
