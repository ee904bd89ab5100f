"""Real photos, and images of all shapes."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

IMAGES = Path(__file__).parents[3] / "shared" / "data" / "image"
needs_photos = pytest.mark.skipif(not IMAGES.exists(), reason="needs the photos in ../shared/data/image")
SHAPES = [(1, 1), (1, 2), (2, 1), (3, 7), (31, 33), (224, 224), (225, 223), (1, 30), (30, 1), (20, 250), (250, 20)]


@cache
def photos(most=12):
    return [read(path) for path in sorted((IMAGES / "photos").glob("*.[jp][pn]g"))[:most]]


def read(path):
    from PIL import Image, ImageOps

    with Image.open(path) as opened:
        return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
