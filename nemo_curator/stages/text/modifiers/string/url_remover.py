"""Remove web addresses."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from nemo_curator.stages.text.modifiers.doc_modifier import DocumentModifier
from nemo_curator.stages.text.rows import change_rows, holding
from nemo_curator.tasks.text_column import TextColumn

# a set of first letters is looked for four times faster than what may start with either of two words
_URL = re.compile(r"([hHwW](?:(?<=[hH])[tT][tT][pP][sS]?://|(?<=\b[wW])[wW][wW]\.))[^\s<>]+")
_BRACKETS = {")": "(", "]": "[", "}": "{"}
_SIGNS = frozenset("?!.,:;*_~'\"")
"""What belongs to the sentence and not to the address when it stands at the end; so does any sign outside ASCII."""


@dataclass
class UrlRemover(DocumentModifier):
    """Remove addresses that start with `http://`, `https://` or `www.`; the spaces around them stay.

    An address ends before white space and angle brackets. Punctuation at its end, and a closing bracket that was not
    opened within it, belong to the sentence and stay, as in GitHub's Markdown.

    Example:
        >>> UrlRemover().modify_document("See (http://x.org/a_(b)).")
        'See ().'
    """

    def modify_document(self, text: str) -> str:
        return _URL.sub(_what_stays, text)

    def modify_texts(self, texts: TextColumn) -> TextColumn:
        suspects = holding(texts, "://", "www.")
        return change_rows(texts, suspects, lambda some: [_URL.sub(_what_stays, text) for text in some])


def _what_stays(found: re.Match[str]) -> str:
    url = found[0]
    end = len(url)
    surplus = {close: url.count(close) - url.count(opened) for close, opened in _BRACKETS.items() if close in url}
    while _is_sign(url[end - 1]) or surplus.get(url[end - 1], 0) > 0:
        end -= 1
        if url[end] in surplus:
            surplus[url[end]] -= 1
    return url[end:] if end > len(found[1]) else url


def _is_sign(character: str) -> bool:
    return character in _SIGNS or (not character.isascii() and unicodedata.category(character)[0] == "P")
