"""The scores of the heuristic filters, one text at a time in plain Python: what the kernels have to equal.

The tests compare every filter with its formula, and `heuristics.py` measures how much faster it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import regex

from nemo_curator.stages.text import filters
from nemo_curator.stages.text.filters import DocumentFilter

MARKS = ("...", "[...]", "…", "(...)", "[…]", "-»", "read more..", "read more")
BULLETS = tuple("•‣⁃⁌⁍∙○●◘◦⦾⦿")
COMMON = {"the", "be", "to", "of", "and", "that", "have", "with"}
URL = regex.compile(r"https?://(?:[A-Za-z0-9$\-_@.&+/:=?#~]|[!*\(\),]|(?:%[0-9A-Fa-f]{2}))+")
PHRASES = [
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "privacy overview",
    "use of cookies",
    "use cookies",
    "privacy & cookies policy",
    "privacy and cookies policy",
    "necessary cookies are absolutely essential",
    "any cookies that may not be particularly",
    "if you continue to browse this site without",
]
RUN_OF_HASHES, LETTER, DIGIT = regex.compile("#+"), regex.compile("[[:alpha:]]"), regex.compile(r"\p{Nd}")
ALPHANUMERIC = regex.compile(r"[a-zA-Z0-9\n?!,.]")


def share(part: float, whole: float, empty: float) -> float:
    return part / whole if whole else empty


def words_of(text: str) -> list[str]:
    return text.strip().split()


def lines_of(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def non_alpha_numeric(text: str) -> float:
    return share(len(text) - len(ALPHANUMERIC.findall(text)), len(text), 1.0)


def symbols_to_words(text: str) -> float:
    words = words_of(text)
    symbols = sum(word in MARKS or len(RUN_OF_HASHES.findall(word)) / len(word) > 0.5 for word in words)
    return share(symbols, len(words), 1.0)


def numbers(text: str) -> float:
    return share(len(DIGIT.findall(text)), len(text), 1.0)


def urls(text: str) -> float:
    return share(sum(map(len, URL.findall(text))), len(text), 1.0)


def pornographic_urls(text: str) -> int:
    return int(any("porn" in url for url in URL.findall(text)))


def white_space(text: str) -> float:
    return share(sum(char in "\t\n\r\b " for char in text), len(text), 1.0)


def parentheses(text: str) -> float:
    return share(sum(char in "{}⟨⟩[]()" for char in text), len(text), 1.0)


def boilerplate(text: str) -> float:
    paragraphs = [paragraph.strip().lower() for paragraph in text.split("\n\n")]
    if any("lorem ipsum" in paragraph for paragraph in paragraphs):
        return 1.0
    return sum(any(phrase in paragraph for phrase in PHRASES) for paragraph in paragraphs) / len(paragraphs)


def repeated_lines(text: str) -> float:
    lines = lines_of(text)
    return share(len(set(lines)), len(lines), 0.0)


def repeated_lines_by_char(text: str) -> float:
    lines = lines_of(text)
    return share(len("".join(set(lines))), len("".join(lines)), 0.0)


def repeated_paragraphs(text: str) -> float:
    paragraphs = text.split("\n\n")
    return len(set(paragraphs)) / len(paragraphs)


def repeated_paragraphs_by_char(text: str) -> float:
    paragraphs = text.split("\n\n")
    return share(len("".join(set(paragraphs))), len("".join(paragraphs)), 0.0)


def word_count(text: str) -> int:
    return len(words_of(text))


def punctuation(text: str) -> float:
    lines = lines_of(text)
    return share(sum(not line.strip().endswith((".", "?", "!", '"', "'")) for line in lines), len(lines), 1.0)


def words_without_alphabets(text: str) -> float:
    words = words_of(text)
    return share(sum(LETTER.search(word) is not None for word in words), len(words), 0.0)


def common_english_words(text: str) -> int:
    found = 0
    for word in words_of(text):
        found += word in COMMON
        if found >= 2:
            break
    return found


def mean_word_length(text: str) -> float:
    words = words_of(text)
    return share(sum(map(len, words)), len(words), 0.0)


def longest_word(text: str) -> int:
    return max(map(len, words_of(text)), default=0)


def ellipses(text: str) -> float:
    lines = lines_of(text)
    return share(sum(line.strip().lower().endswith(MARKS) for line in lines), len(lines), 1.0)


def bullets(text: str) -> float:
    lines = lines_of(text)
    return share(sum(line.strip().startswith(BULLETS) for line in lines), len(lines), 1.0)


def ngrams(text: str, n: int) -> list[tuple[str, ...]]:
    words = words_of(text)
    return list(zip(*[words[start:] for start in range(n)]))


def top_ngram(n: int) -> Callable[[str], float]:
    def score(text: str) -> float:
        uses = Counter(ngrams(text, n))
        if not uses:
            return 1.0
        gram = " ".join(uses.most_common(1)[0][0])
        return (len(text) - len(text.replace(gram, ""))) / len(text)

    return score


def duplicate_ngrams(n: int) -> Callable[[str], float]:
    def score(text: str) -> float:
        grams = ngrams(text, n)
        if not grams:
            return 1.0
        seen: set[tuple[str, ...]] = set()
        total = counted = 0
        for gram in grams:
            if gram in seen:
                total += sum(map(len, gram[counted:])) + min(n - counted, n - 1)
                counted = n
            seen.add(gram)
            counted = max(counted - 1, 0)
        return total / len(text)

    return score


ENGLISH: list[tuple[DocumentFilter, Callable[[str], float]]] = [
    (filters.NonAlphaNumericFilter(), non_alpha_numeric),
    (filters.SymbolsToWordsFilter(), symbols_to_words),
    (filters.NumbersFilter(), numbers),
    (filters.UrlsFilter(), urls),
    (filters.WhiteSpaceFilter(), white_space),
    (filters.ParenthesesFilter(), parentheses),
    (filters.BoilerPlateStringFilter(), boilerplate),
    (filters.RepeatedLinesFilter(), repeated_lines),
    (filters.RepeatedParagraphsFilter(), repeated_paragraphs),
    (filters.RepeatedLinesByCharFilter(), repeated_lines_by_char),
    (filters.RepeatedParagraphsByCharFilter(), repeated_paragraphs_by_char),
    (filters.WordCountFilter(), word_count),
    (filters.PunctuationFilter(), punctuation),
    (filters.WordsWithoutAlphabetsFilter(), words_without_alphabets),
    (filters.CommonEnglishWordsFilter(), common_english_words),
    (filters.MeanWordLengthFilter(), mean_word_length),
    (filters.LongWordFilter(), longest_word),
    (filters.EllipsisFilter(), ellipses),
    *[(filters.RepeatingTopNGramsFilter(n), top_ngram(n)) for n in (2, 3, 4)],
    *[(filters.RepeatingDuplicateNGramsFilter(n), duplicate_ngrams(n)) for n in (5, 6, 7, 8, 9, 10)],
    (filters.BulletsFilter(), bullets),
]
"""The English cascade: 28 filters in their order, each with its formula."""

OTHERS: list[tuple[DocumentFilter, Callable[[str], float]]] = [
    (filters.LengthFilter(), len),
    (filters.PornographicUrlsFilter(), pornographic_urls),
    *[(filters.RepeatingTopNGramsFilter(n), top_ngram(n)) for n in (1, 5, 12)],
    *[(filters.RepeatingDuplicateNGramsFilter(n), duplicate_ngrams(n)) for n in (1, 2, 3, 4, 11, 20)],
]


def duplicate_paragraphs(text: str, by_char: bool) -> float:
    paragraphs = [paragraph for paragraph in text.split("\n\n") if paragraph.strip()]
    return duplicates(paragraphs, by_char) if paragraphs else 1.0


def duplicates(parts: list[str], by_char: bool, whole: int | None = None) -> float:
    seen: set[str] = set()
    found = chars = 0
    for part in parts:
        found += part in seen
        chars += len(part) if part in seen else 0
        seen.add(part)
    if whole is None:
        whole = sum(map(len, parts)) if by_char else len(parts)
    return share(chars if by_char else found, whole, 1.0)


def sentences(text: str) -> int:
    ends = regex.finditer(r"\p{Sentence_Terminal}(?!\p{Sentence_Terminal})", text)
    found = 0
    for end in ends:
        after = regex.sub(r"^[\"')\]’”»]+", "", text[end.end() :])
        found += end.group() >= "\x80" or not after or after[0].isspace()
    return found


def top_ngram_uses(text: str, n: int) -> float:
    uses = Counter(ngrams(text, n))
    if not uses:
        return 1.0
    gram, times = uses.most_common(1)[0]
    return len(" ".join(gram)) * times / len(text)


ENDED = regex.compile(r"\p{Sentence_Terminal}\Z")
WEB: list[tuple[DocumentFilter, Callable[[str], float]]] = [
    (filters.StopWordsFilter(), lambda text: len(COMMON & set(words_of(text)))),
    (
        filters.SymbolsPerWordFilter(),
        lambda text: share(max(text.count("#"), text.count("...") + text.count("…")), len(words_of(text)), 1.0),
    ),
    (
        filters.BulletLinesFilter(),
        lambda text: share(sum(line.strip()[0] in "•-" for line in lines_of(text)), len(lines_of(text)), 1.0),
    ),
    (filters.EllipsisLinesFilter(), ellipses),
    *[(filters.TopNGramFilter(n), lambda text, n=n: top_ngram_uses(text, n)) for n in (1, 2, 3, 4, 5)],
    (filters.DuplicateLinesFilter(), lambda text: duplicates(lines_of(text), False)),
    (filters.DuplicateLinesFilter(by_char=True), lambda text: duplicates(lines_of(text), True)),
    (filters.DuplicateParagraphsFilter(), lambda text: duplicate_paragraphs(text, False)),
    (filters.DuplicateParagraphsFilter(by_char=True), lambda text: duplicate_paragraphs(text, True)),
    (
        filters.LinesEndingWithPunctuationFilter(),
        lambda text: share(sum(bool(ENDED.search(line.strip())) for line in lines_of(text)), len(lines_of(text)), 0.0),
    ),
    *[
        (
            filters.ShortLinesFilter(max_chars=chars),
            lambda text, chars=chars: share(
                sum(len(line) <= chars for line in lines_of(text)), len(lines_of(text)), 1.0
            ),
        )
        for chars in (30, 5)
    ],
    (
        filters.CharDuplicatesFilter(),
        lambda text: duplicates(lines_of(text), True, len(text.replace("\n", ""))),
    ),
    (filters.NewlineToWordsFilter(), lambda text: share(text.count("\n"), len(words_of(text)), 1.0)),
    (filters.CurlyBraceFilter(), lambda text: text.count("{")),
    (filters.LoremIpsumFilter(), lambda text: sum("lorem ipsum" in part.lower() for part in text.split("\n\n"))),
    (filters.MinSentencesFilter(), sentences),
]
"""The filters of the recipes for web text."""
