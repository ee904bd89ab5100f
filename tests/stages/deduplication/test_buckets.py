import json
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import CheckpointError, InputError, RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.buckets import (
    BucketSource,
    BucketWriter,
    bucket_of,
    buckets_for,
    read_bucket,
)
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.tasks import DocumentBatch, FileGroupTask
from nemo_curator.utils.whole_files import appearing_whole

FILES, LINES = 6, 50


class ReadBucket(ProcessingStage[FileGroupTask, DocumentBatch]):
    """Read each bucket into one batch."""

    name = "read_bucket"

    def process(self, task):
        return DocumentBatch.from_arrow(read_bucket(task), metadata={**task._metadata})


@pytest.fixture
def documents(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(FILES):
        lines = [{"id": f"{number}-{line}", "hash": (number * line) % 37, "text": "t" * line} for line in range(LINES)]
        (folder / f"{number}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def writing(documents, path, **options):
    given = {"key_field": "hash", "num_buckets": 8, **options}
    return Pipeline("bucket", stages=[JsonlReader(str(documents)), BucketWriter(str(path), **given)])


def reading(path, *more):
    return Pipeline("take", stages=[BucketSource(str(path)), ReadBucket(), *more])


def here(workers=0):
    return LocalExecutor(num_workers=workers)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(Path(folder).rglob("*.parquet"))}


keys = st.one_of(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)).map(lambda some: pa.array(some, pa.int64())),
    st.lists(st.none() | st.integers(0, 2**64 - 1)).map(lambda some: pa.array(some, pa.uint64())),
    st.lists(st.none() | st.text(max_size=20)).map(lambda some: pa.array(some, pa.string())),
    st.lists(st.none() | st.binary(max_size=20)).map(lambda some: pa.array(some, pa.large_binary())),
    st.lists(st.none() | st.binary(min_size=4, max_size=4)).map(lambda some: pa.array(some, pa.binary(4))),
)


@settings(deadline=None, max_examples=300)
@given(keys, st.integers(0, 14), st.integers(0, 5), st.data())
def test_the_bucket_of_a_key_depends_on_the_key_alone(array, bits, cut, data):
    buckets = bucket_of(array, 2**bits)
    assert len(buckets) == len(array)
    assert all(0 <= bucket < 2**bits for bucket in buckets)
    by_key = dict(zip(array.to_pylist(), buckets.tolist()))
    assert [by_key[key] for key in array.to_pylist()] == buckets.tolist()
    assert bucket_of(array.slice(cut), 2**bits).tolist() == buckets[cut:].tolist()
    parts = pa.chunked_array([array.slice(0, cut), array.slice(cut)], array.type)
    assert bucket_of(parts, 2**bits).tolist() == buckets.tolist()
    if pa.types.is_string(array.type):
        for other in (pa.large_string(), pa.binary(), pa.string_view()):
            assert bucket_of(array.cast(other), 2**bits).tolist() == buckets.tolist()
        assert bucket_of(array.dictionary_encode(), 2**bits).tolist() == buckets.tolist()


def test_long_keys_are_hashed_in_parts_with_the_same_result():
    texts = ["a" * (3 * 2**20), "", "b" * (5 * 2**20), "c", "a" * (3 * 2**20)]
    together = bucket_of(pa.array(texts), 2**14)
    assert together.tolist() == [bucket_of(pa.array([text]), 2**14)[0] for text in texts]


@pytest.mark.parametrize("make", [str, lambda n: f"{n:032x}", lambda n: f"prefix{n}suffix", int, lambda n: n << 40])
def test_keys_are_spread_evenly(make):
    sizes = np.bincount(bucket_of(pa.array([make(n) for n in range(64_000)]), 64), minlength=64)
    assert sizes.min() > 850
    assert sizes.max() < 1150


