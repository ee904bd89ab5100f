import json
import random
import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.backends.ray_actor_pool import RayActorPoolExecutor
from nemo_curator.backends.ray_data import RayDataExecutor
from nemo_curator.backends.xenna import XennaExecutor
from nemo_curator.errors import ConfigError, InputError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication.clusters import explain
from nemo_curator.stages.deduplication.exact import duplicates
from nemo_curator.stages.deduplication.exact.identification import ExactDuplicateIdentification
from nemo_curator.stages.deduplication.exact.workflow import ID_GENERATOR_OUTPUT_FILENAME, ExactDeduplicationWorkflow
from nemo_curator.stages.deduplication.id_generator import create_id_generator_actor, kill_id_generator_actor
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.tasks import DocumentBatch, FileGroupTask


def here(workers=0):
    return LocalExecutor(num_workers=workers)


def write(folder, *files, filetype="jsonl"):
    """Write each list of rows to a file; a text alone is a row."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, rows in enumerate(files):
        rows = [row if isinstance(row, dict) else {"text": row} for row in rows]
        if filetype == "jsonl":
            (folder / f"{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            pq.write_table(pa.Table.from_pylist(rows), folder / f"{number}.parquet")
    return str(folder)


def ids_of(output, column="_curator_dedup_id"):
    return pq.read_table(f"{output}/ExactDuplicateIds")[column].to_pylist()


def clusters_of(output):
    rows = pq.read_table(f"{output}/clusters").to_pylist()
    return sorted((row["survivor_id"], row["member_id"]) for row in rows)


def run(source, output, executor=None, filetype="jsonl", settings=None, **options):
    workflow = ExactDeduplicationWorkflow(
        input_path=None if source is None else str(source),
        output_path=str(output),
        input_filetype=filetype,
        **options,
    )
    return workflow.run(executor=executor or here(), **(settings or {}))


DOCUMENTED = (
    [
        {"id": 1, "text": "Small String"},
        {"id": 2, "text": "Large String"},
        {"id": 300, "text": "Medium String"},
    ],
    [{"id": 4, "text": "Large String"}, {"id": -1, "text": "Small String"}],
)


@pytest.mark.parametrize("filetype", ["jsonl", "parquet"])
@pytest.mark.parametrize("total_nparts", [None, 1, 3])
def test_one_of_each_group_of_equal_texts_stays(tmp_path, filetype, total_nparts):
    source = write(tmp_path / "in", *DOCUMENTED, filetype=filetype)
    result = run(source, tmp_path / "out", filetype=filetype, total_nparts=total_nparts)
    assert sorted(ids_of(tmp_path / "out")) == [3, 4]
    assert result.metadata["num_duplicates"] == 2
    assert {path.name for path in (tmp_path / "out" / "ExactDuplicateIds").iterdir()} == {
        f"part.{number}.parquet" for number in range(total_nparts or 1)
    }


def test_ids_of_the_user_are_returned_under_their_name(tmp_path):
    source = write(tmp_path / "in", *DOCUMENTED)
    result = run(source, tmp_path / "out", assign_id=False, id_field="id")
    assert sorted(ids_of(tmp_path / "out", "id")) == [1, 4]
    assert result.metadata["id_generator_path"] is None
    assert not (tmp_path / "out" / ID_GENERATOR_OUTPUT_FILENAME).exists()


def test_ids_may_be_text_also_in_parts_without_rows(tmp_path):
    rows = [{"id": name, "text": "same"} for name in ("b", "a", "c")]
    run(write(tmp_path / "in", rows), tmp_path / "out", assign_id=False, id_field="id", total_nparts=4)
    assert ids_of(tmp_path / "out", "id") == ["b", "c"]
    schemas = {str(pq.read_schema(path)) for path in (tmp_path / "out" / "ExactDuplicateIds").iterdir()}
    assert len(schemas) == 1


def test_without_duplicates_the_ids_are_an_empty_table(tmp_path):
    result = run(write(tmp_path / "in", ["a", "b"], ["c"]), tmp_path / "out", total_nparts=2)
    assert ids_of(tmp_path / "out") == []
    assert result.metadata["num_duplicates"] == 0
    assert result.metadata["clusters"] == {"clusters": 0, "removed": 0, "measured": {}, "sizes": [], "largest": []}


def test_files_without_documents_have_no_duplicates(tmp_path):
    result = run(write(tmp_path / "in", [], []), tmp_path / "out")
    assert (ids_of(tmp_path / "out"), result.metadata["num_duplicates"]) == ([], 0)


def test_a_null_is_like_no_other_and_empty_texts_are_the_same(tmp_path):
    result = run(write(tmp_path / "in", [None, "", None, ""]), tmp_path / "out")
    assert ids_of(tmp_path / "out") == [3]
    assert result.runs["identification"].stages[0].dropped == {"no text": 2}


def test_a_wrong_name_of_the_text_is_an_error_and_not_an_empty_success(tmp_path):
    source = write(tmp_path / "in", [{"id": 1, "body": "a"}, {"id": 2, "body": "a"}])
    with pytest.raises(InputError, match="'text'"):
        run(source, tmp_path / "out")
    with pytest.raises(InputError, match="none of 2 documents has a text in column 'text'; give text_field"):
        run(source, tmp_path / "out", assign_id=False, id_field="id")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"assign_id": False}, "id_field must be provided if assign_id is False"),
        ({"id_field": "id"}, "id_field must be None if assign_id is True"),
        ({"input_filetype": "csv"}, "unknown input_filetype 'csv'"),
        ({"keep": "best"}, "keep is 'best'"),
        ({"keep": {"column": "_curator_dedup_id"}}, "keep names _curator_dedup_id, where row numbers are"),
        ({"hash_method": "crc"}, "hash_method is 'crc'"),
        ({"index_path": "index", "total_nparts": 100}, "total_nparts is at most 16; found 100"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_written(options, message):
    with pytest.raises(ValueError, match=message):
        ExactDeduplicationWorkflow(output_path="out", input_path="in", **options)


def test_without_input_the_error_says_what_to_give(tmp_path):
    with pytest.raises(ValueError, match="input_path to the dataset must be provided if initial_tasks are not"):
        run(None, tmp_path / "out")
    with pytest.raises(ValueError, match="initial_tasks are FileGroupTasks"):
        run(None, tmp_path / "out", settings={"initial_tasks": [DocumentBatch()]})


def test_tasks_that_are_given_are_read_instead_of_the_path(tmp_path):
    source = write(tmp_path / "in", ["a", "a"], ["b", "b", "b"])
    with pytest.warns(UserWarning, match="input_path is ignored"):
        result = run(source, tmp_path / "out", settings={"initial_tasks": [FileGroupTask(data=[f"{source}/1.jsonl"])]})
    assert result.metadata["num_duplicates"] == 2
    assert "input_filegroups" not in result.pipeline_tasks
    assert "input_filegroups_time" not in result.metadata


@pytest.mark.parametrize(
    ("keep", "stays"),
    [("first", 0), ({"column": "score", "descending": True}, 3), ({"column": "score"}, 1), ("longest", 2)],
)
def test_the_first_in_keep_order_stays(tmp_path, keep, stays):
    rows = [("Ab", 2), ("ab", 1), (" ab \n", 1.5), ("AB", 3)]
    rows = [{"text": text, "score": score} for text, score in rows]
    run(write(tmp_path / "in", rows[:2], rows[2:]), tmp_path / "out", keep=keep, normalize=["case", "whitespace"])
    assert {survivor for survivor, _ in clusters_of(tmp_path / "out")} == {stays}
    assert sorted(ids_of(tmp_path / "out")) == sorted({0, 1, 2, 3} - {stays})


@pytest.mark.parametrize("ids", [{}, {"assign_id": False, "id_field": "id"}])
def test_the_document_from_the_preferred_source_stays(tmp_path, ids):
    for number, name in enumerate(["curated", "other", "web"]):
        rows = [{"id": 10 * number + row, "text": text} for row, text in enumerate("abc"[number:])]
        write(tmp_path / "in" / name, rows, [])
    folders = [str(tmp_path / "in" / name) for name in ("web", "curated")]
    run(tmp_path / "in", tmp_path / "out", keep={"sources": folders}, **ids)
    pairs = [(20, 2), (20, 11), (1, 10)] if ids else [(5, 2), (5, 4), (1, 3)]
    assert clusters_of(tmp_path / "out") == sorted(pairs)
    with pytest.raises(InputError, match=r"no file that is read is in the source wep/"):
        run(tmp_path / "in", tmp_path / "out", keep={"sources": ["wep/"]}, **ids)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Files of different sizes with planted duplicates, and the ids that are to be removed."""
    folder = tmp_path_factory.mktemp("many") / "in"
    draw = random.Random(3)
    files = [[f"text {draw.randrange(300)}" * draw.choice([1, 20]) for _ in range(size)] for size in (10, 400, 60, 200)]
    write(folder, *files)
    seen, removed = {}, []
    for number, text in enumerate(text for texts in files for text in texts):
        if text in seen:
            removed.append((seen[text], number))
        seen.setdefault(text, number)
    return folder, sorted(removed)


