import json

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.filters import DocumentFilter, Filter, ScoreFilter, WordCountFilter
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.stages.text.modifiers import Modify
from nemo_curator.tasks import DocumentBatch


class Short(DocumentFilter):
    """Keep texts of at most 20 characters."""

    def score_document(self, text):
        return len(text)

    def keep_document(self, score):
        return score <= 20


def shout(text):
    if "bad" in text:
        raise ValueError("a bad text")
    return text.upper()


@pytest.fixture
def documents(tmp_path):
    path = tmp_path / "in.jsonl"
    rows = [{"id": 1, "text": "one"}, {"id": 2, "text": "these are two"}, {"id": 3, "text": "a bad one here"}]
    rows += [{"id": 4, "text": "this is longer than twenty characters", "meta": {"a": 1}}]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n[1, 2]\n{broken\n")
    return path


def run(documents, tmp_path, *stages, workers=0, **options):
    stages = [JsonlReader(str(documents)), *stages, JsonlWriter(str(tmp_path / "out"))]
    pipeline = Pipeline("p", stages=stages)
    with pytest.raises(RunFailedError):
        pipeline.run(LocalExecutor(num_workers=workers), rejected_path=tmp_path / "rejected", **options)
    lines = [json.loads(line) for path in sorted((tmp_path / "rejected").iterdir()) for line in path.open()]
    return pipeline.last_run, lines


@pytest.mark.parametrize("workers", [0, 1])
def test_every_row_that_did_not_come_through_is_kept_with_its_reason(documents, tmp_path, workers):
    chain = ScoreFilter([WordCountFilter(min_words=2), Short()])
    last_run, lines = run(documents, tmp_path, chain, Modify(shout), workers=workers)
    dropped = [(line["filter"], line["row"]["id"], line["score"]) for line in lines if line["error"] is None]
    assert dropped == [("word_count", 1, 1), ("Short", 4, 37)]
    failed = [(line["stage"], line["error"].partition(":")[0]) for line in lines if line["error"]]
    assert failed == [("jsonl_reader", "InputError"), ("jsonl_reader", "InputError"), ("shout", "ValueError")]
    assert [line["row"] for line in lines if line["error"]][:2] == ["[1, 2]", "{broken"]
    assert next(line for line in lines if line["stage"] == "shout")["row"]["id"] == 3
    assert len(lines) == sum(stage.rows_dropped + stage.rows_failed for stage in last_run.stages)


def test_nested_values_are_kept_as_they_are(documents, tmp_path):
    _, lines = run(documents, tmp_path, Filter(lambda number: number < 4, "id"))
    assert [line["row"] for line in lines if line["filter"] == "filter_fn"] == [
        {"id": 4, "text": "this is longer than twenty characters", "meta": {"a": 1}}
    ]


def test_a_batch_that_a_stage_drops_whole_is_kept_row_by_row(documents, tmp_path):
    class Nothing(ProcessingStage[DocumentBatch, DocumentBatch]):
        name = "nothing"

        def process(self, batch):
            return None

    _, lines = run(documents, tmp_path, Nothing())
    assert [line["row"]["id"] for line in lines if line["stage"] == "nothing"] == [1, 2, 3, 4]


def test_a_sample_bounds_each_filter_and_each_kind_of_error(documents, tmp_path):
    _, lines = run(documents, tmp_path, ScoreFilter(WordCountFilter(min_words=50)), rejected_sample=1)
    assert sorted((line["filter"], line["row"]) for line in lines if isinstance(line["row"], str)) == [
        ("jsonl_reader", "[1, 2]")
    ]
    assert [line["row"]["id"] for line in lines if line["filter"] == "word_count"] == [1]


class Own(ProcessingStage[DocumentBatch, DocumentBatch]):
    """A user's stage that says nothing of what it leaves out."""

    name = "own"

    def __init__(self, function):
        self.function = function

    def process(self, batch):
        return DocumentBatch(dataset_name=batch.dataset_name, data=self.function(batch.to_pandas()))


def test_rows_that_a_stage_leaves_out_without_a_word_are_found(documents, tmp_path):
    _, lines = run(documents, tmp_path, Own(lambda frame: frame[frame["id"] != 3].assign(length=1)))
    assert [line["row"]["text"] for line in lines if line["filter"] == "own"] == ["a bad one here"]


def test_rows_are_not_made_up_where_a_stage_has_changed_the_others_too(documents, tmp_path):
    def shorter(frame):
        return frame.iloc[:2].assign(text="changed", id=0, meta=None)

    last_run, lines = run(documents, tmp_path, Own(shorter))
    assert [line for line in lines if line["filter"] == "own"] == []
    assert last_run.dropped()["own"] == 2
