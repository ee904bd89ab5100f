import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import ContractError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import DocumentFilter, Filter, Score, ScoreFilter, WordCountFilter
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.tasks import DocumentBatch


class Length(DocumentFilter):
    """Keep texts of at most a number of characters."""

    def __init__(self, most=3):
        super().__init__()
        self.most = most
        self._name = f"length_{most}"

    def score_document(self, text):
        return len(text)

    def keep_document(self, score):
        return score <= self.most


class Whole(DocumentFilter):
    """The same, written for columns."""

    def score_texts(self, texts):
        return texts.lengths

    def keep_scores(self, scores):
        return np.asarray(scores) <= 3


TEXTS = ["a", "four", "", None, "abc"]


def batch(**columns):
    return DocumentBatch.from_arrow(pa.table(columns or {"text": TEXTS}))


def kept(stage, one=None):
    return stage.process(one or batch()).column("text").to_pylist()


@pytest.mark.parametrize("one", [Length(), Whole()])
def test_either_form_of_a_filter_gives_both(one):
    assert kept(ScoreFilter(one)) == ["a", "", None, "abc"]
    assert (one.score_document("four"), one.keep_document(3), one.keep_document(4)) == (4, True, False)
    assert one.keep_scores([3, 4]).tolist() == [True, False]


def test_a_subclass_that_overrides_one_form_gets_what_it_wrote():
    class Shorter(Whole):
        def score_document(self, text):
            return len(text) * 4

    class ColumnAgain(Length):
        def score_texts(self, texts):
            return np.full(len(texts), 9)

    class Every(WordCountFilter):
        def keep_document(self, score):
            return True

    assert kept(ScoreFilter(Shorter())) == ["", None]
    assert kept(ScoreFilter(ColumnAgain())) == []
    assert ColumnAgain().score_document("a") == 9
    assert kept(ScoreFilter(Every())) == TEXTS


def test_a_filter_that_defines_nothing_says_so():
    with pytest.raises(TypeError, match="defines neither score_document nor score_texts"):
        type("Nothing", (DocumentFilter,), {})().score_document("a")


def test_scores_are_kept_when_asked_for_and_the_input_is_left_alone():
    before = batch()
    made = ScoreFilter(Length(), score_field="n").process(before)
    assert made.column("n").to_pylist() == [1, 0, 0, 3]
    assert before.get_columns() == ["text"]


def test_filters_run_in_order_each_on_what_is_left():
    seen = []

    class Watch(Length):
        def score_document(self, text):
            seen.append(text)
            return 0

    assert kept(ScoreFilter([Length(), Watch()])) == ["a", "", None, "abc"]
    assert seen == ["a", "", "", "abc"]


def test_a_chain_may_remove_everything():
    assert kept(ScoreFilter([Length(-1), Length()])) == []


def test_parameters_are_one_for_all_or_one_for_each():
    one = batch(text=["a", "four"], other=["four", "b"])
    stage = ScoreFilter([Length(), Length()], text_field=["text", "other"], invert=[False, True])
    assert kept(stage, one) == ["a"]
    assert kept(ScoreFilter([Length(), Length()], invert=[False]), one) == ["a"]
    assert kept(ScoreFilter([Length(), Length()], text_field=["text"], invert=True), one) == ["four"]
    assert stage.inputs() == (["data"], ["text", "other"])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ScoreFilter(len), TypeError, "wanted DocumentFilter"),
        (lambda: ScoreFilter([]), ValueError, "filter_obj is an empty list"),
        (lambda: ScoreFilter(Length(), text_field=None), ValueError, "text_field is missing"),
        (lambda: ScoreFilter(Length(), text_field=3), TypeError, "wanted str"),
        (lambda: ScoreFilter([Length()] * 3, text_field=["a", "b"]), ValueError, "2 values for 3 functions"),
        (lambda: ScoreFilter([Length()] * 2, score_field="n"), ValueError, "1 values for 2 functions"),
        (lambda: Score(len, score_field=None), ValueError, "score_field is missing"),
        (lambda: Score("len", score_field="n"), TypeError, "score_fn: 'len' is a str"),
        (lambda: Filter([bool, bool], filter_field="n"), ValueError, "1 values for 2 functions"),
        (lambda: Filter(bool, filter_field=None), ValueError, "filter_field is missing"),
    ],
)
def test_wrong_parameters_are_refused_when_the_stage_is_made(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        (ScoreFilter(WordCountFilter()), "word_count"),
        (ScoreFilter([WordCountFilter(), Length()]), "score_filter_chain_of_word_count_length_3"),
        (ScoreFilter(Length(), name="mine"), "mine"),
        (Filter(lambda value: True, "n"), "filter_fn"),
        (Score(len, "n"), "score_fn"),
        (Score(Length(), "n"), "length_3"),
        (Score([len, Whole()], ["n", "m"]), "score_chain_of_score_fn_Whole"),
    ],
)
def test_stages_are_named_after_what_they_run(stage, name):
    assert stage.name == name