@pytest.mark.parametrize(
    ("options", "workers", "settings"),
    [
        ({}, 0, {}),
        ({"input_blocksize": 20_000}, 2, {}),
        ({"input_blocksize": 9_000, "identification_batchsize": 4, "total_nparts": 5}, 0, {}),
        ({"hash_method": "sha256", "total_nparts": 2}, 0, {"memory_limit": None}),
    ],
)
def test_the_result_does_not_depend_on_how_the_work_is_divided(tmp_path, many, options, workers, settings):
    folder, removed = many
    run(folder, tmp_path / "out", here(workers), settings=settings, **options)
    assert clusters_of(tmp_path / "out") == removed
    assert sorted(ids_of(tmp_path / "out")) == sorted(member for _, member in removed)


def test_each_part_is_sorted(tmp_path, many):
    run(many[0], tmp_path / "out", total_nparts=3)
    for path in (tmp_path / "out" / "ExactDuplicateIds").iterdir():
        ids = pq.read_table(path)["_curator_dedup_id"].to_pylist()
        assert ids == sorted(ids)


def test_a_bucket_beyond_the_memory_is_taken_in_parts(tmp_path, many):
    folder, removed = many
    stage = ExactDuplicateIdentification(
        "text", str(tmp_path / "out"), "jsonl", assign_id=False, id_field="text", memory_bytes=4000
    )
    tasks = Pipeline("find", stages=[FilePartitioningStage(str(folder))]).run(here())
    made = Pipeline("identify", stages=[stage]).run(here(), tasks)
    assert made[0]._metadata["num_removal_ids"] == len(removed)
    assert made[0]._metadata["num_groups"] == len({survivor for survivor, _ in removed})


