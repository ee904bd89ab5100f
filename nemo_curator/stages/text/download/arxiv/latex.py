"""LaTeX source as text: comments, what stands verbatim, files within files, and where a paper begins and ends.

Each function takes time in proportion to what it is given, whatever that is.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

MOST_DEPTH = 20
"""How deep files may be within files."""

_VERBATIM = r"verbatim\*?|Verbatim\*?|lstlisting|minted|alltt|filecontents\*?|comment"
_MARK = re.compile(
    rf"\\begin\s*+\{{(?P<environment>{_VERBATIM})\}}"
    rf"|\\(?P<inline>(?:verb|lstinline)(?![A-Za-z])\*?(?:\[[^\[\]\n]*+\])?"
    r"|mintinline(?:\[[^\[\]\n]*+\])?\{[^{}\n]*+\}|(?:url|path|nolinkurl)(?=[|!]))"
    r"(?P<delimiter>[!-)+-/:-@\[-`{|~])"
    r"|\\(?:url|href|path|nolinkurl)\s*+\{[^{}\n]*+\}"
    r"|\\[^A-Za-z]"
    r"|(?P<comment>%)",
    re.DOTALL,
)
_LEFT_OUT = {"comment", "filecontents", "filecontents*"}
_HELD = re.compile("\0([0-9]+)\0")
_FOLDER_ARGUMENT = r"(?:\s*+\{(?P<folder>[^{}\n]*+)\})"
_INPUT = re.compile(
    r"\\(?:(?:input|include|subfile|subfileinclude|InputIfFileExists)(?![A-Za-z])"
    r"|(?P<imports>import|subimport|inputfrom|subinputfrom|includefrom|subincludefrom)\*?"
    rf"(?![A-Za-z]){_FOLDER_ARGUMENT})"
    r"(?:\s*+\{(?P<braced>[^{}\n]*+)\}|[ \t]++(?P<bare>[\w./+-]++))"
)
_CLASS = re.compile(r"\\document(?:class|style)(?![A-Za-z])")
_STANDALONE = re.compile(r"\\documentclass\s*+(?:\[[^\[\]]*+\]\s*+)?\{(?:standalone|subfiles)\}")
_BEGIN = re.compile(r"\\begin\s*+\{document\}|\\document(?![A-Za-z])")
_END = re.compile(r"\\end\s*+\{document\}|\\(?:enddocument|bye|endinput)(?![A-Za-z])")
_SECTION = re.compile(r"\\(?:part|chapter|(?:sub){0,2}section|(?:sub)?paragraph)(?![A-Za-z])\s*+\*?\s*+[\[{]")
_ABSTRACT = re.compile(r"\\begin\s*+\{abstract\}|\\abstract(?![A-Za-z])")
_BACK = re.compile(
    r"\\appendix(?![A-Za-z])|\\begin\s*+\{(?:references|REFERENCES|thebibliography|appendix|appendices)\}"
    r"|\\bibliography\s*+\{|\\printbibliography(?![A-Za-z])"
)


@dataclass
class Verbatim:
    """Text that nothing may change. It is held aside, with a mark in its place."""

    held: list[str] = field(default_factory=list)

    def mark(self, text: str) -> str:
        self.held.append(text)
        return f"\0{len(self.held) - 1}\0"

    def restore(self, text: str) -> str:
        return _HELD.sub(lambda match: self.held[int(match[1])], text)


def without_comments(text: str, verbatim: Verbatim) -> str:
    r"""Take comments out, lines of nothing else with their ends, and put what stands verbatim aside.

    `\%` is no comment, nor is `%` in an address. What is in a `comment` environment is one.
    """
    text = text.replace("\0", "")
    following = _Following(text)
    kept: list[str] = []
    at = place = 0
    while match := _MARK.search(text, place):
        place = match.end()
        if match["comment"]:
            start, place = _comment(text, match.start(), at, following)
            kept.append(text[at:start])
            at = place
        elif name := match["environment"]:
            end = following.find(f"\\end{{{name}}}", place)
            if end < 0:
                continue
            place = end + len(name) + len("\\end{}")
            kept.append(text[at : match.start()])
            if name not in _LEFT_OUT:
                kept.append(verbatim.mark(text[match.start() : place]))
            at = place
        elif match["inline"] or "%" in match[0][1:-1]:
            end = place if match["inline"] is None else _inline_end(match, place, following)
            if end < 0:
                continue
            place = end
            kept += (text[at : match.start()], verbatim.mark(text[match.start() : place]))
            at = place
    kept.append(text[at:])
    return "".join(kept)


@dataclass
class _Following:
    """Where texts stand next. Each is looked for once between two places, however often it is asked for."""

    text: str
    found: dict[str, int] = field(default_factory=dict)

    def find(self, what: str, start: int) -> int:
        """The place of a text at or behind `start`, which never goes back; -1 if there is none."""
        place = self.found.get(what, 0)
        if 0 <= place < start or what not in self.found:
            place = self.found[what] = self.text.find(what, start)
        return place


def _inline_end(match: re.Match[str], place: int, following: _Following) -> int:
    delimiter = "}" if match["delimiter"] == "{" else match["delimiter"]
    end, line_end = following.find(delimiter, place), following.find("\n", place)
    return -1 if end < 0 or 0 <= line_end < end else end + 1


def _comment(text: str, start: int, before: int, following: _Following) -> tuple[int, int]:
    """Where a comment begins and ends: with the whole line, if there is nothing else on it."""
    end = following.find("\n", start)
    end = len(text) if end < 0 else end
    first = start
    while first > before and text[first - 1] in " \t":
        first -= 1
    is_whole_line = first == 0 or text[first - 1] == "\n"
    return (first, min(end + 1, len(text))) if is_whole_line else (start, end)


def roots(files: Mapping[str, str]) -> list[str]:
    """The files that a paper is made of, in order; others come in through these.

    They are those with a `\\documentclass` that no other takes in. Without one, as in plain TeX, those that are taken
    in by no other.
    """
    taken = {
        found
        for name, text in files.items()
        for match in _INPUT.finditer(text)
        if (found := _resolve(match, name, "", files, str)) is not None and found != name
    }
    mains = [name for name, text in files.items() if _CLASS.search(text) or _BEGIN.search(text)]
    alone = [name for name in mains if name not in taken and not _STANDALONE.search(files[name])]
    free = [name for name in files if name not in taken]
    return alone or [name for name in mains if name not in taken] or mains[:1] or free or list(files)


def with_sections(files: Mapping[str, str]) -> list[str]:
    """The files that have sections."""
    return [name for name, text in files.items() if _SECTION.search(text)]


def flatten(root: str, files: Mapping[str, str], used: set[str], expand: Callable[[str], str] = str) -> str:
    r"""Put files in the place of the `\input`, `\include`, `\subfile` and `\import` that name them.

    They are looked for among `files` alone, each comes in once (`used` says which have), and only the body of one that
    is a document itself. What is not there stays as it is written. `expand` replaces macros in names.
    """
    used.add(root)

    def open_file(name: str, depth: int) -> str:
        text = files[name]
        if depth:
            text = text[slice(*_body(text))]
        elif end := _END.search(text):
            text = text[: end.start()]

        def replace(match: re.Match[str]) -> str:
            found = _resolve(match, name, posixpath.dirname(root), files, expand)
            if found is None or depth >= MOST_DEPTH:
                return match[0]
            if found in used:
                return ""
            used.add(found)
            return open_file(found, depth + 1)

        return _INPUT.sub(replace, text)

    return open_file(root, 0)


def _resolve(
    match: re.Match[str], name: str, folder: str, files: Mapping[str, str], expand: Callable[[str], str]
) -> str | None:
    path = expand((match["braced"] or match["bare"] or "").strip().strip('"'))
    path = posixpath.join(expand((match["folder"] or "").strip()), path)
    for start in dict.fromkeys((folder, posixpath.dirname(name))):
        for suffix in (".tex", ""):
            found = posixpath.normpath(posixpath.join(start, f"{path}{suffix}"))
            if found in files:
                return found
    return None


def _body(text: str) -> tuple[int, int]:
    begin = _BEGIN.search(text)
    start = begin.end() if begin else 0
    end = _END.search(text, start)
    return start, end.start() if end else len(text)


def main_part(text: str) -> str:
    """The text of a document from its first section up to its appendix or bibliography.

    Where there is no section, or more is before the first than behind it, as in letters, it begins with the abstract,
    or with the body where that has none.
    """
    start, end = _body(text)
    if back := _BACK.search(text, start, end):
        end = back.start()
    section = _SECTION.search(text, start, end)
    abstract = _ABSTRACT.search(text, start, end)
    front = abstract.start() if abstract else start
    if section is None or section.start() - front > end - section.start():
        return text[front:end].strip()
    return text[section.start() : end].strip()
