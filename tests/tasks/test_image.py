import dataclasses
import io
import pickle

import numpy as np
import pytest
from PIL import Image

from nemo_curator.errors import InputError
from nemo_curator.tasks import ImageBatch, ImageObject, ImageSampleTask, ImageTaskData

GREEN = np.full((4, 6, 3), (10, 200, 30), np.uint8)


def encoded(kind="PNG", pixels=GREEN):
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, kind)
    return sink.getvalue()


def test_pixels_are_decoded_when_they_are_asked_for_and_cannot_be_changed():
    image = ImageObject(image_bytes=encoded())
    assert image.nbytes == len(encoded())
    assert (image.image_data == GREEN).all()
    assert image.image_data is image.image_data
    with pytest.raises(ValueError, match="read-only"):
        image.image_data[0] = 0


def test_assigned_pixels_take_the_place_of_the_bytes():
    image = ImageObject("a/b.png", image_bytes=encoded())
    image.image_data = GREEN[:2]
    assert image.image_bytes is None
    assert image.extension is None
    assert image.image_data.shape == (2, 6, 3)
    image.image_data = None
    assert (image.image_data, image.nbytes) == (None, 0)


def test_new_bytes_stand_for_other_pixels():
    image = ImageObject(image_bytes=encoded())
    assert image.image_data.shape == (4, 6, 3)
    image.image_bytes = encoded(pixels=GREEN[:1])
    assert image.image_data.shape == (1, 6, 3)


