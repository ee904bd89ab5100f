"""Cascades of filters that published data sets were made with, as lists of stages to put between reader and writer.

The same cascades are in `nemo_curator/config/text` as YAML, to be run as they are or to be copied and changed.
"""

from __future__ import annotations

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.filters.doc_filter import DocumentFilter
from nemo_curator.stages.text.filters.heuristic import (
    BoilerPlateStringFilter,
    BulletsFilter,
    CommonEnglishWordsFilter,
    EllipsisFilter,
    LongWordFilter,
    MeanWordLengthFilter,
    NonAlphaNumericFilter,
    NumbersFilter,
    ParenthesesFilter,
    PunctuationFilter,
    SymbolsToWordsFilter,
    UrlsFilter,
    WhiteSpaceFilter,
    WordCountFilter,
    WordsWithoutAlphabetsFilter,
)
from nemo_curator.stages.text.filters.heuristic.repetition import (
    RepeatedLinesByCharFilter,
    RepeatedLinesFilter,
    RepeatedParagraphsByCharFilter,
    RepeatedParagraphsFilter,
    RepeatingDuplicateNGramsFilter,
    RepeatingTopNGramsFilter,
)
from nemo_curator.stages.text.filters.heuristic.web import (
    BulletLinesFilter,
    CharDuplicatesFilter,
    CurlyBraceFilter,
    DuplicateLinesFilter,
    DuplicateParagraphsFilter,
    EllipsisLinesFilter,
    LinesEndingWithPunctuationFilter,
    LoremIpsumFilter,
    MinSentencesFilter,
    NewlineToWordsFilter,
    ShortLinesFilter,
    StopWordsFilter,
    SymbolsPerWordFilter,
    TopNGramFilter,
)
from nemo_curator.stages.text.filters.line import (
    CounterLineFilter,
    EndMarkFilter,
    ForbiddenSubstringsFilter,
    NumericLineFilter,
    UppercaseFilter,
)
from nemo_curator.stages.text.filters.line_filter import LineFilter
from nemo_curator.stages.text.filters.score_filter import ScoreFilter
from nemo_curator.stages.text.modifiers.modifier import Modify
from nemo_curator.stages.text.modifiers.string.c4 import CitationRemover

TOP_NGRAMS = {2: 0.2, 3: 0.18, 4: 0.16}
DUPLICATE_NGRAMS = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.1}
"""The largest share of the characters that repeated n-grams may cover: table A1 of the Gopher paper."""

C4_POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
ANY_NUMBER = 10**9


def heuristic_english(text_field: str = "text") -> list[ProcessingStage]:
    """Keep English documents that look like prose: the 28 filters of `heuristic_filter_english_pipeline.yaml`."""
    return _each(_heuristic("en", english=True), text_field)


def heuristic_non_english(text_field: str = "text", lang: str = "en") -> list[ProcessingStage]:
    """Keep documents of any language that look like prose: those of the English filters that know no English.

    `lang` says how words are found: by a tagger in `zh` and `ja`, else between white space.
    """
    return _each(_heuristic(lang, english=False), text_field)


def gopher_quality(text_field: str = "text") -> list[ProcessingStage]:
    """Keep documents by the quality rules of MassiveText (https://arxiv.org/abs/2112.11446, A.1.1)."""
    filters: list[DocumentFilter] = [
        WordCountFilter(min_words=50, max_words=100000),
        MeanWordLengthFilter(min_mean_word_length=3, max_mean_word_length=10),
        SymbolsPerWordFilter(max_ratio=0.1),
        BulletLinesFilter(max_ratio=0.9),
        EllipsisLinesFilter(max_ratio=0.3),
        WordsWithoutAlphabetsFilter(min_words_with_alphabets=0.8),
        StopWordsFilter(min_words=2),
    ]
    return _each(filters, text_field)


def gopher_repetition(text_field: str = "text") -> list[ProcessingStage]:
    """Drop documents that repeat themselves, by the rules of MassiveText (table A1 of its paper)."""
    filters: list[DocumentFilter] = [
        DuplicateLinesFilter(max_ratio=0.3),
        DuplicateParagraphsFilter(max_ratio=0.3),
        DuplicateLinesFilter(max_ratio=0.2, by_char=True, name="duplicate_lines_char"),
        DuplicateParagraphsFilter(max_ratio=0.2, by_char=True, name="duplicate_paragraphs_char"),
        *(TopNGramFilter(n, max_ratio=most) for n, most in TOP_NGRAMS.items()),
        *_duplicate_ngrams("en"),
    ]
    return _each(filters, text_field)


