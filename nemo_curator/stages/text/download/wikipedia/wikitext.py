"""Wikitext as a reader sees it: plain text, in time that grows with its length and no faster.

Three passes. The first takes out what is not wikitext (comments, notes, formulas, code). The second pairs brackets,
drops what is beside the text (boxes, tables, files) and keeps what is part of it (labels of links, the templates of
`templates.py`). The third removes the marks within lines.

What is opened and not closed ends with its line or paragraph, so that no slip of an author costs the rest of a page.
"""

from __future__ import annotations

import re
from operator import itemgetter

from nemo_curator.stages.text.download.wikipedia import link_prefixes, templates
from nemo_curator.stages.text.download.wikipedia.inline import clean, sections
from nemo_curator.stages.text.download.wikipedia.verbatim import Verbatim

DEEPEST = 40
"""Levels of brackets whose text is kept; as deep as MediaWiki itself goes."""
# most links are read without a step of Python; not those with a colon, or that may be an argument with a name
_PLAIN_LINK = re.compile(r"\[\[(?:[^\[\]{}<>|:\n]*+\|)?([^\[\]{}<>|:=\n]++)\]\]")
# every way to begin is one of five characters, by which the engine skips
_BRACKET = re.compile(
    r"""\{\{+ | \}\}+ | \[\[ | \]\]
    | \n[ \t:]*\{\| | \n[ \t]*\|\}(?!\})
    | <[Tt][Aa][Bb][Ll][Ee]\b[^<>]*> | </[Tt][Aa][Bb][Ll][Ee]\s*>
    | \n={2,6}(?=[^\n]*=[ \t]*(?:\n|\Z))
    | \n[ \t]*(?=\n)""",
    re.VERBOSE,
)
_TEMPLATE, _LINK, _TABLE, _HTML_TABLE = range(4)
_COMMON = {
    "{{": (_TEMPLATE, False, 1),
    "}}": (_TEMPLATE, True, 1),
    "[[": (_LINK, False, 1),
    "]]": (_LINK, True, 1),
}
_FUNCTIONS = frozenset({"formatnum", "lc", "uc", "lcfirst", "ucfirst"})
"""Functions of the parser that read as their argument."""
_NO_ARGUMENT = re.compile(r"\n(?![ \t]*[|!}])")
"""The end of a line after which no argument and no row follows."""


def to_text(wikitext: str) -> str:
    """Return the text of an article: its sections, apart by an empty line, and behind them its categories, one a line.

    A heading is the first line of its section. One with nothing below it is left out.
    """
    verbatim = Verbatim()
    rest = verbatim.take_out(wikitext.replace("\r\n", "\n").replace("\0", ""))
    brackets = _Brackets("\n" + _PLAIN_LINK.sub(itemgetter(1), rest))
    parts = sections(clean(brackets.render()))
    if brackets.categories:
        parts.append(clean("\n".join(brackets.categories)).strip())
    return verbatim.put_back("\n\n".join(parts))


