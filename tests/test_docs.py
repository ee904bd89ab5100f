"""Every example of the README, the docs and the docstrings runs, and what it prints is what is shown."""

import doctest
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from nemo_curator.cli.main import main
from nemo_curator.dask_era import REPLACEMENTS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(console|python|text|yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LONG, SHORT = "one two three four five six", "too short"


def blocks(page, kind):
    return [body for found, body in BLOCK.findall(page.read_text()) if found == kind]


SHORT_PAGES = [
    *sorted((ROOT / "docs" / "how-to").iterdir()),
    *(ROOT / "docs" / name for name in ("start.md", "migration.md", "from-dask.md")),
]


@pytest.mark.parametrize("page", SHORT_PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_short_page_run(page, tmp_path, monkeypatch):
    write_documents(tmp_path)
    monkeypatch.chdir(tmp_path)  # in this process: to start one takes longer than what is in it
    exec(compile("\n\n".join(blocks(page, "python")), page, "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python") and page not in SHORT_PAGES], ids=lambda page: page.name
)
def test_the_examples_of_a_page_run(page, tmp_path):
    write_documents(tmp_path)
    script = tmp_path / "example.py"
    script.write_text("\n\n".join(blocks(page, "python")))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for shown in blocks(page, "text"):
        assert without_times(done.stdout) == without_times(shown)


def write_documents(folder):
    """What the pages speak of: a folder of six documents, and the tutorials of the checkout."""
    (folder / "tutorials").symlink_to(ROOT / "tutorials")
    documents = folder / "documents"
    documents.mkdir()
    for name in ("a", "b"):
        lines = [f'{{"id": "{name}{number}", "text": "{text}"}}\n' for number, text in enumerate([LONG, SHORT, LONG])]
        (documents / f"{name}.jsonl").write_text("".join(lines))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "console")], ids=lambda page: page.name)
def test_the_transcripts_of_a_page_are_true(page, tmp_path, monkeypatch, capsys):
    write_documents(tmp_path)
    monkeypatch.chdir(tmp_path)
    for text in blocks(page, "yaml"):
        if (name := re.match(r"# (\S+\.yaml)\n", text)) is not None:
            (tmp_path / name[1]).write_text(text)
    for command, shown in commands(page):
        program, *arguments = shlex.split(command.partition(" > ")[0])
        assert program == "curator"
        here = ["--num-workers", "0"] if arguments[0] in ("filter", "run", "dedup") else []  # or processes start
        main([*arguments, *here])
        printed = "".join(capsys.readouterr())
        assert " > " in command or comparable(printed) == comparable(shown)


def commands(page):
    """The commands that are shown, each with what is shown below it."""
    for block in blocks(page, "console"):
        first, *parts = re.split(r"^\$ ", block, flags=re.MULTILINE)
        assert first == ""
        yield from (part.partition("\n")[::2] for part in parts)


def comparable(text):
    """Words of lines, without what took how long, and when."""
    lines = [re.sub(r"\d+\.\d\d$|\d{8}T\d{6}Z", "…", line.rstrip()).split() for line in text.strip().splitlines()]
    return [line for line in lines if line]


def without_times(table):
    return [line.split()[:-1] for line in table.strip().splitlines()[1:]]


OLD = [name.rpartition(".")[2] for name in REPLACEMENTS]
NEW = re.findall(r"`((?:core|pipeline|stages)\.[\w.]+)", (ROOT / "docs" / "from-dask.md").read_text())


@pytest.mark.parametrize("path", sorted(set(NEW)))
def test_what_replaces_a_call_of_the_dask_era_is_there(path):
    module, _, name = f"nemo_curator.{path}".rpartition(".")
    assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("name", OLD)
def test_the_page_on_the_dask_era_has_every_name_that_was_replaced(name):
    assert re.search(rf"\b{name}\b", (ROOT / "docs" / "from-dask.md").read_text())


def modules():
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((ROOT / "nemo_curator").rglob("*.py"))
        if ">>>" in path.read_text()
    ]


@pytest.mark.parametrize("name", modules())
def test_the_examples_of_a_module_run(name):
    done = doctest.testmod(importlib.import_module(name))
    assert (done.failed, done.attempted > 0) == (0, True)
