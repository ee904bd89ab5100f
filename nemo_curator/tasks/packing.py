"""Batches of images, put together and cut to the size that a stage asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from nemo_curator.tasks.image import ImageBatch, ImageObject
from nemo_curator.tasks.tasks import Task

PART = "_part"
"""Where the metadata of a batch says after which task it is numbered, and its number from 0."""


def packed(tasks: Iterable[Task], images: int, nbytes: int) -> Iterator[Task]:
    """Batches of so many images each, or fewer where they take so many bytes; those of one source stay together.

    The last batch of a source is as large as what is left. Tasks that come from no source are left as they are.
    """
    for source, group in groupby(tasks, key=lambda task: task._source_id if isinstance(task, ImageBatch) else ""):
        if source:
            yield from _cut(group, images, nbytes)  # type: ignore[arg-type]  # by the key these are batches of images
        else:
            yield from group


def _cut(batches: Iterable[ImageBatch], most: int, nbytes: int) -> Iterator[ImageBatch]:
    first: ImageBatch | None = None
    held: list[ImageObject] = []
    size = part = 0
    for batch in batches:
        first = first or batch.with_images([])  # without the images: they are not to be held any longer
        for image in batch.data:
            held.append(image)
            size += image.nbytes
            if len(held) >= most or size >= nbytes:
                yield _part(first, held, part)
                held, size, part = [], 0, part + 1
    if first is not None and (held or not part):
        yield _part(first, held, part)


def _part(first: ImageBatch, images: list[ImageObject], part: int) -> ImageBatch:
    batch = first.with_images(images)
    batch._metadata[PART] = first.task_id, part
    if part:
        batch.task_id = f"{first.task_id}{'_0' * first._elided}_{part}"
        batch._elided = 0
    else:
        batch._elided += 1
    return batch
