"""Pipelines from an object store to an object store, which fails now and then, and the same bytes as undisturbed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.backends.ray_actor_pool import RayActorPoolExecutor
from nemo_curator.errors import CuratorError, RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication.buckets import BucketSource, BucketWriter, read_bucket
from nemo_curator.stages.text.io.reader import JsonlReader, ParquetReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.tasks import EmptyTask
from tests.storage.conftest import SECRET
from tests.storage.job import job

ROOT = Path(__file__).parents[2]
SHARES = {"500": 0.04, "503": 0.04, "cut": 0.04, "drop": 0.04}
FILES, LINES = 12, 20


def lines(number):
    return "".join(json.dumps({"text": f"file {number} line {line} " + "word " * line}) + "\n" for line in range(LINES))


@pytest.fixture
def filled(store):
    """A bucket with documents."""
    fs, bucket = store
    for number in range(FILES):
        fs.pipe_file(f"{bucket}/in/{number:02}.jsonl", lines(number).encode())
    return fs, bucket


@pytest.fixture
def undisturbed(tmp_path):
    """What a run over the same files on this machine writes, by format."""

    def run(kind):
        folder = tmp_path / "in"
        folder.mkdir(exist_ok=True)
        for number in range(FILES):
            (folder / f"{number:02}.jsonl").write_text(lines(number))
        job(str(folder), str(tmp_path / kind), kind, modifier=str.upper).run(LocalExecutor(num_workers=0))
        return {path.name: path.read_bytes() for path in (tmp_path / kind).iterdir()}

    return run


def found(fs, folder):
    fs.invalidate_cache()
    return {path.rpartition("/")[2]: fs.cat_file(path) for path in fs.find(folder)}


def whole_store(fs, bucket):
    return b"".join(data + name.encode() for name, data in found(fs, bucket).items())


@pytest.mark.parametrize(("kind", "workers"), [("jsonl", 0), ("parquet", 2)])
def test_a_run_gets_through_a_storage_that_fails_now_and_then(
    filled, options, variables, proxy, undisturbed, kind, workers, caplog
):
    fs, bucket = filled
    proxy.make(shares=SHARES, seed=workers)
    pipeline = job(f"{bucket}/in", f"{bucket}/out", kind, storage_options=options, modifier=str.upper)
    made = pipeline.run(
        LocalExecutor(num_workers=workers),
        checkpoint_path=f"{bucket}/checkpoint",
        rejected_path=f"{bucket}/rejected",
    )
    assert sum(proxy.counts[one] for one in SHARES) > 0
    proxy.make()
    assert found(fs, f"{bucket}/out") == undisturbed(kind)
    assert len(made) == FILES
    rejected = b"".join(found(fs, f"{bucket}/rejected").values()).splitlines()
    assert len(rejected) == sum(pipeline.last_run.dropped().values()) > 0
    assert len(found(fs, f"{bucket}/checkpoint")) >= 2
    assert SECRET.encode() not in whole_store(fs, bucket)
    assert SECRET not in caplog.text


def test_the_checkpoint_holds_no_credentials_and_knows_the_outputs(filled, options, variables, proxy):
    fs, bucket = filled
    for attempt in range(2):
        proxy.make()
        pipeline = job(f"{bucket}/in", f"{bucket}/out", "jsonl", storage_options=options, modifier=str.upper)
        pipeline.run(LocalExecutor(num_workers=0), checkpoint_path=f"{bucket}/checkpoint")
        wrote = [one for one in proxy.seen if one.startswith("PUT") and "/out/" in one]
        assert len(wrote) == (0 if attempt else FILES)
    kept = found(fs, f"{bucket}/checkpoint")
    assert "run.json" in kept
    for secret in (SECRET, options["key"], "endpoint_url"):
        assert all(secret.encode() not in data for data in kept.values())


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(filled, variables, proxy, undisturbed, workers):
    fs, bucket = filled
    given = {"checkpoint_path": f"{bucket}/checkpoint", "rejected_path": f"{bucket}/rejected"}
    command = [sys.executable, ROOT / "tests" / "storage" / "job.py", f"{bucket}/in", f"{bucket}/out", "jsonl"]
    command += [str(workers), json.dumps(given)]
    proxy.make(shares=SHARES, seed=9)
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 120
        while not any(f"PUT /{bucket[5:]}/out/" in one for one in list(proxy.seen)):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert 0 < len(found(fs, f"{bucket}/out")) < FILES
    time.sleep(1.0)  # the workers of a killed run notice within half a second
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert "ended" in done.stdout, done.stderr
    assert SECRET not in done.stdout + done.stderr
    proxy.make()
    assert found(fs, f"{bucket}/out") == undisturbed("jsonl")
    assert SECRET.encode() not in whole_store(fs, bucket)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_always_fails_is_named_and_the_others_are_written(filled, options, variables, proxy, workers):
    fs, bucket = filled
    proxy.make(persistent=("/in/07.jsonl",), methods=("GET",))
    pipeline = job(
        f"{bucket}/in", f"{bucket}/out", "jsonl", storage_options=options, modifier=str.upper, files_per_partition=1
    )
    with pytest.raises(RunFailedError, match=r"cannot read s3://.*/in/07\.jsonl: .*tried 8 times") as told:
        pipeline.run(LocalExecutor(num_workers=workers))
    assert SECRET not in str(told.value)
    proxy.make()
    written = b"".join(found(fs, f"{bucket}/out").values())
    assert [number for number in range(FILES) if f"FILE {number} ".encode() not in written] == [7]


def test_a_missing_bucket_is_one_error_at_once(filled, options, proxy):
    _, bucket = filled
    proxy.make()
    for folder, out in ((f"{bucket}-no", f"{bucket}/out"), (f"{bucket}/in", f"{bucket}-no/out")):
        pipeline = job(folder, out, "jsonl", storage_options=options)
        with pytest.raises((CuratorError, FileNotFoundError), match=f"{bucket}-no"):
            pipeline.run(LocalExecutor(num_workers=0))
    assert proxy.counts["requests"] < 60


def test_memory_is_a_storage_like_any_other(tmp_path, undisturbed):
    import fsspec

    fs, root = fsspec.filesystem("memory"), f"memory://{tmp_path.name}"
    for number in range(FILES):
        fs.pipe_file(f"{root}/in/{number:02}.jsonl", lines(number).encode())
    for kind in ("jsonl", "parquet"):
        pipeline = job(f"{root}/in", f"{root}/{kind}", kind, modifier=str.upper)
        for _ in range(2):
            pipeline.run(
                LocalExecutor(num_workers=0),
                checkpoint_path=f"{root}/checkpoint-{kind}",
                rejected_path=f"{root}/rejected-{kind}",
            )
            assert found(fs, f"{root}/{kind}") == undisturbed(kind)
        assert len(found(fs, f"{root}/rejected-{kind}")) == FILES


def test_buckets_are_written_and_read_over_a_storage_that_fails_now_and_then(filled, options, variables, proxy):
    _, bucket = filled
    proxy.make(shares=SHARES, seed=21)
    stages = [
        JsonlReader(f"{bucket}/in", read_kwargs={"storage_options": options}),
        BucketWriter(f"{bucket}/buckets", "text", 4, storage_options=options),
    ]
    for _ in range(2):
        Pipeline("bucket", stages=stages).run(LocalExecutor(num_workers=2), checkpoint_path=f"{bucket}/checkpoint")
    tasks = BucketSource(f"{bucket}/buckets", options).process(EmptyTask())
    texts = [read_bucket(task, ["text"], options)["text"].to_pylist() for task in tasks]
    assert len(texts) == 4
    assert sorted(text for some in texts for text in some) == sorted(
        json.loads(line)["text"] for number in range(FILES) for line in lines(number).splitlines()
    )
    assert sum(proxy.counts[one] for one in SHARES) > 2


def test_wrong_credentials_are_one_error_at_once(filled, options, proxy):
    _, bucket = filled
    proxy.make(refused=("wrong",))
    pipeline = job(f"{bucket}/in", f"{bucket}/out", "jsonl", storage_options={**options, "key": "wrong"})
    with pytest.raises(CuratorError, match=rf"cannot look at {bucket}/in: PermissionError.*check the cred") as told:
        pipeline.run(LocalExecutor(num_workers=0))
    assert SECRET not in str(told.value)
    assert proxy.counts["requests"] == proxy.counts["403"] == 1


@pytest.mark.ray
def test_ray_actors_read_and_write_a_storage_that_fails_now_and_then(
    filled, options, variables, proxy, undisturbed, ray_cluster
):
    fs, bucket = filled
    proxy.make(shares=SHARES, seed=31)
    pipeline = job(f"{bucket}/in", f"{bucket}/out", "jsonl", storage_options=options, modifier=str.upper)
    pipeline.run(RayActorPoolExecutor(), checkpoint_path=f"{bucket}/checkpoint")
    proxy.make()
    assert found(fs, f"{bucket}/out") == undisturbed("jsonl")


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("nth", [0, 1, 2])
def test_a_source_that_stops_answering_is_unread_and_not_damaged(store, options, proxy, kind, nth, tmp_path):
    fs, bucket = store
    table = pa.table({"text": [f"a text with a few words {n}" for n in range(400_000)]})
    with fs.open(f"{bucket}/in/a.{kind}", "wb") as file:
        if kind == "parquet":
            pq.write_table(table, file, row_group_size=40_000, compression="none", use_dictionary=False)
        else:
            file.write(b"".join(b'{"text": "%s"}\n' % text.as_py().encode() for text in table["text"]))
    reader = {"jsonl": JsonlReader, "parquet": ParquetReader}[kind]
    options_of_reader = {"read_kwargs": {"storage_options": options}, "files_per_partition": 1}
    pipeline = Pipeline(
        "read", stages=[reader(f"{bucket}/in", **options_of_reader), JsonlWriter(str(tmp_path / "out"))]
    )
    tasks = pipeline.build()[0].process(EmptyTask())
    proxy.make(persistent=(f"/a.{kind}",), methods=("GET",), after=nth)
    with pytest.raises(RunFailedError, match=rf"cannot read s3://.*a\.{kind}.*tried 8 times"):
        pipeline.run(LocalExecutor(num_workers=0), initial_tasks=tasks, max_failed_fraction=1.0)
    assert pipeline.last_run.unread == 1
    assert nth == 1 or (pipeline.last_run.stages[-1].rows_out > 0) == (nth == 2)
