"""The marks of wikitext within lines, and the lines that are headings and items of lists."""

from __future__ import annotations

import html
import re
from operator import itemgetter

_NAMES = """abbr b bdi bdo big blockquote caption center chem cite code data dd del dfn div dl dt em font gallery
h1 h2 h3 h4 h5 h6 hr i includeonly ins kbd languages li mark math noinclude noindex nowiki ol onlyinclude p poem pre q
rb ref references rp rt rtc ruby s samp section small source span strike strong sub sup syntaxhighlight table tbody td
tfoot th thead time tr translate tt tvar u ul var wbr"""
_LONGEST_FIRST = "|".join(sorted(_NAMES.split(), key=len, reverse=True))
_TAG = re.compile(rf"</?(?:{_LONGEST_FIRST})(?:[ \t\n/][^<>]*)?>", re.IGNORECASE)
_BREAK = re.compile(r"</?br\b[^<>]*>", re.IGNORECASE)
_BLOCK = r"/?(?:blockquote|center|d[dlt]|div|h[1-6]|hr|li|[ou]l|p)(?:[ \t/][^<>]*+)?>[ \t]*+"
# a run of tags between which a browser breaks the line
_BLOCKS = re.compile(rf"<{_BLOCK}(?:<{_BLOCK})*+", re.IGNORECASE)
_RAISED = re.compile(r"<(su[pb])>((?:''|[-+\u2212()=n0-9]){1,12})</\1>", re.IGNORECASE)
_SUPERSCRIPTS = str.maketrans("0123456789+-\u2212=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿ")
_SUBSCRIPTS = str.maketrans("0123456789+-\u2212=()n", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₙ")
_VARIANTS = re.compile(r"-\{([^{}]*)\}-")
_URL = r"(?:(?:(?:https?|ftps?|ircs?|news|sftp|gopher):)?//|mailto:)"
# possessive: what an address has taken is not tried as a label
_EXTERNAL = re.compile(rf"\[{_URL}[^\s\[\]]*+[ \t]*+([^\[\]\n]*+)\]")
_QUOTES = re.compile("''+")
_SWITCH = re.compile(r"__[^\W\da-z_]{3,40}__")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_SPACES = re.compile("  +")
# those that follow the name of a function are not empty
_EMPTY = re.compile(r"(?<![A-Za-z0-9_])[(\uff08][ ,;:/\u3001\uff0c\uff1b\uff1a]*[)\uff09]")
_OPENING = re.compile(r"([(\uff08])[ ,;\u3001\uff0c\uff1b]+")
# a run of marks is tried from its start alone
_CLOSING = re.compile(r"(?<![ ,;\u3001\uff0c\uff1b])[ ,;\u3001\uff0c\uff1b]+([)\uff09])")
_MARKS_BEFORE_CLOSING = [f"{mark}{bracket}" for mark in " ,;\u3001\uff0c\uff1b" for bracket in ")\uff09"]
# what stood behind a template that is dropped
_STRAY = re.compile(r"(\n[*#:; \t]*+)[.,;:、。](?:[.,;:、。]*+[ \t]*+$|[ \t]++)", re.MULTILINE)
_STOP = re.compile(r" \.(?=\s|\Z)")
_EMPTY_LINES = re.compile("\n{3,}")


def clean(text: str) -> str:
    """Remove the marks within lines, each in one sweep over the text."""
    if "-{" in text:
        text = _VARIANTS.sub(lambda match: _variant(match[1]), text)
    if "<" in text:
        text = _RAISED.sub(_raised, _BREAK.sub("\n", text))
        text = _BLOCKS.sub(_broken, text)
        text = _TAG.sub("", text)
    if "[" in text:
        text = _EXTERNAL.sub(itemgetter(1), text)
    text = _QUOTES.sub("", text)
    if "__" in text:
        text = _SWITCH.sub("", text)
    return _tidy(unescape(text).replace("\xa0", " "))


def unescape(text: str) -> str:
    """Replace the entities that end in a semicolon; `&copy=1` is part of an address."""
    return _ENTITY.sub(lambda match: html.unescape(match.group()), text) if "&" in text else text


def sections(text: str) -> list[str]:
    """The sections in order, each a heading and what follows. A heading with nothing below it is left out."""
    found: list[tuple[int, str, list[str]]] = [(0, "", [])]
    for line in text.split("\n"):
        stripped = line.rstrip()
        if level := _level(stripped):
            found.append((level, stripped[level:-level].strip(), []))
        else:
            found[-1][2].append(_plain(line))
    kept: list[str] = []
    below = 0
    for level, heading, lines in reversed(found):
        body = _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip()
        if body or below > level > 0:
            kept.append(f"{heading}\n{body}".strip())
            below = level
    return kept[::-1]


def _tidy(text: str) -> str:
    """Close the gaps that dropped templates leave."""
    text = _EMPTY.sub("", text)
    text = _STRAY.sub(itemgetter(1), text)
    text = _OPENING.sub(itemgetter(1), text)
    if any(marks in text for marks in _MARKS_BEFORE_CLOSING):
        text = _CLOSING.sub(itemgetter(1), text)
    text = _SPACES.sub(" ", text.replace("\t", " "))
    return _STOP.sub(".", text.replace(" ,", ","))


def _broken(match: re.Match[str]) -> str:
    text, start, end = match.string, match.start(), match.end()
    return "" if start == 0 or text[start - 1] == "\n" or text.startswith("\n", end) else "\n"


def _raised(match: re.Match[str]) -> str:
    return match[2].replace("''", "").translate(_SUPERSCRIPTS if match[1].lower() == "sup" else _SUBSCRIPTS)


def _variant(content: str) -> str:
    """The first of the forms that a text has in the variants of a language, as `zh-hans:…;zh-hant:…`."""
    flags, bar, forms = content.partition("|")
    if not bar:
        forms = content
    elif flags.strip() in ("T", "H", "-"):
        return ""
    first = forms.partition(";")[0]
    variant, colon, form = first.partition(":")
    return form.strip() if colon and variant.strip().isascii() and len(variant) < 12 else first


def _level(line: str) -> int:
    """The level of a heading; 0 for other lines."""
    if line[:1] != "=" or line[-1:] != "=":
        return 0
    before = len(line) - len(line.lstrip("="))
    after = len(line) - len(line.rstrip("="))
    return min(before, after, (len(line) - 1) // 2, 6)


def _plain(line: str) -> str:
    """A line without the marks of lists, of rules and of rows of tables that are not closed."""
    first = line[:1]
    if first in ("*", "#", ":", ";"):
        return line.lstrip("*#:; ").rstrip()
    if line.startswith("----"):
        return line.strip("- ")
    return "" if first == "|" else line.strip()
