import pytest

from nemo_curator.stages.text.filters import (
    RepeatedLinesFilter,
    RepeatedParagraphsFilter,
    RepeatingDuplicateNGramsFilter,
    RepeatingTopNGramsFilter,
    TopNGramFilter,
)


@pytest.mark.parametrize(
    ("text", "share"),
    [("a b a b", 6 / 7), ("a\nb a\nb", 0.0), ("a b xa by a b", 9 / 13), ("p q r s", 3 / 7), ("a", 1.0)],
)
def test_the_top_ngram_is_what_str_replace_takes_away(text, share):
    assert RepeatingTopNGramsFilter(n=2).score_document(text) == share


@pytest.mark.parametrize(("text", "share"), [("a b a b", 6 / 7), ("a\nb a\nb", 6 / 7), ("a", 1.0)])
def test_the_top_ngram_of_the_recipe_also_counts_over_the_end_of_a_line(text, share):
    assert TopNGramFilter(n=2).score_document(text) == share


@pytest.mark.parametrize(("text", "share"), [("a b c", 0.0), ("a b a b a b", 7 / 11), ("éé x éé x", 4 / 9)])
def test_characters_of_ngrams_that_stood_before_count_once(text, share):
    assert RepeatingDuplicateNGramsFilter(n=2).score_document(text) == share


@pytest.mark.parametrize(("text", "share"), [("a\na\n \nb", 2 / 3), ("a \na", 1.0), (" \n", 0.0)])
def test_lines_are_different_as_they_stand_and_blank_ones_do_not_count(text, share):
    assert RepeatedLinesFilter().score_document(text) == share


@pytest.mark.parametrize(("text", "share"), [("a\n\na", 0.5), ("a\n\n\na", 1.0), ("\n\n\n\n", 1 / 3), ("", 1.0)])
def test_paragraphs_stand_between_empty_lines(text, share):
    assert RepeatedParagraphsFilter().score_document(text) == share


@pytest.mark.parametrize("cls", [RepeatingTopNGramsFilter, RepeatingDuplicateNGramsFilter, TopNGramFilter])
def test_an_ngram_has_a_word_at_least(cls):
    with pytest.raises(ValueError, match="n is 0"):
        cls(n=0)


def test_the_name_says_which_ngrams():
    assert RepeatingTopNGramsFilter(n=3).name == "repeating_top_3grams"
    assert RepeatingDuplicateNGramsFilter(n=5).name == "repeating_dup_5gram"