class _Brackets:
    """The brackets of a text. `partners[i]` is the token that closes the token i, or -1."""

    def __init__(self, text: str):
        self.text = text
        self.kinds: list[int] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.partners: list[int] = []
        self.categories: list[str] = []
        self._pair()

    def render(self) -> str:
        return "".join(self._parts(0, len(self.kinds), 0, len(self.text), 0))

    def _pair(self) -> None:
        """Find the tokens, and for each that opens the one that closes it.

        A token that closes takes the last of its kind that is open; what was opened after that stays unpaired. A
        link ends with its paragraph, and everything with its section.
        """
        opened: list[int] = []
        counts = [0, 0, 0, 0]
        kinds, starts, ends, partners = self.kinds, self.starts, self.ends, self.partners
        for match in _BRACKET.finditer(self.text):
            token = match.group()
            start, end = match.span()
            kind, closes, number = _COMMON.get(token) or _classify(token)
            if kind < 0:
                while opened and (token[-1] == "=" or kinds[opened[-1]] == _LINK):
                    counts[kinds[opened.pop()]] -= 1
                continue
            for place in range(start, start + 2 * number, 2):
                this = len(kinds)
                kinds.append(kind)
                starts.append(place)
                ends.append(place + 2)
                partners.append(-1)
                if not closes:
                    opened.append(this)
                    counts[kind] += 1
                elif counts[kind]:
                    while kinds[opened[-1]] != kind:
                        counts[kinds[opened.pop()]] -= 1
                    counts[kind] -= 1
                    partners[opened.pop()] = this
            ends[-1] = end

    def _parts(self, token: int, last: int, start: int, end: int, depth: int) -> list[str]:
        """Render the text between two places, where the tokens from `token` to `last` are."""
        parts: list[str] = []
        position = start
        while token < last:
            parts.append(self.text[position : self.starts[token]])
            partner = self.partners[token]
            if partner >= 0:
                parts.append(self._replace(token, partner, depth))
                position = self.ends[partner]
                token = partner + 1
            else:
                position, token = self._skip(token, end)
        parts.append(self.text[position:end])
        return parts

    def _skip(self, token: int, end: int) -> tuple[int, int]:
        """Pass over a token without a partner; if it opens something to be dropped, over its lines."""
        position = self.ends[token]
        if self._opens_dropped(token):
            boundary = _NO_ARGUMENT.search(self.text, position, end)
            position = boundary.start() if boundary else end
        token += 1
        while token < len(self.starts) and self.starts[token] < position:
            position = max(position, self.ends[self.partners[token]] if self.partners[token] >= 0 else 0)
            token += 1
        return min(position, end), token

    def _opens_dropped(self, token: int) -> bool:
        start, end = self.starts[token], self.ends[token]
        if self.kinds[token] != _LINK:
            return self.text[start:end].lstrip(" \t\n:").startswith(("{", "<t", "<T"))
        prefix, colon, name = self.text[end : end + 300].partition("\n")[0].partition("|")[0].partition(":")
        return self.text[start] == "[" and bool(colon) and link_prefixes.is_file(_normal(prefix), name)

    def _replace(self, token: int, partner: int, depth: int) -> str:
        kind = self.kinds[token]
        if kind in (_TABLE, _HTML_TABLE) or depth > DEEPEST:
            return ""
        if kind == _LINK:
            return self._link(token, partner, depth)
        start, end = self.ends[token], self.starts[partner]
        name = self.text[start : min(end, start + 100)].partition("|")[0].partition("{")[0]
        function, colon, argument = name.partition(":")
        if colon and _normal(function) in _FUNCTIONS:
            return argument if partner == token + 1 else ""
        if templates.find(name) is None:
            return ""
        return templates.read(name, self._arguments(token, partner, depth)[1:])

    def _link(self, token: int, partner: int, depth: int) -> str:
        start, end = self.ends[token], self.starts[partner]
        inner = self.text[start:end] if partner == token + 1 else None
        target, bar, label = (inner if inner is not None else self.text[start : min(end, start + 300)]).partition("|")
        prefix, colon, name = target.partition(":")
        if colon:
            prefix = _normal(prefix)
            if prefix in link_prefixes.CATEGORY:
                self.categories.append(name.strip())
                return ""
            if prefix and link_prefixes.is_file(prefix, name):
                return ""
            if link_prefixes.is_language(prefix) and not bar:
                return ""
        if inner is None:
            target, *labels = self._arguments(token, partner, depth)
            bar, label = "|" if labels else "", "|".join(labels)
        if not bar:
            return target.removeprefix(":")
        return label or target.removeprefix(":").partition(" (")[0]

    def _arguments(self, token: int, partner: int, depth: int) -> list[str]:
        """The parts between the bars, each rendered."""
        arguments: list[list[str]] = [[]]
        position = self.ends[token]
        inner = token + 1
        while True:
            until = self.starts[inner]
            first, *more = self.text[position:until].split("|")
            arguments[-1].append(first)
            arguments.extend([part] for part in more)
            if inner == partner:
                return ["".join(parts) for parts in arguments]
            closing = self.partners[inner]
            if closing >= 0:
                arguments[-1].append(self._replace(inner, closing, depth + 1))
            last = closing if closing >= 0 else inner
            position = self.ends[last]
            inner = last + 1


def _classify(token: str) -> tuple[int, bool, int]:
    """Kind, whether it closes, and how many of them stand together; the kind is -1 for ends of paragraphs."""
    if token.startswith(("{{", "}}")):
        return _TEMPLATE, token[0] == "}", len(token) // 2
    if token[0] == "<":
        return _HTML_TABLE, token[1] == "/", 1
    if token.endswith(("{|", "|}")):
        return _TABLE, token.endswith("|}"), 1
    return -1, False, 0


def _normal(prefix: str) -> str:
    return prefix.strip().replace("_", " ").lower()
