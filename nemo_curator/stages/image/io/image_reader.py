"""Reading images: webdataset tars, folders of images, Parquet."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import InitVar, dataclass, field
from itertools import chain
from threading import Lock
from typing import Any

from nemo_curator.errors import InputError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.file_partitioning import SOURCE_ROOT, FilePartitioningStage
from nemo_curator.stages.image.io.names import IMAGE_EXTENSIONS, TAR_EXTENSIONS, is_image, is_tar
from nemo_curator.stages.image.io.parquet_images import images_in_parquet
from nemo_curator.stages.image.io.sources import Sidecars, image_in_file, images_in_tar
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.image import ImageBatch, ImageObject
from nemo_curator.utils.image_codec import check_image, image_size

logger = logging.getLogger(__name__)

DEFAULT_BATCH = 100
BATCH_BYTES = 2**28
"""The most bytes of encoded images that become one batch, beside the image that comes last."""
PIXEL_BYTES = 2**27
"""The most bytes of pixels that a batch keeps of its images; those of others are decoded again when asked for."""
BLOCK_BYTES = 2**26
"""Files that are smaller are read together, up to this size, so that a folder of images is not as many partitions."""


@dataclass
class ImageReaderStage(ProcessingStage[FileGroupTask, ImageBatch]):
    """Read images in batches, as they are in their files, with captions and metadata; what cannot be decoded fails.

    Files are webdataset tars (`.tar`, compressed or not), images by themselves, and Parquet with a column of their
    bytes (`image_field`), on this machine or behind a URL. Parquet without such a column tells about the tar of its
    name, and is passed by. `input_path`, a folder, file, pattern or list of these, lets the stage find them; without it
    a FilePartitioningStage, or `initial_tasks`, say which to read. An id is the path of the file as seen from the
    folder that was searched, and the key or row in it, however files are grouped.

    `dali_batch_size`, `batch_size` and `task_batch_size` are three names of the images of a batch (100). An image that
    cannot be decoded is set aside. `decode=False` leaves that to the stages that want pixels, and so does a pipeline
    where one that decodes by itself comes before all others that look at pixels; where none looks at them, images are
    only checked. `decode_size` is as in `ImageObject`. Decoding takes at most `num_threads` threads, and no GPU,
    whatever `num_gpus_per_worker` says. `verbose` logs each file.
    """

    dali_batch_size: int | None = None
    verbose: bool = True
    num_threads: int = 8
    num_gpus_per_worker: float = 0.25
    name: str = "image_reader"
    batch_size: InitVar[int | None] = field(default=None, kw_only=True)
    task_batch_size: int | None = field(default=None, kw_only=True)
    input_path: str | list[str] | None = field(default=None, kw_only=True)
    files_per_partition: int | None = field(default=None, kw_only=True)
    decode: bool = field(default=True, kw_only=True)
    decode_size: int | None = field(default=None, kw_only=True)
    image_field: str | None = field(default=None, kw_only=True)
    storage_options: dict[str, Any] | None = field(default=None, kw_only=True)

    _keeps_pixels = True
    resources = Resources(cpus=1.0)
    requires = {"PIL": "image"}
    remedy_without_tasks = (
        "give it input_path, begin the pipeline with a FilePartitioningStage, or give run() initial_tasks of "
        "FileGroupTask"
    )

    def __post_init__(self, batch_size: int | None) -> None:
        names = {
            "dali_batch_size": self.dali_batch_size,
            "batch_size": batch_size,
            "task_batch_size": self.task_batch_size,
        }
        given = {name: size for name, size in names.items() if size is not None}
        if len(set(given.values())) > 1:
            raise ValueError(f"{self.name}: {given} are names of the same number, and disagree; give one")
        self.dali_batch_size = self.task_batch_size = next(iter(given.values()), DEFAULT_BATCH)
        self.batch_size = 1  # that of a stage: how many tasks it gets at once
        wanted = {"the images of a batch": self.dali_batch_size, "num_threads": self.num_threads}
        for what, number in {**wanted, "decode_size": self.decode_size or 1}.items():
            if number < 1:
                raise ValueError(f"{self.name}: {what} is {number}; wanted at least 1")

    def inputs(self) -> tuple[list[str], list[str]]:
        return [], []

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], ["image_data", "image_path", "image_id"]

    def with_source(self) -> list[ProcessingStage]:
        if self.input_path is None:
            return [self]
        reader = copy.copy(self)
        reader.input_path = None
        extensions = [*TAR_EXTENSIONS, ".parquet", *(f".{one}" for one in sorted(IMAGE_EXTENSIONS))]
        block = BLOCK_BYTES if self.files_per_partition is None else None
        finder = FilePartitioningStage(
            self.input_path, self.files_per_partition, block, extensions, storage_options=self.storage_options
        )
        return [finder, reader]

    def followed_by(self, stages: Sequence[ProcessingStage]) -> ProcessingStage:
        reader = copy.copy(self)
        for stage in stages:
            use = getattr(stage, "pixel_use", "all")
            if use == "none":
                continue
            reader.decode = self.decode and use != "decodes"
            reader._keeps_pixels = use == "all"
            reader.is_light = not reader.decode  # it runs with the stage that decodes, and holds a batch, not a tar
            break
        return reader

    def process(self, task: FileGroupTask) -> Iterator[ImageBatch]:
        if not task.data:
            raise InputError(f"No tar file paths in task {task.task_id}: {self.name} got a group of no files")
        return self._batches(task)

    def _batches(self, task: FileGroupTask) -> Iterator[ImageBatch]:
        metadata = {"source_files": list(map(str, task.data)), **task._metadata}
        counts.seen(0)  # files without any image hold no rows
        with ThreadPoolExecutor(self._threads, thread_name_prefix="decode") as pool:
            for images in _grouped(self._images(task), self.dali_batch_size or DEFAULT_BATCH):
                if kept := self._sound(images, pool):
                    yield ImageBatch(task.dataset_name or "tar_files", kept, _metadata=dict(metadata))

    @property
    def _threads(self) -> int:
        return min(self.num_threads, os.cpu_count() or 1)

    def _images(self, task: FileGroupTask) -> Iterator[ImageObject]:
        root = task._metadata.get(SOURCE_ROOT, "")
        sidecars = Sidecars(self.storage_options)
        return chain.from_iterable(self._images_of(str(path), root, sidecars, task) for path in task.data)

    def _images_of(self, path: str, root: str, sidecars: Sidecars, task: FileGroupTask) -> Iterator[ImageObject]:
        if is_tar(path):
            found = images_in_tar(path, root, self.storage_options)
        elif is_image(path):
            found = image_in_file(path, root, sidecars, self.storage_options)
        elif path.lower().endswith(".parquet"):
            found = images_in_parquet(
                path,
                root,
                image_field=self.image_field,
                row_groups=task.reader_config.get("row_groups"),
                is_beside_tar=sidecars.has_tar(path),
                storage_options=self.storage_options,
            )
        else:
            wanted = f"{', '.join(TAR_EXTENSIONS)}, .parquet or the extension of an image"
            counts.cut_short(InputError(f"cannot read {path}: wanted {wanted}"), source=path)
            return
        number = 0
        for image in found:
            image.decode_size = self.decode_size
            number += 1
            yield image
        if self.verbose:
            logger.info("%s: %d images in %s", self.name, number, path)

    def _sound(self, images: list[ImageObject], pool: ThreadPoolExecutor) -> list[ImageObject]:
        """The images that can be decoded; the others are set aside."""
        if not self.decode:
            return images
        room, kept = _Room(PIXEL_BYTES if self._keeps_pixels else 0), []
        for start in range(0, len(images), self._threads):  # or decoded images would pile up
            group = images[start : start + self._threads]
            for image, error in zip(group, pool.map(room.decode, group)):
                if error is None:
                    kept.append(image)
                else:
                    counts.failed(error, source=image.image_path, record=image.values())
        return kept


class _Room:
    """How many bytes of pixels may still be kept."""

    def __init__(self, nbytes: int):
        self._left, self._lock = nbytes, Lock()

    def decode(self, image: ImageObject) -> InputError | None:
        """Decode an image, or only check it where there is no room for its pixels; returns what is wrong with it."""
        try:
            if self._has_room(image):
                _ = image.image_data
            elif image.image_bytes is not None:
                check_image(image.image_bytes)
        except InputError as error:
            return error
        return None

    def _has_room(self, image: ImageObject) -> bool:
        if not self._left or image.image_bytes is None:
            return False
        width, height = image_size(image.image_bytes, image.decode_size)
        with self._lock:
            fits = 3 * width * height <= self._left
            self._left -= 3 * width * height if fits else 0
        return fits


def _grouped(images: Iterator[ImageObject], most: int) -> Iterator[list[ImageObject]]:
    group: list[ImageObject] = []
    size = 0
    for image in images:
        group.append(image)
        size += image.nbytes
        if len(group) == most or size >= BATCH_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
