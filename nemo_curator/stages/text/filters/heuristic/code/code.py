"""Filters of source code."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.errors import InputError, need
from nemo_curator.stages.text.filters.doc_filter import DocumentFilter
from nemo_curator.stages.text.filters.heuristic.code.comments import UnfinishedCommentError, find_comments, syntax_of
from nemo_curator.stages.text.filters.heuristic.code.extensions import META_FILE, Limits, limits_of, simple_name
from nemo_curator.tasks.text_column import TextColumn

NO_COMMENTS_TO_BE_FOUND = 9999
LONGEST_MEAN_LINE = 100


@dataclass
class PythonCommentToCodeFilter(DocumentFilter):
    """Keep Python code in which comments and docstrings are a share of the characters between two bounds.

    The score is that share, with the `#` of comments and without the quotes of docstrings; 0.0 for what is not
    Python, and for an empty document.
    """

    min_comment_to_code_ratio: float = 0.01
    max_comment_to_code_ratio: float = 0.85
    name: str = "python_comment_ratio"

    def score_document(self, text: str) -> float:
        try:
            chars = len(_python_comments(text)) + len(_python_docstrings(text))
        except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
            return 0.0
        return chars / max(len(text), 1)

    def keep_document(self, score: float) -> bool:
        return self.min_comment_to_code_ratio <= score <= self.max_comment_to_code_ratio


@dataclass
class GeneralCommentToCodeFilter(DocumentFilter):
    """Keep code in which comments are a share of the characters between two bounds.

    `language` is a MIME type such as `text/x-c++`. The score is the share of what the comments say, joined by spaces;
    9999 where a comment never ends, and 0.0 for an empty document.
    """

    language: str
    min_comment_to_code_ratio: float = 0.01
    max_comment_to_code_ratio: float = 0.85
    name: str = "comment_ratio"

    def __post_init__(self) -> None:
        syntax_of(self.language)

    def score_document(self, text: str) -> float:
        try:
            comments = find_comments(text, syntax_of(self.language))
        except UnfinishedCommentError:
            return NO_COMMENTS_TO_BE_FOUND
        return len(" ".join(comments)) / max(len(text), 1)

    def keep_document(self, score: float) -> bool:
        return self.min_comment_to_code_ratio <= score <= self.max_comment_to_code_ratio


@dataclass
class NumberOfLinesOfCodeFilter(DocumentFilter):
    """Keep code with a number of lines between two bounds, both included.

    The score is the number of line ends and one more.
    """

    min_lines: int = 10
    max_lines: int = 20000
    name: str = "num_lines"

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        ends = pc.count_substring(texts.array, "\n").cast(pa.int64()).fill_null(0)
        return np.asarray(ends) + 1

    def keep_document(self, score: int) -> bool:
        return self.min_lines <= score <= self.max_lines


@dataclass
class TokenizerFertilityFilter(DocumentFilter):
    """Keep documents of which a SentencePiece tokenizer makes few pieces: many characters in each.

    The score is the number of characters for each piece; -1 where there are no pieces, as in an empty document.
    """

    path_to_tokenizer: str | None = None
    min_char_to_token_ratio: float = 2.5
    name: str = "tokenizer_fertility"

    requires = {"sentencepiece": "text"}

    def __post_init__(self) -> None:
        if self.path_to_tokenizer is None:
            raise ValueError("TokenizerFertilityFilter: path_to_tokenizer is missing; give a SentencePiece model file")

    def load_tokenizer(self) -> None:
        _sentencepiece(str(self.path_to_tokenizer))

    def score_document(self, text: str) -> float:
        pieces = _sentencepiece(str(self.path_to_tokenizer)).encode(text)
        return len(text) / len(pieces) if pieces else -1.0

    def keep_document(self, score: float) -> bool:
        return score >= self.min_char_to_token_ratio


@dataclass
class XMLHeaderFilter(DocumentFilter):
    """Keep documents that do not begin like XML, which tells mislabelled code.

    The score is 1 where `<?xml version=` is among the first characters, else 0.
    """

    char_prefix_search_length: int = 100
    name: str = "xml_header"

    def score_document(self, text: str) -> int:
        return int("<?xml version=" in text[: self.char_prefix_search_length])

    def keep_document(self, score: int) -> bool:
        return score != 1


@dataclass
class AlphaFilter(DocumentFilter):
    """Keep documents in which letters are at least a given share of the characters.

    The score is that share. An empty document scores 0.0.
    """

    min_alpha_ratio: float = 0.25
    name: str = "alpha_filter"

    def score_document(self, text: str) -> float:
        return _share(text, str.isalpha)

    def keep_document(self, score: float) -> bool:
        return score >= self.min_alpha_ratio


@dataclass
class HTMLBoilerplateFilter(DocumentFilter):
    """Keep HTML in which text that a reader sees is at least a given share of the characters.

    The score is that share; 0.0 where there is less text than `min_lang_content_num_chars`, and where the page cannot
    be parsed.
    """

    min_lang_content_ratio: float = 0.2
    min_lang_content_num_chars: int = 100
    name: str = "html_boilerplate"

    requires = {"bs4": "text"}

    def score_document(self, text: str) -> float:
        shown = len(_shown_text(text))
        return shown / max(len(text), 1) if shown >= self.min_lang_content_num_chars else 0.0

    def keep_document(self, score: float) -> bool:
        return score >= self.min_lang_content_ratio


@dataclass
class PerExtensionFilter(DocumentFilter):
    """Keep code that stays within the limits for files of its language and extension.

    `metadata_file` is a CSV file with the columns language, extension, Include, Long_line_threshold,
    Alphanum_threshold and `Alpha filter`, an empty cell meaning no limit; without one, a small table of common
    languages. The score is 1 within the limits, else 0: a line or the mean line is too long, or letters and digits, or
    letters, are too small a share. An empty document scores 0.
    """

    lang: str
    extension: str
    metadata_file: str = META_FILE
    name: str = "per_extension_filter"

    def load_model(self) -> None:
        self._limits()

    def score_document(self, text: str) -> int:
        limits = self._limits()
        if not limits.is_included or not text:
            return 0
        return int(_lines_fit(text, limits) and _characters_fit(text, limits))

    def keep_document(self, score: int | None) -> bool:
        return score is not None and score != 0

    def _limits(self) -> Limits:
        return limits_of(simple_name(self.lang), self.extension, self.metadata_file)


def _python_comments(source: str) -> str:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return "".join(token.string for token in tokens if token.type == tokenize.COMMENT)


def _python_docstrings(source: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of invalid escapes in other people's code
        tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, documented)]
    return "\n".join(text for text in texts if text)


@cache
def _sentencepiece(path: str) -> Any:
    if not Path(path).is_file():
        raise InputError(f"no SentencePiece model at {path}")
    return need("sentencepiece", extra="text").SentencePieceProcessor(model_file=path)


def _shown_text(page: str) -> str:
    bs4 = need("bs4", extra="text")
    # what follows the last tag is text; html.parser of Python 3.11 would look for the end of each `<` in it to the end
    end = page.rfind(">") + 1
    page = page[:end] + page[end:].replace("<", "&lt;")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs4.MarkupResemblesLocatorWarning)
        warnings.simplefilter("ignore", bs4.XMLParsedAsHTMLWarning)
        try:
            soup = bs4.BeautifulSoup(page, "html.parser")
        except bs4.ParserRejectedMarkup:
            return ""
    for hidden in soup(["script", "style"]):
        hidden.decompose()
    return soup.get_text()


def _lines_fit(text: str, limits: Limits) -> bool:
    if limits.longest_line is None:
        return True
    lengths = [len(line) for line in text.split("\n")]
    return max(lengths) <= limits.longest_line and sum(lengths) / len(lengths) <= LONGEST_MEAN_LINE


def _characters_fit(text: str, limits: Limits) -> bool:
    least_alphanumeric, least_alphabetic = limits.min_alphanumeric, limits.min_alphabetic
    return (least_alphanumeric is None or _share(text, str.isalnum) >= least_alphanumeric) and (
        least_alphabetic is None or _share(text, str.isalpha) >= least_alphabetic
    )


def _share(text: str, is_one: Callable[[str], bool]) -> float:
    return sum(map(is_one, text)) / max(len(text), 1)
