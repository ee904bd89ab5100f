import pytest

from nemo_curator.stages.text.filters.heuristic import WordCountFilter


@pytest.mark.parametrize(("text", "words"), [("", 0), ("one", 1), (" two\u2003words\n", 2), ("一只猫坐在", 1)])
def test_word_count_filter_scores_the_number_of_words(text, words):
    assert WordCountFilter().score_document(text) == words


@pytest.mark.parametrize(("words", "stays"), [(1, False), (2, True), (3, True), (4, False)])
def test_word_count_filter_keeps_what_lies_between_its_bounds(words, stays):
    assert WordCountFilter(min_words=2, max_words=3).keep_document(words) is stays
