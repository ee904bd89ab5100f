"""Images that a stage can use; the others are set aside, by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.models.pixels import problem_of
from nemo_curator.tasks.image import ImageObject
from nemo_curator.tasks.tasks import Task


def set_aside(image: ImageObject, problem: str, task: Task) -> None:
    """Count an image as failed: the problem is the rest of a sentence about it."""
    name = image.image_id or image.image_path or "without an id"
    source = image.image_path or task.task_id
    counts.failed(InputError(f"image {name} {problem}"), source=source, record=image.values())


def with_pixels(images: Iterable[ImageObject], task: Task) -> Iterator[tuple[ImageObject, np.ndarray]]:
    """The images that have pixels which anything here takes, one after the other, with them.

    What has to be decoded for it is forgotten when the next one comes: a batch of large photos would take gigabytes.
    """
    for image in images:
        was_decoded = vars(image)["_pixels"] is not None
        try:
            pixels = image.image_data
            problem = problem_of(pixels)
        except InputError as error:
            pixels, problem = None, f"is {error}"
        if pixels is None or problem is not None:
            set_aside(image, problem or "has no pixels", task)
            continue
        yield image, pixels
        if not was_decoded:
            image.drop_pixels()