@pytest.mark.parametrize(
    ("total", "memory", "number"),
    [(0, 1, 1), (10, 100, 1), (50, 100, 1), (51, 100, 2), (10**9, 10**8, 32), (2**30, 2**20, 2048)],
)
def test_buckets_are_as_many_as_memory_asks_for(total, memory, number):
    assert buckets_for(total, memory) == number


def test_what_no_number_of_buckets_can_do_is_said():
    with pytest.raises(ValueError, match="give more memory"):
        buckets_for(10**15, 10**6)
    with pytest.raises(ValueError, match="wanted a power of two"):
        BucketWriter("x", key_field="id", num_buckets=12)


@pytest.mark.parametrize("workers", [0, 2])
def test_every_row_is_in_one_bucket_and_equal_keys_in_the_same(documents, tmp_path, workers):
    pipeline = writing(documents, tmp_path / "buckets")
    pipeline.run(here(workers))
    assert [stage.rows_out for stage in pipeline.last_run.stages][1:] == [FILES * LINES] * 2
    again = reading(tmp_path / "buckets")
    batches = again.run(here(workers))
    tables = [batch.to_pyarrow() for batch in batches]
    assert sorted(one for table in tables for one in table["id"].to_pylist()) == sorted(
        f"{number}-{line}" for number in range(FILES) for line in range(LINES)
    )
    keys = [set(table["hash"].to_pylist()) for table in tables]
    assert sum(map(len, keys)) == len(set.union(*keys)) == 37
    assert again.last_run.stages[1].rows_out == FILES * LINES
    for batch, found in zip(batches, keys):
        assert set(bucket_of(pa.array(list(found)), 8)) == {batch._metadata["bucket"]}


def test_rows_keep_their_order_and_values_within_a_file(tmp_path, documents):
    writing(documents, tmp_path / "buckets", fields=["id"]).run(here())
    for name, data in files(tmp_path / "buckets").items():
        table = pq.read_table(pa.BufferReader(data))
        assert table.column_names == ["hash", "id"]
        assert len({one.split("-")[0] for one in table["id"].to_pylist()}) == 1
        places = [int(one.split("-")[1]) for one in table["id"].to_pylist()]
        assert places == sorted(places), name


def test_several_batches_share_their_files_where_asked_to(documents, tmp_path):
    stages = [JsonlReader(str(documents)), BucketWriter(str(tmp_path / "b"), "hash", 4).with_(batch_size=3)]
    pipeline = Pipeline("bucket", stages=stages)
    pipeline.run(here())
    assert len(files(tmp_path / "b")) == 2 * 4
    assert pipeline.last_run.stages[-1].rows_out == FILES * LINES


