import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.cli.first_documents import with_limit
from nemo_curator.errors import ContractError, InputError, RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication.id_generator import (
    CURATOR_DEDUP_ID_STR,
    create_id_generator_actor,
    kill_id_generator_actor,
)
from nemo_curator.stages.text.filters import ScoreFilter, WordCountFilter
from nemo_curator.stages.text.io.reader import HuggingFaceReader
from nemo_curator.stages.text.io.writer import HuggingFaceWriter, JsonlWriter
from nemo_curator.tasks import DocumentBatch, EmptyTask

datasets = pytest.importorskip("datasets")
ROWS = 1200
"""More than the 1,000 that `datasets` puts into a batch of Arrow."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with data sets, saved and as files, and a cache."""
    home = tmp_path_factory.mktemp("home")
    table = pa.table({"id": range(ROWS), "text": [f"text number {n}" for n in range(ROWS)]})
    train = datasets.Dataset(table)
    both = datasets.DatasetDict({"train": train, "test": train.select(range(7))})
    both.save_to_disk(home / "saved", num_shards={"train": 3, "test": 1})
    train.select(range(5)).save_to_disk(home / "single")
    (home / "files").mkdir()
    for at in range(3):
        pq.write_table(table.slice(400 * at, 400), home / "files" / f"part-{at}.parquet")
    lines = [json.dumps(row) for row in table.to_pylist()]
    (home / "rows.jsonl").write_text("\n".join(lines))
    (home / "rows.csv").write_text("id,text\n" + "".join(f'{n},"text number {n}"\n' for n in range(ROWS)))
    return home


def ids(tasks, name="id"):
    return [value for task in tasks for value in task.to_pyarrow().column(name).to_pylist()]


def run(*stages, **settings):
    pipeline = Pipeline("hub", stages=list(stages))
    return pipeline, pipeline.run(LocalExecutor(num_workers=0), **settings)


def reader(home, path, **settings):
    return HuggingFaceReader(str(path), read_kwargs={"cache_dir": str(home / "cache")}, **settings)


SOURCES = {
    "saved": {"path": "saved"},
    "folder": {"path": "files"},
    "parquet": {"path": "parquet", "data_files": "files/*.parquet"},
    "json": {"path": "json", "data_files": "rows.jsonl"},
    "csv": {"path": "csv", "data_files": ["rows.csv"]},
}


@pytest.fixture(autouse=True)
def _without_torch(monkeypatch):
    monkeypatch.setattr(datasets.config, "TORCH_AVAILABLE", False)  # a stream would import it, which takes seconds
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


STREAMED = [pytest.param(source, True, id=f"{source}-streamed") for source in ("saved", "folder", "json")]


@pytest.mark.parametrize(("source", "streaming"), [*((source, False) for source in SOURCES), *STREAMED])
def test_every_row_is_read_once_and_counted(home, source, streaming, monkeypatch):
    monkeypatch.chdir(home)
    pipeline, made = run(reader(home, streaming=streaming, **SOURCES[source]))
    assert sorted(ids(made)) == list(range(ROWS))
    assert made[0].to_pyarrow().column("text")[0].as_py() == f"text number {ids(made)[0]}"
    read = pipeline.last_run.stages[1]
    assert (read.stage, read.rows_in, read.rows_out) == ("huggingface_reader", ROWS, ROWS)
    if streaming and source == "folder":
        assert len({task._metadata["partition_index"] for task in made}) == 3


@pytest.mark.parametrize(
    ("path", "split", "expected"),
    [
        ("saved", "test", range(7)),
        ("saved", "train[390:405]", range(390, 405)),
        ("saved", "train[99%:]+test[:2]", [*range(1188, ROWS), 0, 1]),
        ("single", "train", range(5)),
        ("single", "validation[1:3]", [1, 2]),
        ("files", "train[:1%]", range(12)),
    ],
)
def test_a_split_is_written_as_in_datasets(home, path, split, expected):
    assert ids(run(reader(home, home / path, split=split))[1]) == list(expected)


def test_partitions_are_ranges_of_rows_with_ids_that_stay(home):
    parts, stage = reader(home, home / "saved", rows_per_partition=150, fields=["text"]).decompose()
    tasks, again = parts.process(EmptyTask()), parts.process(EmptyTask())
    assert [task.reader_config["rows"] for task in tasks[:4]] == [(0, 150), (150, 300), (300, 400), (0, 150)]
    assert len({task._source_id for task in tasks}) == len(tasks) == 9
    assert [task._source_id for task in tasks] == [task._source_id for task in again]
    (batch,) = stage.process(tasks[5])
    assert batch.get_columns() == ["text"]
    assert batch.to_pyarrow().column("text")[0].as_py() == "text number 700"


