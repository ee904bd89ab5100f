"""Images that a stage can use; the others are set aside, by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.models.pixels import problem_of
from nemo_curator.tasks.image import ImageObject
from nemo_curator.tasks.tasks import Task

PixelUse = Literal["none", "last", "decodes"]
"""What a stage says of itself in `pixel_use`: it looks at no pixels; nor does any stage behind it, for it makes no
images; it decodes images by itself. One that says nothing may look at the pixels of all."""


def set_aside(image: ImageObject, problem: str, task: Task) -> None:
    """Count an image as failed: the problem is the rest of a sentence about it."""
    name = image.image_id or image.image_path or "without an id"
    source = image.image_path or task.task_id
    counts.failed(InputError(f"image {name} {problem}"), source=source, record=image.values())


def with_pixels(images: Iterable[ImageObject], task: Task) -> Iterator[tuple[ImageObject, np.ndarray]]:
    """The images that have pixels which anything here takes, one after the other, with them.

    What has to be decoded for it is not remembered: a batch of large photos would take gigabytes.
    """
    for image in images:
        pixels = usable_pixels(image)
        if isinstance(pixels, str):
            set_aside(image, pixels, task)
        else:
            yield image, pixels


def usable_pixels(image: ImageObject, decode_size: int | None = None) -> np.ndarray | str:
    """The pixels of an image, or what is wrong with it: the rest of a sentence about it."""
    try:
        pixels = image.decode(decode_size)
    except InputError as error:
        return f"is {error}"
    if pixels is None:
        return "has no pixels"
    return problem_of(pixels) or pixels
