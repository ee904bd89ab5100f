"""The record that a command leaves, whatever becomes of its run."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nemo_curator.cli.main import main
from nemo_curator.ledger.run import Run
from nemo_curator.pipeline.workflow import WorkflowRunResult

ROOT = Path(__file__).parents[2]
SLOW = """
import time
from pathlib import Path

from nemo_curator.stages.text.filters import DocumentFilter


class Slow(DocumentFilter):
    def score_document(self, text):
        Path("begun").touch()
        time.sleep(60 if text == "slow" else 0)
        return len(text)

    def keep_document(self, score):
        return True
"""
JOB = """
stages:
  - _target_: nemo_curator.stages.text.io.reader.JsonlReader
    file_paths: in
  - _target_: nemo_curator.stages.text.filters.ScoreFilter
    filter_obj:
      _target_: own.Slow
  - _target_: nemo_curator.stages.text.io.writer.JsonlWriter
    path: out
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CURATOR_RUNS", raising=False)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"text": "a b"}\n{"text": "a"}\n{"text": "a b"}\n')
    return tmp_path


def keep_long(*arguments):
    command = ["filter", "in", "out", "--filter", "WordCountFilter(min_words=2)", "--num-workers", "0"]
    return main([*command, *arguments])


def told(capsys):
    """The folder that the last line on stderr names."""
    return Path(capsys.readouterr().err.splitlines()[-1].removeprefix("record: "))


def test_a_run_gets_a_folder_named_after_its_time_and_its_command(folder, capsys):
    assert (keep_long(), keep_long()) == (0, 0)
    records = sorted((folder / "curator-runs").iterdir())
    assert len(records) == 2
    assert all(re.fullmatch(r"\d{8}T\d{6}Z-filter(-2)?", path.name) for path in records)
    run = Run.load(told(capsys))
    assert run.dropped() == {"word_count": 1}
    assert run.command == "curator filter in out --filter 'WordCountFilter(min_words=2)' --num-workers 0"


@pytest.mark.parametrize(
    ("arguments", "variable", "place"),
    [
        ([], "elsewhere", "elsewhere/*-filter/ledger.json"),
        (["--record", "here"], "elsewhere", "here/ledger.json"),
        (["--no-record"], "elsewhere", None),
    ],
)
def test_the_folder_can_be_chosen(folder, arguments, variable, place, monkeypatch, capsys):
    monkeypatch.setenv("CURATOR_RUNS", variable)
    assert keep_long(*arguments) == 0
    found = [str(path.relative_to(folder)) for path in folder.rglob("ledger.json")]
    assert (len(found) == 1 and Path(found[0]).match(place)) if place else found == []
    assert ("record:" in capsys.readouterr().err) is (place is not None)
    assert not (folder / "curator-runs").exists()


def test_a_run_that_fails_leaves_its_record_and_names_it_last(folder, capsys):
    with (folder / "in" / "a.jsonl").open("a") as file:
        file.write("{broken\n")
    assert keep_long() == 1
    out, err = capsys.readouterr()
    assert "jsonl_reader" in out
    assert err.startswith("error: 1 rows failed")
    run = Run.load(err.splitlines()[-1].removeprefix("record: "))
    assert (run.rows_failed, run.error.partition(":")[0]) == (1, "RunFailedError")


def test_a_workflow_that_fails_prints_and_records_the_steps_that_ended(folder, capsys):
    with (folder / "in" / "a.jsonl").open("a") as file:
        file.write("{broken\n")
    assert main(["dedup", "exact", "in", "out", "--num-workers", "0", "--json"]) == 1
    out, err = capsys.readouterr()
    account = json.loads(out)
    assert list(account["runs"]) == ["input_filegroups", "row_numbers", "identification"]
    assert account["runs"]["identification"]["error"] == account["error"]
    path = Path(err.splitlines()[-1].removeprefix("record: "))
    assert path.name.endswith("-dedup-exact")
    assert list(WorkflowRunResult.load(path).runs) == list(account["runs"])
    assert max(one.name for one in (path / "runs").iterdir()) == "03-identification"


