"""Reading, writing and listing over an object store that fails now and then."""

import io
import time

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.errors import InputError, StorageError
from nemo_curator.stages.text.io.reader.lines import read_lines
from nemo_curator.utils.file_utils import check_output_mode, delete_dir, is_not_empty, read_json_file, write_json_file
from nemo_curator.utils.find_files import find_files, find_input_files, with_sizes
from nemo_curator.utils.retries import ATTEMPTS
from nemo_curator.utils.storage import ask, kind_of, locate, open_bytes

MANY = dict.fromkeys(("500", "503", "cut", "drop"), 0.05)
DATA = bytes(range(256)) * 40_000


@pytest.mark.parametrize("shares", [MANY, {"cut": 0.25}, {"drop": 0.25}, {"503": 0.25}, {"slow": 0.2}], ids=str)
def test_a_file_is_read_whole_though_requests_fail(store, options, proxy, shares):
    fs, bucket = store
    fs.pipe_file(f"{bucket}/big.bin", DATA)
    proxy.make(shares=shares, seed=3)
    for _ in range(4):
        with open_bytes(f"{bucket}/big.bin", options) as file:
            assert b"".join(iter(lambda: file.read(100_000), b"")) == DATA
            assert file.seek(-10, io.SEEK_END) == len(DATA) - 10
            assert file.read() == DATA[-10:]
            assert (file.seek(5_000_000), file.read(3)) == (5_000_000, DATA[5_000_000:5_000_003])
    assert sum(proxy.counts[kind] for kind in shares) > 0


def test_parquet_is_read_though_requests_fail(store, options, proxy):
    fs, bucket = store
    table = pa.table({"n": pa.array(range(200_000)), "text": [f"text {n}" for n in range(200_000)]})
    with fs.open(f"{bucket}/a.parquet", "wb") as file:
        pq.write_table(table, file, row_group_size=20_000)
    proxy.make(shares={"cut": 0.2, "drop": 0.2}, seed=5)
    for pre_buffer in (True, False, True):
        with open_bytes(f"{bucket}/a.parquet", options) as file:
            found = pq.ParquetFile(file, pre_buffer=pre_buffer)
            assert pa.Table.from_batches(found.iter_batches(5000)).equals(table)
    assert proxy.counts["cut"] + proxy.counts["drop"] > 0


def test_little_more_is_asked_for_than_is_wanted(store, options, proxy):
    fs, bucket = store
    fs.pipe_file(f"{bucket}/a.jsonl", b'{"text": "a line of some length"}\n' * 500_000)
    for start, stop in ((0, 2**23), (2**23, 2**24)):
        proxy.make()
        found = sum(len(run) for _, run in read_lines(f"{bucket}/a.jsonl", start, stop, storage_options=options))
        assert abs(found - (stop - start)) < 100
        assert proxy.counts["requests"] <= 4
        assert proxy.counts["bytes"] < 1.1 * (stop - start)


def test_what_a_listing_knows_is_not_asked_for_again(store, options, proxy):
    fs, bucket = store
    for number in range(5):
        fs.pipe_file(f"{bucket}/in/{number}.jsonl", b"{}\n")
    found = find_input_files(f"{bucket}/in", [".jsonl"], options)
    proxy.make()
    for one in with_sizes(found, options):
        with open_bytes(one.path, options) as file:
            assert file.read() == b"{}\n"
    assert [seen.split()[0] for seen in proxy.seen] == ["GET"] * 5


def test_a_file_that_changes_while_it_is_read_is_an_error(store, options):
    fs, bucket = store
    fs.pipe_file(f"{bucket}/a.bin", DATA)
    with open_bytes(f"{bucket}/a.bin", options) as file:
        file.read(10)
        fs.pipe_file(f"{bucket}/a.bin", DATA[::-1])
        with pytest.raises(StorageError, match=r"s3://.*/a\.bin was changed while it was read"):
            file.read()


def test_a_file_that_always_fails_is_named_with_what_to_do(store, options, proxy):
    fs, bucket = store
    fs.pipe_file(f"{bucket}/bad.bin", DATA)
    proxy.make(persistent=("/bad.bin",))
    with pytest.raises(
        StorageError, match=r"cannot read s3://.*/bad\.bin: .*; tried 8 times in .* run it again"
    ) as told:
        open_bytes(f"{bucket}/bad.bin", options)
    assert proxy.counts["500"] == ATTEMPTS
    assert "secret" not in str(told.value)
    assert isinstance(told.value, OSError)


def test_listing_sizes_and_writing_get_through(store, options, proxy):
    fs, bucket = store
    for number in range(30):
        fs.pipe_file(f"{bucket}/in/{number % 3}/{number:02}.jsonl", b"x" * number)
    proxy.make(shares=MANY, seed=7)
    found = find_input_files(f"{bucket}/in", [".jsonl"], options)
    assert len(found) == 30
    assert sorted(one.size for one in with_sizes(found, options)) == list(range(30))
    assert len(find_files(f"{bucket}/in/1/*.jsonl", options)) == 10
    assert is_not_empty(f"{bucket}/in", storage_options=options)
    for number in range(10):
        write_json_file(f"{bucket}/out/{number}.json", {"n": number}, options)
        assert read_json_file(f"{bucket}/out/{number}.json", options) == {"n": number}
    delete_dir(f"{bucket}/in", storage_options=options)
    assert fs.find(bucket) == sorted(f"{bucket[5:]}/out/{number}.json" for number in range(10))
    assert proxy.counts["503"] > 0


