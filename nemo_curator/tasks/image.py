"""Images and what is known about them."""

from __future__ import annotations

import copy
import mmap
import tempfile
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, TypeVar

import numpy as np

from nemo_curator.tasks.html import images_html
from nemo_curator.tasks.tasks import Task
from nemo_curator.utils.image_codec import decode_rgb, extension_of


@dataclass(eq=False, repr=False)
class ImageObject:
    """One image: what a file held, or pixels, with a caption, an embedding and scores. It takes other attributes, too.

    `image_bytes` is the encoded image as it was read. `image_data` decodes it when asked, into (H, W, 3) RGB that is
    read-only, and remembers the pixels; assigned pixels take the place of the bytes. `decode_size` lets a JPEG come
    smaller, as long as each side keeps so many pixels. `extras` holds other members of a webdataset sample by their
    extension. A pickle holds the bytes, and pixels only where there are no bytes.
    """

    image_path: str = ""
    image_id: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    image_data: np.ndarray | None = None
    embedding: np.ndarray | None = None
    aesthetic_score: float | None = None
    nsfw_score: float | None = None
    image_bytes: bytes | None = field(default=None, kw_only=True)
    caption: str | None = field(default=None, kw_only=True)
    extras: dict[str, bytes] = field(default_factory=dict, kw_only=True)
    decode_size: int | None = field(default=None, kw_only=True)

    @property
    def extension(self) -> str | None:
        """The extension that belongs to the bytes; where they do not tell, that of the path. None without bytes."""
        if self.image_bytes is None:
            return None
        return extension_of(self.image_bytes) or PurePath(self.image_path).suffix[1:].lower() or None

    @property
    def nbytes(self) -> int:
        """Bytes of the encoded image, or of the pixels where it was not read."""
        data, pixels = self.__dict__["_bytes"], self.__dict__["_pixels"]
        if data is not None:
            return len(data)
        return 0 if pixels is None else memoryview(pixels).nbytes

    @property
    def has_pixels(self) -> bool:
        """Whether pixels are held, and need not be decoded."""
        return self.__dict__["_pixels"] is not None

    def decode(self, decode_size: int | None = None) -> np.ndarray | None:
        """The pixels that are held; else they are decoded and not remembered.

        A JPEG may then come smaller, as with the attribute, which counts where it is set.
        """
        if self.has_pixels or self.image_bytes is None:
            return self.__dict__["_pixels"]
        return decode_rgb(self.image_bytes, self.decode_size or decode_size)

    def drop_pixels(self) -> None:
        """Forget pixels that can be decoded again."""
        if self.image_bytes is not None:
            self.__dict__["_pixels"] = None

    def values(self) -> dict[str, Any]:
        """What is known of the image, without bytes, pixels and other arrays."""
        known = {name: value for name, value in self.__dict__.items() if name[0] != "_" and name != "extras"}
        is_array = (bytes, np.ndarray)
        return {
            name: value for name, value in known.items() if not isinstance(value, is_array) and value not in (None, {})
        }

    def __getstate__(self) -> dict[str, Any]:
        data = self.image_bytes
        return self.__dict__ if data is None else {**self.__dict__, "_bytes": data, "_pixels": None}

    def __repr__(self) -> str:
        return f"ImageObject(image_id={self.image_id!r}, image_path={self.image_path!r})"


def _pixels(image: ImageObject) -> np.ndarray | None:
    pixels = image.__dict__["_pixels"] = image.decode()
    return pixels


def _set_pixels(image: ImageObject, pixels: np.ndarray | None) -> None:
    held = image.__dict__
    held["_pixels"], held["_bytes"] = pixels, None


def _bytes(image: ImageObject) -> bytes | None:
    data = image.__dict__["_bytes"]
    return bytes(data) if isinstance(data, memoryview) else data  # of a file that is mapped into memory


def _set_bytes(image: ImageObject, data: bytes | None) -> None:
    held = image.__dict__
    if data is not None:
        held["_pixels"] = None
    held["_bytes"] = data


for _name, _property in {
    "image_data": property(_pixels, _set_pixels),
    "image_bytes": property(_bytes, _set_bytes),
}.items():
    setattr(ImageObject, _name, _property)  # fields to dataclass, which would take a property for their default


@dataclass(repr=False, eq=False)
class ImageBatch(Task[list[ImageObject]]):
    """Images that go through a stage together; each counts as a row."""

    dataset_name: str = ""
    data: list[ImageObject] = field(default_factory=list)

    @property
    def num_items(self) -> int:
        return len(self.data)

    @property
    def nbytes(self) -> int:
        return sum(image.nbytes for image in self.data)

    def validate(self) -> bool:
        return all(isinstance(image, ImageObject) for image in self.data)

    def get_columns(self) -> list[str]:
        """The attributes that images have, by the first of them."""
        first = self.data[0] if self.data else ImageObject()
        return ["image_data", "image_bytes", *(name for name in first.__dict__ if not name.startswith("_"))]

    def _repr_html_(self) -> str:
        return images_html(self)

    def filter(self, keep: np.ndarray) -> ImageBatch:
        """Keep the images where the boolean array `keep` is true."""
        return self.with_images([image for image, stays in zip(self.data, keep, strict=True) if stays])

    def slice(self, start: int, length: int) -> ImageBatch:
        return self.with_images(self.data[start : start + length])

    def on_disk(self, folder: str | None = None) -> ImageBatch:
        """The same batch with its encoded images in a file that is mapped into memory, and gone when nobody uses it.

        Pixels that can be decoded again are let go of; those of images without bytes stay in memory.
        """
        with tempfile.TemporaryFile(dir=folder) as file:
            ends = list[int]()
            for image in self.data:
                file.write(image.image_bytes or b"")
                ends.append(file.tell())
            file.flush()
            if not file.tell():
                return self
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        images = list(map(copy.copy, self.data))
        for image, start, end in zip(images, [0, *ends], ends):
            if image.image_bytes is not None:
                image.__dict__["_bytes"] = mapped[start:end]
        return self.with_images(images)

    def with_images(self, images: list[ImageObject]) -> ImageBatch:
        """The same batch with other images."""
        settings = list(self._stage_perf), dict(self._metadata)
        new = ImageBatch(self.dataset_name, images, *settings, task_id=self.task_id)
        new._source_id, new._elided = self._source_id, self._elided
        return new


@dataclass(kw_only=True)
class ImageTaskData:
    """Where an image is, and whether it could be used."""

    image_path: Path | str
    image_id: str | None = None
    is_valid: bool = True
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "image_path": str(self.image_path)}


TData = TypeVar("TData", bound=ImageTaskData)


@dataclass(kw_only=True, repr=False, eq=False)
class ImageSampleTask(Task[TData]):
    """One image by itself."""

    dataset_name: str = ""
    data: TData

    @property
    def num_items(self) -> int:
        return 1

    def validate(self) -> bool:
        return True
