"""From lists of URLs to tars: runs that go on where they were, and what may not pass for success."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from base64 import b64encode
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest

from nemo_curator.errors import InputError, RunFailedError, StorageError
from nemo_curator.stages.image.io import ImageReaderStage
from tests.stages.image.download.lists import contents, download, members, rows, write_list
from tests.stages.image.io.images import picture
from tests.web_server import Answer

ROOT = Path(__file__).parents[4]
NOBODY = "http://127.0.0.1:1/"


@pytest.fixture
def urls(server):
    """Nine images of one server, and one that is not there."""
    return [*(server.put(f"/{number}.jpg", picture(number)) for number in range(9)), f"{server.url}/missing.jpg"]


@pytest.fixture
def listed(tmp_path, urls):
    return write_list(tmp_path / "list.parquet", urls)


def asked(server):
    return sorted(path for path, _ in server.asked)


def test_shards_are_numbered_and_keys_are_unique(tmp_path, listed):
    download(listed, tmp_path / "out", images_per_tar=4)
    assert sorted(contents(tmp_path / "out")) == [f"0000{at}.{kind}" for at in range(3) for kind in ("parquet", "tar")]
    keys = ["000000000", "000000001", "000000002", "000000003", "000010000"]
    assert [row["key"] for row in rows(tmp_path / "out")][:5] == keys
    assert members(tmp_path / "out")["000010000.jpg"] == picture(4)


def test_lists_are_numbered_one_after_the_other(tmp_path, urls):
    for name, some in {"a": urls[:3], "b": urls[3:5]}.items():
        write_list(tmp_path / f"lists/{name}.parquet", some)
    download(tmp_path / "lists", tmp_path / "out", images_per_tar=2)
    assert [row["url"] for row in rows(tmp_path / "out")] == urls[:5]
    assert [pq.read_metadata(path).num_rows for path in sorted((tmp_path / "out").glob("*.parquet"))] == [2, 1, 2]


def test_the_reader_takes_what_was_downloaded(tmp_path, listed):
    run = download(listed, tmp_path / "out", ImageReaderStage(), images_per_tar=5)
    assert [stage.rows_out for stage in run.stages[1:]] == [9, 9]


def test_a_shard_without_any_image_is_an_empty_tar(tmp_path, server, listed):
    write_list(listed, [f"{server.url}/missing{at}" for at in range(3)])
    run = download(listed, tmp_path / "out", ImageReaderStage())
    assert [stage.rows_out for stage in run.stages[1:]] == [0, 0]
    assert run.dropped() == {"http_404": 3}


def test_halves_of_characters_cost_no_more_than_a_url_that_holds_one(tmp_path, server):
    url = server.put("/a.jpg", picture(1))
    listed = tmp_path / "list.jsonl"
    records = [{"url": url, "text": "\ud800a", "tag": "\udfff"}, {"url": f"{url}\ud800", "tag": ["\ud800"]}]
    listed.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    run = download(listed, tmp_path / "out", metadata_fields=["tag"])
    assert run.dropped() == {"bad_url": 1}
    assert [row["caption"] for row in rows(tmp_path / "out")] == ["?a", None]
    assert members(tmp_path / "out")["000000000.txt"] == b"?a"


def test_a_table_that_is_damaged_is_named_with_what_to_do(tmp_path, listed):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"out/00000\.parquet cannot be read: .*; delete it, and the next run"):
        download(listed, tmp_path / "out")


def test_what_is_there_is_not_fetched_again(tmp_path, server, listed):
    first = download(listed, tmp_path / "out", images_per_tar=4)
    before, requests = contents(tmp_path / "out"), asked(server)
    again = download(listed, tmp_path / "out", images_per_tar=4, timeout=3)
    assert (contents(tmp_path / "out"), asked(server)) == (before, requests)
    assert [vars(stage)["rows_out"] for stage in again.stages] == [stage.rows_out for stage in first.stages]
    assert again.dropped() == first.dropped() == {"http_404": 1}


def test_a_shard_of_which_half_is_gone_is_made_again(tmp_path, listed):
    download(listed, tmp_path / "out", images_per_tar=4)
    before = contents(tmp_path / "out")
    (tmp_path / "out/00000.parquet").unlink()
    (tmp_path / "out/00001.tar").write_bytes(b"")
    download(listed, tmp_path / "out", images_per_tar=4)
    assert contents(tmp_path / "out") == before


def test_only_what_failed_is_fetched_again(tmp_path, server, listed):
    download(listed, tmp_path / "out", images_per_tar=5)
    requests = asked(server)
    server.put("/missing.jpg", picture(9))
    run = download(listed, tmp_path / "out", images_per_tar=5, retry_failed=True)
    assert asked(server) == sorted([*requests, "/missing.jpg"])
    assert run.stages[-1].rows_out == 10
    again = contents(tmp_path / "out")
    download(listed, tmp_path / "anew", images_per_tar=5)
    assert again == contents(tmp_path / "anew")


def test_another_list_does_not_pass_for_this_one(tmp_path, urls, listed):
    download(listed, tmp_path / "out")
    write_list(listed, urls[::-1])
    with pytest.raises(
        RunFailedError, match=r"00000\.parquet is of another list or other settings; give another output"
    ):
        download(listed, tmp_path / "out")
    assert rows(tmp_path / "out")[0]["url"] == urls[0]
    download(listed, tmp_path / "out", mode="overwrite")
    assert rows(tmp_path / "out")[0]["url"] == urls[-1]


def test_with_a_checkpoint_nothing_is_read_twice(tmp_path, server, listed):
    for _ in range(2):
        run = download(
            listed, tmp_path / "out", images_per_tar=4, run={"checkpoint_path": str(tmp_path / "checkpoint")}
        )
    assert len(server.asked) == 10
    assert run.dropped() == {"http_404": 1}


def test_a_network_that_reaches_nothing_is_an_error(tmp_path, server, urls, listed):
    write_list(listed, [f"{NOBODY}{at}" for at in range(6)])
    checkpoint = {"checkpoint_path": str(tmp_path / "checkpoint")}
    with pytest.raises(
        StorageError, match=r"none of 6 URLs could be reached .connect.; check that this machine has a net"
    ):
        download(listed, tmp_path / "out", images_per_tar=4, run=checkpoint)
    assert contents(tmp_path / "out") == {}
    write_list(listed, [*urls[:2], f"{NOBODY}2"])
    run = download(listed, tmp_path / "out", run={})
    assert run.dropped() == {"connect": 1}


def test_a_network_that_fails_half_way_is_an_error_and_the_next_run_goes_on(tmp_path, urls, listed):
    dead = [f"http://127.0.0.{at}:1/" for at in range(1, 26)]
    write_list(listed, [*urls[:9], *urls[:9], *urls[:7], *dead])
    with pytest.raises(RunFailedError, match=r"none of the 25 URLs of .*00001, on 25 hosts could be reached"):
        download(listed, tmp_path / "out", images_per_tar=25)
    assert sorted(contents(tmp_path / "out")) == ["00000.parquet", "00000.tar"]


def test_a_run_that_was_killed_goes_on_and_writes_the_same_bytes(tmp_path, server):
    slow = Answer(delay=0.1)
    urls = [server.put(f"/{number}.jpg", picture(number), always=slow) for number in range(24)]
    path = write_list(tmp_path / "list.parquet", urls)
    settings = {"images_per_tar": 4, "connections": 2}
    script = f"""
        from nemo_curator.stages.image.download import ImageDownloadStage
        from tests.stages.image.download.lists import download
        download({str(path)!r}, {str(tmp_path / "out")!r}, **{settings!r})
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=ROOT
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "out/00001.parquet").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {name for name in contents(tmp_path / "out") if not name.startswith(".")}
    assert len(kept) < 12
    done = 4 * sum(name.endswith(".parquet") for name in kept)
    before = len(server.asked)
    server.always.clear()
    download(path, tmp_path / "out", **settings)
    assert len(server.asked) - before == 24 - done
    download(path, tmp_path / "undisturbed", **settings)
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def test_private_addresses_are_refused_unless_they_are_allowed(tmp_path, server, urls, listed):
    port = re.search(r":(\d+)$", server.url)[1]
    ways_in = [f"http://{host}:{port}/0.jpg" for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]")]
    write_list(
        listed, [*ways_in, "http://169.254.169.254/", "http://10.1.2.3/", "http://[fd00::1]/", "http://0.0.0.0/"]
    )
    run = download(listed, tmp_path / "out", allow_private_addresses=False)
    assert run.dropped() == {"private_address": 8}
    assert server.asked == []
    assert download(listed, tmp_path / "in", allow_private_addresses=["127.0.0.0/8"]).stages[-1].rows_out >= 2


