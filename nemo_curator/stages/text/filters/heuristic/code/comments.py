"""Comments in source code, found without parsing it: by what opens a comment, and what hides one in a string."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

# A literal that may span lines ends with its quote or with the file, so that no text is looked at twice.
DOUBLE = r'"(?:[^"\\\n]|\\[\s\S])*+"?'
SINGLE = r"'(?:[^'\\\n]|\\[\s\S])*+'?"
BACKTICK = r"`(?:[^`\\]|\\[\s\S])*+`?"
LONG_DOUBLE = r'"(?:[^"\\]|\\[\s\S])*+"?'
DOUBLED_DOUBLE = r'"(?:[^"]|"")*+"?'
DOUBLED_SINGLE = r"'(?:[^']|'')*+'?"
RAW_SINGLE = r"'[^']*+'?"
RAW_BACKTICK = r"`[^`]*+`?"
CHARACTER = r"'(?:[^'\\\n]|\\[^\n][^'\n]{0,9})'"
"""One character: a lone quote is a lifetime of Rust, a prime of Haskell, a separator of digits in C++."""
TRIPLE_DOUBLE = r'"""(?:[^\\]|\\[\s\S])*?(?:"""|\Z)'
TRIPLE_SINGLE = r"'''(?:[^\\]|\\[\s\S])*?(?:'''|\Z)"
CPP_RAW = r'R"(?P<delimiter>[^()\\\s]{0,16})\([\s\S]*?(?:\)(?P=delimiter)"|\Z)'
RUST_RAW = r'\br(?P<hashes>#*)"[\s\S]*?(?:"(?P=hashes)|\Z)'
CSHARP_VERBATIM = "@" + DOUBLED_DOUBLE
LUA_LONG = r"\[(?P<equals>=*)\[[\s\S]*?(?:\](?P=equals)\]|\Z)"
JAVASCRIPT_REGEX = r"(?<=[(,=:\[!&|?{};+])[ \t]*+/(?![*/])(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*+\]?)++/?"
ESCAPED = r"\\[\s\S]"


@dataclass(frozen=True)
class Syntax:
    """How a language writes comments.

    `line` are patterns of what opens a comment that ends with the line, `blocks` pairs of a pattern that opens and one
    that closes, `literals` patterns of whole strings.
    """

    line: tuple[str, ...] = ()
    blocks: tuple[tuple[str, str], ...] = ()
    literals: tuple[str, ...] = ()
    is_nested: bool = False

    @cached_property
    def token(self) -> re.Pattern[str]:
        parts = [f"(?P<open{at}>{opening})" for at, (opening, _) in enumerate(self.blocks)]
        if self.line:
            parts.append(rf"(?:{'|'.join(self.line)})(?P<line>[^\n]*+)")
        return re.compile("|".join([*parts, *self.literals]), re.MULTILINE)

    @cached_property
    def ends(self) -> list[re.Pattern[str]]:
        """For each kind of block what may come next within it: its end or, where blocks nest, another beginning."""
        return [
            re.compile(f"(?P<close>{closing})|{opening}" if self.is_nested else f"(?P<close>{closing})", re.MULTILINE)
            for opening, closing in self.blocks
        ]


class UnfinishedCommentError(ValueError):
    """A comment is opened and never closed."""


def find_comments(source: str, syntax: Syntax) -> list[str]:
    """Return what the comments of a source say, without the marks around them.

    Raises UnfinishedCommentError where a block is never closed.
    """
    found, at = [], 0
    while (token := syntax.token.search(source, at)) is not None:
        at = token.end()
        kind = token.lastgroup or ""
        if kind == "line":
            found.append(token["line"])
        elif kind.startswith("open"):
            end = _block_end(source, at, syntax.ends[int(kind[4:])])
            found.append(source[at : end.start()])
            at = end.end()
    return found


def _block_end(source: str, at: int, ends: re.Pattern[str]) -> re.Match[str]:
    depth = 1
    for token in ends.finditer(source, at):
        depth += -1 if token["close"] else 1
        if depth == 0:
            return token
    raise UnfinishedCommentError(f"the comment that begins at character {at} never ends")


_STARS = ((r"/\*", r"\*/"),)
_C = Syntax(("//",), _STARS, (CPP_RAW, DOUBLE, CHARACTER))
_NESTED_C = Syntax(("//",), _STARS, (TRIPLE_DOUBLE, DOUBLE, CHARACTER), is_nested=True)
_JAVA = Syntax(("//",), _STARS, (TRIPLE_DOUBLE, DOUBLE, CHARACTER))
_JAVASCRIPT = Syntax(("//",), _STARS, (JAVASCRIPT_REGEX, DOUBLE, SINGLE, BACKTICK))
_HASH = Syntax(("#",), (), (DOUBLE, SINGLE))
_WORD_HASH = Syntax((r"(?<![^\s;&|()])#",), (), (ESCAPED, LONG_DOUBLE, RAW_SINGLE))
_SEMICOLON = Syntax((";",), ((r"#\|", r"\|#"),), (r"\\.", r"#\\.", LONG_DOUBLE), is_nested=True)
_PERCENT = Syntax((r"(?<!\\)%",), (), ())
_XML = Syntax((), (("<!--", "-->"),))
_PYTHON = Syntax(("#",), (), (TRIPLE_DOUBLE, TRIPLE_SINGLE, DOUBLE, SINGLE))

_LANGUAGES: list[tuple[str, Syntax]] = [
    ("c c++ c++src c++hdr csrc chdr c-header objective-c objectivec glsl cuda verilog protobuf thrift solidity", _C),
    ("java java-source groovy apex", _JAVA),
    ("csharp", Syntax(("//",), _STARS, (CSHARP_VERBATIM, TRIPLE_DOUBLE, DOUBLE, CHARACTER))),
    ("go", Syntax(("//",), _STARS, (DOUBLE, CHARACTER, RAW_BACKTICK))),
    ("zig", Syntax(("//",), (), (DOUBLE, CHARACTER))),
    ("rust", Syntax(("//",), _STARS, (RUST_RAW, LONG_DOUBLE, CHARACTER), is_nested=True)),
    ("swift scala kotlin dart d", _NESTED_C),
    ("javascript typescript jsx tsx", _JAVASCRIPT),
    ("php", Syntax(("//", r"#(?!\[)"), _STARS, (DOUBLE, SINGLE))),
    ("css", Syntax((), _STARS, (DOUBLE, SINGLE))),
    ("scss less", Syntax(("(?<!:)//",), _STARS, (DOUBLE, SINGLE))),
    ("sql plsql pgsql mysql", Syntax(("--",), _STARS, (DOUBLED_SINGLE, DOUBLED_DOUBLE, RAW_BACKTICK))),
    (
        "lua",
        Syntax(
            ("--",),
            ((r"--\[\[", r"\]\]"), (r"--\[=\[", r"\]=\]"), (r"--\[==\[", r"\]==\]")),
            (DOUBLE, SINGLE, LUA_LONG),
        ),
    ),
    (
        "haskell elm purescript",
        Syntax(
            (r"(?<![!#$%&*+./<=>?@\\^|~:-])--+(?![!#$%&*+./<=>?@\\^|~:-])",),
            ((r"\{-", r"-\}"),),
            (DOUBLE, CHARACTER),
            is_nested=True,
        ),
    ),
    ("html xml xhtml xhtml+xml svg+xml xslt+xml", _XML),
    ("python python3 script.python cython starlark", _PYTHON),
    ("shellscript sh shell bash zsh csh", _WORD_HASH),
    ("yaml toml ini dockerfile makefile properties", Syntax((r"(?<!\S)#",), (), (DOUBLE, SINGLE))),
    ("ruby crystal", Syntax(("#",), ((r"^=begin\b", r"^=end\b"),), (DOUBLE, SINGLE, r"\?#"))),
    ("perl", Syntax((r"(?<![$&\\])#",), ((r"^=[a-z]\w*", r"^=cut\b"),), (DOUBLE, SINGLE))),
    ("r rsrc awk tcl nim", _HASH),
    ("julia", Syntax(("#",), (("#=", "=#"),), (TRIPLE_DOUBLE, DOUBLE, CHARACTER), is_nested=True)),
    ("elixir", Syntax(("#",), (), (TRIPLE_DOUBLE, DOUBLE, SINGLE, r"\?#"))),
    ("powershell", Syntax(("#",), (("<#", "#>"),), (r"`.", DOUBLED_DOUBLE, DOUBLED_SINGLE))),
    ("cmake", Syntax((r"#",), ((r"#\[\[", r"\]\]"),), (LONG_DOUBLE,))),
    ("common-lisp lisp emacs-lisp scheme racket clojure", _SEMICOLON),
    ("erlang prolog", Syntax(("%",), (), (LONG_DOUBLE, r"\$."))),
    ("tex latex x-tex", _PERCENT),
    ("matlab octave", Syntax(("%",), ((r"^[ \t]*%\{[ \t]*$", r"^[ \t]*%\}[ \t]*$"),), (DOUBLE,), is_nested=True)),
    ("fortran", Syntax(("!",), (), (DOUBLED_SINGLE, DOUBLED_DOUBLE))),
    ("pascal delphi", Syntax(("//",), ((r"\{", r"\}"), (r"\(\*", r"\*\)")), (DOUBLED_SINGLE,))),
    ("ocaml sml coq", Syntax((), ((r"\(\*", r"\*\)"),), (LONG_DOUBLE, CHARACTER), is_nested=True)),
    ("fsharp", Syntax(("//",), ((r"\(\*", r"\*\)"),), (TRIPLE_DOUBLE, LONG_DOUBLE, CHARACTER), is_nested=True)),
    ("ada vhdl", Syntax(("--",), (), (r'"[^"\n]*+"?', r"'.'"))),
    ("vb vbscript vbnet", Syntax(("'",), (), (r'"[^"\n]*+"?',))),
]
_PREFIXES = ("text/x-", "text/", "application/x-", "application/")
SYNTAXES = {name: syntax for names, syntax in _LANGUAGES for name in names.split()}
"""Syntaxes by what follows `text/` or `application/`, with or without `x-`, in the MIME type of a language."""


def syntax_of(mime_type: str) -> Syntax:
    """Return the syntax of a language by its MIME type, such as `text/x-c++` or `application/javascript`."""
    kind = mime_type.lower()
    name = next((kind.removeprefix(prefix) for prefix in _PREFIXES if kind.startswith(prefix)), "")
    if name not in SYNTAXES:
        raise ValueError(f"no comments are known for {mime_type!r}; known are text/x- and one of {sorted(SYNTAXES)}")
    return SYNTAXES[name]
