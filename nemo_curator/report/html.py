"""Elements of HTML, in which every text is escaped unless it is HTML already."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

_VOID = {"br", "col", "hr", "img", "link", "meta"}
_UNSHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]")
"""What HTML may not hold, and what would turn the text around it to the other direction."""
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})


class Html(str):
    """A text that is HTML already."""

    __slots__ = ()


Child: TypeAlias = "str | int | Sequence[Child] | None"
"""What an element may hold: texts, elements, lists of both; None is nothing."""


def tag(name: str, /, *children: Child, **attributes: Any) -> Html:
    """Make an element; of the names of attributes `_` at the end is left out, and others become `-`.

    An attribute that is None or False is left out, one that is True has no value.
    """
    pairs = [(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items()]
    given = [f" {key}" if value is True else f' {key}="{escape(value)}"' for key, value in pairs if _is_given(value)]
    opening = f"<{name}{''.join(given)}>"
    return Html(opening if name in _VOID else f"{opening}{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Put elements and texts one after the other."""
    return Html("".join(_flat(child) for child in children))


def escape(value: Any) -> Html:
    """A value as text. Characters that cannot be shown, or reorder what follows, are shown by their number."""
    if isinstance(value, Html):
        return value
    return Html(_UNSHOWN.sub(_named, str(value)).translate(_ENTITIES))


def cut(value: Any, most: int) -> str:
    """At most so many characters of a text."""
    text = str(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _is_given(value: Any) -> bool:
    return value is not None and value is not False


def _flat(child: Child) -> str:
    if child is None:
        return ""
    return join(*child) if isinstance(child, list | tuple) else escape(child)


def _named(found: re.Match[str]) -> str:
    code = ord(found[0])
    if found[0] == "\r":
        return "\n" if found.string[found.end() : found.end() + 1] != "\n" else ""
    return chr(0x2400 + code) if code < 0x20 else f"[U+{code:04X}]"