def c4(
    text_field: str = "text", *, end_marks: bool = True, min_words_per_line: int = 3, min_sentences: int = 5
) -> list[ProcessingStage]:
    """Clean pages line by line and drop what is no prose, as for C4 (https://arxiv.org/abs/1910.10683).

    Lines stay that end with a mark (unless `end_marks` is false), have `min_words_per_line` and speak neither of
    JavaScript nor of policies; of the pages, those with `min_sentences`, without braces and without placeholder text.
    C4's list of bad words is not among the rules.
    """
    lines: list[DocumentFilter] = [
        *([EndMarkFilter()] if end_marks else []),
        WordCountFilter(min_words=min_words_per_line, max_words=ANY_NUMBER),
        ForbiddenSubstringsFilter(["javascript"], name="javascript"),
        ForbiddenSubstringsFilter(list(C4_POLICIES), name="policy"),
        LongWordFilter(max_word_length=1000),
    ]
    pages: list[DocumentFilter] = [LoremIpsumFilter(), CurlyBraceFilter(), MinSentencesFilter(min_sentences)]
    return [Modify(CitationRemover(), text_field), LineFilter(lines, text_field), *_each(pages, text_field)]


def refined_web_lines(text_field: str = "text", max_removed_share: float = 0.05) -> list[ProcessingStage]:
    """Remove lines that are no text, and documents of which they are much, as for RefinedWeb.

    Such lines have one word, are mainly capitals, hold numbers alone or count something (https://arxiv.org/abs/2306.01116,
    G.2). The limit is a share of the words.
    """
    lines: list[DocumentFilter] = [
        WordCountFilter(min_words=2, max_words=ANY_NUMBER),
        UppercaseFilter(max_uppercase_ratio=0.5),
        NumericLineFilter(),
        CounterLineFilter(),
    ]
    return [LineFilter(lines, text_field, max_removed_share=max_removed_share, keep_blank_lines=True)]


def fineweb(text_field: str = "text") -> list[ProcessingStage]:
    """Keep pages by the rules of FineWeb (https://arxiv.org/abs/2406.17557).

    They are those of Gopher, those of C4 without the one that lines end with a mark, and four of its own.
    """
    own: list[DocumentFilter] = [
        LinesEndingWithPunctuationFilter(min_ratio=0.12),
        ShortLinesFilter(max_ratio=0.67, max_chars=30),
        CharDuplicatesFilter(max_ratio=0.01),
        NewlineToWordsFilter(max_ratio=0.3),
    ]
    return [
        *gopher_repetition(text_field),
        *gopher_quality(text_field),
        *c4(text_field, end_marks=False),
        *_each(own, text_field),
    ]


def _heuristic(lang: str, *, english: bool) -> list[DocumentFilter]:
    return [
        *([NonAlphaNumericFilter(max_non_alpha_numeric_to_text_ratio=0.25)] if english else []),
        SymbolsToWordsFilter(max_symbol_to_word_ratio=0.1, lang=lang),
        NumbersFilter(max_number_to_text_ratio=0.15),
        UrlsFilter(max_url_to_text_ratio=0.2),
        WhiteSpaceFilter(max_white_space_ratio=0.25),
        ParenthesesFilter(max_parentheses_ratio=0.1),
        BoilerPlateStringFilter(remove_if_at_top_or_bottom=True, max_boilerplate_string_ratio=0.4),
        RepeatedLinesFilter(max_repeated_line_fraction=0.7),
        RepeatedParagraphsFilter(max_repeated_paragraphs_ratio=0.7),
        RepeatedLinesByCharFilter(max_repeated_lines_char_ratio=0.8),
        RepeatedParagraphsByCharFilter(max_repeated_paragraphs_char_ratio=0.8),
        WordCountFilter(min_words=50, max_words=100000, lang=lang),
        PunctuationFilter(max_num_sentences_without_endmark_ratio=0.85),
        *([WordsWithoutAlphabetsFilter(min_words_with_alphabets=0.8)] if english else []),
        *([CommonEnglishWordsFilter(min_num_common_words=2, stop_at_false=True)] if english else []),
        MeanWordLengthFilter(min_mean_word_length=3, max_mean_word_length=10, lang=lang),
        LongWordFilter(max_word_length=1000, lang=lang),
        EllipsisFilter(max_num_lines_ending_with_ellipsis_ratio=0.3),
        *(RepeatingTopNGramsFilter(n, max_repeating_ngram_ratio=most, lang=lang) for n, most in TOP_NGRAMS.items()),
        *_duplicate_ngrams(lang),
        BulletsFilter(max_bullet_lines_ratio=0.9),
    ]


def _duplicate_ngrams(lang: str) -> list[DocumentFilter]:
    return [
        RepeatingDuplicateNGramsFilter(n, max_repeating_duplicate_ngram_ratio=most, lang=lang)
        for n, most in DUPLICATE_NGRAMS.items()
    ]


def _each(filters: list[DocumentFilter], text_field: str) -> list[ProcessingStage]:
    return [ScoreFilter(one, text_field) for one in filters]
