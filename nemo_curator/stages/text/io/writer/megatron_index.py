"""The pair of files that Megatron reads tokens from: `.bin` holds them one after the other, `.idx` where each begins.

All numbers are little-endian: 9 bytes that say what it is, the version, a code for the type of a token, the number of
sequences S and of document bounds D, then S lengths in tokens (int32), S places in bytes (int64), D bounds (int64).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nemo_curator.errors import InputError
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.storage import ask, locate
from nemo_curator.utils.whole_files import appearing_whole

MAGIC = b"MMIDIDX\0\0"
TOKEN_TYPES = {code: np.dtype(kind) for code, kind in enumerate(("<u1", "<i1", "<i2", "<i4", "<i8"), 1)}
TOKEN_TYPES[8] = np.dtype("<u2")
"""Types of a token by their code."""
_HEAD = struct.Struct("<9sQBQQ")


def token_type(vocabulary: int | None) -> np.dtype:
    """The type that holds every token of a vocabulary of this size: 16 bits unless it is larger or unknown."""
    return TOKEN_TYPES[8 if vocabulary is not None and vocabulary <= 1 << 16 else 4]


def index_pieces(dtype: np.dtype, lengths: np.ndarray) -> Iterator[bytes]:
    """What a `.idx` file holds for documents that are one sequence each."""
    count = len(lengths)
    yield head(dtype, count, count + 1)
    yield lengths.astype("<i4").tobytes()
    yield places(lengths, dtype).tobytes()
    yield np.arange(count + 1, dtype="<i8").tobytes()


def head(dtype: np.dtype, sequences: int, bounds: int) -> bytes:
    codes = {kind: code for code, kind in TOKEN_TYPES.items()}
    return _HEAD.pack(MAGIC, 1, codes[dtype], sequences, bounds)


def places(lengths: np.ndarray, dtype: np.dtype, start: int = 0) -> np.ndarray:
    """Where each sequence begins, in bytes."""
    ends = np.cumsum(lengths, dtype="<i8") * dtype.itemsize + start
    return ends - lengths.astype("<i8") * dtype.itemsize


@dataclass(frozen=True)
class Index:
    """A `.idx` file that has been checked against its `.bin`; its arrays are read when asked for."""

    path: Path
    dtype: np.dtype
    sequences: int
    bounds: int
    """Of documents: one more than there are."""

    @property
    def bin_path(self) -> Path:
        return self.path.with_suffix(".bin")

    @property
    def lengths(self) -> np.ndarray:
        return np.fromfile(self.path, "<i4", self.sequences, offset=_HEAD.size)

    @property
    def document_bounds(self) -> np.ndarray:
        return np.fromfile(self.path, "<i8", self.bounds, offset=_HEAD.size + 12 * self.sequences)


def read_index(path: Path) -> Index:
    """Read the head of a `.idx` file, and raise if the pair is not whole."""
    if not path.with_suffix(".bin").is_file():
        raise InputError(f"{path} has no .bin file beside it")
    with path.open("rb") as file:
        start = file.read(_HEAD.size)
    if len(start) < _HEAD.size or not start.startswith(MAGIC):
        raise InputError(f"{path} is not an index of Megatron")
    _, version, code, sequences, bounds = _HEAD.unpack(start)
    if version != 1 or code not in TOKEN_TYPES:
        known = sorted(TOKEN_TYPES)
        raise InputError(f"{path} is of version {version} with tokens of type {code}; known are 1 with {known}")
    index = Index(path, TOKEN_TYPES[code], sequences, bounds)
    wanted = _HEAD.size + 12 * sequences + 8 * bounds
    if path.stat().st_size != wanted:
        raise InputError(f"{path} has {path.stat().st_size} bytes and says that it has {wanted}; make the pair again")
    wanted = int(index.lengths.sum(dtype=np.int64)) * index.dtype.itemsize
    if index.bin_path.stat().st_size != wanted:
        raise InputError(
            f"{index.bin_path} has {index.bin_path.stat().st_size} bytes and its index {wanted}; make the pair again"
        )
    return index


@contextmanager
def appearing_as_pair(prefix: str, storage_options: dict[str, Any] | None = None) -> Iterator[tuple[str, str]]:
    """Give the paths to write `.bin` and `.idx` to. Whoever sees the index sees the tokens that it tells of."""
    idx = f"{prefix}.idx"
    if is_remote_url(prefix):
        with suppress(FileNotFoundError):
            fs, place = locate(idx, storage_options)
            ask(fs, "rm_file", place)
    with appearing_whole(idx) as idx_place, appearing_whole(f"{prefix}.bin") as bin_place:
        yield bin_place, idx_place
        if not is_remote_url(prefix):
            # the index of an earlier run must not tell of the tokens of this one
            Path(idx).unlink(missing_ok=True)