def test_the_stage_by_itself_takes_ids_from_the_id_generator(tmp_path):
    source = write(tmp_path / "in", *DOCUMENTED)
    stages = [FilePartitioningStage(source), ExactDuplicateIdentification("text", str(tmp_path / "out"), "jsonl")]
    create_id_generator_actor()
    try:
        Pipeline("identify", stages=stages).run(here())
    finally:
        kill_id_generator_actor()
    assert ids_of(tmp_path / "out") == [3, 4]


def test_an_earlier_run_leaves_nothing_in_the_output(tmp_path):
    run(write(tmp_path / "in", *DOCUMENTED), tmp_path / "out", total_nparts=8)
    (tmp_path / "out" / "ExactDuplicateIds" / "notes.txt").write_text("mine")
    run(write(tmp_path / "other", ["a", "a"]), tmp_path / "out", total_nparts=1)
    names = sorted(path.name for path in (tmp_path / "out" / "ExactDuplicateIds").iterdir())
    assert names == ["notes.txt", "part.0.parquet"]
    assert clusters_of(tmp_path / "out") == [(0, 1)]


def test_the_folder_of_the_buckets_is_emptied_only_where_it_is_ours(tmp_path):
    (tmp_path / "out" / "exact_buckets").mkdir(parents=True)
    (tmp_path / "out" / "exact_buckets" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"is for buckets, and holds other files such as .*notes.txt"):
        run(write(tmp_path / "in", ["a"]), tmp_path / "out")
    assert (tmp_path / "out" / "exact_buckets" / "notes.txt").read_text() == "mine"


def test_a_removed_document_can_be_explained(tmp_path):
    source = write(tmp_path / "in", *DOCUMENTED)
    run(source, tmp_path / "out")
    assert str(explain(str(tmp_path / "out"), 4)).split("\n") == [
        "document 4 was removed, and 0 stayed: their texts are the same",
        f"  4 is {source}/1.jsonl, row 1",
        f"  0 is {source}/0.jsonl, row 0",
    ]


