import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import ContractError, InputError, RunFailedError, UnknownIdsError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.steps import InputFiles, Steps
from nemo_curator.stages.text.deduplication import TextDuplicatesRemovalWorkflow
from nemo_curator.stages.text.deduplication.removal import TextDuplicatesRemovalStage
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.tasks import DocumentBatch, FileGroupTask

HERE = LocalExecutor(num_workers=0)


@pytest.fixture
def documents(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        lines = [json.dumps({"id": f"{number}-{line}", "text": "t" * line}) for line in range(20)]
        (folder / f"{number}.jsonl").write_text("\n".join(lines))
    return str(folder)


def ids_at(folder, **columns):
    folder.mkdir()
    pq.write_table(pa.table(columns), folder / "part.0.parquet")
    return str(folder)


def texts_in(folder, name="id"):
    return sorted(row[name] for path in folder.iterdir() for row in pq.read_table(path).to_pylist())


def test_only_rows_that_are_dropped_are_counted(tmp_path):
    path = ids_at(tmp_path / "ids", id=["a", "b", "b", "not here", None])
    stage = TextDuplicatesRemovalStage(path, "name", drop_id_field=True)
    stage.setup()
    made = stage.process(DocumentBatch(data=pa.table({"name": ["a", "c", None, "b", "b"], "x": range(5)})))
    assert made.to_pyarrow().to_pydict() == {"x": [1, 2]}
    assert made._metadata["num_removed"] == 3


def test_an_empty_batch_passes(tmp_path):
    stage = TextDuplicatesRemovalStage(ids_at(tmp_path / "ids", id=[1]), "id")
    made = stage.process(DocumentBatch(data=pa.table({"id": pa.array([], pa.int64())})))
    assert (made.num_items, made._metadata["num_removed"]) == (0, 0)


def test_ids_of_pandas_frames_are_looked_up(tmp_path):
    import pandas as pd

    stage = TextDuplicatesRemovalStage(ids_at(tmp_path / "ids", id=np.arange(0, 100, 2)), "id")
    made = stage.process(DocumentBatch(data=pd.DataFrame({"id": range(95, 105)})))
    assert made.data["id"].tolist() == [95, 97, 99, 100, 101, 102, 103, 104]


def test_settings_that_would_change_what_is_removed_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"read_kwargs takes storage_options, not \['filters'\]"):
        TextDuplicatesRemovalStage("ids", read_kwargs={"filters": []})


@pytest.mark.parametrize(
    ("grouping", "workers"),
    [({}, 0), ({"input_files_per_partition": 2}, 2), ({"input_blocksize": 900}, 0), ({"input_blocksize": 400}, 0)],
)
def test_the_ids_of_a_workflow_are_given_again_however_the_files_are_grouped(documents, tmp_path, grouping, workers):
    steps, files = Steps("find", HERE), InputFiles(documents, "jsonl", blocksize=700)
    tasks = steps.number_rows(files)
    steps.write_ids(tasks, str(tmp_path / "ids.json"))
    result = TextDuplicatesRemovalWorkflow(
        documents,
        ids_at(tmp_path / "ids", **{CURATOR_DEDUP_ID_STR: [0, 21, 59]}),
        str(tmp_path / "out"),
        input_filetype="jsonl",
        id_generator_path=str(tmp_path / "ids.json"),
        drop_id_field=True,
        **grouping,
    ).run(LocalExecutor(num_workers=workers))
    assert texts_in(tmp_path / "out") == sorted(
        f"{number}-{line}" for number in range(3) for line in range(20) if 20 * number + line not in (0, 21, 59)
    )
    assert result.workflow_name == "text_duplicates_removal"
    assert result.metadata["num_duplicates_removed"] == 3
    assert result.runs["removal"].dropped() == {"DuplicatesRemovalStage": 3}
    assert ("row_numbers" in result.runs) == (grouping == {"input_blocksize": 400})
    assert len(result.pipeline_tasks["removal"]) == len(list((tmp_path / "out").iterdir()))
    assert CURATOR_DEDUP_ID_STR not in pq.read_table(tmp_path / "out").column_names


