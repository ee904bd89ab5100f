import json
import multiprocessing
from contextlib import suppress
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import CheckpointError, InputError, RunFailedError, UnknownIdsError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication.id_generator import (
    CURATOR_DEDUP_ID_STR,
    CURATOR_ID_GENERATOR_ACTOR_NAME,
    IdGeneratorBase,
    LocalIdGenerator,
    create_id_generator_actor,
    get_id_generator_actor,
    kill_id_generator_actor,
    write_id_generator_to_disk,
)
from nemo_curator.stages.text.io.reader import BaseFileReader, JsonlReader, JsonlReaderStage, ParquetReader
from nemo_curator.tasks import FileGroupTask

ID = CURATOR_DEDUP_ID_STR


@pytest.fixture(autouse=True)
def none_is_left():
    yield
    with suppress(ValueError):
        kill_id_generator_actor()


@pytest.fixture
def documents(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(4):
        lines = [json.dumps({"text": f"{number} {line}"}) for line in range(10 * (number + 1))]
        (folder / f"{number}.jsonl").write_text("\n".join(lines))
    return folder


def read(reader, workers=0, **settings):
    """The id of each text."""
    batches = Pipeline("read", stages=[reader]).run(LocalExecutor(num_workers=workers), **settings)
    return {row["text"]: row[ID] for batch in batches for row in batch.to_pyarrow().to_pylist()}


def test_a_group_of_files_gets_a_range_of_ids_once():
    generator = IdGeneratorBase()
    files = ["/d/a.parquet", "/d/b.parquet"]
    assert generator.hash_files(files) == "4a92a778-682a-5cd2-a729-7780b9085d4b"
    assert [generator.register_batch(files, 10), generator.register_batch("/d/c.parquet", 5)] == [0, 10]
    assert generator.register_batch(files, 99) == 0
    assert generator.next_id == 15
    assert generator.get_batch_range(files) == (0, 9)
    assert generator.get_batch_range(key=generator.hash_files("/d/c.parquet")) == (10, 14)


@pytest.mark.parametrize("arguments", [{}, {"files": "a", "key": "b"}])
def test_a_range_is_asked_for_by_files_or_by_key(arguments):
    with pytest.raises(ValueError, match="Either files or key must be provided"):
        IdGeneratorBase().get_batch_range(**arguments)


def test_an_unknown_group_says_what_is_known_and_is_a_key_error():
    with pytest.raises(KeyError) as caught:
        IdGeneratorBase(1, {"key": (0, 0)}).get_batch_range(["a.jsonl", "b.jsonl"])
    assert isinstance(caught.value, UnknownIdsError)
    assert str(caught.value).startswith("no ids are known for a.jsonl, b.jsonl")
    assert "knows 1 groups" in str(caught.value)


def test_what_is_known_goes_to_json_and_back():
    fsspec.filesystem("memory").pipe_file("/ids/state.json", b"")
    generator = IdGeneratorBase(7, {"a": (0, 6)})
    generator.to_disk("memory://ids/state.json")
    assert json.loads(fsspec.filesystem("memory").cat_file("/ids/state.json")) == {
        "next_id": 7,
        "batch_registry": {"a": [0, 6]},
    }
    again = IdGeneratorBase.from_disk("memory://ids/state.json")
    assert (again.next_id, again.batch_registry) == (7, {"a": (0, 6)})


def test_without_ray_the_generator_is_a_file_that_is_there_until_it_is_killed(tmp_path):
    IdGeneratorBase(7, {"a": (0, 6)}).to_disk(str(tmp_path / "ids.json"))
    create_id_generator_actor(str(tmp_path / "ids.json"))
    generator = get_id_generator_actor()
    assert isinstance(generator, LocalIdGenerator)
    assert generator.get_batch_range(key="a") == (0, 6)
    assert generator.register_batch(["b"], 3) == 7
    with pytest.raises(ValueError, match="already taken"):
        create_id_generator_actor()
    write_id_generator_to_disk(str(tmp_path / "out" / "ids.json"))
    assert IdGeneratorBase.from_disk(str(tmp_path / "out" / "ids.json")).next_id == 10
    kill_id_generator_actor()
    assert not Path(generator.path).parent.exists()
    with pytest.raises(ValueError, match="there is no id generator"):
        get_id_generator_actor()


def _register(path, worker):
    for number in range(50):
        LocalIdGenerator(path).register_batch([f"{worker if number % 2 else 'shared'}-{number}"], number)


def test_processes_that_register_at_once_never_share_ids():
    create_id_generator_actor()
    path = get_id_generator_actor().path
    workers = [multiprocessing.get_context("fork").Process(target=_register, args=(path, n)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    state = get_id_generator_actor().state()
    ids = sorted(id_ for first, last in state.batch_registry.values() for id_ in range(first, last + 1))
    assert ids == list(range(state.next_id))
    assert state.next_id == sum(number * (4 if number % 2 else 1) for number in range(50))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_reader_assigns_the_ids_that_another_has_generated(documents, tmp_path, workers):
    create_id_generator_actor()
    given = read(JsonlReader(str(documents), blocksize=500, _generate_ids=True), workers)
    assert sorted(given.values()) == list(range(100))
    write_id_generator_to_disk(str(tmp_path / "ids.json"))
    kill_id_generator_actor()
    create_id_generator_actor(str(tmp_path / "ids.json"))
    assert read(JsonlReader(str(documents), blocksize=500, fields=["text"], _assign_ids=True), workers) == given


def test_files_that_were_registered_one_by_one_can_be_read_in_any_grouping(documents):
    create_id_generator_actor()
    given = read(JsonlReader(str(documents), files_per_partition=1, _generate_ids=True))
    assert read(JsonlReader(str(documents), files_per_partition=3, _assign_ids=True)) == given


@pytest.mark.parametrize("spelling", ["relative", "dotted", "file"])
def test_ids_are_found_though_the_paths_were_written_in_another_way(documents, tmp_path, monkeypatch, spelling):
    monkeypatch.chdir(tmp_path)
    before = {"relative": "in/{}.jsonl", "dotted": "./in/{}.jsonl", "file": f"file://{tmp_path}/in/{{}}.jsonl"}
    state = IdGeneratorBase()
    for number in (3, 1, 2, 0):
        state.register_batch([before[spelling].format(number)], 10 * (number + 1))
    state.to_disk("ids.json")
    create_id_generator_actor("ids.json")
    found = read(JsonlReader("in", _assign_ids=True))
    assert (found["3 0"], found["1 0"], found["2 0"], found["0 9"]) == (0, 40, 60, 99)


def test_parquet_and_pandas_get_the_same_ids(documents, tmp_path):
    for path in documents.iterdir():
        texts = [json.loads(line)["text"] for line in path.read_text().splitlines()]
        pq.write_table(pa.table({"text": texts}), tmp_path / f"{path.stem}.parquet", row_group_size=7)
    create_id_generator_actor()
    of_parquet = read(ParquetReader(str(tmp_path / "*.parquet"), blocksize=100, _generate_ids=True))
    of_pandas = read(JsonlReader(str(documents), read_kwargs={"dtype": True}, _generate_ids=True))
    assert {text: id_ + 100 for text, id_ in of_parquet.items()} == of_pandas


class Lines(BaseFileReader):
    """A reader of one's own."""

    def read_data(self, file_paths, read_kwargs, fields):
        return pa.table({"text": [line for path in file_paths for line in Path(path).read_text().splitlines()]})


def test_a_reader_of_ones_own_gives_ids_too(documents):
    create_id_generator_actor()
    task = FileGroupTask("in", [str(documents / "1.jsonl")], task_id="1")
    [batch] = Pipeline("own", stages=[Lines(_generate_ids=True)]).run(LocalExecutor(num_workers=0), [task])
    assert batch.column(ID).to_pylist() == list(range(20))


def test_a_column_of_ids_that_is_there_stays(documents, caplog):
    (documents / "0.jsonl").write_text(json.dumps({"text": "a", ID: 77}))
    create_id_generator_actor()
    assert read(JsonlReader(str(documents / "0.jsonl"), _generate_ids=True)) == {"a": 77}
    assert f"have a column {ID}, which stays" in caplog.text
    assert read(JsonlReader(str(documents / "0.jsonl"), fields=["text"], _generate_ids=True)) == {"a": 0}


def test_without_a_generator_nothing_is_read(documents):
    with pytest.raises(RuntimeError, match="no id generator is running; start one with create_id_generator_actor"):
        read(JsonlReader(str(documents), _assign_ids=True))


def test_files_whose_ids_are_unknown_fail_and_say_so(documents):
    create_id_generator_actor()
    with pytest.raises(RunFailedError, match=r"no ids are known for .*0\.jsonl.* knows 0 groups"):
        read(JsonlReader(str(documents), _assign_ids=True))


def test_records_without_an_id_fail(documents):
    create_id_generator_actor()
    get_id_generator_actor().register_batch([str(documents / "0.jsonl")], 9)
    with pytest.raises(RunFailedError, match="holds more records than were counted"):
        read(JsonlReader(str(documents / "0.jsonl"), _assign_ids=True))
    with pytest.raises(RunFailedError, match="has 10 records and 9 ids"):
        read(JsonlReader(str(documents / "0.jsonl"), read_kwargs={"dtype": True}, _assign_ids=True))


def test_an_attempt_that_goes_on_does_not_give_the_ids_of_the_one_before_again(documents, tmp_path):
    create_id_generator_actor()
    reader = JsonlReader(str(documents), _generate_ids=True)
    read(reader, checkpoint_path=tmp_path / "checkpoint")
    kill_id_generator_actor()
    create_id_generator_actor()
    with pytest.raises(CheckpointError, match="the ids that the earlier attempt gave are gone"):
        read(reader, checkpoint_path=tmp_path / "checkpoint")


def test_rows_that_are_not_numbered_are_no_rows_to_number(documents):
    task = FileGroupTask("in", [str(documents / "0.jsonl")])
    with pytest.raises(InputError, match="are not numbered; count them first"):
        list(JsonlReaderStage(["text"], _row_numbers=True).process(task))


@pytest.mark.ray
def test_where_ray_is_the_generator_is_an_actor_and_the_session_goes_on(documents, ray_cluster):
    import ray

    from nemo_curator.backends.ray_data import RayDataExecutor

    create_id_generator_actor()
    assert not ray.is_initialized()
    ray.init()
    actor = get_id_generator_actor()
    assert ray.get(actor.register_batch.remote(["x"], 5)) == 0
    batches = Pipeline("read", stages=[JsonlReader(str(documents), _generate_ids=True)]).run(RayDataExecutor())
    assert sorted(id_ for batch in batches for id_ in batch.column(ID).to_pylist()) == list(range(5, 105))
    again = read(JsonlReader(str(documents), _assign_ids=True), workers=2)
    assert sorted(again.values()) == list(range(5, 105))
    with pytest.raises(ValueError, match="already"):
        create_id_generator_actor()
    kill_id_generator_actor()
    assert ray.is_initialized()
    ray.shutdown()
    assert CURATOR_ID_GENERATOR_ACTOR_NAME == "curator_deduplication_id_generator"
