"""A hash that changes little when an image is scaled, compressed or recoloured a little."""

from __future__ import annotations

import numpy as np

from nemo_curator.errors import need

_SIDE, _KEPT = 32, 8
_WAVES = np.cos(np.pi * np.arange(1, _KEPT + 1)[:, None] * (2 * np.arange(_SIDE) + 1) / (2 * _SIDE))
"""The cosines of a DCT of 32 numbers, from the second: the first is the mean."""


def perceptual_hash(pixels: np.ndarray) -> int | None:
    """64 bits of an array of height, width and RGB in 8 bits; None where there is next to nothing to see.

    The image is made grey and scaled to 32 by 32. Each bit says whether one of the 64 lowest frequencies of its DCT,
    without those that are constant along a side, is above their median (Zauner, 2010). Mirrored and turned images have
    other hashes.
    """
    pictures = need("PIL.Image", extra="image")
    picture = pictures.fromarray(np.ascontiguousarray(pixels)).convert("L")
    small = np.asarray(picture.resize((_SIDE, _SIDE), pictures.Resampling.LANCZOS), np.float64)
    if small.std() < 1:  # the bits would be those of the noise, the same for all empty pages
        return None
    # what is zero but for rounding would have a random bit
    waves = np.round(_WAVES @ small @ _WAVES.T, 6).reshape(-1)
    return int.from_bytes(np.packbits(waves > np.median(waves)).tobytes(), "big")
