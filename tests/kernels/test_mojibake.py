"""The scan takes every document for a suspect that ftfy changes, and few others."""

import json
import re
from pathlib import Path

import ftfy
import pytest
from ftfy.badness import BADNESS_RE, MOJIBAKE_CATEGORIES
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.kernels.mojibake import find_suspects, may_change, scan_tables
from nemo_curator.tasks.text_column import TextColumn

REAL = Path(__file__).parents[3] / "shared" / "data" / "text" / "mojibake_ftfy"
FLAGS = [name for name, default in ftfy.TextFixerConfig._field_defaults.items() if isinstance(default, bool)]
NOTHING = ftfy.TextFixerConfig(unescape_html=False, normalization=None, **dict.fromkeys(FLAGS, False))
# what is left of UnicodeReformatter's defaults when a text has neither ligatures nor wide characters
USUAL = ftfy.TextFixerConfig(
    fix_latin_ligatures=False, fix_character_width=False, uncurl_quotes=False, fix_line_breaks=False, normalization=None
)
UNLIKELY = "".join(
    char for char in map(chr, range(0x80, 0x10000)) if re.match(f"[{''.join(MOJIBAKE_CATEGORIES.values())}]", char)
)
CODECS = ["latin-1", "sloppy-windows-1252", "sloppy-windows-1251", "sloppy-windows-1253", "macroman", "cp437"]


def garbled(text, codec):
    return text.encode().decode(codec, errors="ignore")


pieces = st.one_of(
    st.text(st.sampled_from(UNLIKELY), max_size=4),
    st.text(st.sampled_from(" \n\tazAZ09.,?!&;<#\r\f\x1b[m\x00\x7f\x85\ufeff\u2028"), max_size=4),
    st.sampled_from(
        ["&lt;", "&amp;amp;", "&#38;", "&#x1F408;", "&EACUTE;", "&nothing;", "&" + "a" * 25 + ";", "a < b"]
    ),
    st.sampled_from(
        ["in plain English, ", "\n", "so it goes " * 8, "猫", "🐈", "ﬁ", "ｆ", "à la", "“quoted”", "ŒUVRE"]
    ),
    st.builds(
        garbled,
        st.text(max_size=4) | st.sampled_from(["schön", "“so”", "naïve—", "да", "10 €"]),
        st.sampled_from(CODECS),
    ),
    st.text(max_size=3),
)
texts = st.lists(pieces, max_size=12).map("".join)
configs = st.builds(
    ftfy.TextFixerConfig,
    unescape_html=st.sampled_from(["auto", True, False]),
    normalization=st.none(),
    max_decode_length=st.sampled_from([3, 20, 1000000]),
    **{flag: st.booleans() for flag in FLAGS},
)


def suspects(documents, config=USUAL):
    return find_suspects(*TextColumn(documents).buffers, *scan_tables(config)).tolist()


@settings(deadline=None, max_examples=1000)
@given(texts)
def test_what_is_no_suspect_is_left_alone_by_ftfy(text):
    assert suspects([text]) == [True] or ftfy.fix_text(text, USUAL) == text
    assert may_change(text) or ftfy.fix_text(text, USUAL) == text


@settings(deadline=None, max_examples=1000)
@given(texts, configs)
def test_what_is_no_suspect_is_left_alone_however_ftfy_is_configured(text, config):
    assert suspects([text], config) == [True] or ftfy.fix_text(text, config) == text
    assert may_change(text) or ftfy.fix_text(text, config) == text


@settings(deadline=None, max_examples=1000)
@given(texts)
def test_the_automaton_finds_what_the_expression_of_ftfy_finds(text):
    text = re.sub("[\U00010000-\U0010ffff]", "", text)
    found = BADNESS_RE.search(text) or re.search("[ÃÂ] ", text)
    assert suspects([text], NOTHING._replace(fix_encoding=True)) == [bool(found)]


@pytest.mark.parametrize("before", ["", "a" * 31, "a" * 32, "é" * 16, "a" * 100, "é" + "a" * 40])
@pytest.mark.parametrize(
    "sign", ["a Ã ", "ŒÂ", "Œ\n", "é”a", "Ã©", "a  Â b", "ГўВЂВ. ", "\x00", "\x85", "&lt;", "\ufeff"]
)
def test_a_sign_is_found_wherever_it_stands(before, sign):
    for text in (f"{before}{sign}", f"{before}{sign}{'b' * 40}"):
        assert suspects([text]) == [True]


@pytest.mark.parametrize(
    "text",
    [
        "She said, “It’s naïve – and café-goers know…” — for 10 € or £5.",
        "Съешь же ещё этих мягких французских булок, да выпей чаю — «сказал он».",
        "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.",
        "一只猫坐在垫子上。狗也在那里。\n他们很开心…",
        "いろはにほへと、ちりぬるを。",
        "Voix ambiguë d’un cœur qui, au zéphyr, préfère les jattes de kiwis.",
        "Falsches Üben von Xylophonmusik quält jeden größeren Zwerg.",
        "Zażółć gęślą jaźń.",
        "نص حكيم له سر قاطع وذو شأن عظيم",
        "R&D at AT&T, salt & pepper\r\n",
        "<p>&amp; &lt;",
        "🐈 meows 🙂",
        "",
    ],
)
def test_ordinary_text_is_no_suspect(text):
    assert suspects([text]) == [False]
    assert ftfy.fix_text(text, USUAL) == text


@pytest.mark.parametrize(
    ("text", "suspect"),
    [
        ("&lt;", True),
        ("&#60;", True),
        ("a < b &lt;", False),
        ("&lt; a < b", False),
        ("a < b\n&lt;", False),
        ("&lt;\na < b", True),
        ("&lt", False),
        ("&;", False),
        ("&#;", False),
        (f"&{'a' * 24};", True),
        (f"&{'a' * 25};", False),
    ],
)
def test_an_entity_counts_unless_markup_comes_before_the_end_of_its_line(text, suspect):
    assert suspects([text]) == [suspect]


def test_a_line_that_ftfy_cuts_may_have_its_markup_in_a_later_part():
    text = "&lt; aaaa < b"
    assert ftfy.fix_text(text, USUAL._replace(max_decode_length=8)) != text
    assert suspects([text], USUAL._replace(max_decode_length=8)) == [True]


def test_with_an_expression_of_another_kind_everything_outside_ascii_is_suspect(monkeypatch):
    monkeypatch.setattr("ftfy.badness.BADNESS_RE", re.compile("(é+)x"))
    scan_tables.cache_clear()
    assert suspects(["plain & simple", "é", "猫", "🐈", "&lt;"]) == [False, True, True, True, True]
    scan_tables.cache_clear()


@pytest.mark.skipif(not REAL.exists(), reason=f"the examples of ftfy are not at {REAL}")
@pytest.mark.parametrize("name", ["in-the-wild", "synthetic", "negative", "known-failures", "language-names"])
def test_real_mojibake_is_suspect(name):
    documents = [example["original"] for example in json.loads((REAL / f"{name}.json").read_text())]
    for config in (USUAL, ftfy.TextFixerConfig(normalization=None)):
        changed = [ftfy.fix_text(text, config) != text for text in documents]
        assert [
            text for text, new, seen in zip(documents, changed, suspects(documents, config)) if new and not seen
        ] == []
