"""Pixels as the numbers that an image model was trained on: scaled, cut to the middle, normalised."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from nemo_curator.errors import InputError, need

RECIPES = ("preprocessor_config.json", "processor_config.json")
"""Where transformers keeps how an image becomes input: the second holds several kinds of input."""

MOST_STRETCH = 8
"""Images longer than this many times their short side are scaled only where the cut needs them."""
_PRECISION = 22
"""Bits behind the point of the weights with which Pillow scales images of 8 bits."""
BILINEAR, BICUBIC = 2, 3


@dataclass(frozen=True)
class PixelRecipe:
    """How pixels become input, as the folder of a model says. The defaults are those of CLIP.

    With `shortest_edge` the short side gets that length and the long one keeps the shape; with `size` both are given,
    as (height, width). `crop` cuts that much from the middle and fills up with zeros. All is exactly what the image
    processors of transformers do with Pillow.
    """

    shortest_edge: int | None = 224
    size: tuple[int, int] | None = None
    crop: tuple[int, int] | None = (224, 224)
    resample: int = BICUBIC
    rescale: float = 1 / 255
    mean: tuple[float, ...] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, ...] = (0.26862954, 0.26130258, 0.27577711)

    @property
    def side(self) -> int:
        """The longest side that an image is scaled to, of which the long side of a photo is no part; 0 for any."""
        return self.shortest_edge or max(self.size or (0,))

    def cut(self, image: np.ndarray) -> np.ndarray:
        """What the model sees of an array of rows, columns and the channels red to blue: as large, still in 8 bits."""
        scaled = self._scaled(image)
        return scaled if self.crop is None else _middle(scaled, self.crop)

    @cached_property
    def levels(self) -> np.ndarray:
        """What each of the 256 levels of each channel becomes for the model."""
        levels = (np.arange(256, dtype=np.float64) * self.rescale).astype(np.float32)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        return (levels - mean[:, None]) / std[:, None]

    def _scaled(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        if self.shortest_edge is None:
            return image if self.size is None else _resized(image, self.size, self.resample)
        short, long = sorted((height, width))
        longer = int(self.shortest_edge * long / short)
        target = (longer, self.shortest_edge) if height >= width else (self.shortest_edge, longer)
        if self.crop is not None and longer > MOST_STRETCH * max(*self.crop, self.shortest_edge):
            return _scaled_within(image, target, self.crop, self.resample)
        return _resized(image, target, self.resample)


def normalised(images: Any, levels: Any) -> Any:
    """The input of a model: images, channels, rows and columns in single precision.

    Made of images that were cut, images, rows, columns and channels, by the levels of their recipe. Both are tensors.
    """
    number, rows, columns, channels = images.shape
    made = levels.new_empty((number, channels, rows, columns))
    for channel, values in enumerate(levels):
        made[:, channel] = values.index_select(0, images[..., channel].int().flatten()).view(number, rows, columns)
    return made


def read_pixel_recipe(folder: Path) -> PixelRecipe:
    """Read how the images of a model are prepared."""
    for path in (folder / name for name in RECIPES):
        if path.is_file():
            config = json.loads(path.read_text())
            return _recipe(config.get("image_processor", config), path)
    raise InputError(f"{folder} does not say how images are prepared: it has neither {RECIPES[0]} nor {RECIPES[1]}")


def problem_of(image: Any) -> str | None:
    """Why an image cannot be embedded, or None."""
    if image is None:
        return "has no pixels"
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        shape = f"{getattr(image, 'dtype', type(image).__name__)} {getattr(image, 'shape', '')}".strip()
        return f"is {shape}; wanted height, width and 3 channels of 8 bits"
    return None if image.size else f"is empty: {image.shape}"


def _recipe(config: dict[str, Any], path: Path) -> PixelRecipe:
    resample = config.get("resample", BICUBIC)
    if resample not in _WEIGHTS:
        raise InputError(f"{path}: resample is {resample}; wanted {BILINEAR} (bilinear) or {BICUBIC} (bicubic)")
    is_normalised = config.get("do_normalize", True)
    shortest, size = _size(config.get("size", 224) if config.get("do_resize", True) else {}, path)
    # processors that do not cut have no such key
    crop = config.get("crop_size") if config.get("do_center_crop", "crop_size" in config) else None
    sides = (crop, crop) if isinstance(crop, int) else crop and (crop["height"], crop["width"])
    return PixelRecipe(
        shortest,
        size,
        sides,
        resample,
        config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0,
        tuple(config.get("image_mean", PixelRecipe.mean)) if is_normalised else (0.0,) * 3,
        tuple(config.get("image_std", PixelRecipe.std)) if is_normalised else (1.0,) * 3,
    )


def _size(size: int | dict[str, int], path: Path) -> tuple[int | None, tuple[int, int] | None]:
    """The length of the short side, or both sides."""
    if not size:
        return None, None
    if isinstance(size, int):
        return size, None
    known = {name: value for name, value in size.items() if value is not None}
    if known.keys() == {"shortest_edge"}:
        return known["shortest_edge"], None
    if known.keys() == {"height", "width"}:
        return None, (known["height"], known["width"])
    raise InputError(f"{path}: size is {size}; wanted shortest_edge, or height and width")


def _resized(image: np.ndarray, size: tuple[int, int], resample: int) -> np.ndarray:
    pictures = need("PIL.Image", extra="image")
    return np.asarray(pictures.fromarray(image).resize(size[::-1], resample=resample))


def _middle(image: np.ndarray, crop: tuple[int, int]) -> np.ndarray:
    """Cut from the middle. What the image lacks is zeros."""
    top, left = ((have - wanted) // 2 for have, wanted in zip(image.shape, crop))
    if top >= 0 and left >= 0:
        return image[top : top + crop[0], left : left + crop[1]]
    sides = [max(have, wanted) for have, wanted in zip(image.shape, crop)]
    filled = np.zeros((*sides, image.shape[2]), image.dtype)
    down, right = (ceil((side - have) / 2) for side, have in zip(sides, image.shape))
    filled[down : down + image.shape[0], right : right + image.shape[1]] = image
    top, left = top + down, left + right
    return filled[max(0, top) : top + crop[0], max(0, left) : left + crop[1]]


def _scaled_within(image: np.ndarray, size: tuple[int, int], crop: tuple[int, int], resample: int) -> np.ndarray:
    """Scale, along the long side only the lines that stay after the cut: a line of pixels would become gigabytes."""
    is_tall = size[0] > size[1]
    long, wanted = (size[0], crop[0]) if is_tall else (size[1], crop[1])
    first = (long - wanted) // 2
    if is_tall and size[0] < image.shape[0] and _takes_height_first():
        return _resized(_lines(image, long, first, wanted, resample), (wanted, size[1]), resample)
    if is_tall:
        return _lines(_resized(image, (image.shape[0], size[1]), resample), long, first, wanted, resample)
    lines = _lines(image.swapaxes(0, 1), long, first, wanted, resample).swapaxes(0, 1)
    return _resized(np.ascontiguousarray(lines), (size[0], wanted), resample)


@cache
def _takes_height_first() -> bool:
    """Whether Pillow scales a tall image that becomes smaller first along its height; before Pillow 13 it did not."""
    image = np.random.default_rng(0).integers(0, 256, (60, 5, 3), np.uint8)
    width_first = _resized(_resized(image, (60, 3), BICUBIC), (20, 3), BICUBIC)
    return not np.array_equal(_resized(image, (20, 3), BICUBIC), width_first)


def _lines(image: np.ndarray, size: int, first: int, wanted: int, resample: int) -> np.ndarray:
    """Some of the rows that an image has when it is scaled to `size` rows, each as Pillow computes it."""
    reach, weigh = _WEIGHTS[resample]
    scale = len(image) / size
    blur = max(scale, 1.0)
    made = np.empty((wanted, *image.shape[1:]), np.uint8)
    for line in range(wanted):
        centre = (first + line + 0.5) * scale
        start = max(int(centre - reach * blur + 0.5), 0)
        stop = min(int(centre + reach * blur + 0.5), len(image))
        weights = weigh(np.abs((np.arange(start, stop) - centre + 0.5) / blur))
        weights = np.trunc(weights / weights.sum() * (1 << _PRECISION) + np.where(weights < 0, -0.5, 0.5))
        total = np.tensordot(weights.astype(np.int64), image[start:stop].astype(np.int64), 1)
        made[line] = np.clip((total + (1 << (_PRECISION - 1))) >> _PRECISION, 0, 255)
    return made


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1 - distance, 0)


def _cubic(distance: np.ndarray) -> np.ndarray:
    """The kernel of Keys (1981) with a = -0.5."""
    a = -0.5
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = (((distance - 5) * distance + 8) * distance - 4) * a
    return np.where(distance < 1, near, np.where(distance < 2, far, 0))


_WEIGHTS: dict[int, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
    BILINEAR: (1.0, _triangle),
    BICUBIC: (2.0, _cubic),
}
"""How far the filters of Pillow reach, and how much a pixel weighs at a distance."""
