"""What becomes of images that do not go on: they are counted, with what is known about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.models.pixels import problem_of
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.image import ImageObject
from nemo_curator.tasks.tasks import Task


def set_aside(image: ImageObject, problem: str, task: Task) -> None:
    """Count an image as failed: the problem is the rest of a sentence about it."""
    name = image.image_id or image.image_path or "without an id"
    counts.failed(InputError(f"image {name} {problem}"), source=task.task_id, record=_known(image))


def usable_pixels(image: ImageObject, task: Task) -> np.ndarray | None:
    """The pixels of an image. One that has none, or none that anything here takes, is set aside."""
    try:
        pixels = image.image_data
    except InputError as error:
        set_aside(image, f"is {error}", task)
        return None
    if problem := problem_of(pixels):
        set_aside(image, problem, task)
        return None
    return pixels


def drop(by: str, images: Sequence[ImageObject], keep: np.ndarray, scores: Sequence[Any] | None = None) -> None:
    """Count the images that a filter does not keep."""
    rows = int(np.count_nonzero(~keep))
    shown = None
    if rows and counts.keeps_rejects():
        known = [_known(image) for image in images]
        shown = DocumentBatch(data=pa.table({name: [one[name] for one in known] for name in known[0]}))
    counts.dropped(by, rows, shown, keep, scores)


def _known(image: ImageObject) -> dict[str, str]:
    return {"image_id": str(image.image_id), "image_path": str(image.image_path)}
