import bz2
import gzip
import lzma
from itertools import pairwise

import fsspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.errors import InputError
from nemo_curator.stages.text.io.reader import lines as module
from nemo_curator.stages.text.io.reader.lines import read_head, read_lines, whole_lines

COMPRESS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstandard.compress}
DATA = b"".join(b"%d %s\n" % (at, b"x" * (at % 300)) for at in range(2000))


@settings(deadline=None, max_examples=400)
@given(
    st.lists(st.sampled_from([b"\n", b"a", b"bc", b"\r\n", "é".encode(), b"dddddddd"]), max_size=30).map(b"".join),
    st.lists(st.integers(0, 60), max_size=5),
    st.integers(1, 9),
)
def test_the_ranges_of_a_file_give_every_line_once(data, cuts, step):
    found = []
    for start, stop in pairwise([0, *sorted({cut for cut in cuts if 0 < cut < len(data)}), len(data)]):
        first = max(start - 1, 0)
        chunks = [data[at : at + step] for at in range(first, len(data), step)]
        for place, run in whole_lines(chunks, start, stop):
            assert start <= place < stop
            assert data[place : place + len(run)] == run
            assert place == 0 or data[place - 1 : place] == b"\n"
            found.append(run)
    assert b"".join(found) == data


@settings(deadline=None, max_examples=400)
@given(
    st.lists(st.sampled_from([b"\n", b"a", b"bc", b"dddddddd", b"e" * 30]), max_size=30).map(b"".join),
    st.lists(st.integers(0, 120), max_size=4),
    st.integers(1, 12),
)
def test_a_line_beyond_the_limit_is_told_of_once_and_no_other_is(data, cuts, step):
    found, told = [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LINE_BYTES", 12)
        for start, stop in pairwise([0, *sorted({cut for cut in cuts if 0 < cut < len(data)}), len(data)]):
            chunks = [data[at : at + step] for at in range(max(start - 1, 0), len(data), step)]
            for place, run in whole_lines(chunks, start, stop, lambda place, size: told.append(data[place:][:size])):
                assert data[place : place + len(run)] == run
                found += run.splitlines(keepends=True)
    lines = data.splitlines(keepends=True)
    assert found == [line for line in lines if len(line) <= 12]
    assert told == [line for line in lines if len(line) > 12]


def test_a_file_is_read_in_runs_and_ranges_meet(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(module, "STEP_BYTES", 10)
    path = tmp_path / "a.jsonl"
    path.write_bytes(DATA)
    runs = list(read_lines(str(path)))
    assert len(runs) > 10
    assert b"".join(run for _, run in runs) == DATA
    size = len(DATA)
    for cut in (1, 2, 3, 777, size - 1, size, size + 5):
        parts = [b"".join(run for _, run in read_lines(str(path), *part)) for part in ((0, cut), (cut, size))]
        assert b"".join(parts) == DATA


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("members", [1, 3])
def test_a_compressed_file_is_read_member_after_member(tmp_path, suffix, members):
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(COMPRESS[suffix](DATA) * members)
    assert b"".join(run for _, run in read_lines(str(path))) == DATA * members
    assert read_head(str(path), 100) == DATA[:100]
    (tmp_path / "no suffix").write_bytes(path.read_bytes())
    method = {".gz": "gzip", ".zst": "zstd"}.get(suffix, suffix[1:])
    assert read_head(str(tmp_path / "no suffix"), 100, compression=method) == DATA[:100]


@pytest.mark.parametrize("suffix", COMPRESS)
def test_nothing_and_padding_are_read(tmp_path, suffix):
    path, nothing = tmp_path / f"a{suffix}", COMPRESS[suffix](b"")
    for padding in (0, 8, module.STEP_BYTES, 3 * module.STEP_BYTES + 4):
        path.write_bytes(nothing + b"\0" * padding)
        assert list(read_lines(str(path))) == []
        path.write_bytes(COMPRESS[suffix](DATA) + b"\0" * padding + COMPRESS[suffix](DATA))
        assert b"".join(run for _, run in read_lines(str(path))) == DATA * 2


@pytest.mark.parametrize("suffix", COMPRESS)
def test_what_comes_before_damage_is_read(tmp_path, suffix):
    whole = COMPRESS[suffix](DATA)
    for name, data, message in (
        ("short", whole[:-20], "stream is cut off after byte"),
        ("zeros", bytes(1000), "stream is damaged before byte 1000"),
        ("empty", b"", "stream is cut off after byte 0"),
        ("wrong", COMPRESS[suffix](DATA) + b"this is not compressed", "stream is damaged before byte"),
    ):
        path = tmp_path / f"{name}{suffix}"
        path.write_bytes(data)
        found = []
        with pytest.raises(InputError, match=message):
            found.extend(run for _, run in read_lines(str(path)))
        assert DATA.startswith(b"".join(found))
        assert name != "wrong" or b"".join(found) == DATA
        assert name not in ("zeros", "empty") or not found


def test_a_url_is_read_like_a_file():
    fsspec.filesystem("memory").pipe_file("/lines/a.jsonl", DATA)
    parts = [run for part in ((0, 500), (500, len(DATA))) for _, run in read_lines("memory://lines/a.jsonl", *part)]
    assert b"".join(parts) == DATA
