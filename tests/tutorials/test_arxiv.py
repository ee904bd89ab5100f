"""The tutorial on arXiv, as its README has it."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "tutorials/text/arxiv"


def run(script, *args):
    return subprocess.run(
        [sys.executable, str(TUTORIAL / script), *map(str, args)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ).stdout


def test_two_papers_of_the_sample_become_documents_and_the_others_are_accounted_for(tmp_path):
    run("make_sample.py", tmp_path / "sample")
    printed = run("main.py", "--url_prefix", tmp_path / "sample", "--min_words", 15, "--data_root", tmp_path / "data")
    (path,) = (tmp_path / "data/papers").glob("*.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows == [
        {
            "text": "\\section{Flight}\n\\textsc{Kite}{} rises when 80\\% of the wind comes from one side. \n"
            "Let $W = \\left\\{w_1, \\dots, w_n\\right\\}$ be the winds of a week, "
            "and fly on the day of the strongest.",
            "id": "2101.00001",
            "file_name": "arXiv_src_2101_001.tar",
        },
        {
            "text": "\\begin{abstract}A letter needs no sections.\\end{abstract}\n"
            "It begins with its abstract, and it ends where the references begin. "
            'Na\\"ive readers may miss it: caf\u00e9.',
            "id": "2101.00002",
            "file_name": "arXiv_src_2101_001.tar",
        },
    ]
    for reason in ("pdf_only", "withdrawn", "word_count"):
        assert reason in printed
    assert str(path) in printed
