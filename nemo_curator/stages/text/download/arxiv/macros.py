"""Macros of a paper, and what they stand for in its text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

MOST_DEPTH = 20
"""How deep macros may be within what macros stand for."""
GROWTH, LEAST_GROWTH = 4, 2**18
"""Macros of a paper may stand for so many times its length, and so many characters: then they stay as they are."""
_CALL_CHARS = 32
"""What a use of a macro counts besides its characters, for it takes time."""

_COMMAND = re.compile(r"\\(?:([A-Za-z]++)|.)", re.DOTALL)
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_NEW = {"newcommand", "renewcommand", "providecommand", "DeclareRobustCommand"}
_DEF = {"def", "gdef", "edef", "xdef"}
_DEFINING = _NEW | _DEF | {"DeclareMathOperator"}
_NAME = r"\s*+(?:\{\s*+\\(?P<braced>[A-Za-z@]++)\s*+\}|\\(?P<name>[A-Za-z@]++))"
_NEW_HEAD = re.compile(
    rf"\s*+\*?{_NAME}\s*+(?:\[\s*+(?P<count>[0-9])\s*+\]\s*+(?:\[(?P<default>[^\[\]{{}}]*+)\]\s*+)?)?(?=\{{)"
)
_DEF_HEAD = re.compile(r"\s*+\\(?P<name>[A-Za-z@]++)\s*+(?P<parameters>(?:#[1-9]\s*+)*+)(?=\{)")
_OPERATOR_HEAD = re.compile(rf"\s*+(\*?){_NAME}\s*+(?=\{{)")
_OPTIONAL = re.compile(r"[ \t]*+\[([^\[\]{}]*+)\]")
_SPACE = re.compile(r"[ \t]*+\n?[ \t]*+")
_PARAMETER = re.compile(r"#([1-9])")
_PROGRAM = re.compile(
    r"\\[A-Za-z]++@|\\@[A-Za-z]|\0|##"
    r"|\\(?:if(?!f(?![A-Za-z]))[A-Za-z]*+|else|fi|loop|expandafter|afterassignment|csname|catcode|let|futurelet)(?![A-Za-z])"
    r"|\\(?:[gex]?def|(?:new|renew|provide)command|newenvironment|input|include|verb)(?![A-Za-z])"
)
"""Macros that compute, define or read are no abbreviations."""
_STRUCTURE = {"part", "chapter", "section", "subsection", "subsubsection", "paragraph", "subparagraph", "abstract"}
_STRUCTURE |= {"begin", "end", "document", "documentclass", "title", "author", "maketitle", "par", "item", "caption"}
_STRUCTURE |= {"label", "ref", "cite", "footnote", "input", "include", "appendix", "bibliography"}
"""Commands of LaTeX that stay, however a paper changes their looks."""


class Macro(NamedTuple):
    """What a macro stands for. With a `default` its first argument may be left out."""

    body: str
    arguments: int = 0
    default: str | None = None


class _Definition(NamedTuple):
    """What a text defines, up to where. Without a macro it is none that can be inlined."""

    name: str
    macro: Macro | None
    end: int
    kind: str = "newcommand"


class Macros:
    r"""The macros that a paper defines with `\newcommand`, `\def` or `\DeclareMathOperator`.

    `chars` is how much text they will be replaced in: it bounds by how much that may grow.
    """

    def __init__(self, chars: int):
        self._table: dict[str, Macro] = {}
        self._expansions: dict[str, str] = {}  # of macros without arguments, as long as none is defined anew
        self._budget = GROWTH * chars + LEAST_GROWTH

    def collect(self, text: str) -> None:
        """Learn the macros that a text defines; the last definition of a name holds."""
        if not any(f"\\{command}" in text for command in _DEFINING):
            return
        braces, at = _Braces(text), 0
        for match in _COMMAND.finditer(text):
            if match.start() >= at and match[1] in _DEFINING and (found := _definition(text, match, braces)):
                self._define(found)
                at = found.end

    def inline(self, text: str) -> str:
        """Replace macros by what they stand for, and take their definitions out.

        A macro stays as it is within itself, where its arguments are not complete, and once the text has grown too
        much.
        """
        return _glued(self._pieces(text, frozenset(), 0))

    def _define(self, found: _Definition) -> bool:
        """Take a definition for one that is inlined; say whether it is."""
        name, macro = found.name, found.macro
        is_known = name in self._table
        if (found.kind == "providecommand" and is_known) or (found.kind == "renewcommand" and not is_known):
            return False
        if macro is None or "@" in name or name in _STRUCTURE or _PROGRAM.search(macro.body + (macro.default or "")):
            self._table.pop(name, None)
            self._expansions.clear()
            return False
        if self._table.get(name) != macro:
            self._table[name] = macro
            self._expansions.clear()
        return True

    def _pieces(self, text: str, active: frozenset[str], depth: int) -> Iterator[str]:
        """Yield the text, with macros replaced but those in `active`."""
        braces = _Braces(text)
        at = passed = 0
        for match in _COMMAND.finditer(text) if "\\" in text else ():
            start, name = match.start(), match[1]
            if start < passed:
                continue
            if name in _DEFINING:
                if found := _definition(text, match, braces):
                    passed = found.end
                    if self._define(found):
                        yield text[at:start]
                        at = passed
                continue
            macro = self._table.get(name)
            if macro is None or name in active or depth >= MOST_DEPTH:
                continue
            call = self._call(macro, text, match.end(), braces)
            if call is None or (made := self._expanded(macro, name, call.values, active, depth)) is None:
                continue
            yield text[at:start]
            yield made
            at = passed = call.end
        yield text[at:]

    def _expanded(self, macro: Macro, name: str, values: list[str], active: frozenset[str], depth: int) -> str | None:
        """What a call stands for; None once the text has grown too much."""
        known = None if active or values else self._expansions.get(name)
        if known is not None:
            return known if self._may_spend(len(known) + _CALL_CHARS) else None
        values = [_glued(self._pieces(value, active, depth + 1)) for value in values]
        parts = _PARAMETER.split(macro.body)
        parts[1::2] = [values[int(number) - 1] for number in parts[1::2]]
        if not self._may_spend(sum(map(len, parts)) + _CALL_CHARS):
            return None
        made = _glued(self._pieces(_glued(parts), active | {name}, depth + 1))
        if depth == 0 and not values:
            self._expansions[name] = made
        return made

    def _call(self, macro: Macro, text: str, at: int, braces: _Braces) -> _Call | None:
        """The arguments that follow a macro; None if they are not there."""
        if not macro.arguments:
            return _Call([], at)
        values: list[str] = []
        if macro.default is not None:
            optional = _OPTIONAL.match(text, at)
            values.append(optional[1] if optional else macro.default)
            at = optional.end() if optional else at
        while len(values) < macro.arguments:
            space = _SPACE.match(text, at)
            start = space.end() if space else at
            end = _argument_end(text, start, braces)
            if end is None or not self._may_spend(end - start):
                return None
            values.append(text[start + 1 : end - 1] if text[start] == "{" else text[start:end])
            at = end
        # what is held aside must not be there twice
        return None if any("\0" in value for value in values) else _Call(values, at)

    def _may_spend(self, chars: int) -> bool:
        is_enough = chars <= self._budget
        self._budget -= chars if is_enough else 0
        return is_enough


class _Call(NamedTuple):
    values: list[str]
    end: int


class _Braces:
    """Where each opened brace of a text is closed."""

    def __init__(self, text: str):
        self._text = text
        self._partners: dict[int, int] | None = None

    def end(self, start: int) -> int | None:
        """The place behind the group that begins at `start`."""
        if self._partners is None:
            self._partners = {}
            opened: list[int] = []
            for match in _BRACE.finditer(self._text):
                if match[0] == "{":
                    opened.append(match.start())
                elif match[0] == "}" and opened:
                    self._partners[opened.pop()] = match.end()
        return self._partners.get(start)


def _argument_end(text: str, start: int, braces: _Braces) -> int | None:
    if text[start : start + 1] == "{":
        return braces.end(start)
    if command := _COMMAND.match(text, start):
        return command.end()
    return start + 1 if text[start : start + 1] not in ("", "}", "\n") else None


def _definition(text: str, command: re.Match[str], braces: _Braces) -> _Definition | None:
    """The definition that begins with a command; None if what follows is none."""
    kind, form = command[1], "#"
    count, default, is_in_order = 0, None, True
    if kind == "DeclareMathOperator":
        head = _OPERATOR_HEAD.match(text, command.end())
        form = f"\\operatorname{head[1]}{{#}}" if head else form
    elif kind in _DEF:
        head = _DEF_HEAD.match(text, command.end())
        numbers = _PARAMETER.findall(head["parameters"]) if head else []
        count = len(numbers)
        is_in_order = numbers == [str(number + 1) for number in range(count)]
    else:
        head = _NEW_HEAD.match(text, command.end())
        count, default = (int(head["count"] or 0), head["default"]) if head else (0, None)
    if head is None or (end := braces.end(head.end())) is None:
        return None
    body = text[head.end() + 1 : end - 1]
    name = head.groupdict().get("braced") or head["name"]
    is_sound = is_in_order and all(int(number) <= count for number in _PARAMETER.findall(body))
    return _Definition(name, Macro(form.replace("#", body), count, default) if is_sound else None, end, kind)


def _glued(parts: Iterable[str]) -> str:
    """Join texts, with a space where a command would take the letter behind it into its name."""
    made: list[str] = []
    for part in filter(None, parts):
        if made and part[0].isalpha() and part[0].isascii() and _ends_with_command(made[-1]):
            made.append(" ")
        made.append(part)
    return "".join(made)


def _ends_with_command(text: str) -> bool:
    _, backslash, name = text[-64:].rpartition("\\")
    return bool(backslash) and name.isalpha() and name.isascii()
