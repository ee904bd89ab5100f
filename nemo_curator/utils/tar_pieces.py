"""Writing tar archives."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator


def tar_pieces(members: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """A tar in pieces: the same bytes for the same names and contents, whoever writes it and when."""
    size = 0
    for name, data in members:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        pieces = info.tobuf(tarfile.PAX_FORMAT), data, bytes(-len(data) % tarfile.BLOCKSIZE)
        size += sum(map(len, pieces))
        yield from pieces
    end = 2 * tarfile.BLOCKSIZE
    yield bytes(end + -(size + end) % tarfile.RECORDSIZE)
