import functools

import pyarrow as pa
import pytest

from nemo_curator.stages.text.modifiers import DocumentModifier, Modify, NewlineNormalizer, UrlRemover
from nemo_curator.tasks import DocumentBatch


class Upper(DocumentModifier):
    def modify_document(self, text):
        return text.upper()


class UpperColumn(DocumentModifier):
    def modify_texts(self, texts):
        return pa.compute.utf8_upper(texts.array)


class Join(DocumentModifier):
    def modify_document(self, first, second):
        return f"{first}-{second}"


def batch(**columns):
    return DocumentBatch.from_arrow(pa.table(columns or {"text": ["a", None, "b"]}))


def values(stage, field="text", one=None):
    return stage.process(one or batch()).column(field).to_pylist()


@pytest.mark.parametrize("modifier", [Upper(), UpperColumn()])
def test_either_form_of_a_modifier_gives_both_and_null_stays_null(modifier):
    assert values(Modify(modifier)) == ["A", None, "B"]
    assert modifier.modify_document("x") == "X"


def test_a_subclass_that_overrides_one_form_gets_what_it_wrote():
    class Lower(UpperColumn):
        def modify_document(self, text):
            return text.lower()

    assert values(Modify(Lower()), one=batch(text=["A"])) == ["a"]


def test_a_column_of_nulls_stays_text():
    made = Modify(Upper()).process(DocumentBatch.from_arrow(pa.table({"text": pa.array([None], pa.string())})))
    assert pa.types.is_large_string(made.column("text").type)


def test_the_input_is_left_alone_and_results_may_go_elsewhere():
    before = batch()
    made = Modify(Upper(), output_fields="loud").process(before)
    assert made.column("loud").to_pylist() == ["A", None, "B"]
    assert before.get_columns() == ["text"]


def test_a_function_sees_every_value_also_null():
    assert values(Modify(lambda text: text or "none")) == ["a", "none", "b"]


def test_several_columns_are_passed_by_name():
    stage = Modify(Join(), input_fields=[["first", "second"]], output_fields="both")
    assert values(stage, "both", batch(first=["a"], second=["b"])) == ["a-b"]
    assert stage.inputs() == (["data"], ["first", "second"])


def test_modifiers_run_in_order_and_may_use_what_one_before_made():
    stage = Modify([Upper(), lambda text: text + "!"], input_fields=["text", "loud"], output_fields=["loud", None])
    assert values(stage, "loud", batch(text=["a"])) == ["A!"]
    assert stage.inputs() == (["data"], ["text"])
    assert stage.outputs() == (["data"], ["loud"])


@pytest.mark.parametrize(
    ("inputs", "outputs", "made"),
    [
        ("a", None, {"a": "X!?", "b": "y"}),
        (["a"], None, {"a": "X!?", "b": "y"}),
        (["a", "b", "b"], None, {"a": "X", "b": "y!?"}),
        ([["a"], ["b"], ["a"]], [None], {"a": "X?", "b": "y!"}),
        (["a", "c", "c"], "c", {"a": "x", "b": "y", "c": "X!?"}),
        ("a", ["c"], {"a": "x", "b": "y", "c": "x?"}),
        ("a", ["c", None, "d"], {"a": "x!", "b": "y", "c": "X", "d": "x!?"}),
    ],
)
def test_fields_are_one_for_all_or_one_for_each(inputs, outputs, made):
    stage = Modify([Upper(), lambda text: text + "!", lambda text: text + "?"], inputs, outputs)
    assert stage.process(batch(a=["x"], b=["y"])).to_pyarrow().to_pylist() == [made]


def test_one_list_of_columns_serves_several_modifiers():
    stage = Modify([Join(), lambda first, second: second + first], [["first", "second"]], ["one", "other"])
    made = stage.process(batch(first=["a"], second=["b"])).to_pyarrow().to_pylist()
    assert made == [{"first": "a", "second": "b", "one": "a-b", "other": "ba"}]


@pytest.mark.parametrize(
    ("modifier", "name"),
    [
        (Upper(), "Upper"),
        ([Upper(), Join()], "modifier_chain_of_Upper_Join"),
        ([UrlRemover(), NewlineNormalizer()], "modifier_chain_of_UrlRemover_NewlineNormalizer"),
        (str.lower, "lower"),
        (functools.partial(str.replace), "replace"),
    ],
)
def test_the_stage_is_named_after_its_modifiers(modifier, name):
    fields = [["text"], ["a", "b"]] if isinstance(modifier, list) else "text"
    assert Modify(modifier, fields, "out").name == name


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Modify("upper"), TypeError, "modifier_fn: 'upper' is a str"),
        (lambda: Modify(Join(), [["a", "b"]]), ValueError, r"\['a', 'b'\] needs a name in output_fields"),
        (lambda: Modify([Upper()] * 3, ["a", "b"]), ValueError, "2 values for 3 functions"),
        (lambda: Modify([Upper()] * 3, "a", ["a", "b"]), ValueError, "2 values for 3 modifiers"),
    ],
)
def test_wrong_parameters_are_refused_when_the_stage_is_made(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_results_of_differing_types_are_kept_as_they_are():
    made = Modify(lambda text: {"it": text} if text else 3).process(batch())
    assert made.data["text"].tolist() == [{"it": "a"}, 3, {"it": "b"}]


def test_a_batch_without_rows_keeps_the_type_of_its_column():
    empty = DocumentBatch.from_arrow(pa.table({"text": pa.array([], pa.string())}))
    made = Modify([str.upper, len], output_fields=[None, "n"]).process(empty)
    assert [field.type for field in made.to_pyarrow().schema] == [pa.string(), pa.large_string()]
