"""Files of this machine, and of one that wears out. tests/storage has an object store."""

import errno
import io

import pytest

from nemo_curator.errors import StorageError
from nemo_curator.utils.storage import SteadyFile, ask, kind_of, locate, open_bytes

DATA = bytes(range(256)) * 1000


class Worn(io.BytesIO):
    """A file on a disk that fails now and then: each number of `fails` is a read, of all, that does."""

    reads = 0

    def __init__(self, data, fails, error):
        super().__init__(data)
        self.fails, self.error = fails, error

    def read(self, size=-1):
        Worn.reads += 1
        if Worn.reads in self.fails:
            raise OSError(self.error, "worn out")
        return super().read(size)


def worn(fails, error=errno.EIO, data=DATA, stamp=lambda file: 1):
    Worn.reads = 0
    opened = []

    def opening():
        opened.append(Worn(data, fails, error))
        return opened[-1]

    return SteadyFile("/data/worn.bin", opening, stamp), opened


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setenv("CURATOR_RETRY_WAIT_S", "0")


@pytest.mark.parametrize("error", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_a_read_that_fails_for_a_while_goes_on_where_it_was(error):
    file, opened = worn({2, 3, 7}, error)
    assert b"".join(iter(lambda: file.read(10_000), b"")) == DATA
    assert len(opened) == 4
    assert all(one.closed for one in opened[:-1])


def test_a_read_that_always_fails_names_the_file_and_how_often_it_was_tried():
    file, _ = worn(set(range(2, 100)))
    assert file.read(10) == DATA[:10]
    with pytest.raises(StorageError, match=r"cannot read /data/worn\.bin: OSError: .*worn out; tried 8 times"):
        file.read(10)
    assert Worn.reads == 9


def test_a_read_that_fails_for_good_is_tried_once():
    file, _ = worn({1}, errno.ENOMEM)
    with pytest.raises(StorageError, match="worn out; check the path"):
        file.read(10)
    assert Worn.reads == 1


def test_another_file_under_the_same_name_is_not_gone_on_with():
    stamps = iter([1, 2])
    file, _ = worn({2}, stamp=lambda file: next(stamps))
    file.read(10)
    with pytest.raises(StorageError, match=r"/data/worn\.bin was changed while it was read; run it again"):
        file.read(10)


def test_a_file_of_this_machine_is_read_like_any_file(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(DATA)
    with open_bytes(str(path)) as file:
        assert (file.read(3), file.tell()) == (DATA[:3], 3)
        assert (file.seek(-4, io.SEEK_END), file.read()) == (len(DATA) - 4, DATA[-4:])
        assert (file.seek(10), file.seek(5, io.SEEK_CUR), file.read(2)) == (10, 15, DATA[15:17])
        buffer = bytearray(8)
        assert (file.readinto(buffer), bytes(buffer)) == (8, DATA[17:25])
    with open_bytes(f"file://{path}") as file:
        assert file.readall() == DATA
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "none")):
        open_bytes(str(tmp_path / "none"))


def test_what_is_there_is_told_from_what_is_not(tmp_path):
    (tmp_path / "a").touch()
    places = [tmp_path / "a", tmp_path, tmp_path / "b", tmp_path / "a" / "b"]
    assert [kind_of(*locate(str(place))) for place in places] == ["file", "directory", None, None]
    fs, place = locate(str(tmp_path / "b"))
    with pytest.raises(FileNotFoundError):
        ask(fs, "cat_file", place)


def test_a_programming_error_is_not_taken_for_trouble_of_the_storage():
    fs, place = locate("memory://x/a")
    with pytest.raises(TypeError):
        ask(fs, "pipe_file", place)
    with pytest.raises(AttributeError):
        ask(fs, "no_such_method", place)
