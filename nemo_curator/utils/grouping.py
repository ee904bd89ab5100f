"""Cutting a sequence into chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import TypeVar

__all__ = ["pairwise", "split_by_chunk_size", "split_into_n_chunks"]

T = TypeVar("T")


def split_by_chunk_size(
    iterable: Iterable[T],
    chunk_size: int,
    custom_size_func: Callable[[T], int] = lambda _: 1,
    drop_incomplete_chunk: bool = False,
) -> Iterator[list[T]]:
    """Cut into chunks that end as soon as they reach a size: a number of items, or the sum of their sizes.

    >>> list(split_by_chunk_size("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size is {chunk_size}; wanted at least 1")
    chunk: list[T] = []
    size = 0
    for item in iterable:
        chunk.append(item)
        size += custom_size_func(item)
        if size >= chunk_size:
            yield chunk
            chunk, size = [], 0
    if chunk and not drop_incomplete_chunk:
        yield chunk


def split_into_n_chunks(iterable: Iterable[T], num_chunks: int) -> Iterator[list[T]]:
    """Cut into so many chunks of nearly equal size, longer ones first; fewer where there are fewer items.

    >>> list(split_into_n_chunks("abcde", 3))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    if num_chunks < 1:
        raise ValueError(f"num_chunks is {num_chunks}; wanted at least 1")
    items = list(iterable)
    size, longer = divmod(len(items), num_chunks)
    starts = [size * at + min(at, longer) for at in range(num_chunks + 1)]
    for start, end in pairwise(starts):
        if start < end:
            yield items[start:end]
