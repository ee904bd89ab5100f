"""Every example of the README, the docs and the docstrings runs, and what it prints is what is shown."""

import doctest
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LONG, SHORT = "one two three four five six", "too short"


def blocks(page, kind):
    return [body for found, body in BLOCK.findall(page.read_text()) if found == kind]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_the_examples_of_a_page_run(page, tmp_path):
    documents = tmp_path / "documents"
    documents.mkdir()
    for name in ("a", "b"):
        lines = [f'{{"id": "{name}{number}", "text": "{text}"}}\n' for number, text in enumerate([LONG, SHORT, LONG])]
        (documents / f"{name}.jsonl").write_text("".join(lines))
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


def without_times(table):
    return [line.split()[:-1] for line in table.strip().splitlines()[1:]]


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
