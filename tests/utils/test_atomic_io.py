import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from nemo_curator.utils.atomic_io import fsync_directory, write_json_atomically, write_json_atomically_if_absent


@pytest.fixture(params=["a folder", "a URL"])
def place(request, tmp_path):
    return str(tmp_path / "new" / "folder") if request.param == "a folder" else f"memory://{tmp_path.name}/folder"


def read(path):
    import fsspec

    with fsspec.open(path, "rb") as file:
        return json.load(file)


def test_a_file_is_replaced_by_another_as_a_whole(place):
    for value in ({"a": "é\ud800" * 1000}, ["b"]):
        write_json_atomically(f"{place}/x.json", value)
        assert read(f"{place}/x.json") == value


def test_a_file_that_is_there_stays(place):
    assert write_json_atomically_if_absent(f"{place}/x.json", 1) is True
    assert write_json_atomically_if_absent(f"{place}/x.json", 2) is False
    assert read(f"{place}/x.json") == 1


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.json"
    write_json_atomically(path, 1)
    for write in (write_json_atomically, write_json_atomically_if_absent):
        with pytest.raises(TypeError):
            write(path, {"a": object()})
    assert [found.name for found in tmp_path.iterdir()] == ["x.json"]
    assert read(path) == 1


def test_of_several_writers_at_once_exactly_one_wins(tmp_path):
    with ThreadPoolExecutor(16) as threads:
        for number in range(30):
            path, start = tmp_path / f"{number}.json", Barrier(16)

            def write(value, path=path, start=start):
                start.wait()
                return write_json_atomically_if_absent(path, [value] * 1000)

            won = list(threads.map(write, range(16)))
            assert won.count(True) == 1
            assert read(path) == [won.index(True)] * 1000
    assert len(list(tmp_path.iterdir())) == 30


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "x.json"
    write_json_atomically(path, [0] * 20_000)
    with ThreadPoolExecutor(2) as threads:
        writing = [
            threads.submit(lambda n=n: [write_json_atomically(path, [n] * 20_000) for _ in range(20)]) for n in (1, 2)
        ]
        seen = set()
        while not all(done.done() for done in writing):
            value = json.loads(path.read_text())
            assert len(value) == 20_000
            seen |= set(value)
    assert seen & {1, 2}


def test_only_a_folder_that_is_there_can_be_synced(tmp_path):
    fsync_directory(tmp_path)
    with pytest.raises(FileNotFoundError):
        fsync_directory(Path(tmp_path / "gone"))