def test_ids_of_ones_own_are_removed_from_given_tasks(documents, tmp_path):
    tasks = [FileGroupTask("in", [f"{documents}/{number}.jsonl"], task_id=str(number)) for number in range(3)]
    result = TextDuplicatesRemovalWorkflow(
        None,
        ids_at(tmp_path / "ids", id=["0-1", "2-1"]),
        str(tmp_path / "out"),
        input_filetype="jsonl",
        id_field="id",
        input_task_limit=2,
        output_filetype="jsonl",
        output_fields=["text"],
    ).run(HERE, tasks)
    lines = [line for path in (tmp_path / "out").iterdir() for line in path.read_text().splitlines()]
    assert len(lines) == 39
    assert set(json.loads(lines[0])) == {"text"}
    assert result.metadata["num_duplicates_removed"] == 1


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"input_filetype": "csv"}, ValueError, "Invalid input filetype: csv"),
        ({"output_filetype": "csv"}, ValueError, "Invalid output filetype: csv"),
        ({"input_path": None}, ValueError, "input_path is required when initial_tasks is None"),
        ({"id_field": "name"}, ContractError, r"DuplicatesRemovalStage needs \['name'\]; columns from jsonl_reader"),
        ({"ids_to_remove_path": "nowhere"}, InputError, "nowhere: there is no such file or folder"),
        ({"duplicate_id_field": "name"}, InputError, r"has no column 'name'; its columns are \['a', 'b'\]"),
    ],
)
def test_what_cannot_be_removed_is_said_before_anything_is_read(documents, tmp_path, settings, error, message):
    wanted = {
        "input_path": documents,
        "ids_to_remove_path": ids_at(tmp_path / "ids", a=["1"], b=["2"]),
        "output_path": str(tmp_path / "out"),
        "input_filetype": "jsonl",
        "id_field": "id",
        **settings,
    }
    with pytest.raises(error, match=message):
        TextDuplicatesRemovalWorkflow(**wanted).run(HERE)


def test_a_field_cannot_be_dropped_and_written():
    with pytest.raises(ValueError, match="Cannot drop id_field 'id' when it is included in output_fields"):
        TextDuplicatesRemovalWorkflow("in", "ids", "out", id_field="id", output_fields=["id"], drop_id_field=True)


def test_files_that_got_no_ids_are_named(documents, tmp_path):
    (tmp_path / "ids.json").write_text('{"next_id": 0, "batch_registry": {}}')
    workflow = TextDuplicatesRemovalWorkflow(
        documents, "ids", "out", input_filetype="jsonl", id_generator_path=str(tmp_path / "ids.json")
    )
    with pytest.raises(UnknownIdsError, match=r"no ids are known for .*0\.jsonl"):
        workflow.run(HERE)


def test_a_file_that_has_changed_since_it_got_its_ids_is_refused(documents, tmp_path):
    steps, files = Steps("find", HERE), InputFiles(documents, "jsonl")
    steps.write_ids(steps.number_rows(files), str(tmp_path / "ids.json"))
    with Path(documents, "0.jsonl").open("a") as file:
        file.write('\n{"id": "more"}')
    workflow = TextDuplicatesRemovalWorkflow(
        documents,
        ids_at(tmp_path / "ids", **{CURATOR_DEDUP_ID_STR: [1]}),
        str(tmp_path / "out"),
        input_filetype="jsonl",
        input_blocksize=400,
        id_generator_path=str(tmp_path / "ids.json"),
    )
    with pytest.raises(InputError, match=r"0\.jsonl has another number of records than when it got its ids"):
        workflow.run(HERE)


def test_a_file_that_has_got_shorter_since_it_got_its_ids_is_no_success(documents, tmp_path):
    steps, files = Steps("find", HERE), InputFiles(documents, "jsonl")
    steps.write_ids(steps.number_rows(files), str(tmp_path / "ids.json"))
    Path(documents, "0.jsonl").write_text('{"id": "0-19", "text": "0-19"}\n')
    workflow = TextDuplicatesRemovalWorkflow(
        documents,
        ids_at(tmp_path / "ids", **{CURATOR_DEDUP_ID_STR: [0]}),
        str(tmp_path / "out"),
        input_filetype="jsonl",
        id_generator_path=str(tmp_path / "ids.json"),
    )
    with pytest.raises(RunFailedError, match=r"0\.jsonl holds fewer records than were counted: it has changed"):
        workflow.run(HERE)


def test_the_stage_says_in_a_pipeline_what_it_dropped(documents, tmp_path):
    stage = TextDuplicatesRemovalStage(ids_at(tmp_path / "ids", id=["0-1"]), "id")
    pipeline = Pipeline("remove", stages=[JsonlReader(documents), stage])
    batches = pipeline.run(HERE)
    assert sum(batch.num_items for batch in batches) == 59
    assert pipeline.last_run.dropped() == {"DuplicatesRemovalStage": 1}


@pytest.mark.ray
def test_a_list_of_ids_is_removed_on_ray_as_here(documents, tmp_path, ray_cluster):
    from nemo_curator.backends.ray_actor_pool import RayActorPoolExecutor

    ids = ids_at(tmp_path / "ids", id=["0-1", "2-3"])
    for name, executor in (("here", HERE), ("ray", RayActorPoolExecutor())):
        workflow = TextDuplicatesRemovalWorkflow(
            documents, ids, str(tmp_path / name), input_filetype="jsonl", id_field="id"
        )
        assert workflow.run(executor).metadata["num_duplicates_removed"] == 2
    assert texts_in(tmp_path / "ray") == texts_in(tmp_path / "here")
