import json

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nemo_curator.errors import InputError
from nemo_curator.models.pixels import PixelRecipe, normalised, problem_of, read_pixel_recipe
from tests.models.photos import SHAPES, needs_photos, noise, photos


def applied(recipe, image):
    cut = torch.from_numpy(np.array(recipe.cut(image))[None])
    return normalised(cut, torch.from_numpy(recipe.levels))[0].numpy()


def by_transformers(image, kind="CLIP", **settings):
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    processor = {"CLIP": CLIPImageProcessorPil, "SigLIP": SiglipImageProcessorPil}[kind](**settings)
    return processor(image, return_tensors="np", input_data_format="channels_last")["pixel_values"][0]


def folder_with(path, name="preprocessor_config.json", **config):
    (path / name).write_text(json.dumps(config))
    return path


@needs_photos
def test_photos_become_what_the_processor_of_transformers_makes_of_them():
    for photo in photos(8):
        for shape in (photo, photo[:100], photo[:, :60], photo[7:8, :40], photo[:3, :2]):
            assert np.array_equal(applied(PixelRecipe(), shape), by_transformers(shape))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("resample", [2, 3])
def test_images_of_all_shapes_become_what_the_processor_of_transformers_makes_of_them(shape, resample):
    recipe = PixelRecipe(resample=resample)
    assert np.array_equal(applied(recipe, noise(*shape)), by_transformers(noise(*shape), resample=resample))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 400), st.integers(1, 40), st.booleans(), st.integers(20, 60), st.integers(20, 60))
@example(long=170, short=21, is_tall=True, edge=20, cut=20)
def test_all_sizes_and_cuts_are_those_of_transformers(long, short, is_tall, edge, cut):
    image = noise(long, short) if is_tall else noise(short, long)
    recipe = PixelRecipe(edge, crop=(cut, edge))
    wanted = by_transformers(image, size={"shortest_edge": edge}, crop_size={"height": cut, "width": edge})
    assert np.array_equal(applied(recipe, image), wanted)


def test_a_line_of_pixels_takes_no_more_memory_than_a_picture():
    # scaled before it is cut, it would have 45 million pixels
    assert applied(PixelRecipe(), noise(1, 200_000)).shape == (3, 224, 224)


def test_folders_say_how_images_are_prepared(tmp_path):
    large = {"size": 224, "crop_size": 224, "do_center_crop": True, "do_normalize": True, "resample": 3}
    assert read_pixel_recipe(folder_with(tmp_path, **large)) == PixelRecipe()
    squeezed = {"size": {"height": 32, "width": 48}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    recipe = read_pixel_recipe(folder_with(tmp_path, **squeezed, resample=2, do_center_crop=None))
    wanted = by_transformers(noise(50, 70), "SigLIP", **squeezed, resample=2)
    assert np.array_equal(applied(recipe, noise(50, 70)), wanted)
    (tmp_path / "preprocessor_config.json").unlink()
    folder_with(tmp_path, "processor_config.json", image_processor={"size": {"shortest_edge": 32}, "crop_size": 24})
    assert read_pixel_recipe(tmp_path) == PixelRecipe(32, crop=(24, 24))
    folder_with(tmp_path, "processor_config.json", do_resize=False, do_rescale=False, do_normalize=False)
    plain = noise(5, 6)
    assert np.array_equal(applied(read_pixel_recipe(tmp_path), plain), plain.transpose(2, 0, 1))


@pytest.mark.parametrize("config", [{"size": {"longest_edge": 3}}, {"resample": 1}])
def test_a_recipe_that_is_not_known_is_an_error(tmp_path, config):
    with pytest.raises(InputError, match=f"{next(iter(config))} is"):
        read_pixel_recipe(folder_with(tmp_path, **config))


def test_a_folder_without_a_recipe_is_an_error(tmp_path):
    with pytest.raises(InputError, match="does not say how images are prepared"):
        read_pixel_recipe(tmp_path)


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (None, "has no pixels"),
        ([[1]], "is list; wanted"),
        (noise(2, 3)[..., :2], "(2, 3, 2); wanted"),
        (noise(2, 3).astype(float), "is float64 (2, 3, 3)"),
        (noise(0, 3), "is empty"),
        (noise(2, 3), None),
    ],
)
def test_what_is_no_image_is_said(image, problem):
    found = problem_of(image)
    assert found == problem or problem in found
