"""What nobody may see of a run: logins, signatures and keys."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

_SECRET = re.compile(
    r"(.*_)?((storage|cache|index|output)_options|password|passwd|passphrase|secret|credentials?|authorization)"
    r"|(.*_)?connection_string"
    r"|((.*_)?(access|api|auth|bearer|hf|refresh|sas|secret|session)_)?token|(.*_)?(access|account|api|private|secret)_?key",
    re.IGNORECASE,
)
"""Settings that say how data is reached, not what it is; what is kept of a run holds none of them."""
_SIGNATURE = re.compile(
    r"(?i)([?&](?:sig|key|[\w.-]*(?:signature|token|credential|secret|password|api[_-]?key)))=[^&\s'\"]+"
)
_LOGIN = re.compile(r"://[^/@\s]+@")
_GIVEN = re.compile(r"([\w.-]+)(\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s,)}\]]+)")
"""A setting within the text of an argument, such as `Judge(api_key='…')`."""


def is_secret(name: str) -> bool:
    """Whether a setting of this name is a secret; of a path such as `reader.storage_options` each part counts."""
    return any(_SECRET.fullmatch(part) for part in name.replace("-", "_").split("."))


def without_login(text: str) -> str:
    """A text in which URLs hold neither name nor password, and no signature."""
    return _SIGNATURE.sub(r"\1=…", _LOGIN.sub("://", text))


def open_command(words: Sequence[str]) -> str:
    """A command line as a shell takes it, but for the values of settings that are secrets."""
    return shlex.join(without_login(_open_word(word)) for word in words)


def _open_word(word: str) -> str:
    name, is_setting, _ = word.partition("=")
    if is_setting and is_secret(name.lstrip("+~-")):
        return f"{name}=…"
    return _GIVEN.sub(lambda found: f"{found[1]}{found[2]}…" if is_secret(found[1]) else found[0], word)
