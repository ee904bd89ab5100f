import gzip
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.cli.inspection import Lengths, Sample
from nemo_curator.cli.main import main

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "text" / "jsonl" / "cc2019_multilingual_cc_licensed.jsonl.gz"
RECORDS = [
    {"id": 1, "text": "", "tags": ["a"]},
    {"id": None, "text": "é" * 5},
    {"id": 3, "text": None, "tags": {"a": 1}},
    {"id": 4, "text": "x" * 100, "tags": None},
]


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = "".join(json.dumps(record) + "\n" for record in RECORDS)
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    pq.write_table(pa.table({"text": ["abc", None], "score": [0.5, 1.5]}), tmp_path / "c.parquet")
    return tmp_path


def report(capsys, *arguments, code=0):
    assert main(["inspect", *map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def columns(found):
    return {one["column"]: (one["types"], one["nulls"], one["absent"]) for one in found["columns"]}


def test_columns_have_their_types_nulls_and_gaps(files, capsys):
    found = report(capsys, "a.jsonl")
    assert (found["files"], found["rows"], found["bytes"]) == (1, 4, (files / "a.jsonl").stat().st_size)
    assert columns(found) == {
        "id": (["int64"], 1, 0),
        "text": (["string"], 1, 0),
        "tags": (["json"], 1, 1),
    }


def test_a_folder_is_all_of_its_files_of_every_format(files, capsys):
    found = report(capsys, files)
    assert (found["files"], found["rows"]) == (3, 10)
    assert columns(found)["score"] == (["double"], 0, 8)
    assert columns(found)["text"] == (["string"], 3, 0)


def test_lengths_are_characters_by_powers_of_two(files, capsys):
    lengths = report(capsys, "a.jsonl", "*.gz")["characters"]
    assert (lengths["least"], lengths["mean"], lengths["most"]) == (0, 35.0, 100)
    filled = [(one["from"], one["to"], one["documents"]) for one in lengths["histogram"] if one["documents"]]
    assert filled == [(0, 0, 2), (4, 7, 2), (64, 127, 2)]
    assert [(one["from"], one["to"]) for one in lengths["histogram"][:4]] == [(0, 0), (1, 1), (2, 3), (4, 7)]


def test_lengths_of_batches_add_up():
    whole, parts = Lengths(), Lengths()
    values = np.array([0, 7, 8, 1000, 3])
    whole.add(values)
    for part in (values[:2], values[2:2], values[2:]):
        parts.add(part)
    assert parts.histogram() == whole.histogram()
    assert (parts.least, parts.most, parts.chars, parts.texts) == (0, 1000, 1018, 5)


def test_a_sample_is_bounded_and_takes_from_everywhere():
    sample = Sample(10)
    for start in range(0, 1000, 50):
        sample.add(pa.chunked_array([pa.array([str(number) for number in range(start, start + 50)])]))
    assert len(sample.texts) == len(set(sample.texts)) == 10
    assert min(map(int, sample.texts)) < 300
    assert max(map(int, sample.texts)) > 700


def test_samples_are_shortened_and_as_many_as_asked_for(files, capsys):
    found = report(capsys, "a.jsonl", "--samples", "4")
    assert found["samples"][0] == {"id": 1, "text": "", "tags": '["a"]'}
    assert len(found["samples"][3]["text"]) == 61
    assert report(capsys, "a.jsonl", "--samples", "0")["samples"] == []


def test_a_limit_ends_the_look_early(files, capsys):
    assert report(capsys, files, "--limit", "5")["rows"] == 5


def test_files_elsewhere_are_read_by_their_url(files, capsys):
    with fsspec.open("memory://inspected/a.jsonl", "wb") as file:
        file.write((files / "a.jsonl").read_bytes())
    assert report(capsys, "memory://inspected/")["rows"] == 4


def test_lines_that_are_no_records_are_named_and_the_exit_code_is_1(files, capsys):
    (files / "d.jsonl").write_text('{"text": "a"}\n{broken\n')
    found = report(capsys, "d.jsonl", code=1)
    assert (found["rows"], found["failed"]) == (1, 1)
    assert "d.jsonl:2" in found["failures"][0]


@pytest.mark.skipif(not REAL.is_file(), reason="the real documents are not here")
def test_languages_of_real_pages_are_told(capsys):
    languages = report(capsys, REAL, "--languages", "--limit", "60")["languages"]
    assert sum(languages.values()) == 60
    assert len(languages) > 5


def test_outside_a_terminal_it_is_plain_text(files, capsys):
    assert main(["inspect", "c.parquet", "--text-field", "nothing"]) == 0
    out = capsys.readouterr().out
    assert "1 file, " in out
    assert "score   double  0     0" in out
    assert "No column 'nothing' holds text" in out


def test_in_a_terminal_it_is_tables(files):
    reading, writing = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    command = [sys.executable, "-m", "nemo_curator", "inspect", "c.parquet"]
    with subprocess.Popen(command, stdout=writing, stderr=writing, env=environment) as process:
        os.close(writing)
        shown = b""
        try:
            while piece := os.read(reading, 2**16):
                shown += piece
        except OSError:  # what Linux says at the end of a terminal
            pass
        os.close(reading)
    assert process.returncode == 0, shown.decode()
    assert "│ text   │ string │" in shown.decode()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nix.jsonl"], "there is no such file or folder"),
        (["*.csv"], "nothing matches the pattern"),
        (["notes.txt"], "does not end in .parquet, .jsonl, .json"),
    ],
)
def test_files_that_are_not_there_are_one_line_and_exit_code_2(files, arguments, message, capsys):
    (files / "notes.txt").write_text("x")
    assert main(["inspect", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
