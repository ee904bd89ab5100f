import time

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.stages.text.modifiers import (
    BoilerPlateStringModifier,
    CitationRemover,
    FastTextLabelModifier,
    LineRemover,
    MarkdownRemover,
    NewlineNormalizer,
    QuotationRemover,
    Slicer,
    UrlRemover,
)
from nemo_curator.tasks.text_column import TextColumn

PIECES = ["http://x.y/a_b", "WWW.z.com", ").", " ", "\n", "\r\n", "\n\n", "*", "**", "_", "[t](u)", "![i](j)", "a", "9"]
PIECES += [
    '"',
    "use cookies",
    "Lorem Ipsum",
    "Privacy Policy",
    "é",
    "語",
    "`",
    "\\",
    "$",
    "b_c",
    "foo",
    "[1]",
    "[edit]",
    "[",
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=8).map("".join)
MODIFIERS = [
    BoilerPlateStringModifier(),
    BoilerPlateStringModifier(remove_if_at_top_or_bottom=False),
    CitationRemover(),
    FastTextLabelModifier("__label__hq"),
    LineRemover(["foo", ""]),
    LineRemover([]),
    MarkdownRemover(),
    MarkdownRemover(keep_url=True),
    NewlineNormalizer(),
    QuotationRemover(),
    Slicer("a", "foo", include_right=False),
    UrlRemover(),
]


@pytest.mark.parametrize("modifier", MODIFIERS, ids=lambda one: type(one).__name__)
@settings(deadline=None, max_examples=60)
@given(texts=st.lists(st.none() | TEXTS, max_size=4), kind=st.sampled_from([pa.string(), pa.large_string()]))
def test_a_column_is_changed_as_each_text_is(modifier, texts, kind):
    rows = [None if text is None else modifier.modify_document(text) for text in texts]
    array = pa.array(["before", *texts, "after"], kind).slice(1, len(texts))
    for column in (TextColumn(array), TextColumn(pa.chunked_array([array, array]))):
        made = modifier.modify_texts(column)
        assert (made if isinstance(made, list) else TextColumn(getattr(made, "array", made)).to_pylist()) == rows * (
            len(column) // max(len(texts), 1)
        )


@pytest.mark.parametrize("modifier", MODIFIERS, ids=lambda one: type(one).__name__)
def test_a_column_in_which_nothing_changes_comes_back_itself(modifier):
    if type(modifier) in (Slicer, FastTextLabelModifier):
        pytest.skip("every text changes")
    column = TextColumn(["plain text", None, "say so"])
    assert modifier.modify_texts(column) is column


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("a http://x.y b WWW.z.com c", "a  b  c"),
        ("(see https://x.y/a?b=1#c).", "(see )."),
        ("http://en.wikipedia.org/wiki/F_(bar)), and", "), and"),
        ('<a href="HTTP://a.b/c">', '<a href="">'),
        ("“http://x.y”。", "“”。"),
        ("http://... and www... and awww.so", "http://... and www... and awww.so"),
        ("http://[::1]:80/x]", "]"),
    ],
)
def test_addresses_go_and_the_sentence_around_them_stays(text, made):
    assert UrlRemover().modify_document(text) == made


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("**b** *i* _u_ ***x***", "b i u x"),
        ("foo_bar_baz and snake_ and _snake", "foo_bar_baz and snake_ and _snake"),
        ("2*3*4 = 2 * 3 * 4, a*b*c", "2*3*4 = 2 * 3 * 4, a*b*c"),
        ("f(*args, **kwargs)", "f(*args, **kwargs)"),
        ("* item **bold *it***\n- **a\nb**", "* item bold it\n- **a\nb**"),
        ("`a *b* c` \\*no\\* http://x/_a_/b _http://x_a_b/c_", "`a *b* c` \\*no\\* http://x/_a_/b http://x_a_b/c"),
        ("这是*强调*文字", "这是强调文字"),
        ("*a _b* c_", "a _b c_"),
        ("$x^*$ and $y^*$, (a)_{1}+(b)_{2}, costs $5 *or* $6", "$x^*$ and $y^*$, (a)_{1}+(b)_{2}, costs $5 or $6"),
        ("é*ß*", "éß"),
        ("**b *c** d*", "b c d"),
    ],
)
def test_emphasis_goes_where_commonmark_sees_it(text, made):
    assert MarkdownRemover().modify_document(text) == made


