import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch")

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.config.load import FOLDER, load_config
from nemo_curator.config.run import create_pipeline_from_yaml
from nemo_curator.stages.deduplication.clusters import explain
from nemo_curator.stages.deduplication.id_generator import IdGeneratorBase, hash_files
from nemo_curator.stages.text.deduplication import TextDuplicatesRemovalWorkflow
from nemo_curator.stages.text.deduplication.semantic import TextSemanticDeduplicationWorkflow
from tests.tiny_models import sentence_model_folder

HERE = LocalExecutor(num_workers=0)
TEXTS = ["the cat sat on the mat", "a dog", "the cat sat on the mat", None, "xyzzy plugh", "the cat sat on the mat"]


@pytest.fixture
def documents(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    rows = [{"n": f"d{number}", "text": text, "words": number} for number, text in enumerate(TEXTS)]
    for number in range(2):
        lines = [json.dumps(row) + "\n" for row in rows[3 * number : 3 * number + 3]]
        (folder / f"{number}.jsonl").write_text("".join(lines))
    return str(folder)


def workflow(documents, tmp_path, **options):
    given = {
        "cache_path": str(tmp_path / "cache"),
        "model_identifier": sentence_model_folder("mean_tokens"),
        "n_clusters": 2,
        "input_filetype": "jsonl",
        "output_filetype": "jsonl",
        **options,
    }
    return TextSemanticDeduplicationWorkflow(documents, str(tmp_path / "out"), **given)


def kept(tmp_path):
    paths = sorted((tmp_path / "out" / "deduplicated").iterdir())
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def test_one_of_equal_texts_stays_in_the_files_of_the_input(documents, tmp_path):
    result = workflow(documents, tmp_path).run(HERE)
    rows = kept(tmp_path)
    assert [row["n"] for row in rows] == ["d1", "d3", "d4", "d5"]
    assert list(rows[0]) == ["n", "text", "words"]
    assert sorted(path.name for path in (tmp_path / "out" / "deduplicated").iterdir()) == ["0.jsonl", "1.jsonl"]
    told = result.metadata
    assert (told["num_duplicates"], told["num_duplicates_removed"]) == (2, 2)
    assert {"total_time", "embedding_time", "identification_time", "removal_time", "kmeans_time"} <= told.keys()
    assert told["embeddings_path"] == str(tmp_path / "cache" / "embeddings")
    assert told["semantic_dedup_path"] == str(tmp_path / "cache" / "semantic_dedup")
    assert told["final_output_path"] == str(tmp_path / "out" / "deduplicated")
    assert told["id_generator_path"] is None
    assert {"embeddings", "kmeans", "pairwise", "removal"} <= result.pipeline_tasks.keys()
    assert sorted(path.name for path in (tmp_path / "cache" / "semantic_dedup").iterdir()) == [
        "kmeans_centroids.npy",
        "kmeans_results",
        "pairwise_results",
    ]
    assert result.runs["embeddings"].dropped() == {"no text": 1}
    said = str(explain(str(tmp_path / "out"), 0))
    assert "document 0 was removed, and 5 stayed" in said
    assert f"5 is {documents}/1.jsonl, row 2" in said


def test_ids_of_ones_own_columns_and_formats_of_choice(documents, tmp_path):
    options = {"id_field": "n", "output_filetype": "parquet", "output_fields": ["n", "words"]}
    result = workflow(documents, tmp_path, **options).run((HERE, HERE, HERE), HERE)
    table = pq.read_table(tmp_path / "out" / "deduplicated")
    assert table.schema.names == ["n", "words"]
    assert sorted(table["n"].to_pylist()) == ["d1", "d3", "d4", "d5"]
    assert pq.read_table(tmp_path / "out" / "duplicates")["id"].to_pylist() == ["d0", "d2"]
    assert result.metadata["num_duplicates_removed"] == 2


def test_row_numbers_are_no_column_of_the_output(documents, tmp_path):
    workflow(documents, tmp_path, output_filetype="parquet").run(HERE)
    table = pq.read_table(tmp_path / "out" / "deduplicated")
    assert table.schema.names == ["n", "text", "words"]
    assert len(table) == 4


@pytest.mark.parametrize("fields", [None, ["n", "_curator_dedup_id"]])
def test_a_column_of_the_input_named_like_the_row_numbers_is_not_taken_for_them(tmp_path, fields):
    (tmp_path / "in").mkdir()
    rows = [{"_curator_dedup_id": 5 - at, "n": f"d{at}", "text": text} for at, text in enumerate(TEXTS)]
    (tmp_path / "in" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    workflow(str(tmp_path / "in"), tmp_path, output_filetype="parquet", output_fields=fields).run(HERE)
    table = pq.read_table(tmp_path / "out" / "deduplicated")
    assert table["n"].to_pylist() == ["d1", "d3", "d4", "d5"]
    assert table["_curator_dedup_id"].to_pylist() == ([1, 3, 4, 5] if fields else [4, 2, 1, 0])


def test_parquet_is_copied_as_parquet(tmp_path):
    (tmp_path / "in").mkdir()
    table = pa.table({"text": TEXTS, "words": pa.array(range(6), pa.int8())})
    pq.write_table(table, tmp_path / "in" / "a.parquet")
    workflow(str(tmp_path / "in"), tmp_path, input_filetype="parquet", output_filetype="parquet").run(HERE)
    copy = pq.read_table(tmp_path / "out" / "deduplicated" / "a.parquet")
    assert copy.schema == table.schema
    assert copy["words"].to_pylist() == [1, 3, 4, 5]


@pytest.mark.parametrize("own", [True, False])
def test_the_id_generator_state_is_where_it_is_asked_for_and_removal_can_follow(documents, tmp_path, own):
    state = str(tmp_path / "state.json") if own else None
    result = workflow(
        documents, tmp_path, use_id_generator=True, id_generator_state_file=state, perform_removal=False
    ).run(HERE)
    path = state or str(tmp_path / "out" / "semantic_id_generator.json")
    assert result.metadata["id_generator_path"] == path
    assert result.metadata["final_output_path"] is None
    ids = IdGeneratorBase.from_disk(path)
    assert ids.next_id == 6
    assert tuple(ids.batch_registry[hash_files(f"{documents}/1.jsonl")]) == (3, 5)
    TextDuplicatesRemovalWorkflow(
        documents,
        str(tmp_path / "out" / "duplicates"),
        str(tmp_path / "removed"),
        input_filetype="jsonl",
        output_filetype="jsonl",
        id_generator_path=path,
        drop_id_field=True,
    ).run(HERE)
    lines = [json.loads(line) for one in (tmp_path / "removed").iterdir() for line in one.read_text().splitlines()]
    assert sorted(row["n"] for row in lines) == ["d1", "d3", "d4", "d5"]


def test_a_second_run_replaces_the_first_and_a_checkpoint_goes_on(documents, tmp_path):
    workflow(documents, tmp_path).run(HERE)
    checkpoint = str(tmp_path / "checkpoint")
    workflow(documents, tmp_path, n_clusters=1).run(HERE, checkpoint_path=checkpoint)
    first = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    workflow(documents, tmp_path, n_clusters=1).run(HERE, checkpoint_path=checkpoint)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == first
    assert len(list((tmp_path / "cache" / "semantic_dedup" / "kmeans_results").glob("centroid=*/*"))) == 1


def test_embeddings_of_files_that_have_changed_do_not_count(documents, tmp_path):
    state = {"checkpoint_path": str(tmp_path / "state"), "on_change": "redo"}
    workflow(documents, tmp_path, output_filetype="parquet").run(HERE, **state)
    (tmp_path / "in" / "0.jsonl").write_text(json.dumps({"n": "new", "text": "a dog", "words": 1}) + "\n")
    workflow(documents, tmp_path, output_filetype="parquet").run(HERE, **state)
    assert sorted(pq.read_table(tmp_path / "out" / "deduplicated")["n"].to_pylist()) == ["d3", "d4", "d5", "new"]
    assert sorted(pq.read_table(tmp_path / "cache" / "embeddings")["_curator_dedup_id"].to_pylist()) == [0, 2, 3]


def test_the_configuration_that_comes_with_it_makes_the_workflow(documents, tmp_path):
    overrides = {"input_path": documents, "output_path": str(tmp_path / "out"), "n_clusters": 2}
    overrides["model_identifier"] = sentence_model_folder("mean_tokens")
    config = load_config(
        FOLDER / "text" / "semantic_deduplication_pipeline.yaml", [f"{key}={value}" for key, value in overrides.items()]
    )
    create_pipeline_from_yaml(config).run(HERE)
    assert len(kept(tmp_path)) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": None}, "perform_removal needs eps"),
        ({"use_id_generator": True, "id_field": "n"}, "leave out id_field"),
        ({"output_filetype": "csv"}, "output_filetype"),
        ({"input_filetype": "csv"}, "csv"),
        ({"kmeans_fit_data_fraction": 2}, "fit_data_fraction"),
    ],
)
def test_settings_that_cannot_be_are_refused(documents, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        workflow(documents, tmp_path, **options)


def test_executors_are_one_or_three(documents, tmp_path):
    with pytest.raises(ValueError, match="one, or three"):
        workflow(documents, tmp_path).run((HERE, HERE))
