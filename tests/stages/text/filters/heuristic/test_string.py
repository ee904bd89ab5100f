import re

import numpy as np
import pytest
import regex

from nemo_curator.stages.text import filters
from nemo_curator.stages.text.filters import (
    BoilerPlateStringFilter,
    LengthFilter,
    LongWordFilter,
    MeanWordLengthFilter,
    NumbersFilter,
    PornographicUrlsFilter,
    SubstringFilter,
    SymbolsToWordsFilter,
    UrlsFilter,
    WordCountFilter,
    WordsWithoutAlphabetsFilter,
)
from nemo_curator.stages.text.word_splitters import word_splitter
from nemo_curator.tasks.text_column import TextColumn

DROPPED_WITHOUT_TEXT = """
BulletsFilter CommonEnglishWordsFilter EllipsisFilter LongWordFilter MeanWordLengthFilter NonAlphaNumericFilter
NumbersFilter ParenthesesFilter PunctuationFilter SymbolsToWordsFilter UrlsFilter WhiteSpaceFilter WordCountFilter
WordsWithoutAlphabetsFilter RepeatedLinesByCharFilter RepeatedLinesFilter RepeatedParagraphsByCharFilter
RepeatingDuplicateNGramsFilter RepeatingTopNGramsFilter StopWordsFilter SymbolsPerWordFilter BulletLinesFilter
EllipsisLinesFilter TopNGramFilter DuplicateLinesFilter LinesEndingWithPunctuationFilter ShortLinesFilter
CharDuplicatesFilter NewlineToWordsFilter MinSentencesFilter DuplicateParagraphsFilter
"""
KEPT_WITHOUT_TEXT = """
BoilerPlateStringFilter PornographicUrlsFilter RepeatedParagraphsFilter LengthFilter
CurlyBraceFilter LoremIpsumFilter
"""
IN_WORDS = [
    LongWordFilter,
    MeanWordLengthFilter,
    SymbolsToWordsFilter,
    WordCountFilter,
    WordsWithoutAlphabetsFilter,
]


@pytest.mark.parametrize("name", DROPPED_WITHOUT_TEXT.split())
def test_where_there_is_nothing_to_divide_by_the_document_is_dropped(name):
    one = getattr(filters, name)()
    scores = one.score_texts(TextColumn(["", None]))
    assert one.keep_scores(scores).tolist() == [False, False]


@pytest.mark.parametrize("name", KEPT_WITHOUT_TEXT.split())
def test_a_document_without_text_has_nothing_that_these_filters_look_for(name):
    one = getattr(filters, name)()
    assert one.keep_scores(one.score_texts(TextColumn(["", None]))).tolist() == [True, True]


@pytest.mark.parametrize(("text", "words"), [("", 0), ("one", 1), (" two\u2003words\n", 2), ("一只猫坐在", 1)])
def test_word_count_filter_scores_the_number_of_words(text, words):
    assert WordCountFilter().score_document(text) == words


@pytest.mark.parametrize(("words", "stays"), [(1, False), (2, True), (3, True), (4, False)])
def test_word_count_filter_keeps_what_lies_between_its_bounds(words, stays):
    assert WordCountFilter(min_words=2, max_words=3).keep_document(words) is stays


@pytest.mark.parametrize(("text", "share"), [("", 1.0), ("abc", 0.0), ("a1", 0.5), ("٣1", 1.0), ("²ⅷ", 0.0)])
def test_numbers_filter_scores_the_share_of_digits_of_every_script(text, share):
    assert NumbersFilter().score_document(text) == share


@pytest.mark.parametrize(
    ("text", "share"), [("#", 1.0), ("## ### a#b", 0.0), ("#a# … b c", 0.5), ("#### ### ## # w", 0.2)]
)
def test_symbols_to_words_filter_counts_a_run_of_hashes_as_one_as_upstream_does(text, share):
    assert SymbolsToWordsFilter().score_document(text) == share