def test_a_proxy_is_asked_and_private_addresses_stay_refused(tmp_path, server, listed, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//me:p%40ss@"))
    monkeypatch.setenv("NO_PROXY", "")
    server.put("http://example.org/a.jpg", picture(1))
    write_list(listed, ["http://example.org/a.jpg", "http://127.0.0.1/a.jpg", "http://localhost/a.jpg"])
    run = download(listed, tmp_path / "out", allow_private_addresses=False)
    assert run.stages[-1].rows_out == 1
    assert run.dropped() == {"private_address": 2}
    assert server.heads[0]["Proxy-Authorization"] == f"Basic {b64encode(b'me:p@ss').decode()}"


def test_a_host_is_not_asked_more_often_at_once_than_told(tmp_path, server):
    slow = Answer(delay=0.02)
    urls = [server.put(f"/{number}.jpg", picture(0), always=slow) for number in range(30)]
    path = write_list(tmp_path / "list.parquet", urls)
    download(path, tmp_path / "out", connections=16, connections_per_host=3)
    assert server.most_at_once <= 3


def test_connections_are_used_again(tmp_path, server, listed, monkeypatch):
    opened = []
    accept = server.listening.get_request
    monkeypatch.setattr(server.listening, "get_request", lambda: opened.append(1) or accept())
    download(listed, tmp_path / "out", connections=1)
    assert len(server.asked) == 10
    assert len(opened) == 1


def test_lists_and_tars_may_be_behind_urls(tmp_path, server, listed):
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/downloads/list.parquet", listed.read_bytes())
    for _ in range(2):
        download("memory://downloads/list.parquet", "memory://downloads/out", images_per_tar=6)
    download(listed, tmp_path / "out", images_per_tar=6)
    there = {path.rpartition("/")[2]: memory.cat_file(path) for path in memory.ls("/downloads/out", detail=False)}
    assert there == contents(tmp_path / "out")
    assert len(server.asked) == 20
    memory.rm("/downloads", recursive=True)
