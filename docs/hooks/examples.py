"""Texts that show what each filter and modifier does. What they do with them is worked out when the pages are built."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MODELS = {
    "FastTextLangId",
    "FastTextQualityFilter",
    "HistogramFilter",
    "TokenCountFilter",
    "TokenizerFertilityFilter",
}
"""Filters that need a file of a model, so that nothing can be shown without one."""
PROSE = "The cat sat on the mat. It was happy to be there with the dog."
PAGE = f"{PROSE}\n{PROSE}"


@dataclass(frozen=True)
class Example:
    """Some texts, and the parameters of what they are shown to."""

    texts: list[str]
    parameters: dict[str, Any] = field(default_factory=dict)


EXAMPLES = {
    # characters, words and lines
    "BoilerPlateStringFilter": Example([PROSE, "Read our terms of use.\n\nSome text."]),
    "BulletsFilter": Example(
        ["• eggs\n• flour\nMix them.", "• eggs\n• flour\n• milk"], {"max_bullet_lines_ratio": 0.7}
    ),
    "CommonEnglishWordsFilter": Example([PROSE, "buy cheap watches"]),
    "EllipsisFilter": Example([PAGE, "So it goes…\nRead more...\nThe end."]),
    "LengthFilter": Example(["long enough", "too short"], {"min_length": 10}),
    "LongWordFilter": Example([PROSE, "GATTACAGATTACAGATTACA"], {"max_word_length": 15}),
    "MeanWordLengthFilter": Example([PROSE, "a b c d"]),
    "NonAlphaNumericFilter": Example([PROSE, "§ 1 | § 2 | § 3"]),
    "NumbersFilter": Example(["In 3 days", "tel. 555 0100"]),
    "ParenthesesFilter": Example([PROSE, "f(x)(y)[z]"]),
    "PornographicUrlsFilter": Example(["see http://example.org", "see http://porn.example.org"]),
    "PunctuationFilter": Example(["It ends.\nHome", "Home\nNews\nShop"]),
    "SubstringFilter": Example(["an otter", "a hare"], {"substring": "otter", "position": "any"}),
    "SymbolsToWordsFilter": Example([PROSE, "more … # # …"]),
    "UrlsFilter": Example([f"{PROSE} http://a.org", "http://example.org/a http://example.org/b"]),
    "WhiteSpaceFilter": Example([PROSE, "a  b   \t c"]),
    "WordCountFilter": Example(["one two three", "one two"], {"min_words": 3}),
    "WordsWithoutAlphabetsFilter": Example(["It was 3 pm", "1 2 3 %"], {"min_words_with_alphabets": 0.7}),
    # repetition
    "RepeatedLinesByCharFilter": Example([PROSE, "again\nagain\nagain"]),
    "RepeatedLinesFilter": Example([PROSE, "again\nagain\nagain"]),
    "RepeatedParagraphsByCharFilter": Example([PROSE, "again\n\nagain\n\nagain"]),
    "RepeatedParagraphsFilter": Example([PROSE, "again\n\nagain\n\nagain"]),
    "RepeatingDuplicateNGramsFilter": Example([PROSE, "buy now buy now buy now"]),
    "RepeatingTopNGramsFilter": Example([PAGE, "buy now buy now buy now"]),
    # rules of published data sets
    "BulletLinesFilter": Example(["- eggs\nMix them.", "- eggs\n- flour\n- milk"]),
    "CharDuplicatesFilter": Example([PROSE, "Home\nHome\nNews"]),
    "CurlyBraceFilter": Example([PROSE, "if (a) { b }"]),
    "DuplicateLinesFilter": Example([PROSE, "Home\nHome\nNews"]),
    "DuplicateParagraphsFilter": Example([PROSE, "Home\n\nHome\n\nNews"]),
    "EllipsisLinesFilter": Example([PAGE, "So it goes…\nRead more..."]),
    "LinesEndingWithPunctuationFilter": Example(["It ends.\nHome", "Home\nNews"]),
    "LoremIpsumFilter": Example([PROSE, "Lorem ipsum dolor sit amet"]),
    "MinSentencesFilter": Example(["One. Two. Three.", "One. Two."], {"min_sentences": 3}),
    "NewlineToWordsFilter": Example([PROSE, "one\ntwo\nthree\n"]),
    "ShortLinesFilter": Example([PROSE, "Home\nNews\nShop"]),
    "StopWordsFilter": Example([PROSE, "the the the"]),
    "SymbolsPerWordFilter": Example([PROSE, "# one ## two"]),
    "TopNGramFilter": Example([f"{PROSE} A goose came by.", "buy now buy now buy now"]),
    # lines
    "CounterLineFilter": Example(["He likes 3 cats", "3 likes"]),
    "EndMarkFilter": Example(["It ends.", "Read more..."]),
    "ForbiddenSubstringsFilter": Example(["A cat.", "Please enable JavaScript"], {"substrings": ["javascript", "{"]}),
    "NumericLineFilter": Example(["3 cats", "2024-01-02"]),
    "UppercaseFilter": Example(["Mostly lower", "BUY NOW today"]),
    # code
    "AlphaFilter": Example(["total = price + tax", "0x00, 0x01, 0x02"]),
    "GeneralCommentToCodeFilter": Example(
        ["int a; // how many\n", "int a; int b; int c;\n"], {"language": "text/x-c++"}
    ),
    "HTMLBoilerplateFilter": Example(
        [f"<p>{PROSE}</p>", "<ul class='menu'><li><a href='/'>Home</a></li></ul>"],
        {"min_lang_content_num_chars": 10},
    ),
    "NumberOfLinesOfCodeFilter": Example(["a = 1\nb = 2\n", "a = 1"], {"min_lines": 2}),
    "PerExtensionFilter": Example(["value = 1\n", "0" * 30], {"lang": "Python", "extension": "py"}),
    "PythonCommentToCodeFilter": Example(["a = 1  # how many\n", "a = 1\nb = 2\nc = a + b\n"]),
    "XMLHeaderFilter": Example(["a = 1", '<?xml version="1.0"?><a/>']),
    # modifiers
    "BoilerPlateStringModifier": Example(["We use cookies.\n\nA cat sat on a mat.\n\nRead our terms of use."]),
    "CitationRemover": Example(["Cats sleep[1] a lot.[citation needed]"]),
    "FastTextLabelModifier": Example(["Two\nlines"], {"label": "__label__hq"}),
    "LineRemover": Example(["Menu\nA cat.\nMenu"], {"patterns": ["Menu"]}),
    "MarkdownRemover": Example(["A **bold** [link](http://a.org), snake_case"]),
    "NewlineNormalizer": Example(["one\n\n\n\ntwo"]),
    "QuotationRemover": Example(['"Hello."', '"Hi," said Tom. "Bye."']),
    "Slicer": Example(["Start: the text. End"], {"left": "Start:", "right": "End", "include_left": False}),
    "UnicodeReformatter": Example(["itâ€™s &amp; schÃ¶n"]),
    "UrlRemover": Example(["See https://example.org/a, or ask."]),
}
