"""Which bytes pass for images, and what scaling makes of them."""

import hashlib
import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nemo_curator.stages.image.download.failures import FetchError
from nemo_curator.stages.image.download.pictures import PictureRules, jpeg_size
from tests.stages.image.io.images import REAL, picture

WIDE = picture(1, size=(64, 32))


def pixels(made):
    return np.asarray(Image.open(io.BytesIO(made.data)))


def saved(image, kind, **settings):
    sink = io.BytesIO()
    image.save(sink, kind, **settings)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("mode", "size"),
    [("border", (16, 16)), ("center_crop", (16, 16)), ("keep_ratio", (32, 16)), ("keep_ratio_largest", (16, 8))],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_images_are_scaled_as_asked_and_become_jpeg(mode, size, kind):
    made = PictureRules(image_size=16, resize_mode=mode).make(picture(1, kind, size=(64, 32)))
    assert (made.width, made.height, made.extension) == (*size, "jpg")
    assert (made.original_width, made.original_height) == (64, 32)
    assert pixels(made).shape == (size[1], size[0], 3)


def test_bytes_stay_unless_scaling_is_asked_for():
    assert PictureRules().make(WIDE).data == PictureRules(image_size=16, resize_mode="no").make(WIDE).data == WIDE
    assert PictureRules(image_size=100, resize_only_if_bigger=True).make(WIDE).data == WIDE


def test_the_border_and_what_is_transparent_are_white():
    glass = saved(Image.new("RGBA", (32, 16), (0, 0, 0, 0)), "PNG")
    assert (pixels(PictureRules(image_size=16).make(glass)) > 250).all()
    black = pixels(PictureRules(image_size=16).make(saved(Image.new("RGB", (32, 16)), "PNG")))
    assert black[0].min() > 200
    assert black[8].max() < 50


def test_images_are_turned_as_exif_says_when_they_are_scaled():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(Image.new("RGB", (64, 32)), "JPEG", exif=exif)
    made = PictureRules(image_size=16, resize_mode="keep_ratio").make(turned)
    assert (made.width, made.height) == (16, 32)


@pytest.mark.parametrize(
    ("rules", "status"),
    [
        ({"min_image_size": 33}, "too_small"),
        ({"max_aspect_ratio": 1.9}, "aspect_ratio"),
        ({"verify_hash": "md5"}, "wrong_hash"),
        ({"image_size": 30_000, "resize_mode": "keep_ratio"}, "too_many_pixels"),
    ],
)
def test_what_is_not_wanted_says_why(rules, status):
    with pytest.raises(FetchError) as raised:
        PictureRules(**rules).make(WIDE, "0" * 32)
    assert raised.value.status == status


def test_what_is_wanted_passes():
    rules = PictureRules(min_image_size=32, max_aspect_ratio=2.0, verify_hash="md5", decode=True)
    made = rules.make(WIDE, hashlib.md5(WIDE).hexdigest().upper())
    assert (made.sha256, made.nbytes) == (hashlib.sha256(WIDE).hexdigest(), len(WIDE))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image_without_its_end_is_damaged(kind):
    data = picture(1, kind, size=(64, 32))
    with pytest.raises(FetchError) as raised:
        PictureRules().make(data[: len(data) * 2 // 3])
    assert raised.value.status == "damaged_image"


def test_damage_in_the_middle_is_found_where_images_are_decoded():
    data = bytearray(picture(1, "PNG", size=(64, 32)))
    data[len(data) // 2] ^= 0xFF
    assert PictureRules().make(bytes(data)).width == 64
    with pytest.raises(FetchError, match="no image that can be decoded"):
        PictureRules(decode=True).make(bytes(data))


@pytest.mark.parametrize(
    "data", [b"", b"%PDF-1.7", b"<svg xmlns='x'/>", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n"]
)
def test_what_is_no_image_is_not_given_to_parsers(data):
    with pytest.raises(FetchError, match="wanted one of") as raised:
        PictureRules().make(data)
    assert raised.value.status == "not_an_image"


@pytest.mark.parametrize(
    "rules", [{"resize_mode": "stretch"}, {"image_size": 0}, {"encode_quality": 101}, {"verify_hash": "crc"}]
)
def test_rules_that_cannot_be_followed_are_refused(rules):
    with pytest.raises(ValueError, match="wanted"):
        PictureRules(**rules)


def test_the_size_of_a_jpeg_is_that_which_pillow_finds():
    thumbnail = Image.Exif()
    thumbnail[0x010E] = "x" * 1000
    image = Image.open(io.BytesIO(WIDE))
    ways = [
        {},
        {"progressive": True},
        {"exif": thumbnail},
        {"comment": b"\xff\xc0" * 9},
        {"subsampling": 0},
        {"restart_marker_rows": 1},
    ]
    for mode in ("RGB", "L", "CMYK"):
        for way in ways:
            assert jpeg_size(saved(image.convert(mode), "JPEG", **way)) == (64, 32)
    for path in sorted((REAL / "photos").glob("*.jpg"))[:20]:
        with Image.open(path) as real:
            assert jpeg_size(path.read_bytes()) in (real.size, None)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(WIDE)), st.binary(max_size=8))
def test_the_size_of_a_damaged_jpeg_is_that_which_pillow_finds_or_none(at, junk):
    data = WIDE[:at] + junk + WIDE[at + len(junk) :]
    size = jpeg_size(data) if data[:3] == WIDE[:3] else None
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            assert size in (image.size, None)
    except (OSError, SyntaxError, ValueError, struct.error, IndexError, KeyError, TypeError):
        pass  # what Pillow refuses is found out where images are decoded