@pytest.mark.parametrize(
    ("text", "made", "with_url"),
    [
        ("[t](http://u)", "t", "http://u"),
        ('![alt](i.png "title") [![b](c)](d)', "alt b", "i.png d"),
        ("[a](b(c)d) [x] (y) [n](see below)", "a [x] (y) [n](see below)", "b(c)d [x] (y) [n](see below)"),
    ],
)
def test_of_a_link_the_text_stays_or_on_request_the_address(text, made, with_url):
    assert MarkdownRemover().modify_document(text) == made
    assert MarkdownRemover(keep_url=True).modify_document(text) == with_url


PATHOLOGICAL = [
    "**a ",
    "_a ",
    "*a* ",
    "[",
    "[a](",
    "[a](()",
    "*",
    "`",
    "` *a",
    "http://_",
    '[a](u "',
    "*_",
    "*a_",
    "![[",
]
PATHOLOGICAL += ["http://a)", "www.", "http://a.", "\\", "$a *b "]


@pytest.mark.parametrize("piece", PATHOLOGICAL)
def test_no_text_takes_more_than_linear_time(piece):
    start = time.process_time()
    for modifier in (MarkdownRemover(), UrlRemover()):
        modifier.modify_document(piece * 30000)
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ('"ab"', "ab"),
        ('"a"', "a"),
        ('""', '""'),
        ('"a"\nb"', '"a"\nb"'),
        ('"a\nb"', "a\nb"),
        ('"Hi" said Tom. "Bye"', '"Hi" said Tom. "Bye"'),
        ('"He said "hi" to me"', 'He said "hi" to me'),
        ('"say "x"\nb"', '"say "x"\nb"'),
        ('"a', '"a'),
        ('"', '"'),
    ],
)
def test_quotation_marks_go_where_they_belong_together(text, made):
    assert QuotationRemover().modify_document(text) == made


def test_newlines_are_at_most_two_in_a_row():
    assert NewlineNormalizer().modify_document("a\n\n\nb\n\nc" + 4 * "\r\n" + "d") == "a\n\nb\n\nc\r\n\r\nd"


def test_known_lines_are_removed_only_where_they_are_equal():
    assert LineRemover(["foo"]).modify_document("foo\nbar\n foo\nfoo") == "bar\n foo"
    assert LineRemover(["foo", ""]).modify_document("foo\n\nfoo") == ""


@pytest.mark.parametrize(
    ("slicer", "text", "made"),
    [
        (Slicer("b", "d"), "abcdeabcde", "bcdeabcd"),
        (Slicer("b", "d", False, False, False), "abcdeabcde", "cdeabc"),
        (Slicer(-3), "abcde", "cde"),
        (Slicer(1, -1), "a b c", "b"),
        (Slicer(1, -1, strip=False), "a b c", " b "),
        (Slicer("x"), "abc", ""),
        (Slicer(right="x"), "abc", ""),
    ],
)
def test_a_piece_is_cut_out(slicer, text, made):
    assert slicer.modify_document(text) == made


def test_a_label_goes_before_the_one_line_of_a_document():
    assert FastTextLabelModifier("__label__hq").modify_document("a\nb __label__x c") == "__label__hq a b  x c"


def test_marks_of_citations_go():
    text = "Cats sleep.[12][citation needed] [edit][] a[i] [1, 2]"
    assert CitationRemover().modify_document(text) == "Cats sleep.  a[i] [1, 2]"


POLICY = "We use cookies."


@pytest.mark.parametrize(
    ("paragraphs", "made", "else_made"),
    [
        (["A", "B"], "A\n\nB", "A\n\nB"),
        ([POLICY, "Terms of Use", "A"], "A", ""),
        (["A", POLICY], "A", ""),
        ([POLICY, "A", POLICY, "B", POLICY], f"A\n\n{POLICY}\n\nB", ""),
        (["A", POLICY, "B"], f"A\n\n{POLICY}\n\nB", ""),
        ([POLICY, POLICY], f"{POLICY}\n\n{POLICY}", ""),
        (["A", "LOREM ipsum", "B"], "", ""),
    ],
)
def test_boilerplate_goes_from_both_ends(paragraphs, made, else_made):
    text = "\n\n".join(paragraphs)
    assert BoilerPlateStringModifier().modify_document(text) == made
    assert BoilerPlateStringModifier(remove_if_at_top_or_bottom=False).modify_document(text) == else_made


def test_the_boilerplate_modifier_is_named_after_its_score():
    assert BoilerPlateStringModifier().name == "boilerplate_string_ratio"


def test_white_space_within_a_link_takes_linear_time():
    text = "[x](" + " " * 100_000 + "!"
    assert MarkdownRemover().modify_document(text) == text
