"""`curator report`, through the command itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nemo_curator.cli.main import main
from nemo_curator.report import load_record

ROOT = Path(__file__).parents[2]
JOB = """
input_path: ???
min_words: 3
stages:
  - _target_: nemo_curator.stages.text.io.reader.JsonlReader
    file_paths: ${input_path}
  - _target_: nemo_curator.stages.text.filters.ScoreFilter
    filter_obj:
      _target_: nemo_curator.stages.text.filters.WordCountFilter
      min_words: ${min_words}
  - _target_: nemo_curator.stages.text.io.writer.JsonlWriter
    path: ${input_path}.kept
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder of two runs that differ in a setting."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "job.yaml").write_text(JOB)
    (folder / "in").mkdir()
    texts = ["one", "one two", "one two three", "one two three four"]
    (folder / "in" / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    for name, least in (("first", 3), ("second", 2)):
        arguments = [f"input_path={folder}/in", f"min_words={least}", "--checkpoint", str(folder / "runs" / name)]
        assert main(["run", str(folder / "job.yaml"), *arguments, "--num-workers", "0"]) == 0
    os.utime(folder / "runs" / "first" / "ledger.json", (1, 1))
    return folder / "runs"


def test_the_account_is_printed_and_the_page_written(runs, capsys):
    assert main(["report", str(runs / "first")]) == 0
    out = capsys.readouterr().out
    assert "4 in = 2 out + 2 dropped" in out
    assert out.splitlines()[-1] == f"page: {runs}/first/report.html"
    assert "accounted for" in (runs / "first" / "report.html").read_text(encoding="utf-8")


def test_without_a_name_it_is_the_newest_run(runs, capsys, monkeypatch):
    monkeypatch.setenv("CURATOR_RUNS", str(runs))
    assert main(["report"]) == 0
    assert capsys.readouterr().out.endswith(f"page: {runs}/second/report.html\n")
    monkeypatch.delenv("CURATOR_RUNS")
    monkeypatch.chdir(runs.parent)
    assert main(["report"]) == 2
    assert "there are no runs in curator-runs; name the folder" in capsys.readouterr().err
    (runs.parent / "curator-runs").symlink_to(runs)
    assert main(["report", "--output", "page.html"]) == 0
    assert (runs.parent / "page.html").stat().st_size > 1000


def test_json_is_the_record_and_writes_nothing(runs, capsys):
    (runs / "first" / "report.html").unlink(missing_ok=True)
    assert main(["report", str(runs / "first" / "ledger.json"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == load_record(runs / "first")
    assert not (runs / "first" / "report.html").exists()


def test_two_runs_are_compared(runs, capsys):
    assert main(["report", str(runs / "second"), "--against", str(runs / "first")]) == 0
    out = capsys.readouterr().out
    assert ["word_count", "2", "1", "−1", "(−50.0%)"] in [line.split() for line in out.splitlines()]
    assert ["word_count:", "min_words", "3", "2", "changed"] in [line.split() for line in out.splitlines()]
    assert f"{runs}/first: " in (runs / "second" / "comparison.html").read_text(encoding="utf-8")
    assert main(["report", str(runs / "second"), "--against", str(runs / "first"), "--json"]) == 0
    settings = json.loads(capsys.readouterr().out)["Settings that differ"]
    assert {"what": "word_count: min_words", "before": "3", "now": "2", "form": "text"} in settings


def test_wrong_usage_is_a_line_and_exit_code_2(runs, tmp_path):
    (tmp_path / "ledger.json").write_text("{")
    for run, message in ((tmp_path, "is damaged"), (tmp_path / "none", "holds no record of a run")):
        done = subprocess.run(
            [sys.executable, "-m", "nemo_curator", "report", str(run)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert message in done.stderr
