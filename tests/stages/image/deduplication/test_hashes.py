from itertools import combinations

import numpy as np
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.stages.image.deduplication import ImageHashDeduplicationStage, perceptual_hash
from tests.models.photos import IMAGES, needs_photos, noise, photos, read
from tests.stages.image.images import batch, ids, run

GOLD = IMAGES / "neardup_imagededup"


def by_definition(small):
    """The hash of an image of 32 by 32 grey levels, from the sums of the DCT."""
    found = []
    for row in range(1, 9):
        for column in range(1, 9):
            down = np.cos(np.pi * row * (2 * np.arange(32) + 1) / 64)
            right = np.cos(np.pi * column * (2 * np.arange(32) + 1) / 64)
            found.append((small * down[:, None] * right[None]).sum())
    median = sorted(found)[31] / 2 + sorted(found)[32] / 2
    return int("".join("01"[int(value > median)] for value in found), 2)


def test_the_hash_is_the_one_that_is_defined():
    levels = noise(32, 32)[..., :1]
    assert perceptual_hash(np.repeat(levels, 3, 2)) == by_definition(levels[..., 0].astype(float))


@needs_photos
def test_scaled_and_compressed_photos_have_nearly_the_same_hash_and_others_do_not():
    from PIL import Image

    hashes = [perceptual_hash(photo) for photo in photos()]
    for photo, hashed in zip(photos(), hashes):
        half = Image.fromarray(photo).resize((photo.shape[1] // 2, photo.shape[0] // 2))
        brighter = np.clip(photo.astype(int) * 1.1 + 5, 0, 255).astype(np.uint8)
        assert (hashed ^ perceptual_hash(np.asarray(half))).bit_count() <= 4
        assert (hashed ^ perceptual_hash(brighter)).bit_count() <= 6
    assert min((one ^ other).bit_count() for one, other in combinations(hashes, 2)) > 12


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_image_of_one_tone_has_no_hash(level):
    assert perceptual_hash(np.full((50, 40, 3), level, np.uint8)) is None
    assert perceptual_hash(np.full((1, 1, 3), level, np.uint8)) is None


def test_the_first_of_those_with_the_same_pixels_stays():
    given = [batch(noise(20, 30, 0), noise(20, 30, 1)), batch(noise(20, 30, 0), first=2, task_id="batch_1")]
    blank = np.zeros((9, 9, 3), np.uint8)
    given.append(batch(blank, blank + 255, blank, blank[:, :3], first=3, task_id="batch_2"))
    for distance in (None, 0, 4):
        made, ran = run([ImageHashDeduplicationStage(distance)], given)
        assert list(map(ids, made)) == [["i0", "i1"], [], ["i3", "i4", "i6"]]
        assert ran.dropped() == {"image_hash_deduplication": 2}


def test_images_are_compared_with_those_that_stay_and_workers_change_nothing():
    photo = noise(8, 8).repeat(8, 0).repeat(8, 1)
    steps = [photo.copy() for _ in range(6)]
    for at, one in enumerate(steps):
        one[: 8 * at] = 0  # each differs a little from the one before
    hashes = [perceptual_hash(one) for one in steps]
    wanted, kept = [], []
    for at, value in enumerate(hashes):
        if all((value ^ other).bit_count() > 12 for other in kept):
            kept.append(value)
            wanted.append(f"i{at}")
    tasks = [batch(one, first=at, task_id=f"b{at}") for at, one in enumerate(steps)]
    for executor in (LocalExecutor(num_workers=0), LocalExecutor(num_workers=2)):
        made, _ = run([ImageHashDeduplicationStage(12)], tasks, executor)
        assert [name for task in made for name in ids(task)] == wanted


def test_a_distance_that_no_two_hashes_have_is_an_error():
    with pytest.raises(ValueError, match="max_distance is 64"):
        ImageHashDeduplicationStage(64)


def gold():
    """Names and pixels of the readable images; the scene that each shows is in its name."""
    found = {}
    for path in [*sorted(GOLD.glob("*ukbench*")), GOLD / "alpha_channel_image.png"]:
        if "corrupt" not in path.name:
            scene = "00120" if "alpha" in path.name else path.name.partition("ukbench")[2][:5]
            found[path.name] = scene, read(path)
    return found


@needs_photos
@pytest.mark.parametrize(("distance", "least_recall"), [(None, 0.35), (0, 0.55), (4, 0.65), (10, 0.65)])
def test_precision_and_recall_on_known_duplicates(distance, least_recall):
    images = gold()
    made, _ = run([ImageHashDeduplicationStage(distance)], [batch(*(pixels for _, pixels in images.values()))])
    kept = {int(name[1:]) for name in ids(made[0])}
    scenes = [scene for scene, _ in images.values()]
    duplicates = len(scenes) - len(set(scenes))
    removed = len(scenes) - len(kept)
    assert {scenes[at] for at in kept} == set(scenes)  # no scene is lost: all that went were duplicates
    assert removed / duplicates >= least_recall
