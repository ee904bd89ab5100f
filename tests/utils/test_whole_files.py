import signal
import subprocess
import sys
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.tasks import DocumentBatch
from nemo_curator.utils.storage import locate
from nemo_curator.utils.whole_files import appearing_whole, put, remove_leftovers

WRITING = """
import sys, time
sys.path.insert(0, sys.argv[1])
from nemo_curator.utils.whole_files import appearing_whole
with appearing_whole(sys.argv[2]) as place:
    open(place, "w").write("half")
    print(place, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def writing(tmp_path):
    """Starts a process that is in the middle of a file; returns it and the unfinished file."""
    started = []

    def start(path):
        root = Path(__file__).parents[2]
        command = [sys.executable, "-c", WRITING, str(root), str(path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_complete(tmp_path):
    with appearing_whole(str(tmp_path / "new" / "a.txt")) as place:
        Path(place).write_text("whole")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert names(tmp_path / "new") == ["a.txt"]
    with pytest.raises(FileNotFoundError), appearing_whole(str(tmp_path / "new" / "a.txt")):
        Path(tmp_path / "none").read_text()
    assert names(tmp_path / "new") == ["a.txt"]
    assert (tmp_path / "new" / "a.txt").read_text() == "whole"


def test_the_unfinished_file_of_a_killed_process_is_deleted_and_no_other(tmp_path, writing):
    dead, left = writing(tmp_path / "a.jsonl")
    _, living = writing(tmp_path / "b.jsonl")
    kill(dead)
    elsewhere = tmp_path / left.name.replace(".writing-", ".writing-elsewhere.", 1)
    others = [elsewhere, tmp_path / ".writing-this", tmp_path / ".writing-12-a", tmp_path / "c.jsonl"]
    for path in others:
        path.touch()
    assert remove_leftovers(str(tmp_path)) == [left.name]
    assert names(tmp_path) == sorted(path.name for path in [living, *others])
    assert remove_leftovers(str(tmp_path / "nowhere")) == []
    assert remove_leftovers("memory://nowhere") == []


def test_a_run_clears_up_what_a_killed_one_left_in_its_folders(tmp_path, writing):
    folders = [tmp_path / "out", tmp_path / "checkpoint", tmp_path / "checkpoint" / "tasks"]
    for folder in folders:
        dead, left = writing(folder / "x")
        kill(dead)
        assert left.exists()
    batch = DocumentBatch("d", pa.table({"text": ["a"]}))
    Pipeline("p", stages=[JsonlWriter(str(tmp_path / "out"))]).run(
        LocalExecutor(num_workers=0), initial_tasks=[batch], checkpoint_path=tmp_path / "checkpoint"
    )
    assert [path for folder in folders for path in folder.iterdir() if path.name.startswith(".")] == []


def test_putting_makes_the_folders_and_replaces_what_is_there(tmp_path):
    for path in (str(tmp_path / "a" / "b" / "c.bin"), f"memory://{tmp_path.name}/a/b/c.bin"):
        for data in (b"first", b"second"):
            put(*locate(path), data)
            assert fsspec.open(path).open().read() == data
