"""Whether bytes are an image that is wanted, and, where that is asked for, the same image at another size."""

from __future__ import annotations

import hashlib
import io
import os
import struct
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any, Literal, get_args

from nemo_curator.errors import InputError, need
from nemo_curator.stages.image.download.failures import FetchError
from nemo_curator.utils.image_codec import MAX_PIXELS, decode_rgb, extension_of

ResizeMode = Literal["no", "border", "keep_ratio", "keep_ratio_largest", "center_crop"]
_FORMATS = {"jpg": "JPEG", "jp2": "JPEG2000", "pbm": "PPM", "pgm": "PPM", "ppm": "PPM"}
_FORMATS |= {extension: extension.upper() for extension in ("png", "webp", "gif", "tiff", "bmp", "avif")}
"""What Pillow calls them. It gets no other to try: some of its parsers start programs."""
_FRAMES = {b"\xc0", b"\xc1", b"\xc2"}
"""Markers of JPEG behind which the size is: baseline, extended, progressive."""
_SEGMENTS = {bytes([marker]) for marker in (0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0))}
"""Those of what may come before it: tables, comments, what applications keep."""
_WHITE = (255, 255, 255)
# more would only take more memory: each may hold all of an image's pixels
_decoders = BoundedSemaphore(os.cpu_count() or 1)


@dataclass(frozen=True)
class Picture:
    """An image as it is written, and what it was like on the server."""

    data: bytes
    extension: str
    sha256: str
    nbytes: int
    width: int
    height: int
    original_width: int
    original_height: int


@dataclass(frozen=True)
class PictureRules:
    """Which images are wanted, and what is done to them."""

    decode: bool = False
    min_image_size: int = 0
    max_aspect_ratio: float = float("inf")
    image_size: int | None = None
    resize_mode: ResizeMode = "border"
    resize_only_if_bigger: bool = False
    encode_quality: int = 95
    verify_hash: str | None = None

    def __post_init__(self) -> None:
        if self.resize_mode not in get_args(ResizeMode):
            raise ValueError(f"resize_mode is {self.resize_mode!r}; wanted one of {get_args(ResizeMode)}")
        if self.image_size is not None and self.image_size < 1:
            raise ValueError(f"image_size is {self.image_size}; wanted at least 1")
        if not 1 <= self.encode_quality <= 100:
            raise ValueError(f"encode_quality is {self.encode_quality}; wanted 1 to 100")
        if self.verify_hash is not None and self.verify_hash not in hashlib.algorithms_guaranteed:
            raise ValueError(f"verify_hash is {self.verify_hash!r}; wanted an algorithm of hashlib: md5, sha256, …")

    def make(self, data: bytes, wanted_hash: str | None = None) -> Picture:
        """The picture that bytes become. Raises FetchError where they are none, or not what is wanted."""
        if self.verify_hash and wanted_hash is not None:
            found = hashlib.new(self.verify_hash, data, usedforsecurity=False).hexdigest()
            if found != wanted_hash.strip().lower():
                raise FetchError("wrong_hash", f"{self.verify_hash} is {found}; wanted {wanted_hash}")
        extension, width, height = read_header(data)
        short, long = sorted((width, height))
        if short < self.min_image_size:
            raise FetchError("too_small", f"{width} x {height} pixels; wanted at least {self.min_image_size}")
        if long > self.max_aspect_ratio * short:
            raise FetchError("aspect_ratio", f"{width} x {height} pixels; wanted at most {self.max_aspect_ratio} to 1")
        if self.decode or not has_its_end(data, extension):
            with _decoders:
                _decode(data)
        written, size = data, (width, height)
        if self.image_size is not None and self.resize_mode != "no":
            with _decoders:
                written, extension, size = self._resized(data, extension, width, height)
        return Picture(written, extension, hashlib.sha256(data).hexdigest(), len(data), *size, width, height)

    def _resized(self, data: bytes, extension: str, width: int, height: int) -> tuple[bytes, str, tuple[int, int]]:
        side = self.image_size or 0
        by_longest = self.resize_mode in ("border", "keep_ratio_largest")
        edge = max(width, height) if by_longest else min(width, height)
        if self.resize_only_if_bigger and edge <= side:
            return data, extension, (width, height)
        try:
            image = _opened_upright(data, 2 * side)
            width, height = image.size
            scale = side / (max(width, height) if by_longest else min(width, height))
            size = max(round(width * scale), 1), max(round(height * scale), 1)
            if size[0] * size[1] > MAX_PIXELS:
                raise FetchError("too_many_pixels", f"{size[0]} x {size[1]} pixels after scaling")
            image = image.resize(size, need("PIL.Image", extra="image").Resampling.LANCZOS, reducing_gap=2.0)
        except (OSError, ValueError, SyntaxError, MemoryError) as error:
            raise FetchError("damaged_image", f"{type(error).__name__}: {error}") from error
        if self.resize_mode == "border":
            image = _centred(image, side, side)
        elif self.resize_mode == "center_crop":
            left, top = (image.width - side) // 2, (image.height - side) // 2
            image = image.crop((left, top, left + side, top + side))
        sink = io.BytesIO()
        image.save(sink, "JPEG", quality=self.encode_quality)
        return sink.getvalue(), "jpg", image.size