def test_rows_get_ids_and_the_first_rows_can_be_tried(home):
    _, made = run(*with_limit([reader(home, home / "saved")], 5))
    assert ids(made) == list(range(5))
    create_id_generator_actor()
    try:
        _, made = run(reader(home, home / "saved", rows_per_partition=500, _generate_ids=True))
    finally:
        kill_id_generator_actor()
    assert sorted(ids(made, CURATOR_DEDUP_ID_STR)) == list(range(ROWS))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "nowhere"}, "cannot load the data set nowhere"),
        ({"path": "saved", "split": "trian"}, r"split is 'trian'; saved has \{'train': 1200, 'test': 7\}"),
        ({"path": "saved", "fields": ["txt"]}, r"saved has no \['txt'\]; its columns are \['id', 'text'\]"),
        ({"path": "files", "fields": ["txt"], "streaming": True}, r"files has no \['txt'\]"),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_read(home, settings, message, monkeypatch):
    monkeypatch.chdir(home)
    with pytest.raises(InputError, match=message):
        run(reader(home, **settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"streaming": True, "rows_per_partition": 5}, "give no rows_per_partition"),
        ({"streaming": True, "_generate_ids": True}, "no ids can be given to a stream"),
        ({"rows_per_partition": 0}, "wanted at least 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused_at_once(settings, message):
    with pytest.raises(ValueError, match=message):
        HuggingFaceReader("x", **settings)


def test_a_file_that_is_gone_or_cut_costs_its_rows_alone(home, tmp_path):
    datasets.load_from_disk(home / "saved")["train"].save_to_disk(tmp_path / "copy", num_shards=3)
    parts, stage = reader(home, tmp_path / "copy").decompose()
    tasks = parts.process(EmptyTask())
    gone, cut, _ = [tmp_path / "copy" / f"data-0000{at}-of-00003.arrow" for at in range(3)]
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:2000])
    pipeline = Pipeline("damaged", stages=[stage])
    with pytest.raises(RunFailedError, match="is not on this machine; put the cache"):
        pipeline.run(LocalExecutor(num_workers=0), initial_tasks=tasks)
    read = pipeline.last_run.stages[0]
    assert (read.rows_out, read.rows_failed) == (400, 800)


def test_a_shard_that_breaks_is_a_failure_that_names_it(home, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": 1}\n')
    (tmp_path / "b.jsonl").write_text('{"id": 2}\n{broken\n')
    files = [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]
    pipeline = Pipeline("broken", stages=[reader(home, "json", data_files=files, streaming=True)])
    with pytest.raises(RunFailedError, match="shard 1 of 2"):
        pipeline.run(LocalExecutor(num_workers=0))


def test_what_is_written_is_opened_by_load_dataset(home, tmp_path):
    stages = [
        reader(home, home / "saved", rows_per_partition=400),
        ScoreFilter(WordCountFilter(min_words=1), score_field="words"),
    ]
    run(*stages, HuggingFaceWriter(str(tmp_path / "out")))
    run(reader(home, home / "saved", split="test"), HuggingFaceWriter(str(tmp_path / "out"), split="test"))
    opened = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: split.num_rows for name, split in opened.items()} == {"train": ROWS, "test": 7}
    assert sorted(opened["train"]["id"]) == list(range(ROWS))
    assert opened["train"].features["words"].dtype == "int64"
    assert not list((tmp_path / "out").rglob(".*"))


ODD = [
    pa.table({"text": ["a"], "note": pa.nulls(1), "n": [1], "kind": pa.array(["x"]).dictionary_encode()}),
    pa.table({"text": ["b"], "note": ["seen"], "n": [1.5], "at": pa.array([5], pa.timestamp("us", "UTC"))}),
    pa.table({"text": pa.array(["c"], pa.large_string()), "tags": [["x", None]], "nested": [{"a": {"b": [1]}}]}),
]


def batches(tables):
    return [DocumentBatch("odd", table, task_id=str(at)) for at, table in enumerate(tables)]


def test_one_type_for_each_column_whatever_a_single_file_knows_of_it(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n")
    run(HuggingFaceWriter(str(out)), initial_tasks=batches(ODD))
    opened = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    rows = {row.pop("text"): {key: value for key, value in row.items() if value is not None} for row in opened}
    assert rows["a"] == {"n": 1.0, "kind": "x"}
    assert (rows["b"]["note"], rows["b"]["n"]) == ("seen", 1.5)
    assert rows["c"] == {"tags": ["x", None], "nested": {"a": {"b": [1]}}}
    card = (out / "README.md").read_text()
    assert "license: mit" in card
    assert card.endswith("# Mine\n")


def test_types_that_do_not_go_together_are_named_and_the_files_stay(tmp_path):
    tables = [pa.table({"n": [1]}), pa.table({"n": ["one"]})]
    with pytest.raises(ContractError, match=r"other types than the files before it: \{'n': \('"):
        run(HuggingFaceWriter(str(tmp_path / "out")), initial_tasks=batches(tables))
    assert len(list((tmp_path / "out" / "train").glob("*.parquet"))) == 2


def test_a_run_goes_on_and_a_second_one_writes_the_same(home, tmp_path):
    stages = [reader(home, home / "saved", rows_per_partition=300), HuggingFaceWriter(str(tmp_path / "out"))]
    run(*stages, checkpoint_path=tmp_path / "state")
    files = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    pipeline, _ = run(*stages, checkpoint_path=tmp_path / "state")
    assert pipeline.last_run.stages[-1].rows_out == ROWS
    with pytest.raises(FileExistsError, match="choose another folder or another mode"):
        run(*stages)  # files of another run would become rows of this data set
    next(iter(path for path in files if path.suffix == ".parquet")).unlink()
    run(stages[0], HuggingFaceWriter(str(tmp_path / "out"), mode="overwrite"))
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == files


def test_processes_read_in_parallel_and_write_what_one_does(home, tmp_path):
    for workers in (0, 2):
        stages = [reader(home, home / "saved", rows_per_partition=500), JsonlWriter(str(tmp_path / str(workers)))]
        Pipeline("parallel", stages=stages).run(LocalExecutor(num_workers=workers))
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / n).iterdir()} for n in ("0", "2"))
    assert one == two
    assert len(one) == 3


def test_a_split_is_the_name_of_a_folder():
    with pytest.raises(ValueError, match="wanted letters"):
        HuggingFaceWriter("out", split="../x")
