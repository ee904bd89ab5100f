"""Reading UTF-8. Where it is not valid, the counts are of no use, but nothing outside the text is read."""

from __future__ import annotations

import numpy as np

from nemo_curator.kernels.compile import kernel

# A loop over this many bytes, with nothing wider than a byte in it, becomes vector instructions.
BLOCK = 64


@kernel("uint8[::1], int64[::1]")
def count_chars(data, offsets):
    """Count the code points of each document."""
    counts = np.empty(offsets.size - 1, np.int64)
    for row in range(counts.size):
        counts[row] = chars_in(data[offsets[row] : offsets[row + 1]])
    return counts


@kernel
def chars_in(text):
    blocks = text.size // BLOCK
    count = 0
    for at in range(blocks):
        count += _chars_starting_in_block(text[BLOCK * at : BLOCK * at + BLOCK])
    for at in range(BLOCK * blocks, text.size):
        count += starts_char(text[at])
    return count


@kernel
def _chars_starting_in_block(block):
    count = np.uint8(0)
    for at in range(BLOCK):
        count = np.uint8(count + np.uint8(starts_char(block[at])))
    return np.int64(count)


@kernel
def starts_char(byte):
    return (byte < 0x80) | (byte >= 0xC0)


@kernel
def is_ascii_space(byte):
    return ((byte >= 9) & (byte <= 13)) | ((byte >= 28) & (byte <= 32))


@kernel
def is_wide_space(first, second, third):
    """Whether these bytes start with white space outside ASCII; `third` does not matter after 0xC2."""
    return (
        ((first == 0xC2) & ((second == 0x85) | (second == 0xA0)))
        | ((first == 0xE1) & (second == 0x9A) & (third == 0x80))
        | ((first == 0xE2) & (second == 0x80) & ((third <= 0x8A) | (third == 0xA8) | (third == 0xA9) | (third == 0xAF)))
        | ((first == 0xE2) & (second == 0x81) & (third == 0x9F))
        | ((first == 0xE3) & (second == 0x80) & (third == 0x80))
    )


@kernel
def wide_space_width(text, at):
    """Bytes of the white space outside ASCII that starts here; 0 if this is something else."""
    last = text.size - 1
    if text[at] < 0xC2 or not is_wide_space(text[at], text[min(at + 1, last)], text[min(at + 2, last)]):
        return 0
    return 2 if text[at] == 0xC2 else 3


@kernel
def char_at(text, at):
    """The code point that starts here, and its width in bytes."""
    first = np.int64(text[at])
    if first < 0x80:
        return first, 1
    last = text.size - 1
    second = text[min(at + 1, last)] & 0x3F
    if first < 0xE0:
        return (first & 0x1F) << 6 | second, 2
    third = text[min(at + 2, last)] & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | second << 6 | third, 3
    fourth = text[min(at + 3, last)] & 0x3F
    return (first & 0x07) << 18 | second << 12 | third << 6 | fourth, 4