def test_a_recipe_is_recorded_by_its_name(capsys):
    assert main(["run", "c4", "input_path=in", "output_path=out", "--num-workers", "0", "--json"]) == 0
    out, err = capsys.readouterr()
    assert not {"scores", "samples"} & set(json.loads(out)["stages"][-1])
    assert err.splitlines()[-1].endswith("-c4")


@pytest.mark.parametrize("arguments", [["nowhere", "out"], ["in", "out", "--filter", "WordCountFilter(words=2)"]])
def test_what_cannot_begin_leaves_no_folder(folder, arguments, capsys):
    assert main(["filter", *arguments, "--with", "c4"]) == 2
    assert main(["dedup", "exact", "in", "out", "--text-field", "body", "--num-workers", "0"]) == 2
    assert "record:" not in capsys.readouterr().err
    assert list((folder / "curator-runs").glob("*")) == []


def test_where_no_folder_can_be_made_the_run_goes_on_without(folder, capsys):
    (folder / "curator-runs").touch()
    assert keep_long() == 0
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert re.match(r"warning: no record is kept, for curator-runs/\S+ cannot be made: ", err)


def test_an_interrupted_run_leaves_its_record_and_exit_code_130(folder):
    (folder / "own.py").write_text(SLOW)
    (folder / "job.yaml").write_text(JOB)
    (folder / "in" / "b.jsonl").write_text('{"text": "slow"}\n')
    command = "import sys; from nemo_curator.cli.main import main; sys.exit(main())"  # what the entry point does
    arguments = ["run", "job.yaml", "--allow", "own", "--num-workers", "1", "--record", "here"]
    process = subprocess.Popen(
        [sys.executable, "-c", command, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (folder / "out").exists() or not list((folder / "out").glob("*.jsonl")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)  # until the first partition has arrived where the run is led from
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert [line for line in err.splitlines() if line] == ["error: interrupted", "record: here"]
    assert "jsonl_reader" in out
    run = Run.load(folder / "here")
    assert run.error.startswith("KeyboardInterrupt")
    assert (run.partitions, run.partitions_done) == (2, 1)


COMMAND = [sys.executable, "-m", "nemo_curator", "filter", "in", "out", "--num-workers", "0", "--filter"]
COMMAND += ["WordCountFilter(min_words=2)"]


def shell(command, *arguments, **variables):
    words = ["bash", "-o", "pipefail", "-c", command, *COMMAND, *arguments]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(words, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_without_stdout_or_stderr_does_its_work(folder, closed):
    done = shell(f'"$0" "$@" {closed}', CURATOR_PROGRESS="live")
    assert (done.returncode, "error" in done.stderr) == (0, False)
    assert len(list((folder / "out").iterdir())) == 1


def test_json_is_printed_whatever_a_file_is_called(folder):
    (folder / "in" / os.fsdecode(b"b\xff.jsonl")).write_text("{broken\n")
    done = shell('"$0" "$@"', "--json", PYTHONIOENCODING="utf-8:strict")
    assert done.returncode == 1
    assert json.loads(done.stdout)["failures"][0]["source"].endswith("b\udcff.jsonl:1")
    assert "error: 1 rows failed" in done.stderr


def test_a_run_that_fails_is_a_failure_also_if_nobody_reads_what_it_prints(folder):
    (folder / "in" / "b.jsonl").write_text("{broken\n")
    done = shell('"$0" "$@" | true', "--json", *(["--filter", "WordCountFilter(max_words=9)"] * 40))
    assert done.returncode == 1
    assert "error: 1 rows failed" in done.stderr


def test_a_folder_of_runs_that_leads_nowhere_is_told_of(folder, capsys):
    (folder / "curator-runs").symlink_to("nowhere")
    assert keep_long() == 0
    assert "warning: no record is kept" in capsys.readouterr().err
