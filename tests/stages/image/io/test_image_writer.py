import json
import logging

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nemo_curator.errors import InputError, RunFailedError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.image.io import ConvertImageBatchToDocumentBatchStage, ImageReaderStage, ImageWriterStage
from nemo_curator.tasks import ImageBatch, ImageObject
from tests.stages.image.io.images import REAL, members_of, needs_real, picture, read, run, write_tar


class Brightness(ProcessingStage[ImageBatch, ImageBatch]):
    """Fails on some images."""

    name = "brightness"
    is_row_wise = True

    def process(self, batch):
        for image in batch.data:
            image.brightness = float(image.image_data.mean()) / (not image.image_id.endswith("003"))
        return batch


class LeaveOut(ProcessingStage[ImageBatch, ImageBatch]):
    """Leaves out images without a word."""

    name = "leave_out"

    def process(self, batch):
        return batch.with_images([image for image in batch.data if not image.image_id.endswith("007")])


PIXELS = np.random.default_rng(0).integers(0, 255, (8, 6, 4), np.uint8)


def write(images, folder, **settings):
    """Write a batch, and read what the tar and the table of its first piece hold."""
    task = ImageWriterStage(str(folder), **settings).process(
        ImageBatch("set", images, _metadata={"source_files": ["in.tar"]})
    )
    tars, tables = (sorted(folder.glob(f"*.{kind}")) for kind in ("tar", "parquet"))
    assert task.data == [*map(str, tars), *map(str, tables)]
    return members_of(tars[0]), pq.read_table(tables[0]).to_pylist(), task


def test_bytes_are_written_as_they_were_read_under_the_extension_that_is_theirs(tmp_path):
    images = [
        ImageObject("x/a.png", "a", {"n": 1}, image_bytes=picture(1), caption="é", extras={"cls": b"3"}),
        ImageObject("x/b.jpg", "b", image_bytes=picture(2, "WEBP"), aesthetic_score=5.5, nsfw_score=0.25),
    ]
    members, rows, task = write(images, tmp_path)
    assert members == {
        "a.jpg": picture(1),
        "a.cls": b"3",
        "a.json": b'{"n": 1}',
        "a.txt": "é".encode(),
        "b.webp": picture(2, "WEBP"),
    }
    tar = task.data[0].rpartition("/")[2]
    one = {"image_id": "a", "tar_file": tar, "member_name": "a.jpg", "original_path": "x/a.png", "metadata": '{"n": 1}'}
    two = {"image_id": "b", "tar_file": tar, "member_name": "b.webp", "original_path": "x/b.jpg", "metadata": "{}"}
    assert rows == [
        one | {"caption": "é", "aesthetic_score": None, "nsfw_score": None},
        two | {"caption": None, "aesthetic_score": 5.5, "nsfw_score": 0.25},
    ]
    del task._metadata["source_files"]
    assert task._metadata == {"output_dir": str(tmp_path), "images_per_tar": 1000, "num_images": 2, "num_rows": 2}


@pytest.mark.parametrize(
    ("pixels", "extension", "mode"),
    [
        (PIXELS[:, :, :3], "jpg", "RGB"),
        (PIXELS, "png", "RGBA"),
        (PIXELS[:, :, :2], "png", "LA"),
        (PIXELS[:, :, 0], "jpg", "L"),
        (PIXELS[:, :, :1], "jpg", "L"),
        (np.concatenate([PIXELS, PIXELS], axis=2), "jpg", "RGB"),
        (PIXELS[:, :, :3] * 2.0 - 99, "jpg", "RGB"),
        (PIXELS[:, :, 0] > 99, "jpg", "L"),
        (PIXELS[::-1, :, :3], "jpg", "RGB"),
    ],
)
def test_pixels_of_every_kind_are_encoded(tmp_path, pixels, extension, mode):
    members, _, _ = write([ImageObject(image_id="a", image_data=pixels)], tmp_path)
    assert list(members) == [f"a.{extension}"]
    (tmp_path / "a").write_bytes(members[f"a.{extension}"])
    with Image.open(tmp_path / "a") as image:
        assert (image.mode, image.size) == (mode, (6, 8))
        if extension == "png":
            assert np.array_equal(np.asarray(image), pixels)