def test_score_adds_columns_by_filters_and_functions():
    made = Score([len, Length()], score_field=["n", "m"]).process(batch())
    assert made.column("n").to_pylist() == made.column("m").to_pylist() == [1, 4, 0, 0, 3]


def test_filter_judges_a_column():
    one = batch(text=["a", "b", "c"], n=[1, 5, None])
    assert kept(Filter(lambda value: value == 5, "n"), one) == ["b"]
    assert kept(Filter(Length(), "n"), batch(text=["a", "b"], n=[1, 5])) == ["a"]
    assert kept(Filter(lambda value: value == 5, "n", invert=True), one) == ["a", "c"]


def test_filter_judges_values_of_differing_types_as_they_are():
    one = DocumentBatch.from_arrow(pa.table({"text": ["a", "b", "c"]})).with_column("n", [1, 0.25, {"x": 1}])
    assert kept(Filter(lambda value: value != {"x": 1} and value < 1, "n"), one) == ["b"]


def test_a_filter_that_scores_too_few_says_so():
    class Few(Whole):
        def score_texts(self, texts):
            return [1]

    with pytest.raises(ContractError, match="Few made 1 scores for 5 texts"):
        ScoreFilter(Few()).process(batch())


def test_a_column_that_is_not_text_says_so():
    with pytest.raises(ContractError, match="column 'n' holds int64, not text"):
        ScoreFilter(Whole(), text_field="n").process(batch(n=[1]))


class Double(DocumentFilter):
    """Keep numbers whose double is above three."""

    def score_document(self, value):
        return 2 * value

    def keep_document(self, score):
        return score > 3


def test_what_is_written_for_one_value_takes_columns_that_are_not_text():
    numbers = batch(n=[1, 2], tags=[["a"], ["b", "c"]])
    assert ScoreFilter(Double(), text_field="n", score_field="d").process(numbers).values("d") == [4]
    assert Score(lambda n: n + 1, score_field="m", text_field="n").process(numbers).values("m") == [2, 3]
    assert Score(Length(), score_field="m", text_field="tags").process(numbers).values("m") == [1, 2]


def test_without_rows_scores_are_numbers():
    made = Score(len, score_field="n").process(batch(text=pa.array([], pa.string())))
    assert made.column("n").type == pa.float64()


def test_what_has_no_score_is_not_kept():
    made = Filter(WordCountFilter(min_words=2), "n").process(batch(n=[1, None, 3]))
    assert made.values("n") == [3]


class InAMixin:
    """What several filters of a script share."""

    def score_document(self, text):
        return 1000


class Mixed(InAMixin, WordCountFilter):
    """Score by the mixin."""


def test_a_mixin_that_comes_first_is_what_runs():
    assert Mixed().score_texts(batch().text("text")) == [1000] * 5


def test_a_value_that_is_no_text_fails_alone(tmp_path):
    lines = [json.dumps({"text": "two words" if number % 2 else "one"}) for number in range(100)]
    (tmp_path / "in.jsonl").write_text("\n".join([*lines, '{"text": 17}']))
    pipeline = Pipeline("p", stages=[JsonlReader(str(tmp_path)), ScoreFilter(WordCountFilter(min_words=2))])
    [made] = pipeline.run(LocalExecutor(num_workers=0), max_failed_fraction=0.01)
    count = pipeline.last_run.stages[-1]
    assert (made.num_items, count.rows_dropped, count.rows_failed) == (50, 50, 1)


def test_a_frame_stays_a_frame():
    frame = pd.DataFrame({"text": ["a", "four"]})
    made = ScoreFilter(Length(), score_field="n").process(DocumentBatch(data=frame))
    assert made.data.to_dict("records") == [{"text": "a", "n": 1}]
    assert list(frame.columns) == ["text"]


def test_models_are_fetched_once_and_loaded_on_the_worker():
    called = []

    class Model(Length):
        def model_check_or_download(self):
            called.append("fetch")

        def load_model(self):
            called.append("load")

    stage = ScoreFilter([Model(), Length()])
    stage.setup_on_node()
    stage.setup()
    assert called == ["fetch", "load"]
