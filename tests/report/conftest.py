"""A run of real filters over real files, with its scores and samples as they are recorded."""

import json

import numpy as np
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import NumbersFilter, ScoreFilter, WordCountFilter
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter

TEXTS = [
    "word " * (number % 40) + "0123456789" * (number % 7 == 0) + "שלום <b>world</b> &amp;" * (number % 5 == 0)
    for number in range(400)
]


def make_pipeline(folder, min_words=5):
    (folder / "in").mkdir(exist_ok=True)
    lines = [json.dumps({"id": number, "text": text}) for number, text in enumerate(TEXTS)]
    (folder / "in" / "a.jsonl").write_text("\n".join([*lines, "this is no JSON", ""]))
    filters = [WordCountFilter(min_words=min_words, max_words=30), NumbersFilter(max_number_to_text_ratio=0.1)]
    stages = [JsonlReader(str(folder / "in")), ScoreFilter(filters), JsonlWriter(str(folder / "out"))]
    return Pipeline("pages", "Words and digits.", stages)


def run_pipeline(folder, **settings):
    """Run it, and return the run and its record with scores and samples."""
    pipeline = make_pipeline(folder, **settings)
    pipeline.run(LocalExecutor(num_workers=0), max_failed_fraction=1.0)
    record = json.loads(json.dumps(pipeline.last_run.to_dict()))
    left = TEXTS
    stage = record["stages"][2]
    for one in pipeline.stages[1].filters:
        scores = np.array([one.score_document(text) for text in left], float)
        keep = np.array([one.keep_document(score) for score in scores])
        stage.setdefault("scores", {}).setdefault(one.name, spread(scores, keep))
        stage.setdefault("samples", {}).setdefault(one.name, chosen(left, scores, keep))
        left = [text for text, kept in zip(left, keep) if kept]
    return pipeline.last_run, record


def spread(scores, keep):
    """Scores in buckets of one fiftieth of their range."""
    edges = np.histogram_bin_edges(scores, 50)
    sides = [np.histogram(scores[chosen], edges)[0].tolist() for chosen in (keep, ~keep)]
    buckets = [list(one) for one in zip(edges[:-1].tolist(), edges[1:].tolist(), *sides) if one[2] + one[3]]
    ends = {}
    for name, chosen in (("kept", keep), ("dropped", ~keep)):
        some = scores[chosen]
        ends |= {name: len(some), f"{name}_min": min(some, default=None), f"{name}_max": max(some, default=None)}
    return {**ends, "no_score": 0, "buckets": buckets}


def chosen(texts, scores, keep):
    rows = [{"text": text[:500], "score": score, "source": "a.jsonl"} for text, score in zip(texts, scores)]
    return {
        "kept": [row for row, kept in zip(rows, keep) if kept][:5],
        "dropped": [row for row, kept in zip(rows, keep) if not kept][:5],
    }


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A run that came to its end, and its record."""
    return run_pipeline(tmp_path_factory.mktemp("run"))


@pytest.fixture
def record(finished):
    return json.loads(json.dumps(finished[1]))
