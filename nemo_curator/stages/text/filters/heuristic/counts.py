"""What the heuristic filters share: shares of a whole, and words in any language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nemo_curator.kernels import ngrams, vocabulary
from nemo_curator.stages.text.word_splitters import word_splitter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nemo_curator.tasks.text_column import TextColumn


def ratio(parts: np.ndarray, wholes: np.ndarray, empty: float) -> np.ndarray:
    """Divide, and put `empty` where there is nothing to divide by."""
    shares = np.full(len(parts), float(empty))
    return np.divide(parts, wholes, out=shares, where=wholes > 0)


def describe_words(texts: TextColumn, lang: str) -> np.ndarray:
    """What the words of each text are like, by the names in `kernels.vocabulary.FACTS`."""
    if word_splitter(lang) is None:
        return texts.vocabulary
    return _row_wise(texts, lang, "vocabulary", vocabulary.FACTS, lambda _, words: vocabulary.describe_words(words))


def duplicate_chars(texts: TextColumn, n: int, lang: str) -> tuple[np.ndarray, np.ndarray]:
    """Characters of n-grams that stood before in each text, and which texts have as many as `n` words."""
    if word_splitter(lang) is None:
        return texts.ngrams(n)["duplicate"], texts.word_counts >= n
    counts = _row_wise(
        texts,
        lang,
        f"duplicate {n}-grams",
        ("words", "chars"),
        lambda _, words: (len(words), ngrams.duplicate_chars_of(words, n)),
    )
    return counts["chars"], counts["words"] >= n


def top_chars(texts: TextColumn, n: int, lang: str, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Characters of the top n-gram of each text, `top` or `replaced`, and which texts have as many as `n` words."""
    if word_splitter(lang) is None:
        return texts.ngrams(n, top=True)[kind], texts.word_counts >= n
    counts = _row_wise(
        texts,
        lang,
        f"top {n}-grams",
        ("words", "top", "replaced"),
        lambda text, words: (len(words), *ngrams.top_chars_of(text, words, n)),
    )
    return counts[kind], counts["words"] >= n


def _row_wise(
    texts: TextColumn, lang: str, name: str, facts: Sequence[str], describe: Callable[[str, list[str]], Sequence[int]]
) -> np.ndarray:
    words = texts.remember(f"words of {lang}", lambda: _split(texts, lang))
    return texts.remember(
        f"{name} of {lang}",
        lambda: np.array(
            [tuple(describe(*pair)) for pair in zip(texts.texts(), words)], [(one, np.int64) for one in facts]
        ),
    )


def _split(texts: TextColumn, lang: str) -> np.ndarray:
    split = word_splitter(lang)
    assert split is not None
    words = np.empty(len(texts), object)
    for row, text in enumerate(texts.texts()):
        words[row] = split(text.strip())
    return words
