"""What a reader sees of each construct of wikitext, and that no text is too much for the converter."""

import re
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.stages.text.download.wikipedia import templates
from nemo_curator.stages.text.download.wikipedia.wikitext import to_text

READ = {
    "": "",
    "plain text": "plain text",
    "'''Bold''' and ''italic'' and '''''both'''''": "Bold and italic and both",
    "[[cat]]s and [[Dog (animal)|dogs]]": "cats and dogs",
    "[[Paris (Texas)|]] [[:Category:Cities]] [[:fr:Paris]]": "Paris Category:Cities fr:Paris",
    "a [[b|c ''d'' [http://x.org e]]] f": "a c d e f",
    "[[File:a.jpg|thumb|A [[caption]] of {{lang|de|x}}]]text": "text",
    "[[Datei:a.svg|mini|Bild]][[ファイル:b.PNG|thumb|図]][[Bestand:c.jpeg]]text": "text",
    "[[Imagine: John Lennon]]": "Imagine: John Lennon",
    "text\n[[Category:Cities|*]]\n[[Kategorie:Städte]]\n[[カテゴリ:都市]]": "text\n\nCities\nStädte\n都市",
    "text\n\n[[de:Stadt]]\n[[zh-min-nan:X]]": "text",
    "[[wikt:word|word]]": "word",
    "[http://x.org/a?b=c A label] [https://x.org] [//x.org y] [mailto:a@b.c z] http://x.org": "A label y z http://x.org",
    "[not a link] a[1]": "[not a link] a[1]",
    "a{{unknown|b|{{c|[[d]]}}}}e": "ae",
    "{{lang|de|Stadt}} {{lang-fr|ville}} {{nowrap|1 2}}": "Stadt ville 1 2",
    "{{lang|de|1={{nowrap|a}}|2={{lang|fr|''b''}}}}": "b",
    "{{convert|10|km|mi}}, {{convert|5|ft|6|in|m}}": "10 km, 5 ft 6 in",
    "{{cvt|2|to|3|km2}}, {{convert|20|C}}": "2 to 3 km², 20 °C",
    "{{nihongo|Anime|アニメ|anime}}": "Anime (アニメ, anime)",
    "{{IPAc-en|lang|ˈ|æ|n|ɪ}} {{IPA|/a/}} {{IPA-fr|paʁi}}": "/ˈænɪ/ /a/ paʁi",
    "{{birth date|1912|6|23}} {{start date|1990|df=yes|2|3}}": "June 23, 1912 3 February 1990",
    "{{start date|1990|5}} {{start date|1990}}": "May 1990 1990",
    "{{as of|2010|lc=y}}, {{As of|2010|5|1}}": "as of 2010, As of 1 May 2010",
    "{{circa|1200}} {{frac|1|2}} {{frac|3|1|4}} {{val|5|u=kg}}": "c. 1200 1/2 3 1/4 5 kg",
    "a{{spaced ndash}}b{{mdash}}c{{'}}d{{!}}": "a \u2013 b—c'd|",
    "{{USS|Enterprise|CVN-65}}": "USS Enterprise",
    "{{quote|To be}}{{quote|text=or not}}": "To beor not",
    "{{langx|ar|الجزائر}} {{transliteration|ru|ISO|Moskva}} {{transl|ru|Kiev}}": "الجزائر Moskva Kiev",
    "{{IPA|fr|mɔ̃d}} {{IPA|[a]|x}} {{respell|al|BEE|doh|_|A|'}}": "mɔ̃d [a] al-BEE-doh A'",
    "Hawai{{okina}}i, B{{music|flat}}, {{linktext|日|本}}, {{nihongo2|漢字}}": "Hawai\u02bbi, B♭, 日本, 漢字",
    "{{korean|hangul=서울|rr=Seoul}} {{ship|USS|Essex|CV-9}} {{tmath|\\pi}}": "서울, Seoul USS Essex $\\pi$",
    "{{columns-list|colwidth=20em|\n* a\n* b}}": "a\nb",
    "{{Carbon}}<sub>n</sub>{{Hydrogen}}<sub>''2n''+2</sub>": "CₙH₂ₙ₊₂",
    "{{US$|5 million}} {{script/Arabic|م}} {{IPAblink|a}}": "US$5 million م a",
    "{{formatnum:12345}} {{lc:[[a:b|c]]}}x": "12345 x",
    "{{{parameter|default}}}x": "x",
    "a\n{| class=x\n|-\n! b\n| c\n{|\n| d\n|}\n|}\ne": "a\ne",
    "a<table><tr><td>b<table></table></td></tr></table>c": "ac",
    'a<ref>b</ref>c<ref name="x" />d<REF name=y>{{cite|t=[[e]]}}</REF>f<references/>': "acdf",
    "E is <math>mc^{2} {{x}}</math>.": "E is $mc^{2} {{x}}$.",
    "<math>a &lt; b &amp; c</math>": "$a < b & c$",
    "a<!-- b\n\nc -->d\n<!-- e -->\nf": "ad\nf",
    "<nowiki>''a'' [[b]] &amp; {{c}}</nowiki>": "''a'' [[b]] & {{c}}",
    "<pre>\n a  [[b]]\n</pre>": " a  [[b]]",
    '<syntaxhighlight lang="c">\nif (a[[0]]) {{\n    b();\n}}\n</syntaxhighlight>': "if (a[[0]]) {{\n    b();\n}}",
    "<gallery>\nFile:a.jpg|b\n</gallery>a<score>c</score><timeline>d</timeline>": "a",
    "<div style='x'>a</div> <span>b</span><br/>c <B>d</B>": "a\nb\nc d",
    "<ul><li>a</li> <li>b</li></ul><p class=x>c</p>d": "a\nb\nc\nd",
    "<div>\na\n</div>\n<p>b</p>\nc": "a\n\nb\nc",
    "<code>main()</code> and f( ), 日本（）は": "main() and f(), 日本は",
    "* {{cite|a}}.\n* {{cite|b}}, ISBN 3\n* ...and .5 of {{c}}.\nd": "ISBN 3\n...and .5 of.\nd",
    "H<sub>2</sub>O 10<sup>-6</sup> x<sup>th</sup>": "H₂O 10⁻⁶ xth",
    "1 < 2 &lt;div&gt; &nbsp;&amp;lt; &#8364;&#x20AC; &copy=1": "1 < 2 <div> &lt; €€ &copy=1",
    "__TOC__a__NOEDITSECTION__ __目次強制__ __init__": "a __init__",
    "-{zh-hans:计算机;zh-hant:電腦}- -{R|x}- -{T|y}-z": "计算机 x z",
    "* a\n** b\n# c\n: d\n; e\n----\nf": "a\nb\nc\nd\ne\n\nf",
    "a ({{IPA-none}}; b) c ({{unknown}}) d, {{cn}}, e {{cn}}. f": "a (b) c d,, e. f",
    "lead\n== One ==\na\n=== Two ===\nb\n== Three ==\n{{reflist}}\n== Four ==\n===Five===\nc": (
        "lead\n\nOne\na\n\nTwo\nb\n\nFour\n\nFive\nc"
    ),
    "== A {{anchor|b}} [[c]] == <!-- d -->\ne": "A c\ne",
    "a\r\n\r\nb": "a\n\nb",
}


