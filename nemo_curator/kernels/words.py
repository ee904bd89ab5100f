"""Words as `str.split` sees them: what stands between white space."""

from __future__ import annotations

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.unicode import BLOCK, is_ascii_space, is_wide_space, starts_char, wide_space_width


@kernel("uint8[::1], int64[::1]")
def count_words(data, offsets):
    """Count the words of each document."""
    counts = np.empty(offsets.size - 1, np.int64)
    for row in range(counts.size):
        text = data[offsets[row] : offsets[row + 1]]
        counts[row] = _words_between_ascii_spaces(text) + _words_split_by_wide_spaces(text)
    return counts


@kernel
def _words_between_ascii_spaces(text):
    if text.size == 0:
        return 0
    blocks = (text.size - 1) // BLOCK
    words = 1 - np.int64(is_ascii_space(text[0]))
    for at in range(blocks):
        words += _words_starting_in_block(text[BLOCK * at : BLOCK * at + BLOCK + 1])
    for at in range(BLOCK * blocks + 1, text.size):
        words += is_ascii_space(text[at - 1]) > is_ascii_space(text[at])
    return words


@kernel
def _words_starting_in_block(block):
    words = np.uint8(0)
    for at in range(BLOCK):
        words = np.uint8(words + np.uint8(is_ascii_space(block[at]) > is_ascii_space(block[at + 1])))
    return np.int64(words)


@kernel
def _words_split_by_wide_spaces(text):
    blocks = max(text.size - 2, 0) // BLOCK
    words = 0
    for at in range(blocks):
        if _has_wide_space(text[BLOCK * at : BLOCK * at + BLOCK + 2]):
            words += _words_split_within(text, BLOCK * at, BLOCK * at + BLOCK)
    return words + _words_split_within(text, BLOCK * blocks, text.size)


@kernel
def _has_wide_space(block):
    found = np.uint8(0)
    for at in range(BLOCK):
        found = np.uint8(found | np.uint8(is_wide_space(block[at], block[at + 1], block[at + 2])))
    return found != 0


@kernel
def _words_split_within(text, start, end):
    """How many words more there are because of wide spaces: a word starts after each and none starts with it."""
    words = 0
    for at in range(start, end):
        width = wide_space_width(text, at)
        if width:
            after = at + width
            words -= at == 0 or is_ascii_space(text[at - 1])
            words += after < text.size and not is_ascii_space(text[after]) and wide_space_width(text, after) == 0
    return words


@kernel
def find_words(text, spaces, edges):
    """Write where each word starts and where it ends into `edges`, by turns; return how many words there are.

    `spaces` is working memory, a byte for each of the text.
    """
    _mark_spaces(text, spaces)
    found = 0
    outside = np.uint8(1)
    for at in range(text.size):
        edges[found] = at
        found += spaces[at] != outside
        outside = spaces[at]
    edges[found] = text.size
    return (found + 1) // 2


@kernel
def _mark_spaces(text, spaces):
    for at in range(text.size):
        spaces[at] = is_ascii_space(text[at])
    blocks = max(text.size - 2, 0) // BLOCK
    for at in range(blocks):
        if _has_wide_space(text[BLOCK * at : BLOCK * at + BLOCK + 2]):
            _mark_wide_spaces(text, BLOCK * at, BLOCK * at + BLOCK, spaces)
    _mark_wide_spaces(text, BLOCK * blocks, text.size, spaces)


@kernel
def _mark_wide_spaces(text, start, end, spaces):
    for at in range(start, end):
        for place in range(at, min(at + wide_space_width(text, at), text.size)):
            spaces[place] = 1


@kernel
def spaces_in(text, spaces):
    """Count the characters that `find_words` has marked as white space."""
    blocks = text.size // BLOCK
    count = 0
    for at in range(blocks):
        count += _spaces_in_block(text[BLOCK * at : BLOCK * at + BLOCK], spaces[BLOCK * at : BLOCK * at + BLOCK])
    for at in range(BLOCK * blocks, text.size):
        count += spaces[at] & starts_char(text[at])
    return count


@kernel
def _spaces_in_block(block, spaces):
    count = np.uint8(0)
    for at in range(BLOCK):
        count = np.uint8(count + np.uint8(spaces[at] & starts_char(block[at])))
    return np.int64(count)
