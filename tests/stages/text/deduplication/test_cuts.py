import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication.buckets import BucketWriter
from nemo_curator.stages.text.deduplication.cuts import (
    BLOCK,
    BLOCK_DOCUMENTS,
    Cuts,
    PartCutter,
    SpanCutter,
    cut_buckets,
    cut_table,
)
from nemo_curator.tasks import DocumentBatch

TEXTS = st.text(st.sampled_from("ab é猫🐈\n"), max_size=30)


@settings(deadline=None)
@given(TEXTS, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=6))
def test_characters_that_are_wholly_in_the_spans_are_cut_out(text, spans):
    size = len(text.encode())
    spans = sorted((min(start, size), min(start + length, size)) for start, length in spans)
    covered = {at for start, stop in spans for at in range(start, stop)}
    kept, at = "", 0
    for char in text:
        after = at + len(char.encode())
        kept += char if not covered.issuperset(range(at, after)) else ""
        at = after
    assert SpanCutter()(text, np.array(spans, np.int64).reshape(-1, 2)) == kept


@pytest.mark.parametrize(
    ("separator", "gone", "left"),
    [
        ("\n", [1], "a\n\n\nc"),
        ("\n", [0, 4], "b\n\n"),
        ("\n", [2, 3], "a\nb\nc"),
        ("\n\n", [0], "\nc"),
        ("\n\n", [1], "a\nb"),
    ],
)
def test_parts_are_cut_out_with_one_separator(separator, gone, left):
    cuts = np.array([[number, number + 1] for number in gone])
    assert PartCutter(separator)("a\nb\n\n\nc", cuts) == left


@pytest.mark.parametrize("documents", [10, 3 * BLOCK_DOCUMENTS, 200 * BLOCK_DOCUMENTS])
def test_cuts_are_found_by_the_ids_of_documents_block_by_block(tmp_path, documents):
    draw = np.random.default_rng(documents)
    ids = draw.choice(documents, 200)
    starts = draw.integers(0, 100, 200)
    batches = [
        DocumentBatch.from_arrow(cut_table(ids[part], starts[part], starts[part] + 1), dataset_name=name)
        for name, part in (("a", slice(0, 90)), ("b", slice(90, 200)))
    ]
    for batch in batches:
        batch.task_id = batch.dataset_name
    writer = BucketWriter(str(tmp_path / "cuts"), BLOCK, cut_buckets(documents))
    Pipeline("cuts", stages=[writer]).run(LocalExecutor(num_workers=0), batches)
    cuts = Cuts(writer.path, writer.num_buckets)
    wanted = {}
    for id_, start in sorted(zip(ids.tolist(), starts.tolist())):
        wanted.setdefault(id_, []).append([start, start + 1])
    step = documents // 7 + 1
    found = {}
    for first in range(0, documents, step):
        part = cuts.of(range(first, min(first + step, documents)))
        assert all(first <= id_ < first + step for id_ in part)
        found |= part
    assert {id_: rows.tolist() for id_, rows in found.items()} == wanted