@pytest.mark.parametrize(("wikitext", "text"), READ.items(), ids=range(len(READ)))
def test_wikitext_reads_as_a_reader_sees_it(wikitext, text):
    assert to_text(wikitext) == text


UNCLOSED = {
    "{{infobox\n| a = {{b}\n| c = d\n}}\nlead\n\nnext": "lead\n\nnext",
    "{{a b\nnext\n\nlast": "next\n\nlast",
    "a [[b c\n\nnext]] last": "a b c\n\nnext last",
    "[[File:a.jpg|thumb|b\n\nnext": "next",
    "{| class=x\n| a\n|-\n| b\n\nnext": "next",
    "{|\n| a\n== Head ==\nb\n|}\nc": "Head\nb\nc",
    "{{a\n== Head ==\nb}} c": "Head\nb c",
    "a<ref>b\n\nnext <ref>c</ref>last": "a\n\nnext last",
    "a<ref>b <ref>c</ref> d": "a d",
    "a <!-- b\n\nnext": "a\n\nnext",
    "a <math>b\n\nnext": "a b\n\nnext",
    "<div>a": "a",
    "a ''b": "a b",
    "a}} b]] c": "a b c",
    "<nowiki>a ''b''": "a b",
    "-{a": "-{a",
    "{{a|[[b}} c]] d": "c d",
}


@pytest.mark.parametrize(("wikitext", "text"), UNCLOSED.items(), ids=range(len(UNCLOSED)))
def test_what_is_not_closed_ends_with_its_paragraph(wikitext, text):
    assert to_text(wikitext) == text