@pytest.mark.parametrize("expression", [r"(www)\.(\w+)", re.compile(r"www\.\w+"), regex.compile(r"www\.\w+")])
def test_a_url_counts_whole_whatever_groups_its_expression_has(expression):
    texts = TextColumn(["www.porn x", "http://a.b", None])
    assert UrlsFilter(url_regex=expression).score_texts(texts).tolist() == [0.8, 0.0, 1.0]
    assert PornographicUrlsFilter(url_regex=expression).score_texts(texts).tolist() == [1, 0, 0]


def test_a_broken_expression_fails_when_the_filter_is_made():
    with pytest.raises(re.error):
        UrlsFilter(url_regex="(")


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("a\n\nWe value it. Privacy Policy", 0.5),
        ("Necessary cookies are absolutely essential for the website", 1.0),
        ("Any cookies that may not be particularly necessary", 1.0),
        ("If you continue to browse this site without changing", 1.0),
        ("coo\u212aie policy", 1.0),
        ("a\n\nb\n\nLOREM ipsum dolor", 1.0),
        ("privacy\npolicy", 0.0),
    ],
)
def test_boilerplate_is_found_in_paragraphs_in_any_case(text, share):
    assert BoilerPlateStringFilter().score_document(text) == share


@pytest.mark.parametrize(
    ("substring", "position", "found"),
    [("ab", "prefix", [1, 0, 0, 0]), ("ab", "suffix", [0, 1, 0, 0]), ("ab", "any", [1, 1, 0, 0]), ("", "any", [1] * 4)],
)
def test_substring_filter_looks_at_the_start_the_end_or_everywhere(substring, position, found):
    texts = TextColumn(["abc", "éab", None, "AB"])
    assert SubstringFilter(substring, position).score_texts(texts).tolist() == found


def test_substring_filter_knows_three_positions():
    with pytest.raises(ValueError, match="'middle'"):
        SubstringFilter("a", "middle")


@pytest.mark.parametrize(("text", "stays"), [("a", False), ("é🐈", True), ("abc", True), ("abcd", False)])
def test_length_filter_counts_characters(text, stays):
    one = LengthFilter(min_length=2, max_length=3)
    assert one.keep_document(one.score_document(text)) is stays


@pytest.mark.parametrize("cls", IN_WORDS)
def test_chinese_text_scores_as_its_words_would_with_spaces_between(cls):
    pytest.importorskip("jieba")
    texts = ["一只猫坐在垫子上。一只猫坐在垫子上。", "…", "他们很开心", ""]
    spaced = [" ".join(word_splitter("zh")(text)) for text in texts]
    wanted = cls().score_texts(TextColumn(spaced)).tolist()
    assert cls(lang="zh").score_texts(TextColumn(texts)).tolist() == wanted
    assert cls(lang="zh").requires == {"jieba": "cjk"}


def test_ngrams_of_chinese_words_are_joined_by_spaces_as_upstream_does():
    pytest.importorskip("jieba")
    text = "一只猫坐在垫子上。一只猫坐在垫子上。"
    assert filters.RepeatingDuplicateNGramsFilter(lang="zh").score_document(text) == (9 + 5) / 18
    assert filters.RepeatingTopNGramsFilter(lang="zh").score_document(text) == 0.0
    assert filters.RepeatingTopNGramsFilter(n=20, lang="zh").score_document(text) == 1.0


def test_words_of_a_language_are_split_once_and_follow_the_rows():
    pytest.importorskip("jieba")
    texts = TextColumn(["一只猫", "", None, "他们很开心"])
    lengths = LongWordFilter(lang="zh").score_texts(texts)
    part = texts.filter(np.array([True, False, True, True]))
    part.remember("words of zh", lambda: pytest.fail("split again"))
    assert LongWordFilter(lang="zh").score_texts(part).tolist() == lengths[[0, 2, 3]].tolist()
    assert WordCountFilter(lang="zh").score_texts(part).tolist() == [2, 0, 3]