def test_an_image_without_bytes_and_pixels_is_set_aside_and_outside_a_run_raises(tmp_path):
    images = [
        ImageObject("p", "a"),
        ImageObject("q", "b", image_data=PIXELS),
        ImageObject("r", "c", image_data=PIXELS[0, 0]),
    ]
    with pytest.raises(InputError, match=r"ImageObject\.image_data is None; cannot write image bytes"):
        ImageWriterStage(str(tmp_path)).process(ImageBatch("set", images))
    _, account = run(ImageWriterStage(str(tmp_path)), tasks=[ImageBatch("set", images)], max_failed_fraction=1.0)
    assert (account.stages[0].rows_in, account.stages[0].rows_out, account.rows_failed) == (3, 1, 2)
    assert "wanted (height, width) or (height, width, channels)" in account.stages[0].failures[1].message


def test_an_empty_batch_writes_nothing_and_says_so(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        task = ImageWriterStage(str(tmp_path / "out")).process(ImageBatch("set", []))
    assert (task.data, list(tmp_path.iterdir())) == ([], [])
    assert "has no images; nothing is written" in caplog.text


def test_names_that_would_lose_an_image_or_leave_the_folder_are_made_safe(tmp_path):
    ids = ["a", "a", "", "../b", "c.d", "é"]
    members, rows, _ = write([ImageObject(image_id=one, image_bytes=picture(1)) for one in ids], tmp_path)
    assert list(members) == ["a.jpg", "a~~2.jpg", "000002.jpg", "++~b.jpg", "c+d.jpg", "é.jpg"]
    assert [row["image_id"] for row in rows] == ids


def test_halves_of_characters_in_what_people_wrote_become_question_marks(tmp_path):
    image = ImageObject("\ud800", "\ud800", {"by": "\ud800"}, image_bytes=picture(1), caption="\ud800a")
    members, [row], _ = write([image], tmp_path)
    assert (row["caption"], json.loads(row["metadata"])) == ("?a", {"by": "?"})
    assert [data for name, data in members.items() if name.endswith(".txt")] == [b"?a"]


def test_an_image_of_a_kind_that_is_not_known_comes_back(tmp_path):
    icon = picture(1, "ICO")
    write([ImageObject("table.parquet/5", "five", image_bytes=icon)], tmp_path)
    [tar] = tmp_path.glob("*.tar")
    assert list(members_of(tar)) == ["five.bin"]


def test_a_batch_is_cut_into_tars_and_what_an_earlier_run_wrote_beyond_them_goes(tmp_path):
    images = [ImageObject(image_id=str(at), image_bytes=picture(at)) for at in range(7)]
    write(images, tmp_path, images_per_tar=3)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(before) == 6
    assert sorted(name.partition(".")[0][-6:] for name in before if name.endswith("tar")) == [
        "000000",
        "000001",
        "000002",
    ]
    write(images, tmp_path, images_per_tar=3)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    write(images[:3], tmp_path, images_per_tar=3)
    assert {path.name for path in tmp_path.iterdir()} == {name for name in before if "-000000." in name}


def test_names_without_order_and_what_is_let_go_of(tmp_path):
    images = [ImageObject(image_id="a", image_bytes=picture(1))]
    names = set()
    for _ in range(2):
        task = ImageWriterStage(str(tmp_path), deterministic_name=False, remove_image_data=len(names) > 0).process(
            ImageBatch("set", images)
        )
        names |= set(task.data)
    assert len(names) == 4
    assert (images[0].image_bytes, images[0].image_data) == (None, None)


def test_embeddings_are_written_on_request(tmp_path):
    images = [
        ImageObject(image_id="a", image_bytes=picture(1), embedding=np.array([1, 2], np.float32)),
        ImageObject(image_id="b", image_bytes=picture(2)),
    ]
    _, rows, _ = write(images, tmp_path, write_embeddings=True)
    assert [row["embedding"] for row in rows] == [[1.0, 2.0], None]


@pytest.fixture
def folder(tmp_path):
    for shard in range(4):
        members = [(f"{at:03d}.jpg", picture(100 * shard + at)) for at in range(25)]
        members += [
            (f"c{at}.{kind}", data) for at in range(3) for kind, data in (("png", picture(at, "PNG")), ("txt", b"c"))
        ]
        write_tar(tmp_path / "in" / f"{shard}.tar", members)
    return tmp_path


@pytest.mark.parametrize("workers", [0, 2])
def test_images_come_back_byte_for_byte_and_every_run_writes_the_same(folder, workers):
    stages = ImageReaderStage(input_path=str(folder / "in"), batch_size=10, files_per_partition=1)
    tasks, account = run(stages, ImageWriterStage(str(folder / "out"), images_per_tar=6), workers=workers)
    assert [(stage.rows_in, stage.rows_out) for stage in account.stages[1:]] == [(112, 112), (112, 112)]
    assert sum(task._metadata["num_images"] for task in tasks) == 112
    before, after = read(folder / "in")[0], read(folder / "out", decode=False)[0]
    contents = [sorted((image.image_bytes, image.caption or "") for image in some.values()) for some in (before, after)]
    assert contents[0] == contents[1]
    members = {image.image_path.rpartition("/")[2].rpartition(".")[0] for image in after.values()}
    assert members == before.keys()
    run(stages, ImageWriterStage(str(folder / "again"), images_per_tar=6))
    one, two = ({path.name: path.read_bytes() for path in (folder / out).iterdir()} for out in ("out", "again"))
    assert one == two


def test_a_run_that_goes_on_writes_what_is_missing(folder):
    stages = (
        ImageReaderStage(input_path=str(folder / "in"), files_per_partition=1),
        ImageWriterStage(str(folder / "out")),
    )
    run(*stages, checkpoint_path=str(folder / "checkpoint"))
    files = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    gone = next((folder / "out").glob("*.tar"))
    kept = next(path for path in (folder / "out").glob("*.tar") if path != gone)
    gone.unlink()
    time = kept.stat().st_mtime_ns
    run(*stages, checkpoint_path=str(folder / "checkpoint"))
    assert {path.name: path.read_bytes() for path in (folder / "out").iterdir()} == files
    assert kept.stat().st_mtime_ns == time


def test_urls_are_written_to(folder):
    run(ImageReaderStage(input_path=str(folder / "in")), ImageWriterStage("memory://out/images"))
    there = fsspec.filesystem("memory").ls("/out/images", detail=False)
    assert {path.rpartition(".")[2] for path in there} == {"tar", "parquet"}
    assert len(read("memory://out/images/*.tar")[0]) == 112


def test_a_folder_with_files_is_refused_or_emptied_as_asked(folder):
    (folder / "out").mkdir()
    (folder / "out" / "earlier").touch()
    reader = ImageReaderStage(input_path=str(folder / "in"))
    with pytest.raises(FileExistsError, match="it is not empty"):
        run(reader, ImageWriterStage(str(folder / "out"), mode="error"))
    with pytest.raises(ValueError, match="refused to empty"):
        run(reader, ImageWriterStage(str(folder), mode="overwrite"))
    run(reader, ImageWriterStage(str(folder / "out"), mode="overwrite"))
    assert not (folder / "out" / "earlier").exists()
    with pytest.raises(ValueError, match="unknown mode 'append'"):
        ImageWriterStage("out", mode="append")
    with pytest.raises(ValueError, match="images_per_tar is 0; wanted at least 1"):
        ImageWriterStage("out", 0)


@needs_real
def test_real_photos_are_written_as_they_are(tmp_path):
    run(ImageReaderStage(input_path=str(REAL / "photos" / "picsum_*.jpg")), ImageWriterStage(str(tmp_path)))
    written = sorted(data for path in tmp_path.glob("*.tar") for data in members_of(path).values())
    assert written == sorted(path.read_bytes() for path in (REAL / "photos").glob("picsum_*.jpg"))


def test_an_image_that_a_stage_cannot_take_fails_by_itself_and_is_kept_as_a_reject(folder):
    stages = ImageReaderStage(input_path=str(folder / "in")), Brightness(), LeaveOut()
    with pytest.raises(RunFailedError, match="4 rows failed"):
        run(*stages, rejected_path=str(folder / "rejected"))
    rejects = [json.loads(line) for path in (folder / "rejected").iterdir() for line in path.read_text().splitlines()]
    assert sorted(one["row"]["image_id"] for one in rejects if one["error"]) == ["0~~003", "1~~003", "2~~003", "3~~003"]
    assert sorted(one["row"]["image_id"] for one in rejects if not one["error"]) == [f"{at}~~007" for at in range(4)]


def test_known_attributes_become_columns_of_documents(tmp_path):
    images = [
        ImageObject("p", "a", {"n": 1}, embedding=np.array([1, 2], np.float32), aesthetic_score=np.float32(5.5)),
        ImageObject("q", "b"),
    ]
    images[0].sharpness = 3
    batch = ImageBatch("set", images, _metadata={"source_files": ["x"]})
    fields = ["image_id", "embedding", "aesthetic_score", "sharpness", "metadata"]
    made = ConvertImageBatchToDocumentBatchStage(fields).process(batch)
    assert made.get_columns() == fields
    assert made._metadata == {"source_files": ["x"]}
    assert str(made.to_pyarrow().schema.field("embedding").type).startswith("list<")
    assert made.values("embedding") == [[1.0, 2.0], None]
    assert made.values("aesthetic_score") == [5.5, None]
    assert made.values("sharpness") == [3, None]
    assert made.values("metadata") == [{"n": 1}, {}]
    assert ConvertImageBatchToDocumentBatchStage().process(batch).to_pyarrow().to_pydict() == {"image_id": ["a", "b"]}
    assert ConvertImageBatchToDocumentBatchStage().process(ImageBatch("set", [])).num_items == 0


class Few(ProcessingStage[ImageBatch, ImageBatch]):
    """Lets some images through, and of some batches none."""

    name = "few"

    def __init__(self, every):
        self.every = every

    def process(self, batch):
        images = [image for image in batch.data if int(image.image_id[-3:]) % self.every == 0]
        return batch.with_images(images) if images else None


@pytest.fixture
def numbered(tmp_path):
    for shard in range(3):
        write_tar(tmp_path / "in" / f"{shard}.tar", [(f"{at:03d}.jpg", picture(100 * shard + at)) for at in range(40)])
    return tmp_path


def tars_of(folder):
    """The ids in each tar, in the order of the tars and of their members."""
    return [pq.read_table(path)["image_id"].to_pylist() for path in sorted(folder.glob("*.parquet"))]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("batch_size", [3, 7, 100])
def test_tars_are_filled_from_all_batches_of_a_source(numbered, batch_size, workers):
    reader = ImageReaderStage(input_path=str(numbered / "in"), batch_size=batch_size, files_per_partition=1)
    tasks, account = run(reader, Few(2), ImageWriterStage(str(numbered / "out"), images_per_tar=8), workers=workers)
    found = tars_of(numbered / "out")
    assert sorted(map(len, found)) == [4, 4, 4] + [8] * 6
    assert all(ids == sorted(ids) for ids in found)
    assert len({image for ids in found for image in ids}) == 60
    assert all(len({image[0] for image in ids}) == 1 for ids in found)  # a tar is of one source
    assert (account.stages[-1].rows_in, account.stages[-1].rows_out) == (60, 60)
    assert len({task.task_id for task in tasks}) == len(tasks) == 9
    assert not any("_part" in task._metadata for task in tasks)


def test_tars_are_the_same_whatever_batches_they_came_in(numbered):
    outputs = []
    for batch_size in (3, 100):
        out = numbered / f"out{batch_size}"
        reader = ImageReaderStage(input_path=str(numbered / "in"), batch_size=batch_size, files_per_partition=1)
        run(reader, Few(3), ImageWriterStage(str(out), images_per_tar=5))
        outputs.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert outputs[0] == outputs[1]


def test_a_run_that_keeps_fewer_images_leaves_no_tar_of_the_one_before(numbered):
    reader = ImageReaderStage(input_path=str(numbered / "in"), batch_size=4, files_per_partition=1)
    for every in (1, 5):
        run(reader, Few(every), ImageWriterStage(str(numbered / "out"), images_per_tar=6))
    assert sorted(map(len, tars_of(numbered / "out"))) == [2, 2, 2, 6, 6, 6]
    assert len(list((numbered / "out").glob("*.tar"))) == 6


def test_large_images_end_a_tar_before_it_is_full(numbered):
    writer = ImageWriterStage(str(numbered / "out"), images_per_tar=30)
    writer.bytes_per_call = 10 * len(picture(0))
    run(ImageReaderStage(input_path=str(numbered / "in"), files_per_partition=1), writer)
    found = tars_of(numbered / "out")
    assert max(map(len, found)) <= 11
    assert sum(map(len, found)) == 120


class Meet(ProcessingStage[ImageBatch, ImageBatch]):
    """Sees all batches, which go on as partitions of their own."""

    name = "meet"
    is_barrier = True

    def process(self, batch):
        return batch

    def process_batch(self, batches):
        return batches


def test_batches_of_a_source_that_go_on_apart_do_not_overwrite_each_other(numbered):
    reader = ImageReaderStage(input_path=str(numbered / "in"), batch_size=7, files_per_partition=1)
    tasks, account = run(reader, Meet(), ImageWriterStage(str(numbered / "out"), images_per_tar=5))
    found = [image for ids in tars_of(numbered / "out") for image in ids]
    assert len(found) == len(set(found)) == 120
    assert len({path for task in tasks for path in task.data}) == len(list((numbered / "out").iterdir()))
    assert account.stages[-1].rows_out == 120