PIECES = [
    "{{",
    "}}",
    "[[",
    "]]",
    "{|\n",
    "\n|}",
    "<ref>",
    "</ref>",
    "<!--",
    "-->",
    "<math>",
    "|",
    "\n\n",
    "\n==",
    "==\n",
]
PIECES += [
    "'''",
    "[http://",
    "]",
    "<nowiki>",
    "</nowiki>",
    "-{",
    "}-",
    "&",
    "__",
    "File:a.jpg",
    "lang",
    "{{lang|a|",
    "\0",
]
PIECES += [
    "(",
    ")",
    " ",
    ",",
    "<div ",
    "<table>",
    "</table>",
    "<sup>",
    "\n*",
    "Category:",
    "de:",
    "\ud83d\ude00",
    "=",
    "a",
]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5)).map("".join))
def test_any_text_reads_as_something(wikitext):
    assert "\0" not in to_text(wikitext)


ARGUMENT = st.text(max_size=4) | st.sampled_from(
    ["1", "0019", "²", "3=x", "2 = y", "df=y", "lt=", "-", "to", "km", "e=5"]
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(templates._HANDLERS)), st.lists(ARGUMENT, max_size=6))
def test_any_arguments_of_a_template_read_as_something(name, arguments):
    assert isinstance(templates.read(name, arguments), str)


def _lines_run(wikitext):
    """How many lines of Python the converter runs; regular expressions are not among them."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        to_text(wikitext)
    finally:
        sys.settrace(before)
    return count


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join))
def test_twice_the_text_takes_about_twice_the_steps(unit):
    few, many = _lines_run(unit * 100), _lines_run(unit * 200)
    assert many <= 2.2 * few + 1000


HOSTILE = [
    "{{",
    "[[",
    "{|\n",
    "<ref>",
    "<!--",
    "<ref><math><pre>",
    "[[File:a|",
    "[[a\n\n",
    "{{a\n|\n",
    "[http://a ",
    "-{",
    "(",
]
HOSTILE += [
    "__A",
    "&abc",
    "<div ",
    "<table>",
    "<sup>",
    "}}",
    "{{nowrap|[[a|",
    "{{lang|en|",
    "= ",
    " ,",
    "[[a:",
    "\n    ",
    "''",
    "<p> ",
    "<li\t",
    "\n*.: ",
]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("unit", HOSTILE)
def test_what_is_opened_thirty_thousand_times_does_not_hold_up(unit):
    start = time.process_time()
    text = to_text(f"before\n\n{unit * 30_000}\n== Heading ==\nafter")
    assert time.process_time() - start < 10
    assert text.startswith("before\n\n")
    assert text.endswith("\n\nHeading\nafter")


def test_what_is_nested_too_deep_is_dropped_and_the_rest_stays():
    deep = "{{nowrap|" * 1000 + "x" + "}}" * 1000
    assert to_text(f"a {deep} b") == "a b"
    assert to_text("{{nowrap|" * 40 + "x" + "}}" * 40) == "x"


WORDS = st.text(alphabet="abcdefgh XYZéЖ日", min_size=1, max_size=12)
INLINE = st.recursive(
    WORDS,
    lambda inner: st.one_of(
        inner.map("''{}''".format),
        inner.map("[[Target|{}]]".format),
        inner.map("{{{{lang|de|{}}}}}".format),
        inner.map("{{{{unknown|{}|a=b}}}}".format),
        WORDS.map("<ref name=a>{{{{cite|[[a|{}]]|b=''c''}}}}</ref>".format),
        inner.map("<span style='a'>{}</span>".format),
        inner.map("[[File:a.png|thumb|{}]]".format),
        WORDS.map("[http://a.org {}]".format),
        st.tuples(inner, inner).map(" ".join),
    ),
    max_leaves=12,
)
BLOCK = st.one_of(
    INLINE,
    INLINE.map("* {}".format),
    WORDS.map("== {} ==".format),
    INLINE.map("{{| class=x\n|-\n| {}\n|}}".format),
    INLINE.map("<gallery>\nFile:a.jpg|{}\n</gallery>".format),
    INLINE.map("<!-- {} -->".format),
)
RESIDUE = re.compile(r"\{\{|\}\}|\[\[|\]\]|\{\||\|\}|<|>|thumb|style=|''|==|\||http")


@settings(max_examples=60, deadline=None)
@given(st.lists(BLOCK, max_size=8).map("\n\n".join))
def test_well_formed_markup_leaves_no_residue(wikitext):
    assert not RESIDUE.search(to_text(wikitext))