def test_emptying_a_folder_does_not_take_its_name_for_a_pattern(store, options):
    fs, bucket = store
    for folder in ("a[1]", "a1", "a[1]b"):
        fs.pipe_file(f"{bucket}/{folder}/x.jsonl", b"x")
    delete_dir(f"{bucket}/a[1]", storage_options=options)
    assert [name.split("/")[1] for name in fs.find(bucket)] == ["a1", "a[1]b"]


@pytest.mark.parametrize(
    "name",
    [
        "a b.jsonl",
        "é e\u0301.jsonl",
        "100%25.jsonl",
        "a#b?c.jsonl",
        "a[1]*.jsonl",
        "-x.jsonl",
        "a::b.jsonl",
        "a+b&c=d.jsonl",
    ],
)
def test_a_name_is_a_name(store, options, name):
    fs, bucket = store
    fs.call_s3("put_object", Bucket=bucket[5:], Key=f"in/{name}", Body=b'{"a": 1}\n')
    [found] = find_input_files(f"{bucket}/in", [".jsonl"], options)
    assert (found.path, found.size) == (f"{bucket}/in/{name}", 9)
    assert [run for _, run in read_lines(found.path, storage_options=options)] == [b'{"a": 1}\n']
    assert find_input_files(found.path, [".jsonl"], options)[0].path == found.path


def test_a_missing_bucket_and_a_missing_file_are_said_at_once(store, options, proxy):
    _, bucket = store
    proxy.make()
    with pytest.raises(InputError, match="cannot read s3://no-such-bucket-here/in: there is no such"):
        find_input_files("s3://no-such-bucket-here/in", [".jsonl"], options)
    with pytest.raises(FileNotFoundError, match=r"s3://bucket.*/nothing\.jsonl"):
        open_bytes(f"{bucket}/nothing.jsonl", options)
    with pytest.raises(FileNotFoundError, match="there is no bucket no-such-bucket-here; create it"):
        check_output_mode("ignore", locate(bucket, options)[0], "s3://no-such-bucket-here/out")
    assert proxy.counts["requests"] < 12
    assert not any(one.startswith("PUT") for one in proxy.seen)


def test_a_server_that_is_not_there_is_said(options, monkeypatch):
    monkeypatch.setenv("CURATOR_RETRY_WAIT_S", "0.01")
    start = time.monotonic()
    with pytest.raises(StorageError, match=r"cannot look at s3://bucket/in: .*127\.0\.0\.1:9.*tried 8 times"):
        find_input_files(
            "s3://bucket/in", [".jsonl"], {**options, "client_kwargs": {"endpoint_url": "http://127.0.0.1:9"}}
        )
    assert time.monotonic() - start < 10


def test_without_credentials_the_error_says_where_they_go(options, monkeypatch, tmp_path):
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StorageError, match=r"cannot look at s3://bucket/in: .*AWS_ACCESS_KEY_ID"):
        find_input_files("s3://bucket/in", [".jsonl"], {"client_kwargs": options["client_kwargs"]})


def test_settings_of_a_script_for_trying_again_are_kept(store, options, proxy):
    _, bucket = store
    given = {**options, "config_kwargs": {"retries": {"max_attempts": 1}}}
    proxy.make(persistent=("/x",))
    for storage_options, requests in ((options, ATTEMPTS), (given, ATTEMPTS * 2)):
        proxy.counts.clear()
        with pytest.raises(StorageError):
            kind_of(*locate(f"{bucket}/x", storage_options))
        assert proxy.counts["500"] == requests
    assert given["config_kwargs"] == {"retries": {"max_attempts": 1}}


@pytest.mark.parametrize("shares", [{}, MANY, {"cut": 0.2}], ids=str)
def test_a_file_behind_plain_http_is_read_though_requests_fail(store, proxy, shares):
    fs, bucket = store
    fs.call_s3("put_object", Bucket=bucket[5:], Key="a.bin", Body=DATA, ACL="public-read")
    proxy.make(shares=shares, seed=11)
    for _ in range(3):
        with open_bytes(f"{proxy.url}/{bucket[5:]}/a.bin") as file:
            assert b"".join(iter(lambda: file.read(1_000_000), b"")) == DATA
    assert bool(shares) == (sum(proxy.counts[kind] for kind in shares) > 0)
    proxy.make(persistent=("/a.bin",))
    with pytest.raises(StorageError, match=r"cannot read http://.*/a\.bin: .*tried 8 times"):
        open_bytes(f"{proxy.url}/{bucket[5:]}/a.bin")


def test_memory_is_read_and_written_like_any_storage():
    fs, place = locate("memory://steady/a.bin")
    ask(fs, "pipe_file", place, DATA)
    assert kind_of(fs, place) == "file"
    assert kind_of(*locate("memory://steady")) == "directory"
    assert kind_of(*locate("memory://steady/b")) is None
    with open_bytes("memory://steady/a.bin") as file:
        assert file.read() == DATA
    fsspec.filesystem("memory").rm("/steady", recursive=True)
