"""Encoded images and pixels: what Pillow decodes and encodes, and what the first bytes say."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import Any

import numpy as np

from nemo_curator.errors import InputError, MissingExtraError, need

MAX_PIXELS = 2**30 // 12
"""The largest image that is decoded; Pillow warns of a decompression bomb beyond it. As RGB it takes 256 MiB."""
LARGE_PIXELS = 2**24
"""Images beyond it are decoded one at a time, however many threads there are."""
JPEG_QUALITY = 92

_large = Lock()
_SIGNATURES = {
    b"\xff\xd8\xff": "jpg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"GIF8": "gif",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"BM": "bmp",
    b"\0\0\0\x0cjP  ": "jp2",
}
_BRANDS = {b"avif": "avif", b"avis": "avif", b"heic": "heic", b"heix": "heic", b"mif1": "heif"}
_NETPBM = {b"P1": "pbm", b"P2": "pgm", b"P3": "ppm", b"P4": "pbm", b"P5": "pgm", b"P6": "ppm"}


def decode_rgb(data: bytes, decode_size: int | None = None) -> np.ndarray:
    """Decode an image to read-only (H, W, 3) pixels, turned upright, of an animation the first frame.

    Pixels are those of Pillow's `convert("RGB")`, which leaves alpha out. With `decode_size` a JPEG may come at a half,
    a quarter or an eighth of its size, as long as each side keeps so many pixels. InputError says why one cannot be
    decoded.
    """
    ops = need("PIL.ImageOps", extra="image")
    with _opened(data, decode_size) as image:
        width, height = image.size
        with _large if width * height > LARGE_PIXELS else nullcontext():
            ops.exif_transpose(image, in_place=True)
            pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    pixels.flags.writeable = False
    return pixels


def check_image(data: bytes) -> None:
    """Raise InputError if an image cannot be decoded. Of a JPEG all is read, and an eighth of each side computed."""
    decode_rgb(data, 1)


def image_size(data: bytes, decode_size: int | None = None) -> tuple[int, int]:
    """Width and height that an image is decoded to, before it is turned upright, by its header alone."""
    with _opened(data, decode_size) as image:
        return image.size


def encode_image(pixels: np.ndarray) -> bytes:
    """Encode pixels: as JPEG what is grey or RGB, as PNG what has alpha. Values are cut to 0-255."""
    image_module = need("PIL.Image", extra="image")
    plain = _as_bytes(np.asarray(pixels))
    sink = io.BytesIO()
    if plain.ndim == 3 and plain.shape[2] in (2, 4):
        image_module.fromarray(plain).save(sink, "PNG")
    else:
        image_module.fromarray(plain).save(sink, "JPEG", quality=JPEG_QUALITY)
    return sink.getvalue()


def thumbnail(image: bytes | np.ndarray, side: int, quality: int = 70) -> bytes:
    """Make a small JPEG of an encoded image or of pixels, its long side of at most so many pixels."""
    pixels = decode_rgb(image, side) if isinstance(image, bytes) else _as_bytes(np.asarray(image))
    image_module = need("PIL.Image", extra="image")
    small = image_module.fromarray(pixels)
    small.thumbnail((side, side))
    sink = io.BytesIO()
    small.convert("RGB").save(sink, "JPEG", quality=quality)
    return sink.getvalue()


def extension_of(data: bytes) -> str | None:
    """The extension that belongs to encoded bytes, by how they begin; None where that is not known."""
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12])
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:2] in _NETPBM and data[2:3].isspace():
        return _NETPBM[data[:2]]
    return next((extension for start, extension in _SIGNATURES.items() if data.startswith(start)), None)


@contextmanager
def _opened(data: bytes, decode_size: int | None) -> Iterator[Any]:
    """The image of Pillow, of which the header has been read. Whatever goes wrong with it is an InputError."""
    image_module = need("PIL.Image", extra="image")
    try:
        with image_module.open(io.BytesIO(data)) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise InputError(f"an image of {width} x {height} pixels; wanted at most {MAX_PIXELS} pixels")
            if decode_size is not None:
                image.draft(None, (decode_size, decode_size))
            yield image
    except (InputError, MissingExtraError):
        raise
    except image_module.UnidentifiedImageError as error:
        raise InputError(f"no image that can be decoded: {_unknown(data)}") from error
    # on damaged files decoders raise SyntaxError, struct.error, IndexError, ValueError, OSError, MemoryError and errors
    # of their own: nothing less catches them all
    except Exception as error:
        raise InputError(f"no image that can be decoded: {type(error).__name__}: {error}") from error


def _unknown(data: bytes) -> str:
    """Why Pillow does not know an image."""
    kind = extension_of(data)
    if kind in ("heic", "heif"):
        return "Pillow reads HEIC once pillow_heif.register_heif_opener() was called (pip install pillow-heif)"
    return "Pillow does not know its format, or its header"


def _as_bytes(pixels: np.ndarray) -> np.ndarray:
    """Pixels as (H, W) or (H, W, 2 to 4) bytes."""
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise InputError(f"pixels of shape {pixels.shape}; wanted (height, width) or (height, width, channels)")
    if pixels.dtype == bool:
        pixels = pixels * np.uint8(255)
    elif pixels.dtype != np.uint8:
        pixels = np.nan_to_num(np.clip(pixels, 0, 255)).astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    elif pixels.ndim == 3 and pixels.shape[2] > 4:
        pixels = pixels[:, :, :3]
    return np.ascontiguousarray(pixels)
