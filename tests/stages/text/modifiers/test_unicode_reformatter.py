"""UnicodeReformatter gives what ftfy gives, on columns as on single texts."""

import json
from pathlib import Path

import ftfy
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.kernels.words import count_words
from nemo_curator.stages.text.modifiers.unicode import UnicodeReformatter
from nemo_curator.tasks.text_column import TextColumn

REAL = Path(__file__).parents[5] / "shared" / "data" / "text" / "mojibake_ftfy"
MONA = "The Mona Lisa doesnâ€™t have eyebrows. &lt;b&gt; ﬁ “q” \x1b[31mred\x1b[0m\r\n"
FLAGS = [name for name, default in ftfy.TextFixerConfig._field_defaults.items() if isinstance(default, bool)]

texts = st.lists(
    st.sampled_from(
        [MONA, "plain ", "“curly” ", "e\u0301", "ﬁ", "schÃ¶n", "&amp;", "<", "\n", "\r\n", "\x07", "ｆ", "🐈", "Ã "]
    )
    | st.text(max_size=4),
    max_size=6,
).map("".join)
parameters = st.fixed_dictionaries(
    {},
    optional={
        "unescape_html": st.sampled_from(["auto", True, False]),
        "normalization": st.sampled_from([None, "NFC", "NFD", "NFKC", "NFKD"]),
        "max_decode_length": st.sampled_from([2, 30, 1000000]),
        **{flag: st.booleans() for flag in FLAGS},
    },
)


@pytest.fixture(scope="module", autouse=True)
def numba_is_loaded():
    count_words(*TextColumn(["a"]).buffers)


def test_the_documented_example_is_repaired():
    assert UnicodeReformatter().modify_document(MONA) == ("The Mona Lisa doesn’t have eyebrows. <b> ﬁ “q” red\r\n")


def test_defaults_differ_from_those_of_ftfy_in_form_only():
    kept = {"fix_latin_ligatures", "fix_character_width", "uncurl_quotes", "fix_line_breaks", "normalization"}
    ours = UnicodeReformatter()
    differing = {
        name for name, default in ftfy.TextFixerConfig._field_defaults.items() if getattr(ours, name) != default
    }
    assert differing == kept


@settings(deadline=None, max_examples=300)
@given(st.lists(st.none() | texts, max_size=5), parameters, st.sampled_from([pa.string(), pa.large_string()]))
def test_a_column_is_repaired_as_ftfy_repairs_each_text(documents, chosen, kind):
    reformat = UnicodeReformatter(**chosen)
    defaults = {name: getattr(UnicodeReformatter(), name) for name in ftfy.TextFixerConfig._fields}
    config = ftfy.TextFixerConfig(**{**defaults, **chosen})
    expected = [None if text is None else ftfy.fix_text(text, config) for text in documents]
    array = pa.array(["before", *documents, "after"], kind).slice(1, len(documents))
    for column in (TextColumn(array), TextColumn(pa.chunked_array([array, array]))):
        repaired = reformat.modify_texts(column)
        assert repaired.to_pylist() == expected * (len(column) // max(len(documents), 1))
        assert repaired.array.type == kind
        assert (repaired is column) == (repaired.to_pylist() == column.to_pylist())


@settings(deadline=None)
@given(st.lists(texts, max_size=5), parameters)
def test_few_texts_are_repaired_the_same_without_numba(documents, chosen):
    reformat = UnicodeReformatter(**chosen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nemo_curator.tasks.text_column.pays", lambda nbytes: False)
        repaired = reformat.modify_texts(TextColumn(documents)).to_pylist()
    assert repaired == [reformat.modify_document(text) for text in documents]


def test_a_column_in_order_comes_back_itself_with_what_was_counted():
    column = TextColumn(["plain", None, "“Naïve?” – “Да…”"])
    column.remember("lengths", lambda: "counted before")
    repaired = UnicodeReformatter().modify_texts(column)
    assert repaired is column
    assert repaired.lengths == "counted before"


def test_a_config_replaces_the_parameters():
    reformat = UnicodeReformatter(ftfy.TextFixerConfig(fix_encoding=False), uncurl_quotes=False)
    assert reformat.modify_document("schÃ¶n “q”") == 'schÃ¶n "q"'
    assert reformat.modify_texts(TextColumn(["schÃ¶n “q”"])).to_pylist() == ['schÃ¶n "q"']


def test_it_is_called_after_its_class():
    assert UnicodeReformatter().name == "UnicodeReformatter"


@pytest.mark.skipif(not REAL.exists(), reason=f"the examples of ftfy are not at {REAL}")
def test_real_mojibake_is_repaired_as_ftfy_repairs_it():
    documents = [
        example["original"] for path in sorted(REAL.glob("*.json")) for example in json.loads(path.read_text())
    ]
    reformat = UnicodeReformatter()
    repaired = reformat.modify_texts(TextColumn(documents)).to_pylist()
    assert repaired == [reformat.modify_document(text) for text in documents]
    assert repaired != documents