@pytest.mark.parametrize(
    ("kind", "extension"),
    [
        *((kind, kind.lower()) for kind in ("PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "PPM")),
        ("JPEG", "jpg"),
        ("JPEG2000", "jp2"),
    ],
)
def test_the_extension_follows_the_bytes_and_not_the_name(kind, extension):
    assert ImageObject("a.xyz", image_bytes=encoded(kind)).extension == extension


def test_the_name_says_what_the_bytes_do_not():
    assert ImageObject("a/b.DDS", image_bytes=b"?").extension == "dds"
    assert ImageObject("table.parquet/5", image_bytes=b"?").extension is None
    assert ImageObject("a.b/c", image_bytes=b"?").extension is None


def test_a_pickle_holds_the_bytes_and_other_attributes_and_no_pixels():
    image = ImageObject(image_id="1", image_bytes=encoded(pixels=np.zeros((500, 500, 3), np.uint8)))
    image.sharpness = 0.5
    assert image.image_data.nbytes == 750_000
    data = pickle.dumps(image)
    assert len(data) < 10_000
    sent = pickle.loads(data)
    assert (sent.image_id, sent.sharpness, sent.image_bytes) == ("1", 0.5, image.image_bytes)
    assert sent.image_data.shape == (500, 500, 3)
    assert (pickle.loads(pickle.dumps(ImageObject(image_data=GREEN))).image_data == GREEN).all()


def test_dropped_pixels_are_decoded_again_and_those_without_bytes_stay():
    read, made = ImageObject(image_bytes=encoded()), ImageObject(image_data=GREEN)
    for image in (read, made):
        assert image.image_data is not None
        image.drop_pixels()
        assert (image.image_data == GREEN).all()


def test_an_image_is_a_dataclass_with_the_documented_fields_first():
    names = [one.name for one in dataclasses.fields(ImageObject) if not one.kw_only]
    assert names == ["image_path", "image_id", "metadata", "image_data", "embedding", "aesthetic_score", "nsfw_score"]
    copied = dataclasses.replace(ImageObject("p", image_bytes=encoded()), image_id="other")
    assert (copied.image_path, copied.image_id, copied.image_bytes) == ("p", "other", encoded())


def test_what_is_no_image_says_so_when_pixels_are_asked_for():
    with pytest.raises(InputError, match="Pillow does not know its format"):
        _ = ImageObject(image_bytes=b"no image").image_data


def test_a_jpeg_may_come_smaller_where_that_is_enough():
    data = encoded("JPEG", np.zeros((400, 600, 3), np.uint8))
    shapes = {size: ImageObject(image_bytes=data, decode_size=size).image_data.shape for size in (None, 300, 200, 50)}
    assert shapes == {None: (400, 600, 3), 300: (400, 600, 3), 200: (200, 300, 3), 50: (50, 75, 3)}


def test_a_batch_counts_its_images_and_names_their_attributes():
    images = [ImageObject(image_id="1", image_data=GREEN), ImageObject(image_id="2")]
    images[0].sharpness = 1.0
    batch = ImageBatch("set", images, task_id="7")
    assert (batch.num_items, batch.nbytes) == (2, GREEN.nbytes)
    assert {"image_data", "image_path", "image_id", "sharpness"} <= set(batch.get_columns())
    kept = batch.filter(np.array([False, True]))
    assert ([image.image_id for image in kept.data], kept.task_id, kept.dataset_name) == (["2"], "7", "set")
    assert batch.validate()
    assert not ImageBatch("set", ["no image"]).validate()


def test_a_task_of_one_image_is_one_item():
    task = ImageSampleTask(dataset_name="set", data=ImageTaskData(image_path="a.jpg", error="gone", is_valid=False))
    assert task.num_items == 1
    assert task.data.to_dict() == {"image_path": "a.jpg", "image_id": None, "is_valid": False, "error": "gone"}


def test_pixels_can_be_had_without_being_remembered_and_smaller():
    sink = io.BytesIO()
    Image.new("RGB", (64, 32), (9, 99, 199)).save(sink, "JPEG")
    image = ImageObject(image_bytes=sink.getvalue())
    assert [image.decode(size).shape for size in (None, 32, 16, 1)] == [(32, 64, 3)] * 2 + [(16, 32, 3), (4, 8, 3)]
    assert not image.has_pixels
    image.decode_size = 16
    assert image.decode(1).shape == image.decode().shape == (16, 32, 3)
    assert image.image_data.shape == (16, 32, 3)
    assert image.has_pixels
    assert image.decode() is image.image_data
    assert ImageObject().decode() is None


def test_a_batch_on_disk_holds_the_same_images_and_little_memory():
    data = [
        encoded(),
        encoded("JPEG"),
        encoded(pixels=np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)),
    ]
    images = [
        ImageObject(f"{at}", f"{at}", {"n": at}, image_bytes=one, extras={"cls": b"1"}) for at, one in enumerate(data)
    ]
    images.append(ImageObject("pixels", "pixels", image_data=GREEN, embedding=np.ones(3)))
    assert images[0].image_data is not None
    batch = ImageBatch("set", images, task_id="7").on_disk()
    assert (batch.task_id, batch.num_items, batch.nbytes) == ("7", 4, sum(map(len, data)) + GREEN.nbytes)
    assert not any(isinstance(image.__dict__["_bytes"], bytes) for image in batch.data)
    assert [image.has_pixels for image in batch.data] == [False, False, False, True]
    for came in (batch, pickle.loads(pickle.dumps(batch)), batch.on_disk(), dataclasses.replace(batch)):
        assert [image.image_bytes for image in came.data] == [*data, None]
        assert all(image.image_bytes is None or type(image.image_bytes) is bytes for image in came.data)
        assert [(image.image_id, image.metadata, image.extras) for image in came.data] == [
            (image.image_id, image.metadata, image.extras) for image in images
        ]
        assert (came.data[0].image_data == GREEN).all()
        assert (came.data[3].embedding == 1).all()
    assert batch.data[1].extension == "jpg"
    assert all(image.image_bytes == one for image, one in zip(images, data))  # what it was made of is as it was


def test_a_batch_without_bytes_stays_in_memory():
    for images in ([], [ImageObject(image_data=GREEN)]):
        batch = ImageBatch("set", images)
        assert batch.on_disk() is batch
