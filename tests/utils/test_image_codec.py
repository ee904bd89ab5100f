import io

import numpy as np
import pytest
from PIL import Image

from nemo_curator.errors import InputError
from nemo_curator.utils.image_codec import check_image, decode_rgb, image_size


def encoded(kind, size=(80, 48), **how):
    sink = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)).save(sink, kind, **how)
    return sink.getvalue()


@pytest.mark.parametrize("how", [{"kind": "JPEG"}, {"kind": "JPEG", "progressive": True}, {"kind": "PNG"}])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.97])
def test_a_check_finds_what_decoding_finds(how, share):
    data = encoded(**how)
    check_image(data)
    cut = data[: int(share * len(data))]
    for look in (check_image, decode_rgb):
        with pytest.raises(InputError, match="no image that can be decoded"):
            look(cut)


@pytest.mark.parametrize(("decode_size", "size"), [(None, (80, 48)), (48, (80, 48)), (24, (40, 24)), (1, (10, 6))])
def test_the_size_is_that_of_the_pixels_and_known_by_the_header(decode_size, size):
    data = encoded("JPEG")
    assert image_size(data[:700], decode_size) == size
    assert decode_rgb(data, decode_size).shape[1::-1] == size


def test_heic_says_which_package_reads_it():
    with pytest.raises(InputError, match="pip install pillow-heif"):
        decode_rgb(b"\0\0\0\x18ftypheic" + bytes(40))
