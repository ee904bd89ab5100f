"""Parts of a page that are not wikitext: comments, notes, formulas, code, and what `<nowiki>` protects."""

from __future__ import annotations

import re

from nemo_curator.stages.text.download.wikipedia.inline import unescape

_DROPPED = """ref references gallery timeline graph score hiero imagemap mapframe maplink templatedata section indicator
includeonly categorytree inputbox templatestyles ce style script"""
_KINDS = dict.fromkeys(_DROPPED.split(), "dropped") | dict.fromkeys(("nowiki", "pre"), "text")
_KINDS |= dict.fromkeys(("syntaxhighlight", "source"), "code") | dict.fromkeys(("math", "chem"), "formula")
_START = re.compile(rf"<!--|<({'|'.join(sorted(_KINDS, key=len, reverse=True))})(?:[ \t\n/][^<>]*)?>", re.IGNORECASE)
_TAGS = {name: re.compile(rf"<(/?){name}(?:[ \t\n/][^<>]*)?>", re.IGNORECASE) for name in _KINDS}
_MARK = re.compile("\0([0-9]+)\0")
_PARAGRAPH_END = re.compile(r"\n(?=[ \t]*\n|={2,6}[^\n]*=[ \t]*(?:\n|\Z))")


class Verbatim:
    """Holds what was taken out of one page, until its text is put back."""

    def __init__(self) -> None:
        self._kept: list[str] = []
        self._unclosed: set[str] = set()

    def take_out(self, text: str) -> str:
        """Drop notes and comments, and put marks in place of what reads as it stands."""
        parts: list[str] = []
        position = 0
        while match := _START.search(text, position):
            parts.append(text[position : match.start()])
            name = match[1]
            if name is None:
                position = self._comment_end(text, match.start(), parts)
            elif match.group().endswith("/>"):
                position = match.end()
            else:
                position = self._element(text, match, name.lower(), parts)
        parts.append(text[position:])
        return "".join(parts)

    def put_back(self, text: str) -> str:
        return _MARK.sub(lambda match: self._kept[int(match[1])], text) if self._kept else text

    def _comment_end(self, text: str, start: int, parts: list[str]) -> int:
        end = -1 if "" in self._unclosed else text.find("-->", start + 4)
        if end < 0:
            self._unclosed.add("")
            return _paragraph_end(text, start, len(text))
        end += 3
        # a line that holds nothing but a comment is no line
        if (start == 0 or text[start - 1] == "\n") and text.startswith("\n", end):
            end += 1
        return end

    def _element(self, text: str, match: re.Match[str], name: str, parts: list[str]) -> int:
        """Handle an element from its start tag on; return where it ends."""
        other = None if name in self._unclosed else _TAGS[name].search(text, match.end())
        if other is None:
            self._unclosed.add(name)
        kind = _KINDS[name]
        if other is None or not other[1]:
            if kind != "dropped":
                return match.end()
            return _paragraph_end(text, match.end(), other.start() if other else len(text))
        content = text[match.end() : other.start()]
        if kind == "text":
            parts.append(self._keep(unescape(content).strip("\n")))
        elif kind == "code":
            parts.append(self._keep(content.strip("\n")))
        elif kind == "formula" and content.strip():
            parts.append(self._keep(f"${unescape(content.strip())}$"))
        return other.end()

    def _keep(self, content: str) -> str:
        self._kept.append(content)
        return f"\0{len(self._kept) - 1}\0"


def _paragraph_end(text: str, start: int, end: int) -> int:
    match = _PARAGRAPH_END.search(text, start, end)
    return match.start() if match else end
