"""What the extractors keep of small pages, and of pages made to keep them busy."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from nemo_curator.stages.text.download.html_extractors import (
    ALGORITHMS,
    AutoExtractor,
    JusTextExtractor,
    ResiliparseExtractor,
    TrafilaturaExtractor,
)
from nemo_curator.stages.text.download.html_extractors.auto import loose_share
from nemo_curator.stages.text.download.html_extractors.base import dense, stop_word_density
from nemo_curator.stages.text.download.html_extractors.markup import (
    DEEPEST,
    LONGEST_TAG,
    MOST_CHOICES,
    cut_choices,
    cut_long_tags,
    is_html,
    is_too_deep,
)
from nemo_curator.stages.text.download.html_extractors.utils import get_stop_list_dict

ROOT = Path(__file__).parents[5]
WORDS = frozenset(["the", "is", "of", "and", "in", "a", "to", "it", "that", "was", "for"])
PROSE = [
    (
        "The light of the morning was in the room, and it was the light of a day that is remembered for a long time. "
        "It was to be the first of many, and the house was full of the noise of people that came in and went to work."
    ),
    (
        "A year is a long time in the life of a town, and the river that runs to the sea is never the same in it. "
        "The bridge was built in the time of the old king, and it is the pride of the people that live in the valley."
    ),
    (
        "In the end it was the children that found the way to the mill, and the way was easy for them to remember. "
        "That is the story of the town and of the river, and it is told to the young in the evenings of the winter."
    ),
]
MENU = "<ul><li><a href='/1'>Home</a></li><li><a href='/2'>Products</a></li><li><a href='/3'>Contact us</a></li></ul>"
PAGE = (
    f"<html><head><title>A town</title></head><body><nav>{MENU}</nav><main><article>"
    f"{''.join(f'<p>{paragraph}</p>' for paragraph in PROSE)}</article></main>"
    "<footer>© 2020 Town Press</footer></body></html>"
)


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_prose_is_kept_and_menus_are_not(name):
    assert ALGORITHMS[name]().extract_text(PAGE, WORDS, "ENGLISH") == PROSE


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_an_extractor_that_has_worked_can_be_sent_to_a_worker(name):
    extractor = ALGORITHMS[name]()
    extractor.extract_text(PAGE, WORDS, "ENGLISH")
    assert pickle.loads(pickle.dumps(extractor)).extract_text(PAGE, WORDS, "ENGLISH") == PROSE


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
@pytest.mark.parametrize("html", ["", " ", "<html></html>", "<p></p>", "<!-- -->", "<?xml version='1.0'?>"])
def test_a_page_without_text_has_no_paragraphs(name, html):
    assert not ALGORITHMS[name]().extract_text(html, WORDS, "ENGLISH")


@pytest.mark.parametrize("name", ["resiliparse", "trafilatura"])
def test_paragraphs_need_stop_words_where_a_list_is_known(name):
    page = PAGE.replace(
        "</article>", "<p>Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.</p></article>"
    )
    extractor = ALGORITHMS[name]()
    assert extractor.extract_text(page, WORDS, "ENGLISH") == PROSE
    assert len(extractor.extract_text(page, frozenset(), "AMHARIC")) == len(PROSE) + 1
    assert len(extractor.extract_text(page, WORDS, "THAI")) == len(PROSE) + 1


def test_justext_judges_by_length_and_links_where_no_list_is_known():
    assert JusTextExtractor().extract_text(PAGE, frozenset(), "AMHARIC") == PROSE


def test_justext_keeps_everything_of_languages_without_spaces_unless_told_otherwise():
    everything = JusTextExtractor().extract_text(PAGE, WORDS, "CHINESET")
    assert {*PROSE, "Home", "© 2020 Town Press"} <= set(everything)
    assert JusTextExtractor(is_boilerplate=True).extract_text(PAGE, frozenset(), "CHINESET") == PROSE
    assert JusTextExtractor(is_boilerplate=False).extract_text(PAGE, WORDS, "ENGLISH") == everything


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("The THE the.", 1.0),
        ("“It is,” he said.", 0.5),
        ("(of) [to] — and…", 1.0),
        ("", 0.0),
        ("— … !", 0.0),
        ("It’s Don't", 1.0),
        ("stone", 0.0),
    ],
)
def test_stop_words_are_counted_whatever_their_case_and_the_marks_around_them(text, share):
    assert stop_word_density(text, frozenset({"the", "It", "is", "of", "to", "and", "it's", "don't"})) == share


def test_a_paragraph_with_just_enough_stop_words_is_kept():
    assert dense(["the stone", " ", "the grey stone"], 0.5, WORDS, "ENGLISH") == ["the stone"]


def test_a_line_is_loose_that_is_short_or_does_not_end_as_a_sentence():
    sentence = "This is a line that ends as a sentence does."
    assert loose_share([sentence], "ENGLISH") == 0.0
    assert loose_share(["A word.", sentence[:-1]], "ENGLISH") == 1.0
    assert loose_share([], "ENGLISH") == 1.0
    assert loose_share(["人人生而自由，在尊严和权利上一律平等。"], "CHINESE") == 0.0


def test_auto_looks_twice_where_the_first_result_is_loose():
    teasers = "".join(f"<p><a href='/{at}'>Another story about the town {at}</a></p>" for at in range(8))
    page = PAGE.replace("</article>", f"{teasers}</article>")
    assert AutoExtractor().extract_text(page, WORDS, "ENGLISH") == PROSE
    assert len(AutoExtractor(max_loose_share=1.0).extract_text(page, WORDS, "ENGLISH")) > len(PROSE)


def test_auto_keeps_the_first_result_where_the_second_has_lost_most_of_it():
    titles = [f"The song of the river number {at}" for at in range(60)]
    page = (
        f"<html><body><main><p>{PROSE[0]}</p>{''.join(f'<div>{title}</div>' for title in titles)}</main></body></html>"
    )
    kept = AutoExtractor().extract_text(page, WORDS, "ENGLISH")
    assert set(titles) <= set(kept)


def test_what_trafilatura_keeps_does_not_depend_on_what_came_before():
    other = PAGE.replace(
        PROSE[2], "That is another end of the story, and it is as good as the first of them, or better. " * 3
    )
    extractor = TrafilaturaExtractor()
    first = [extractor.extract_text(page, WORDS, "ENGLISH") for page in (PAGE, other)]
    for _ in range(6):
        assert [extractor.extract_text(page, WORDS, "ENGLISH") for page in (other, PAGE)] == first[::-1]


def test_a_segment_that_repeats_within_a_page_is_kept_as_often_as_allowed():
    page = PAGE.replace("</article>", f"<p>{PROSE[0]}</p><p>{PROSE[1]}</p>" * 3 + "</article>")
    count = TrafilaturaExtractor().extract_text(page, WORDS, "ENGLISH").count(PROSE[0])
    everything = TrafilaturaExtractor(deduplicate=False).extract_text(page, WORDS, "ENGLISH").count(PROSE[0])
    assert (count, everything) == (3, 4)


def test_arguments_go_to_trafilatura():
    page = PAGE.replace(PROSE[0], f'<a href="https://example.com/">The town</a> {PROSE[0]}')
    assert "https://example.com/" in "".join(
        TrafilaturaExtractor(0.0, include_links=True).extract_text(page, WORDS, "X")
    )
    assert TrafilaturaExtractor(max_tree_size=2).extract_text(PAGE, WORDS, "ENGLISH") is None


@pytest.mark.parametrize(
    "reference", ["&#1;", "&#008", "&#11;", "&#12;", "&#31;", "&#65535;", "&#x1;", "&#X00c;", "&#x1F;", "&#xFFFE;"]
)
@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_a_reference_to_a_control_character_does_not_cost_the_page(name, reference):
    page = PAGE.replace(PROSE[0], f"{reference} {PROSE[0]}")
    made = ALGORITHMS[name]().extract_text(page, WORDS, "ENGLISH")
    assert [one.lstrip("\x01\x08\x0b\x0c\x1f\ufffe\uffff ") for one in made] == PROSE


def test_references_to_other_characters_stay():
    page = PAGE.replace(PROSE[0], f"{PROSE[0]} &#123;&#x1F600;&#9;&#x1a1;&#10;&#13;&#320;")
    assert "{\U0001f600 \u01a1 \u0140" in TrafilaturaExtractor().extract_text(page, WORDS, "ENGLISH")[0]


def test_resiliparse_keeps_the_whole_page_and_descriptions_of_pictures_where_told():
    page = PAGE.replace("</article>", "<p><img src='x' alt='the view of the town'></p></article>")
    assert "the view of the town" in ResiliparseExtractor(alt_texts=True).extract_text(page, WORDS, "ENGLISH")
    assert any(
        "Home" in one for one in ResiliparseExtractor(0.0, main_content=False).extract_text(page, WORDS, "ENGLISH")
    )


def test_stop_lists_have_the_names_of_cld2():
    lists = get_stop_list_dict()
    named = {"ENGLISH", "GERMAN", "HAITIAN_CREOLE", "NORWEGIAN", "NORWEGIAN_N", "WARAY_PHILIPPINES", "KOREAN"}
    assert named | {"THAI", "CHINESE", "JAPANESE"} <= set(lists)
    assert {"LATIN", "HAITIAN", "NORWEGIAN_BOKMAL"} & set(lists) == set()
    assert all(words and all(map(str.strip, words)) for words in lists.values())
    assert "the" in lists["ENGLISH"]
    assert "的" in lists["CHINESE"]


def test_stop_lists_of_some_languages_are_given_and_changing_the_result_changes_nothing():
    assert sorted(get_stop_list_dict(["ENGLISH", "THAI", "KLINGON"])) == ["ENGLISH", "THAI"]
    get_stop_list_dict().clear()
    assert get_stop_list_dict()


@pytest.mark.parametrize(
    ("content", "content_type", "expected"),
    [
        (b"<!doctype html><p>a", None, True),
        (b"\xef\xbb\xbf\n<html>", "text/html; charset=utf-8", True),
        ("<html>".encode("utf-16"), "text/html", True),
        (b"<?xml version='1.0'?><!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0 Strict//EN'><html>", "text/xml", True),
        (b"Hello <b>world</b>", "TEXT/HTML", True),
        (b"[gallery] <p>a</p>", "text/html", True),
        (b" " * 5000 + b"<p>a", "application/http; msgtype=response", True),
        (b"<html>", "text/plain", False),
        (b"just words, 1 < 2", None, False),
        (b'{"html": "<p>a</p>"}', "text/html", False),
        (b'[{"html": "<p>a</p>"}]', "application/octet-stream", False),
        (b"%PDF-1.7 <p>", "text/html", False),
        (b"\x89PNG\r\n<p>", None, False),
        (b"\xff\xd8\xff\xe0<p>", "text/html", False),
        (b"<?xml version='1.0'?>\n<!-- a --><rss><p>a</p></rss>", "application/xml", False),
        (b"<html>", "image/png", False),
        (b"", "text/html", False),
    ],
)
def test_html_is_told_from_other_content(content, content_type, expected):
    assert is_html(content, content_type) is expected


def test_only_attributes_of_tags_too_long_are_cut():
    long = 'a="1" ' * LONGEST_TAG
    script = f"<script>{'x = 1;' * LONGEST_TAG}</script>"
    assert cut_long_tags(f"<p {long}>text {script}<b class='x'>bold</b>") == f"<p>text {script}<b class='x'>bold</b>"
    assert cut_long_tags(f"<p>{long}</p>") == f"<p>{long}</p>"
    assert cut_long_tags(f"a <p {long}") == "a <p"


def test_choices_are_cut_where_there_are_very_many():
    assert cut_choices("<p>a<select><option value=1>b</option><OPTION>c</select>d" + "<option>e" * MOST_CHOICES) == (
        "<p>a<select></select>d"
    )
    few = "<option>e</option>" * MOST_CHOICES
    assert cut_choices(few) == few


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<div>" * (DEEPEST + 1), True),
        ("<div>" * DEEPEST + "</div>" * DEEPEST, False),
        ("<p><br><li>" * (2 * DEEPEST), False),
        ("<div><b>x</b></div>" * (2 * DEEPEST), False),
        ("<font size=1>" * (2 * DEEPEST), True),
        ("</div><div>" * (2 * DEEPEST), False),
    ],
)
def test_elements_count_as_deep_only_while_they_are_open(html, expected):
    assert is_too_deep(html) is expected


def test_a_list_of_many_short_paragraphs_takes_no_longer_than_others():
    paragraphs = "<p>of the</p>" * 10000
    code = (
        "import sys; from nemo_curator.stages.text.download.html_extractors import JusTextExtractor\n"
        "JusTextExtractor().extract_text(sys.stdin.read(), frozenset(['the']), 'ENGLISH')"
    )
    # the time of jusText's own way grows with the square: half a minute
    subprocess.run([sys.executable, "-c", code], input=paragraphs, text=True, timeout=20, check=True, cwd=ROOT)