def test_a_broken_line_and_a_missing_id_are_counted_as_failed(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"id": "x", "text": "a"}\n{"text": "a"}\n{broken\n{"id": "y", "text": "a"}\n')
    result = run(folder, tmp_path / "out", assign_id=False, id_field="id", settings={"max_failed_fraction": 0.5})
    assert ids_of(tmp_path / "out", "id") == ["y"]
    assert result.runs["identification"].stages[0].failed.total() == 2


def test_new_deliveries_are_compared_with_an_index(tmp_path):
    index = str(tmp_path / "index")
    deliveries = [(["a", "b"], ["a"]), (["c", "b", "c"],), (["d", "c", "a"],)]
    folders = [write(tmp_path / f"in{number}", *files) for number, files in enumerate(deliveries)]
    found = []
    for number, folder in enumerate(folders):
        output = tmp_path / f"out{number}"
        run(folder, output, index_path=index)
        found.append(clusters_of(output))
    assert found == [[(0, 2)], [(1, 4), (3, 5)], [(0, 8), (3, 7)]]
    assert str(explain(str(tmp_path / "out2"), 7)).split("\n")[1:] == [
        f"  7 is {folders[2]}/0.jsonl, row 1",
        f"  3 is {folders[1]}/0.jsonl, row 0",
    ]
    run(folders[2], tmp_path / "out2", index_path=index)  # again: it is not its own duplicate
    assert clusters_of(tmp_path / "out2") == found[2]
    with pytest.raises(ConfigError, match=r"made with \{'hash_method': 'md5'\}"):
        run(folders[0], tmp_path / "out3", index_path=index, hash_method="sha256")


def test_a_delivery_that_is_written_anew_is_not_in_the_index_until_it_is_whole(tmp_path, monkeypatch):
    index = {"index_path": str(tmp_path / "index")}
    first, second = write(tmp_path / "1", ["a", "b"]), write(tmp_path / "2", ["a", "b"])
    run(first, tmp_path / "out1", **index)

    def fail(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(duplicates, "find_duplicates", fail)
        with pytest.raises(KeyboardInterrupt):
            run(first, tmp_path / "out1", **index)
    assert json.loads((tmp_path / "index" / "index.json").read_text())["deliveries"] == []
    run(first, tmp_path / "out1", **index)
    assert run(second, tmp_path / "out2", **index).metadata["num_duplicates"] == 2


def test_an_index_may_be_only_compared_with(tmp_path):
    index, folder = str(tmp_path / "index"), write(tmp_path / "in", ["a"])
    run(folder, tmp_path / "out", index_path=index)
    for output in ("out1", "out2"):
        run(write(tmp_path / "new", ["a", "z"]), tmp_path / output, index_path=index, extend_index=False)
        assert clusters_of(tmp_path / output) == [(0, 1)]


def test_everything_may_lie_behind_a_url(tmp_path):
    frame = pd.DataFrame({"text": ["a", "b", "a"]})
    frame.to_json(f"memory://{tmp_path.name}/in/a.jsonl", orient="records", lines=True)
    result = run(f"memory://{tmp_path.name}/in", f"memory://{tmp_path.name}/out")
    assert result.metadata["num_duplicates"] == 1
    assert str(explain(f"memory://{tmp_path.name}/out", 2)).startswith("document 2 was removed, and 0 stayed")


def kept(output):
    """The texts of the data set without duplicates, by file."""
    folder = output / "deduplicated"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    read = {".jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines()]}
    rows = {path: read.get(path.suffix, lambda path: pq.read_table(path).to_pylist())(path) for path in files}
    return {str(path.relative_to(folder)): found for path, found in rows.items()}


@pytest.mark.parametrize("filetype", ["jsonl", "parquet"])
@pytest.mark.parametrize("ids", [{}, {"assign_id": False, "id_field": "id"}])
def test_the_data_set_is_copied_without_duplicates(tmp_path, filetype, ids):
    source = write(tmp_path / "in", *DOCUMENTED, filetype=filetype)
    result = run(source, tmp_path / "out", filetype=filetype, perform_removal=True, keep={"column": "id"}, **ids)
    assert kept(tmp_path / "out") == {
        f"0.{filetype}": DOCUMENTED[0][1:],
        f"1.{filetype}": DOCUMENTED[1][1:],
    }
    assert result.metadata["num_duplicates"] == result.metadata["num_duplicates_removed"] == 2


def test_ids_that_are_not_unique_remove_nothing(tmp_path):
    rows = [{"id": 1, "text": "a"}, {"id": 2, "text": "a"}, {"id": 2, "text": "another"}]
    folder = write(tmp_path / "in", rows)
    with pytest.raises(
        InputError, match=r"1 documents are duplicates, and 2 have one of their ids: 'id' is not unique"
    ):
        run(folder, tmp_path / "out", assign_id=False, id_field="id", perform_removal=True)
    assert kept(tmp_path / "out") == {}


def test_files_that_arrive_later_cost_what_has_changed_and_are_right(tmp_path):
    settings = {"checkpoint_path": str(tmp_path / "checkpoint"), "on_change": "redo"}
    folder = tmp_path / "in"
    write(folder, ["a", "b"], ["b", "c"])
    run(folder, tmp_path / "out", settings=settings, perform_removal=True)
    assert clusters_of(tmp_path / "out") == [(1, 2)]
    (folder / "00.jsonl").write_text('{"text": "c"}\n')  # lies between the others
    run(folder, tmp_path / "out", settings=settings, perform_removal=True)
    assert clusters_of(tmp_path / "out") == [(1, 3), (2, 4)]
    run(folder, tmp_path / "fresh", perform_removal=True)
    assert clusters_of(tmp_path / "fresh") == clusters_of(tmp_path / "out")
    assert kept(tmp_path / "fresh") == kept(tmp_path / "out") != {}


def test_a_setting_that_changes_costs_all_that_hangs_on_it(tmp_path):
    folder = write(tmp_path / "in", [{"text": "a"}, {"text": "A"}, {"text": "A"}])
    settings = {"checkpoint_path": str(tmp_path / "checkpoint"), "on_change": "redo"}
    left = []
    for options in ({}, {"normalize": "case"}, {"normalize": "case", "keep": {"column": "text"}}):
        run(folder, tmp_path / "out", settings=settings, perform_removal=True, **options)
        left.append([row["text"] for row in kept(tmp_path / "out")["0.jsonl"]])
    assert left == [["a", "A"], ["a"], ["A"]]


SCRIPT = """
import sys
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.stages.deduplication.exact import duplicates, hash_documents
from nemo_curator.stages.deduplication.exact.workflow import ExactDeduplicationWorkflow
import os

source, output, checkpoint, where = sys.argv[1:]
times = 0
for kind in (hash_documents.HashDocuments, duplicates.IdentifyExactDuplicates):
    def process(self, task, process=kind.process, kind=kind.__name__):
        global times
        times += kind == where
        if times == 3:
            os._exit(9)
        return process(self, task)
    if kind.__name__ == where:
        kind.process = process
workflow = ExactDeduplicationWorkflow(
    output, source, "jsonl", input_blocksize=20_000, total_nparts=4, perform_removal=True
)
workflow.run(executor=LocalExecutor(num_workers=0), checkpoint_path=checkpoint)
"""


def test_a_run_that_was_killed_ends_as_one_that_was_not(tmp_path, many):
    folder, removed = many
    arguments = [str(folder), str(tmp_path / "out"), str(tmp_path / "checkpoint")]
    command = [sys.executable, "-c", SCRIPT, *arguments]
    places = ["HashDocuments", "IdentifyExactDuplicates", "nowhere"]
    assert [subprocess.run([*command, where], check=False).returncode for where in places] == [9, 9, 0]
    assert clusters_of(tmp_path / "out") == removed
    run(folder, tmp_path / "fresh", perform_removal=True)
    assert kept(tmp_path / "fresh") == kept(tmp_path / "out")


@pytest.mark.parametrize("keep", ["first", "longest"])
def test_a_line_that_is_not_utf8_in_another_column_is_not_copied(tmp_path, keep):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jsonl").write_bytes(b'{"text": "a"}\n{"text": "b", "other": "\xff"}\n{"text": "a"}\n')
    settings = {"max_failed_fraction": 1.0}
    result = run(tmp_path / "in", tmp_path / "out", settings=settings, keep=keep, perform_removal=True)
    assert (tmp_path / "out/deduplicated/a.jsonl").read_bytes() == b'{"text": "a"}\n'
    assert result.runs["removal"].rows_failed == 1


@pytest.mark.ray
# all engines run the same stages: for one of them this is run at every change
@pytest.mark.parametrize(
    "executor",
    [
        RayDataExecutor,
        pytest.param(RayActorPoolExecutor, marks=pytest.mark.big),
        pytest.param(XennaExecutor, marks=pytest.mark.big),
    ],
)
def test_the_result_is_the_same_on_ray(ray_cluster, tmp_path, many, executor):
    folder, removed = many
    run(folder, tmp_path / "out", executor(), input_blocksize=20_000, total_nparts=2)
    assert clusters_of(tmp_path / "out") == removed