def read_header(data: bytes) -> tuple[str, int, int]:
    """The extension that belongs to the bytes of an image, its width and its height."""
    extension = extension_of(data)
    if extension not in _FORMATS:
        what = f"the format is {extension}" if extension else f"it begins with {data[:24]!r}"
        raise FetchError("not_an_image", f"{what}; wanted one of {', '.join(sorted(_FORMATS))}")
    width, height = (jpeg_size(data) if extension == "jpg" else None) or _size_by_pillow(data, extension)
    if width * height > MAX_PIXELS:
        raise FetchError("too_many_pixels", f"{width} x {height} pixels; wanted at most {MAX_PIXELS}")
    return extension, width, height


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height by the segments of a JPEG, in a tenth of the time of Pillow; None where they are not plain.

    They are those of every process that libjpeg decodes, with one, three or four channels of eight bits.
    """
    at = 2
    while data[at : at + 1] == b"\xff":
        marker, length = data[at + 1 : at + 2], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _FRAMES:
            depth, height, width, channels = struct.unpack(">BHHB", data[at + 4 : at + 10].ljust(6, b"\0"))
            is_plain = depth == 8 and channels in (1, 3, 4) and length == 8 + 3 * channels and width and height
            return (width, height) if is_plain else None
        if marker not in _SEGMENTS:
            return None
        at += 2 + max(length, 2)
    return None


def _size_by_pillow(data: bytes, extension: str) -> tuple[int, int]:
    pictures = need("PIL.Image", extra="image")
    try:
        with pictures.open(io.BytesIO(data), formats=[_FORMATS[extension]]) as image:
            return image.size
    except pictures.DecompressionBombError as error:
        raise FetchError("too_many_pixels", str(error)) from error
    except pictures.UnidentifiedImageError as error:  # whose text names an object in memory
        raise FetchError("damaged_image", f"{extension}: the header cannot be read") from error
    except Exception as error:  # the parsers of Pillow raise errors of every kind on files that hold nonsense
        raise FetchError("damaged_image", f"{extension}: {type(error).__name__}: {str(error)[:200]}") from error


def has_its_end(data: bytes, extension: str) -> bool:
    """Whether the mark that ends an image is there; True for formats that have none. It costs next to nothing."""
    if extension == "jpg":  # neither marker can be among the pixels
        return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
    if extension == "png":
        return b"IEND" in data[-4096:]
    if extension == "webp":
        return len(data) >= int.from_bytes(data[4:8], "little") + 8
    return True


def _decode(data: bytes) -> None:
    try:
        decode_rgb(data)
    except InputError as error:
        raise FetchError("damaged_image", str(error)) from error


def _opened_upright(data: bytes, least: int) -> Any:
    """An image in RGB as people see it: turned as EXIF says, white where it is transparent."""
    pictures, ops = need("PIL.Image", extra="image"), need("PIL.ImageOps", extra="image")
    image = pictures.open(io.BytesIO(data), formats=[_FORMATS[str(extension_of(data))]])
    image.draft("RGB", (least, least))
    image = ops.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        behind = pictures.new("RGBA", image.size, (*_WHITE, 255))
        image = pictures.alpha_composite(behind, image)
    return image.convert("RGB")


def _centred(image: Any, width: int, height: int) -> Any:
    """An image in the middle of a white one."""
    filled = need("PIL.Image", extra="image").new("RGB", (width, height), _WHITE)
    filled.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
    return filled