def test_batches_without_rows_are_in_no_bucket(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text("")
    writing(tmp_path / "in", tmp_path / "buckets").run(here())
    with pytest.raises(InputError, match="found nothing to read"):
        reading(tmp_path / "buckets").run(here())


def test_a_run_that_goes_on_ends_with_the_same_files(documents, tmp_path):
    writing(documents, tmp_path / "one").run(here())
    checkpoint = tmp_path / "checkpoint"
    writing(documents, tmp_path / "two").run(here(), checkpoint_path=checkpoint)
    record = next(checkpoint.glob("done-*"))
    record.write_text("".join(line + "\n" for line in record.read_text().splitlines()[:2]))
    (checkpoint / "run.json").write_text((checkpoint / "run.json").read_text().replace("true", "false"))
    for path in list((tmp_path / "two").rglob("*.parquet"))[::3]:
        path.unlink()
    (tmp_path / "two" / "1" / ".writing-elsewhere-1-x.parquet").write_text("half")
    pipeline = writing(documents, tmp_path / "two")
    pipeline.run(here(2), checkpoint_path=checkpoint)
    assert {name: data for name, data in files(tmp_path / "two").items() if "writing" not in name} == files(
        tmp_path / "one"
    )
    assert len(reading(tmp_path / "two").run(here())) == 8
    with pytest.raises(CheckpointError, match="num_buckets was 8 and is 16"):
        writing(documents, tmp_path / "two", num_buckets=16).run(here(), checkpoint_path=checkpoint)


def test_what_an_ended_attempt_wrote_of_another_input_does_not_stay(documents, tmp_path):
    stage = BucketWriter(str(tmp_path / "b"), "hash", 8)
    stage.before_run(None)
    first = DocumentBatch("d", pa.table({"hash": range(100)}), task_id="0_p")
    second = DocumentBatch("d", pa.table({"hash": [1]}), task_id="0_p")
    assert len(stage.process(first).data) == 8
    stage.before_run(True)
    made = stage.process(second)
    assert [f"{tmp_path}/b/{name}" for name in files(tmp_path / "b")] == made.data


def test_what_killed_workers_left_is_deleted(documents, tmp_path):
    with appearing_whole(str(tmp_path / "name")) as place:
        Path(place).touch()
        prefix = Path(place).name.partition(f"-{os.getpid()}-")[0]
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / "buckets" / "3" / f"{prefix}-{dead.pid}-x.parquet"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    writing(documents, tmp_path / "buckets", mode="ignore").run(here())
    assert not left.exists()
    assert len(files(tmp_path / "buckets")) > 8


def test_buckets_of_another_run_are_refused_or_deleted(documents, tmp_path):
    writing(documents, tmp_path / "buckets", num_buckets=16).run(here())
    with pytest.raises(FileExistsError, match="it is not empty"):
        writing(documents, tmp_path / "buckets").run(here())
    writing(documents, tmp_path / "buckets", mode="overwrite").run(here())
    assert {name.split("/")[0] for name in files(tmp_path / "buckets")} == set("01234567")
    (tmp_path / "buckets" / "11").mkdir()
    (tmp_path / "buckets" / "11" / "x.parquet").write_bytes(b"x")
    with pytest.raises(InputError, match=r"has 8 buckets and holds 11/x\.parquet"):
        reading(tmp_path / "buckets").run(here())
    with pytest.raises(InputError, match="write the buckets with BucketWriter"):
        reading(documents).run(here())


def test_runs_may_share_a_folder_if_their_buckets_are_the_same(documents, tmp_path):
    for _ in range(2):
        writing(documents, tmp_path / "buckets", mode="ignore").run(here())
    writing(documents, tmp_path / "once").run(here())
    assert files(tmp_path / "buckets") == files(tmp_path / "once")
    for other in ({"num_buckets": 16}, {"key_field": "id"}):
        with pytest.raises(FileExistsError, match=r"its buckets are \{'num_buckets': 8, 'key': 'hash'\}, wanted"):
            writing(documents, tmp_path / "buckets", mode="ignore", **other).run(here())


def test_a_damaged_file_is_named_and_a_key_that_is_none_fails(documents, tmp_path):
    writing(documents, tmp_path / "buckets").run(here())
    path = next((tmp_path / "buckets").rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(RunFailedError, match=f"{path.name} is damaged"):
        reading(tmp_path / "buckets", JsonlWriter(str(tmp_path / "out"))).run(here())
    (documents / "x.jsonl").write_text('{"hash": 1.5}\n')
    with pytest.raises(RunFailedError, match="a key is an integer, text or bytes, not double"):
        writing(documents, tmp_path / "other").run(here())


def test_buckets_may_lie_behind_a_url(documents, tmp_path):
    path = f"memory://{tmp_path.name}/buckets"
    writing(documents, tmp_path / "buckets").run(here())
    for _ in range(2):
        writing(documents, path, mode="overwrite").run(here(), checkpoint_path=f"memory://{tmp_path.name}/checkpoint")
    fs = fsspec.filesystem("memory")
    found = {name.partition("/buckets/")[2]: fs.cat_file(name) for name in fs.find(path) if name.endswith(".parquet")}
    assert found == files(tmp_path / "buckets")
    batches = reading(path).run(here())
    assert sum(batch.num_items for batch in batches) == FILES * LINES
