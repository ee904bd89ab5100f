"""One column of text and what has been counted about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from nemo_curator.kernels import boilerplate, characters, lines, ngrams, urls, vocabulary
from nemo_curator.kernels.compile import pays
from nemo_curator.kernels.unicode import count_chars
from nemo_curator.kernels.words import count_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NGRAMS, TOP_NGRAMS = (2, 10), (2, 4)
"""The smallest and the largest n-grams that are counted together, because who asks for one asks for others."""


class TextColumn:
    """A column of text that remembers what has been counted about it.

    A null counts as the empty text and stays null. What was counted survives `filter` and `slice`; it is not pickled.
    """

    def __init__(self, texts: pa.Array | pa.ChunkedArray | Sequence[str | None]):
        self.array = _as_strings(texts)
        self._counted: dict[str, Any] = {}
        self._buffers: tuple[np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.array)

    def __reduce__(self) -> tuple:
        return TextColumn, (self.array,)

    def to_pylist(self) -> list[str | None]:
        return self.array.to_pylist()

    def texts(self) -> list[str]:
        """Every text as a `str`; a null as the empty one."""
        return _without_nulls(self.array).to_pylist()

    @property
    def buffers(self) -> tuple[np.ndarray, np.ndarray]:
        """The UTF-8 bytes, and where in them each text starts and the last one ends: what a kernel takes."""
        if self._buffers is None:
            self._buffers = _buffers(self.array)
        return self._buffers

    @property
    def lengths(self) -> np.ndarray:
        """Code points of each text."""
        return self.remember("lengths", lambda: self.measure(count_chars, len))

    @property
    def word_counts(self) -> np.ndarray:
        """Words of each text, as `str.split` finds them."""
        if "vocabulary" in self._counted:
            return self.vocabulary["words"]
        return self.remember("word_counts", lambda: self.measure(count_words, lambda text: len(text.split())))

    def count(self, kind: int) -> np.ndarray:
        """Characters of one kind in each text: `ALPHANUMERIC`, `DIGIT`, `SPACE`, `BRACKET` or `LETTER`."""
        if kind == characters.LETTER:
            table = characters.letters
            return self.remember("letters", lambda: self.measure(characters.count_listed, characters.letters_of, table))
        return self.facts("kinds", characters.KINDS, characters.count_kinds, characters.kinds_of, characters.digits)[
            characters.KINDS[kind]
        ]

    @property
    def vocabulary(self) -> np.ndarray:
        """What the words of each text are like, by the names in `kernels.vocabulary.FACTS`."""
        return self.facts(
            "vocabulary", vocabulary.FACTS, vocabulary.count_vocabulary, vocabulary.vocabulary_of, characters.letters
        )

    @property
    def lines(self) -> np.ndarray:
        """What the lines and paragraphs of each text are like, by the names in `kernels.lines.FACTS`."""
        return self.facts("lines", lines.FACTS, lines.count_lines, lines.lines_of)

    @property
    def urls(self) -> np.ndarray:
        """What the URLs of each text are like, by the names in `kernels.urls.FACTS`."""
        return self.facts("urls", urls.FACTS, urls.count_urls, urls.urls_of)

    @property
    def boilerplate(self) -> np.ndarray:
        """Paragraphs of each text that hold certain phrases, by the names in `kernels.boilerplate.FACTS`."""
        return self.facts("boilerplate", boilerplate.FACTS, boilerplate.count_boilerplate, boilerplate.boilerplate_of)

    def ngrams(self, n: int, *, top: bool = False) -> np.ndarray:
        """Characters in repeated n-grams of words, by the names in `kernels.ngrams.FACTS`; some need `top`."""
        first, last = TOP_NGRAMS if top else NGRAMS
        if not first <= n <= last:
            return self._ngrams(n, n, n if top else 0)[:, 0]
        return self._ngrams(*NGRAMS, TOP_NGRAMS[1])[:, n - NGRAMS[0]]

    def _ngrams(self, *numbers: int) -> np.ndarray:
        shape = (len(self), numbers[1] - numbers[0] + 1, len(ngrams.FACTS))
        counts = self.remember(
            f"ngrams {numbers}", lambda: self.measure(ngrams.count_repetition, ngrams.repetition_of, *numbers)
        )
        return _named(counts.reshape(shape), ngrams.FACTS)

    def facts(self, name: str, facts: Sequence[str], kernel: Callable, row_wise: Callable, *more: Any) -> np.ndarray:
        """Several numbers for each text, by name: `facts(…)["lines"]`. They are counted together and remembered."""
        counts = self.remember(name, lambda: self.measure(kernel, row_wise, *more))
        return _named(counts.reshape(len(self), len(facts)), facts)

    def remember(self, name: str, count: Callable[[], Any]) -> Any:
        """Return what `count` returned when first asked: one value per text, that a mask or a slice can index."""
        if name not in self._counted:
            self._counted[name] = count()
        return self._counted[name]

    def measure(self, kernel: Callable, row_wise: Callable[..., Any], *more: Any, dtype: type = np.int64) -> np.ndarray:
        """One value or row per text: from a kernel, or from a function of one text as long as numba does not pay.

        Both get what is in `more` besides; a kernel's table may be given as a function that makes it, and is not for
        the other.
        """
        if pays(self.array.nbytes):
            return kernel(*self.buffers, *(each() if callable(each) else each for each in more))
        numbers = [each for each in more if not callable(each)]
        return np.array([row_wise(text, *numbers) for text in self.texts()], dtype)

    def filter(self, mask: np.ndarray, array: pa.Array | pa.ChunkedArray | None = None) -> TextColumn:
        """Keep the texts where `mask` is true; `array` is the Arrow array after that, if the caller has it already."""
        mask = np.asarray(mask, bool)
        return self._rows(self.array.filter(pa.array(mask)) if array is None else array, mask)

    def take(self, rows: np.ndarray, array: pa.Array | pa.ChunkedArray | None = None) -> TextColumn:
        """The texts at these places, in this order; `array` is as for `filter`."""
        return self._rows(self.array.take(pa.array(rows)) if array is None else array, rows)

    def slice(self, start: int, length: int | None = None) -> TextColumn:
        array = self.array.slice(start, length)
        return self._rows(array, slice(start, start + len(array)))

    def _rows(self, array: pa.Array | pa.ChunkedArray, rows: Any) -> TextColumn:
        column = TextColumn(array)
        column._counted = {name: values[rows] for name, values in self._counted.items()}
        return column


def _as_strings(texts: pa.Array | pa.ChunkedArray | Sequence[str | None]) -> pa.Array | pa.ChunkedArray:
    if not isinstance(texts, pa.Array | pa.ChunkedArray):
        return pa.array(texts, pa.large_string())
    kind = texts.type.value_type if pa.types.is_dictionary(texts.type) else texts.type
    if texts.type in (pa.string(), pa.large_string()):
        return texts
    if kind in (pa.string(), pa.large_string(), pa.string_view(), pa.null()):
        # Arrow cannot filter or fill string views
        return texts.cast(pa.large_string())
    raise TypeError(f"a text column holds strings, not {texts.type}")


def _named(counts: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Call the last dimension by names, without copying."""
    return counts.view([(name, counts.dtype) for name in names])[..., 0]


def _without_nulls(array: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    return array.fill_null("") if array.null_count else array


def _buffers(array: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(array, pa.ChunkedArray):
        # the texts of all chunks together may need 64-bit offsets
        array = array.chunk(0) if array.num_chunks == 1 else array.cast(pa.large_string()).combine_chunks()
    if len(array) == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    # below a null there may be bytes
    array = _without_nulls(array)
    _, offsets, data = array.buffers()
    width = np.dtype(np.int32 if array.type == pa.string() else np.int64)
    offsets = np.frombuffer(offsets, width, len(array) + 1, array.offset * width.itemsize)
    return np.frombuffer(data or b"", np.uint8), np.require(offsets, np.int64, "A")
