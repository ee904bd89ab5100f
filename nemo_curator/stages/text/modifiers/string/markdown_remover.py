"""Turn Markdown into plain text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow.compute as pc

from nemo_curator.stages.text.modifiers.doc_modifier import DocumentModifier
from nemo_curator.stages.text.rows import as_mask, change_rows, holding
from nemo_curator.tasks.text_column import TextColumn

# possessive, for two runs of white space that may share one take quadratic time
_TARGET = r"""\(\s*+([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)(?:\s++(?:"[^"\n]*"|'[^'\n]*'))?\s*+\)"""
_IMAGE = re.compile(rf"!\[([^\[\]\n]*)\]{_TARGET}")
_LINK = re.compile(rf"\[([^\[\]\n]*)\]{_TARGET}")
# a mark that may open emphasis and another after it in the line, as RE2 reads it
_MAYBE = r"(?:^|[^0-9A-Za-z*])\*+[^\s*][^\n]*\*|\*[^\x00-\x7f][^\n]*\*|(?:^|[^0-9A-Za-z_])_+[^\s_{][^\n]*_"
_RUN = re.compile(r"([*_])\1*")
# what is escaped, within an address, code or a formula is no emphasis
_SPARED = re.compile(r"\\.|https?://\S*[^\W_]/?|`[^`]*`|\$[^\s$](?:[^$]*[^\s$])?\$(?!\d)|([*_])\1*")
_SPARING = re.compile(r"[\\`$]|://")


@dataclass
class MarkdownRemover(DocumentModifier):
    """Remove the marks of emphasis and links, line by line: `**bold**` becomes bold, `[text](address)` becomes text.

    What is emphasis is as in CommonMark, so `snake_case` and `2 * 3 * 4` stay; and a star between two ASCII letters or
    digits is none here either, so `2*3*4` stays, as do formulas, in `$x^*$` and `x_{ij}`. Of a link the text is kept,
    which is what a reader sees; `keep_url=True` keeps the address instead. Of an image its description is kept.

    Example:
        >>> MarkdownRemover().modify_document("**b** *i* _u_ [t](http://u) ***x*** foo_bar_baz 2*3*4")
        'b i u t x foo_bar_baz 2*3*4'
    """

    keep_url: bool = False

    def modify_document(self, text: str) -> str:
        kept = r"\2" if self.keep_url else r"\1"
        if "](" in text:
            text = _LINK.sub(kept, _IMAGE.sub(kept, text))
        if "*" not in text and "_" not in text:
            return text
        lines = text.split("\n")
        return "\n".join([_without_emphasis(line) if "*" in line or "_" in line else line for line in lines])

    def modify_texts(self, texts: TextColumn) -> TextColumn:
        suspects = holding(texts, "](") | as_mask(pc.match_substring_regex(texts.array, _MAYBE))
        return change_rows(texts, suspects, lambda some: [self.modify_document(text) for text in some])


def _without_emphasis(line: str) -> str:
    """Pair runs of stars and of underscores as CommonMark does, in one go over the line, and remove the pairs."""
    left: list[int] = []  # marks of each run that are in no pair
    places: list[tuple[int, int]] = []
    opened: dict[str, list[int]] = {"*": [], "_": []}
    for start, end, opens, closes in _runs(line):
        kind, other = (opened["*"], opened["_"]) if line[start] == "*" else (opened["_"], opened["*"])
        if not (opens or (closes and kind)):
            continue
        left.append(end - start)
        places.append((start, end))
        while closes and left[-1] and kind:
            opener = kind[-1]
            pairs = 2 if min(left[opener], left[-1]) >= 2 else 1
            left[opener] -= pairs
            left[-1] -= pairs
            while other and other[-1] > opener:
                other.pop()
            if not left[opener]:
                kind.pop()
        if opens and left[-1]:
            kind.append(len(left) - 1)
    parts, at = [], 0
    for (start, end), stay in zip(places, left):
        parts.append(line[at : start + stay])
        at = end
    return "".join(parts) + line[at:]


def _runs(line: str) -> Iterator[tuple[int, int, bool, bool]]:
    """Runs of marks: where each starts and ends, and whether it may open and may close emphasis."""
    padded = f" {line} "
    for found in (_SPARED if _SPARING.search(line) else _RUN).finditer(line):
        mark = found[1]
        if mark is None:
            continue
        start, end = found.span()
        before, after = padded[start], padded[end + 1]
        if (mark == "_" and (after == "{" or (before.isalnum() and after.isalnum()))) or (
            mark == "*" and _is_ascii_alphanumeric(before) and _is_ascii_alphanumeric(after)
        ):
            continue
        space_before, space_after = before.isspace(), after.isspace()
        sign_before, sign_after = _is_sign(before), _is_sign(after)
        opens = not space_after and (not sign_after or space_before or sign_before)
        closes = not space_before and (not sign_before or space_after or sign_after)
        if mark == "_":
            opens, closes = opens and (not closes or sign_before), closes and (not opens or sign_after)
        yield start, end, opens, closes


def _is_sign(character: str) -> bool:
    return not character.isalnum() and unicodedata.category(character)[0] in "PS"


def _is_ascii_alphanumeric(character: str) -> bool:
    return character.isascii() and character.isalnum()
