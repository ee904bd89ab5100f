import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nemo_curator.cli.main import main
from nemo_curator.cli.run import RECIPES

ROOT = Path(__file__).parents[2]
STAGES = """
input_path: ???
output_path: out
min_words: 3
stages:
  - _target_: nemo_curator.stages.text.io.reader.JsonlReader
    file_paths: ${input_path}
  - _target_: nemo_curator.stages.text.filters.ScoreFilter
    filter_obj:
      _target_: nemo_curator.stages.text.filters.WordCountFilter
      min_words: ${min_words}
  - _target_: nemo_curator.stages.text.io.writer.JsonlWriter
    path: ${output_path}
"""
OWN = """
from dataclasses import dataclass
from nemo_curator.stages.text.filters import DocumentFilter


@dataclass
class Chatty(DocumentFilter):
    name: str = "chatty"

    def score_document(self, text):
        print("scoring")
        return len(text)

    def keep_document(self, score):
        return score > 3
"""


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.yaml").write_text(STAGES)
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        texts = ["one two three", "one two", "one two three four"]
        (tmp_path / "in" / f"{name}.jsonl").write_text("".join(f'{{"text": "{text}"}}\n' for text in texts))
    return tmp_path


def outputs(folder):
    return sorted(json.loads(line)["text"] for file in folder.glob("*.jsonl") for line in file.read_text().splitlines())


def run(*arguments):
    return main(["run", *arguments, "--num-workers", "0"])


def test_a_file_runs_with_the_values_given_and_prints_its_account(job, capsys):
    assert run("job.yaml", "input_path=in", "min_words=4") == 0
    assert outputs(job / "out") == ["one two three four"] * 2
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split()[0] == "stage"
    assert re.fullmatch(r"record: curator-runs/\d{8}T\d{6}Z-job\n", err)
    assert [line.split()[:4] for line in out.splitlines() if line.startswith("word_count")] == [
        ["word_count", "6", "2", "4"]
    ]


def test_a_dry_run_prints_the_plan_and_writes_nothing(job, capsys):
    assert run("gopher", "input_path=nowhere", "output_path=out", "--dry-run") == 0
    assert "source: file_partitioning" in capsys.readouterr().out
    assert run("exact_deduplication_pipeline", "input_path=nowhere", "output_path=out", "--dry-run", "--json") == 0
    described = json.loads(capsys.readouterr().out)
    assert (described["workflow"], described["settings"]["keep"]) == ("ExactDeduplicationWorkflow", "'first'")
    assert not (job / "out").exists()


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.yaml")))
def test_every_bundled_recipe_is_found_by_its_name(name, capsys):
    assert main(["run", name, "no_such_key=1"]) == 2
    assert "there is no 'no_such_key'" in capsys.readouterr().err


@pytest.mark.parametrize(("limit", "expected"), [(1, 1), (4, 3), (100, 4)])
def test_a_limit_counts_documents_across_files(job, limit, expected, capsys):
    assert run("job.yaml", "input_path=in", "--limit", str(limit), "--json") == 0
    first = json.loads(capsys.readouterr().out)["stages"][0]
    read = min(-(-limit // 3) * 3, 6)
    assert (first["stage"], first["rows_in"], first["rows_out"]) == ("first_documents", read, min(limit, 6))
    assert len(outputs(job / "out")) == expected


def test_a_limit_needs_a_reader(job, capsys):
    assert run("exact_deduplication_pipeline", "input_path=in", "output_path=out", "--limit", "5") == 2
    assert "must see all documents" in capsys.readouterr().err


def test_json_stands_alone_on_stdout_whatever_stages_print(job):
    (job / "own.py").write_text(OWN)
    text = STAGES.replace("nemo_curator.stages.text.filters.WordCountFilter", "own.Chatty")
    (job / "job.yaml").write_text(text.replace("      min_words: ${min_words}\n", ""))
    arguments = ["run", "job.yaml", "input_path=in", "--allow", "own", "--json", "--num-workers", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "nemo_curator", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    account = json.loads(done.stdout)
    assert (account["executor"], account["stages"][-1]["rows_out"]) == ("LocalExecutor", 6)
    assert "scoring" in done.stderr


def test_rows_that_fail_are_exit_code_1_after_the_account(job, capsys):
    with (job / "in" / "a.jsonl").open("a") as file:
        file.write("{broken\n")
    assert run("job.yaml", "input_path=in") == 1
    out, err = capsys.readouterr()
    assert "jsonl_reader" in out
    assert "a.jsonl:4" in err
    assert run("job.yaml", "input_path=in", "+max_failed_fraction=0.5") == 0


def test_a_workflow_prints_the_accounts_of_its_steps(job, capsys):
    assert run("exact_deduplication_pipeline", "input_path=in", "output_path=unique", "--json") == 0
    account = json.loads(capsys.readouterr().out)
    assert account["metadata"]["num_duplicates"] == 3
    assert list(account["runs"])[-1] == "removal"
    assert len(outputs(job / "unique" / "deduplicated")) == 3


def test_a_run_goes_on_from_its_checkpoint(job, capsys):
    assert run("job.yaml", "input_path=in", "--checkpoint", "state") == 0
    assert (job / "state" / "ledger.json").is_file()
    assert main(["run", "job.yaml", "input_path=in", "min_words=1", "--checkpoint", "state"]) == 2
    assert "min_words" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["goper"], "there is no recipe 'goper'; did you mean 'gopher'?"),
        (["jobs.yaml"], "there is no file jobs.yaml; did you mean 'job.yaml'?"),
        (["job.yaml"], "values are missing; give input_path=…"),
        (["job.yaml", "input_path=inn"], "there is no such file or folder"),
        (["job.yaml", "inputpath=in"], "did you mean 'input_path'?"),
        (["job.yaml", "input_path=in", "--executor", "xena"], "did you mean 'xenna'?"),
        (["job.yaml", "input_path=in", "--executor", "xenna"], "XennaExecutor needs at least 1"),
        (["job.yaml", "input_path=in", "stages.1.filter_obj.min_word=1"], "did you mean 'min_words'?"),
        (
            ["typo.yaml", "input_path=in"],
            "typo.yaml, line 8: stages.1.filter_obj: nemo_curator.stages.text.filters has",
        ),
        (["broken.yaml"], "broken.yaml, line 2 is not YAML"),
    ],
)
def test_wrong_input_is_one_helpful_line_and_exit_code_2(job, arguments, message, capsys):
    (job / "typo.yaml").write_text(STAGES.lstrip("\n").replace("WordCountFilter", "WordcountFilter"))
    (job / "broken.yaml").write_text("a: [1\nb: 2\n")
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
