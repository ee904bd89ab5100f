import pandas as pd
import pyarrow as pa
import pytest

from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import DocumentFilter, Filter, MarkRejected, ScoreFilter, WordCountFilter
from nemo_curator.tasks import DocumentBatch


class Length(DocumentFilter):
    """Keep texts of at most a number of characters."""

    def __init__(self, most):
        super().__init__()
        self.most, self.seen, self._name = most, [], "length"

    def score_document(self, text):
        self.seen.append(text)
        return len(text)

    def keep_document(self, score):
        return score <= self.most


TEXTS = ["a b", "one", None, "a b c d e f", "x y"]


def batch(**more):
    return DocumentBatch.from_arrow(pa.table({"text": TEXTS, **more}))


def test_every_row_stays_and_the_first_filter_that_rejects_it_is_named():
    length = Length(5)
    stage = MarkRejected([WordCountFilter(min_words=2), length])
    made = stage.process(batch())
    assert made.column("text").to_pylist() == TEXTS
    assert made.column("rejected_by").to_pylist() == [None, "word_count", "word_count", "length", None]
    assert length.seen == ["a b", "a b c d e f", "x y"]
    assert stage.outputs() == (["data"], ["text", "rejected_by"])


def test_stages_keep_their_columns_and_scores_are_null_where_a_filter_saw_nothing():
    stages = [
        Filter(lambda number: number != 4, "n"),
        ScoreFilter(WordCountFilter(min_words=2), score_field="words", invert=True),
        ScoreFilter([Length(2), Length(0)], score_field=["first", "second"]),
    ]
    stage = MarkRejected(stages, reason_field="why")
    made = stage.process(batch(n=[0, 1, 2, 3, 4]))
    assert made.column("why").to_pylist() == ["word_count", "length", None, "word_count", "filter_fn"]
    assert made.column("words").to_pylist() == [2, 1, 0, 6, None]
    assert made.column("first").to_pylist() == [None, 3, 0, None, None]
    assert made.column("second").to_pylist() == [None, None, 0, None, None]
    assert stage.inputs() == (["data"], ["n", "text"])


def test_it_marks_what_the_stages_themselves_would_drop():
    stages = [ScoreFilter(WordCountFilter(min_words=2)), ScoreFilter(Length(5))]
    kept = Pipeline("drop", stages=stages).run(initial_tasks=[batch()])[0].column("text").to_pylist()
    pipeline = Pipeline("mark", stages=[MarkRejected(stages)])
    made = pipeline.run(initial_tasks=[batch()])[0].to_pyarrow().to_pylist()
    assert [row["text"] for row in made if row["rejected_by"] is None] == kept
    assert pipeline.last_run.dropped() == {}


def test_a_second_stage_goes_on_where_the_first_ended():
    first = MarkRejected(WordCountFilter(min_words=2)).process(batch())
    made = MarkRejected([Length(5), WordCountFilter(min_words=9)]).process(first)
    reasons = ["word_count", "word_count", "word_count", "length", "word_count"]
    assert made.column("rejected_by").to_pylist() == reasons


@pytest.mark.parametrize("texts", [[], ["a"], ["a b c"]])
def test_all_none_or_no_rows_may_be_rejected(texts):
    made = MarkRejected(WordCountFilter(min_words=2)).process(
        DocumentBatch(data=pa.table({"text": pa.array(texts, "str")}))
    )
    assert made.column("rejected_by").to_pylist() == [None if " " in text else "word_count" for text in texts]
    assert made.column("rejected_by").type == pa.string()


def test_a_frame_stays_a_frame():
    frame = pd.DataFrame({"text": ["a", "a b"]}, index=[3, 1])
    made = MarkRejected(WordCountFilter(min_words=2)).process(DocumentBatch(data=frame))
    assert made.data["rejected_by"].fillna("kept").tolist() == ["word_count", "kept"]
    assert list(made.data.index) == [3, 1]


def test_what_is_no_filter_is_refused():
    with pytest.raises(TypeError, match="wanted DocumentFilter or ScoreFilter or Filter"):
        MarkRejected([len])
