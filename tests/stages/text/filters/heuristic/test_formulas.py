"""Every heuristic filter scores as its formula says, from kernels and without, whatever the text and the batches."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.formulas import ENGLISH, OTHERS, WEB
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.kernels import compile as compiling
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import Score
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.tasks.text_column import TextColumn
from tests.kernels.texts import texts

ROOT = Path(__file__).parents[5]
FILTERS = ENGLISH + OTHERS + WEB
pairs = pytest.mark.parametrize(("one", "formula"), [pytest.param(*pair, id=pair[0].name) for pair in FILTERS])
columns = st.lists(st.none() | texts, max_size=4)


@pairs
@settings(deadline=None, max_examples=150)
@given(found=columns, kind=st.sampled_from([pa.string(), pa.large_string()]), cut=st.integers(0, 2))
def test_a_filter_scores_as_its_formula_says(one, formula, found, kind, cut):
    wanted = [formula(text or "") for text in found]
    array = pa.array(["before", *found, "after"], kind)[1:-1]
    column = TextColumn(pa.chunked_array([array[:cut], array[cut:]], kind))
    assert one.score_texts(column).tolist() == wanted
    mask = np.arange(len(found)) % 2 == 0
    assert one.score_texts(column.filter(mask)).tolist() == np.array(wanted)[mask].tolist()
    assert one.score_texts(TextColumn(array.filter(pa.array(mask)))).tolist() == np.array(wanted)[mask].tolist()


@pairs
@settings(deadline=None, max_examples=50)
@given(found=columns)
def test_few_texts_score_the_same_without_kernels(one, formula, found):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nemo_curator.tasks.text_column.pays", lambda nbytes: False)
        assert one.score_texts(TextColumn(found)).tolist() == [formula(text or "") for text in found]


def test_numba_is_not_loaded_for_a_few_documents():
    code = """
import sys
from benchmarks.formulas import ENGLISH, OTHERS, WEB
for one, formula in ENGLISH + OTHERS + WEB: assert one.score_document("the cat. " * 30) == formula("the cat. " * 30)
print("numba" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_scores_depend_neither_on_batches_nor_on_processes_nor_on_the_seed_of_hashes(tmp_path):
    words = ["the", "cat", "sat", "é", "…", "#", "a b", "\n", "\n\n", "• x", "http://a.b", "12"]
    draw = np.random.default_rng(0)
    rows = [{"id": at, "text": " ".join(draw.choice(words, draw.integers(0, 60)))} for at in range(400)]
    (tmp_path / "in").mkdir()
    for at in range(4):
        lines = "".join(json.dumps(row) + "\n" for row in rows[at::4])
        (tmp_path / "in" / f"{at}.jsonl").write_text(lines)
    digests = {
        scores(tmp_path, seed, batch, processes)
        for seed, batch, processes in [("3", "16MiB", 0), ("7", "16MiB", 2), ("7", "4KiB", 1)]
    }
    assert len(digests) == 1


def scores(folder, seed, blocksize, processes):
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    target = folder / f"out-{seed}-{processes}"
    arguments = [str(folder / "in"), str(target), blocksize, str(processes)]
    subprocess.run([sys.executable, __file__, *arguments], env=environment, check=True, timeout=200)
    lines = sorted(line for file in target.iterdir() for line in file.read_bytes().splitlines())
    assert len(lines) == 400
    return hashlib.sha256(b"\n".join(lines)).hexdigest()


def main(source, target, blocksize, processes):
    compiling._PLAIN_BYTES = -1 if processes == "0" else 1 << 14
    filters = [one for one, _ in FILTERS]
    stages = [
        JsonlReader(source, blocksize=blocksize),
        Score(filters, [f"{at}" for at in range(len(filters))]),
        JsonlWriter(target),
    ]
    Pipeline("scores", stages=stages).run(LocalExecutor(num_workers=int(processes)))


if __name__ == "__main__":
    main(*sys.argv[1:])
