"""Hashes of whole texts, 128 bits each: equal for equal texts, and as good as never for others.

Of n different texts two share a hash with a probability of about n² / 2¹²⁹: 1.5e-21 for a billion. This holds for texts
that nobody has made to collide; who can choose texts can make two with the same `md5` or `xxh3_128`, but not `sha256`.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from nemo_curator.errors import need
from nemo_curator.tasks.text_column import TextColumn

HASH_METHODS = ("md5", "sha256", "xxh3_128")
NORMALIZATIONS = ("case", "whitespace", "nfc", "nfkc")
HASH_BYTES = 16


def hash_texts(texts: TextColumn, method: str = "md5") -> np.ndarray:
    """Hash the UTF-8 of each text: rows of two 64-bit numbers. A null has the hash of the empty text."""
    digest = digest_of(method)
    data, offsets = texts.buffers
    view = data.data
    hashes = b"".join([digest(view[start:stop])[:HASH_BYTES] for start, stop in pairwise(offsets.tolist())])
    return np.frombuffer(hashes, "<u8").reshape(-1, 2)


def digest_of(method: str) -> Callable[[Any], bytes]:
    """The function from bytes to their hash, of sixteen bytes or more."""
    if method == "xxh3_128":
        return need("xxhash", extra="text").xxh3_128_digest
    hashed = partial(getattr(hashlib, method), usedforsecurity=False)
    return lambda data: hashed(data).digest()


def check_hashing(hash_method: str, normalize: str | Sequence[str] | None) -> tuple[str, ...]:
    """Raise if there is no such hash or normalisation; returns the normalisations."""
    if hash_method not in HASH_METHODS:
        raise ValueError(f"hash_method is {hash_method!r}; wanted one of {HASH_METHODS}")
    names = (normalize,) if isinstance(normalize, str) else tuple(normalize or ())
    if unknown := [name for name in names if name not in NORMALIZATIONS]:
        raise ValueError(f"normalize names {unknown}; wanted any of {NORMALIZATIONS}")
    if {"nfc", "nfkc"} <= set(names):
        raise ValueError("normalize names nfc and nfkc; give one")
    return names


def normalized(texts: TextColumn, names: Sequence[str]) -> TextColumn:
    """The texts as they are compared.

    `case` is folded, runs of `whitespace` are one space and none at the ends, `nfc` and `nfkc` are Unicode's forms.
    """
    if not names:
        return texts
    form = next((name.upper() for name in names if name in ("nfc", "nfkc")), None)
    folds, squeezes = "case" in names, "whitespace" in names
    made = [_normal_form(text, form, folds, squeezes) for text in texts.texts()]
    return TextColumn(pa.array(made, pa.large_string()))


def _normal_form(text: str, form: Any, folds: bool, squeezes: bool) -> str:
    if form and not text.isascii():
        text = unicodedata.normalize(form, text)
    if folds:
        text = text.casefold()
        if form and not text.isascii():  # folding may leave what the form composes
            text = unicodedata.normalize(form, text)
    return " ".join(text.split()) if squeezes else text
