"""Names, links and numbers of files on this machine that break programs which take them for granted."""

import json
import os
import time
from pathlib import Path

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import InputError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import ScoreFilter, WordCountFilter
from nemo_curator.stages.text.io.reader import JsonlReader, ParquetReader
from nemo_curator.stages.text.io.writer import JsonlWriter, ParquetWriter
from nemo_curator.utils.find_files import find_input_files

NAMES = [
    "plain.jsonl",
    "with space .jsonl",
    " leading.jsonl",
    "caf\u00e9.jsonl",
    "cafe\u0301.jsonl",
    "日本語.jsonl",
    "100%25 50%.jsonl",
    "a#b.jsonl",
    "a?b=c&d.jsonl",
    "a[1].jsonl",
    "a*b.jsonl",
    "{a,b}.jsonl",
    "-rf.jsonl",
    "--help.jsonl",
    "~.jsonl",
    "$HOME.jsonl",
    "new\nline.jsonl",
    "tab\t.jsonl",
    "back\\slash.jsonl",
    "quote'\".jsonl",
    "a::b.jsonl",
    "file:x.jsonl",
    os.fsdecode(b"latin-\xe9.jsonl"),
    "x" * 240 + ".jsonl",
]


def copied(folder, tmp_path, reader=JsonlReader, writer=JsonlWriter, **options):
    pipeline = Pipeline(
        "copy", stages=[reader(folder), ScoreFilter(WordCountFilter(min_words=2)), writer(str(tmp_path / "out"))]
    )
    pipeline.run(LocalExecutor(num_workers=0), **options)
    return pipeline.last_run


def rows(folder, suffix="*.jsonl"):
    return sorted(json.loads(line)["id"] for path in folder.glob(suffix) for line in path.read_text().splitlines())


@pytest.fixture
def odd(tmp_path):
    folder = tmp_path / "in [1] %20 #?é"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        (folder / name).write_text(json.dumps({"id": number, "text": "two words"}) + '\n{"id": -1, "text": "one"}\n')
    return folder


def test_files_with_odd_names_are_read_and_accounted_for(odd, tmp_path):
    given = {"checkpoint_path": str(tmp_path / "check [x] #?"), "rejected_path": str(tmp_path / "rejected %41")}
    for _ in range(2):
        assert copied(str(odd), tmp_path, **given).dropped() == {"word_count": len(NAMES)}
        assert rows(tmp_path / "out") == list(range(len(NAMES)))
    assert len(list((tmp_path / "rejected %41").iterdir())) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_with_an_odd_name_can_be_asked_for(odd, name):
    [found] = find_input_files(str(odd / name), [".jsonl"])
    assert (found.path, found.size) == (str(odd / name), (odd / name).stat().st_size)


def test_a_pattern_within_a_folder_with_signs_of_a_pattern(tmp_path):
    for folder in ("a[1]", "a1"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.jsonl").touch()
    assert [one.path for one in find_input_files(str(tmp_path / "a[1]" / "*.jsonl"), [".jsonl"])] == [
        str(tmp_path / "a[1]" / "x.jsonl")
    ]


def test_links_to_files_and_folders_are_followed(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "data" / "a.jsonl").write_text('{"id": 1, "text": "two words"}\n')
    (tmp_path / "in" / "link.jsonl").symlink_to(tmp_path / "data" / "a.jsonl")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "loop").symlink_to(tmp_path / "in")
    found = find_input_files(str(tmp_path / "in"), [".jsonl"])
    assert [(Path(one.path).name, one.size) for one in found] == [("a.jsonl", 31), ("link.jsonl", 31)]


@pytest.mark.parametrize("target", ["nowhere.jsonl", "bad.jsonl"])
def test_a_link_that_leads_nowhere_is_named_before_the_run(tmp_path, target):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"id": 1, "text": "two words"}\n')
    (tmp_path / "in" / "bad.jsonl").symlink_to(target)
    with pytest.raises(InputError, match=rf"bad\.jsonl: it is a link to {target}, where no file is; delete it"):
        copied(str(tmp_path / "in"), tmp_path)
    (tmp_path / "in" / "bad.jsonl").rename(tmp_path / "in" / "bad.txt")
    copied(str(tmp_path / "in"), tmp_path)
    assert rows(tmp_path / "out") == [1]


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jsonl")
    with pytest.raises(InputError, match=r"a\.jsonl: it is no regular file"):
        copied(str(tmp_path), tmp_path)


def test_a_file_that_may_not_be_read_is_named(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (tmp_path / "a.jsonl").write_text("{}\n")
    (tmp_path / "a.jsonl").chmod(0)
    with pytest.raises(Exception, match=r"Permission denied.*a\.jsonl"):
        copied(str(tmp_path), tmp_path)


def test_listing_looks_at_each_file_once(tmp_path, monkeypatch):
    for number in range(50):
        (tmp_path / f"{number}.jsonl").touch()
    looked = []
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda path, *args, **kwargs: looked.append(path) or real(path, *args, **kwargs))
    assert len(find_input_files(str(tmp_path), [".jsonl"])) == 50
    assert len([path for path in looked if str(path).endswith(".jsonl")]) <= 50


@pytest.mark.slow
def test_thousands_of_small_files_are_read_in_one_run(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(2000):
        (folder / f"{number:04}.jsonl").write_text(json.dumps({"id": number, "text": "two words"}) + "\n")
    start = time.perf_counter()
    assert len(find_input_files(str(folder), [".jsonl"])) == 2000
    listed = time.perf_counter() - start
    run = copied(str(folder), tmp_path, writer=JsonlWriter)
    taken = time.perf_counter() - start
    assert run.partitions == 2000
    assert len(list((tmp_path / "out").iterdir())) == 2000
    print(f"2000 files: listed in {listed:.2f} s, read and written in {taken:.1f} s")
    assert listed < 5


def test_parquet_with_odd_names_is_read(odd, tmp_path):
    (tmp_path / "parquet").mkdir()
    copied(str(odd), tmp_path, writer=ParquetWriter)
    for number, path in enumerate(sorted((tmp_path / "out").iterdir())):
        path.rename(tmp_path / "parquet" / NAMES[number].replace(".jsonl", ".parquet"))
    copied(str(tmp_path / "parquet"), tmp_path, reader=ParquetReader)
    assert rows(tmp_path / "out") == list(range(len(NAMES)))
