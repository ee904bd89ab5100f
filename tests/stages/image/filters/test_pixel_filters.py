import numpy as np
import pytest

from nemo_curator.stages.image.filters import (
    ImageAspectRatioFilterStage,
    ImageBlurFilterStage,
    ImageEntropyFilterStage,
    ImageResolutionFilterStage,
)
from nemo_curator.tasks.image import ImageBatch, ImageObject
from nemo_curator.utils.image_codec import encode_image
from tests.models.photos import needs_photos, noise, photos
from tests.stages.image.images import batch, ids, run


def grey(levels):
    return np.repeat(np.array(levels, np.uint8)[..., None], 3, 2)


@pytest.mark.parametrize(
    ("stage", "pixels", "score", "is_kept"),
    [
        (ImageResolutionFilterStage(), noise(200, 300), 200, True),
        (ImageResolutionFilterStage(), noise(900, 199), 199, False),
        (ImageAspectRatioFilterStage(), noise(10, 30), 3.0, True),
        (ImageAspectRatioFilterStage(), noise(31, 10), 3.1, False),
        (ImageAspectRatioFilterStage(), noise(1, 1), 1.0, True),
        (ImageBlurFilterStage(), grey(np.full((9, 9), 80)), 0.0, False),
        (ImageBlurFilterStage(), grey(np.full((9, 2), 80)), 0.0, False),
        # neighbours less four times the middle: 4, and -1 beside it
        (ImageBlurFilterStage(min_sharpness=3), grey([[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]), 6.25, True),
        (ImageEntropyFilterStage(), grey([[7] * 8]), 0.0, False),
        (ImageEntropyFilterStage(), grey([range(8)]), 3.0, True),
        (ImageEntropyFilterStage(), grey([[0, 255, 0, 255]]), 1.0, False),
    ],
)
def test_filters_of_pixels_score_as_they_say(stage, pixels, score, is_kept):
    found = stage.score_pixels(pixels)
    assert found == pytest.approx(score, abs=1e-4)
    assert stage.keep_score(score) == is_kept


@needs_photos
def test_photos_are_sharper_than_what_is_left_of_them_when_they_are_blurred():
    from PIL import Image, ImageFilter

    stage = ImageBlurFilterStage()
    for photo in photos():
        blurred = np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(4)))
        assert stage.score_pixels(blurred) < stage.score_pixels(photo) / 4
        assert stage.score_pixels(blurred) < stage.min_sharpness


@needs_photos
def test_photos_are_not_empty():
    assert all(ImageEntropyFilterStage().score_pixels(photo) > 4 for photo in photos())


def test_a_chain_of_filters_counts_what_each_drops():
    stages = [ImageResolutionFilterStage(10), ImageAspectRatioFilterStage(), ImageEntropyFilterStage(score_only=True)]
    given = batch(noise(20, 20), noise(9, 20), noise(10, 40), grey(np.zeros((20, 20))), None)
    made, ran = run(stages, [given], max_failed_fraction=0.5)
    assert ids(made[0]) == ["i0", "i3"]
    assert ran.dropped() == {"image_resolution_filter": 1, "image_aspect_ratio_filter": 1}
    assert ran.rows_failed == 1
    assert [(image.short_side, image.aspect_ratio) for image in made[0].data] == [(20, 1.0)] * 2
    assert made[0].data[1].entropy == 0.0


def test_bytes_are_decoded_for_a_filter_and_the_pixels_forgotten_again():
    sound, damaged = (ImageObject(image_id=name, image_bytes=encode_image(noise(30, 30))) for name in "ab")
    damaged.image_bytes = damaged.image_bytes[:40]
    held = ImageObject(image_id="c", image_data=noise(30, 30))
    given = ImageBatch(data=[sound, damaged, held], task_id="t")
    made, ran = run([ImageEntropyFilterStage()], [given], max_failed_fraction=0.5)
    assert ids(made[0]) == ["a", "c"]
    assert "image b is no image that can be decoded" in str(ran.stages[0].failures[0])
    assert [vars(image)["_pixels"] is None for image in made[0].data] == [True, False]
    assert made[0].data[0].image_data.shape == (30, 30, 3)
