"""How the command starts, and what it says when something is wrong."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from nemo_curator import __version__
from nemo_curator.cli.main import app, main

ROOT = Path(__file__).parents[2]
NOT_NEEDED = {"numpy", "pyarrow", "rich", "yaml"}


def curator(*arguments, folder=None, **variables):
    return subprocess.run(
        [sys.executable, "-m", "nemo_curator", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_names_every_command_and_costs_little():
    before = cpu_seconds()
    done = curator("--help")
    assert cpu_seconds() - before < 1  # 0.15 where nobody else is at work
    assert done.returncode == 0, done.stderr
    for command in app.registered_commands:
        assert command.callback.__name__.strip("_") in done.stdout


def test_the_commands_load_nothing_before_they_run():
    code = "import sys, nemo_curator.cli.main; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)}
    )
    assert NOT_NEEDED & set(done.stdout.split()) == set()


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"curator {__version__}\n"


def test_the_entry_point_is_declared_and_leads_here():
    import tomllib

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"curator": f"{main.__module__}:{main.__name__}"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ruun"], "No such command 'ruun'. Did you mean 'run'?"),
        (["run"], "Missing argument 'RECIPE'."),
        (["run", "gopher", "--dryrun"], "No such option: --dryrun"),
        (["run", "gopher", "--limit", "few"], "Invalid value for '--limit'"),
        (["run", "gopher", "--limit", "0"], "Invalid value for '--limit'"),
    ],
)
def test_wrong_usage_is_a_line_and_exit_code_2(arguments, message, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err


def test_an_error_has_its_traceback_only_with_debug():
    wrong = curator("run", "goper")
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (2, "", 1)
    shown = curator("run", "goper", "--debug")
    assert shown.returncode != 0
    assert "Traceback" in shown.stderr


def test_who_has_seen_enough_may_close_the_pipe():
    command = f"{sys.executable} -m nemo_curator run gopher input_path=a output_path=b --dry-run | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Pipeline: yaml_pipeline\n", "")
