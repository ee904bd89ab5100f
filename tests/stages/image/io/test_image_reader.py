import bz2
import gzip
import io
import json
import subprocess
import sys
import warnings
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from PIL import Image, ImageOps

from nemo_curator.errors import ContractError, InputError, RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.image.io import ImageReaderStage
from nemo_curator.stages.image.io.names import container_id
from nemo_curator.tasks import FileGroupTask
from tests.stages.image.io.images import REAL, needs_real, picture, read, run, write_tar

SAMPLES = [
    ("a/0001.jpg", picture(1)),
    ("a/0001.txt", "an é".encode()),
    ("a/0001.json", b'{"url": "x", "caption": "of the json"}'),
    ("0002.JPG", picture(2)),
    ("0002.json", b'{"caption": "two"}'),
    ("0003.png", picture(3, "PNG")),
    ("0003.cls", b"7"),
    ("0003.txt", b"\xff"),
    ("0003.json", b"[1]"),
]
COMPRESS = {".tar": bytes, ".tar.gz": gzip.compress, ".tgz": gzip.compress, ".tar.zst": zstandard.compress}
COMPRESS[".tar.bz2"] = bz2.compress


@pytest.mark.parametrize("suffix", COMPRESS)
def test_images_come_with_what_the_tar_says_about_them(tmp_path, suffix):
    path = tmp_path / "in" / f"shard{suffix}"
    write_tar(path, SAMPLES)
    path.write_bytes(COMPRESS[suffix](path.read_bytes()))
    images, account = read(tmp_path / "in")
    prefix = "shard" if suffix == ".tar" else f"shard{suffix.replace('.', '+')}"
    assert list(images) == [f"{prefix}~~{key}" for key in ("a~0001", "0002", "0003")]
    one, two, three = images.values()
    assert one.image_path == f"{path}/a/0001.jpg"
    assert [image.image_bytes for image in images.values()] == [picture(1), picture(2), picture(3, "PNG")]
    assert (one.caption, one.metadata, one.extras) == ("an é", {"url": "x", "caption": "of the json"}, {})
    assert (two.caption, two.metadata) == ("two", {"caption": "two"})
    assert (three.caption, three.extras) == (None, {"cls": b"7", "txt": b"\xff", "json": b"[1]"})
    assert (account.rows_in, account.rows_out) == (3, 3)


def test_samples_without_images_and_members_without_keys_are_counted(tmp_path):
    write_tar(
        tmp_path / "a.tar", [("README", b"x"), ("1.txt", b"no image"), *SAMPLES, ("._1.jpg", b""), ("9.cls", b"1")]
    )
    images, account = read(tmp_path)
    assert len(images) == 3
    assert account.dropped == {"sample without an image": 2, "member without a key": 2}
    assert (account.rows_in, account.rows_out) == (7, 3)


def test_several_images_of_a_key_and_keys_that_come_again_have_ids_of_their_own(tmp_path):
    members = [("1.left.jpg", picture(1)), ("1.right.jpg", picture(2)), ("1.txt", b"both"), ("2.jpg", picture(3))]
    write_tar(tmp_path / "a.tar", [*members, ("2.jpg", picture(4)), ("1.jpg", picture(5))])
    images, _ = read(tmp_path)
    assert list(images) == ["a~~1+left+jpg", "a~~1+right+jpg", "a~~2", "a~~2~~2", "a~~1"]
    assert [image.caption for image in images.values()] == ["both", "both", None, None, None]


@pytest.fixture
def folder(tmp_path):
    """Two tars of one name, images by themselves with files beside them, and Parquet."""
    root = tmp_path / "in"
    for sub in ("x", "y"):
        write_tar(root / sub / "00000.tar", [(f"{at}.jpg", picture(ord(sub) + at)) for at in range(30)])
    for at in range(7):
        (root / "loose").mkdir(exist_ok=True)
        (root / "loose" / f"{at}.jpg").write_bytes(picture(1000 + at))
    (root / "loose" / "0.png").write_bytes(picture(2000, "PNG"))
    (root / "loose" / "3.txt").write_text("three")
    (root / "loose" / "3.json").write_text('{"license": "CC0"}')
    rows = [{"image": {"bytes": picture(3000 + at), "path": f"{at}.jpg"}, "text": f"row {at}"} for at in range(5)]
    pq.write_table(pa.Table.from_pylist(rows), root / "p.parquet", row_group_size=2)
    return root


@pytest.mark.parametrize(
    ("workers", "settings"), [(0, {"files_per_partition": 1}), (2, {"files_per_partition": 4, "batch_size": 3})]
)
def test_ids_are_the_same_however_files_are_grouped_and_batches_cut(folder, workers, settings):
    first, _ = read(folder)
    assert len(first) == 2 * 30 + 8 + 5
    assert first["loose~3+jpg"].caption == "three"
    assert first["loose~3+jpg"].metadata == {"license": "CC0"}
    assert {"x~00000~~7", "y~00000~~7", "loose~0+jpg", "loose~0+png", "p+parquet~~000000004"} <= first.keys()
    again, _ = read(folder, workers, **settings)
    assert {key: image.image_bytes for key, image in again.items()} == {
        key: image.image_bytes for key, image in first.items()
    }
    folder.rename(folder.with_name("moved"))
    assert read(folder.with_name("moved"))[0].keys() == first.keys()


def test_a_partitioning_stage_before_it_gives_the_same_ids(folder):
    batches, _ = run(FilePartitioningStage(str(folder), 2, file_extensions=[".tar"]), ImageReaderStage(10))
    assert [len(batch.data) for batch in batches] == [10] * 6
    ids = {image.image_id for batch in batches for image in batch.data}
    assert ids == {one for one in read(folder)[0] if "00000~~" in one}


def test_tasks_that_are_given_are_read_under_their_whole_path(folder):
    images, _ = read(folder, tasks=[FileGroupTask("set", [str(folder / sub / "00000.tar")]) for sub in "xy"])
    assert len(images) == 60
    assert f"{container_id(str(folder / 'y' / '00000.tar'), '')}~~29" in images


def test_parquet_rows_keep_their_other_columns_and_their_numbers(tmp_path):
    rows = [{"jpg": picture(at) if at != 1 else None, "TEXT": f"t{at}", "n": at} for at in range(6)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "p.parquet", row_group_size=2)
    images, account = read(tmp_path)
    assert list(images) == [f"p+parquet~~{at:09d}" for at in (0, 2, 3, 4, 5)]
    assert (images["p+parquet~~000000003"].metadata, images["p+parquet~~000000003"].caption) == (
        {"TEXT": "t3", "n": 3},
        "t3",
    )
    assert account.dropped == {"row without the bytes of an image": 1}
    part = FileGroupTask("set", [str(tmp_path / "p.parquet")], reader_config={"row_groups": [2]})
    part._metadata["source_root"] = str(tmp_path)
    assert list(read(tmp_path, tasks=[part])[0]) == ["p+parquet~~000000004", "p+parquet~~000000005"]


def test_which_column_holds_images_must_be_clear(tmp_path):
    pq.write_table(pa.table({"one": [picture(1)], "two": [picture(2)]}), tmp_path / "p.parquet")
    with pytest.raises(
        RunFailedError, match="which column holds images is not clear; give image_field; its columns are"
    ):
        read(tmp_path)
    assert read(tmp_path, image_field="two")[0]["p+parquet~~000000000"].image_bytes == picture(2)
    with pytest.raises(RunFailedError, match="wanted one of bytes, or of structs with bytes"):
        read(tmp_path, image_field="three")


def test_a_url_is_read_like_a_path(folder):
    memory = fsspec.filesystem("memory")
    for path in folder.rglob("*.*"):
        memory.pipe_file(f"/images/{path.relative_to(folder)}", path.read_bytes())
    there, here = read("memory://images")[0], read(folder)[0]
    assert {key: (image.image_bytes, image.caption) for key, image in there.items()} == {
        key: (image.image_bytes, image.caption) for key, image in here.items()
    }


def expected(path):
    """What Pillow makes of a file by itself; None if it makes nothing."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except Exception:  # whatever its decoders raise
        return None


@needs_real
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_odd_files_are_decoded_as_pillow_does_or_set_aside_with_a_reason():
    files = [path for name in ("odd_pillow", "neardup_imagededup") for path in (REAL / name).iterdir()]
    files = [path for path in files if path.suffix != ".svg"]
    tasks = [FileGroupTask("odd", list(map(str, files)))]
    images, account = read(REAL, tasks=tasks, max_failed_fraction=1.0)
    found = {image.image_path: image for image in images.values()}
    failed = {failure.source: failure.message for failure in account.failures}
    for path in map(str, files):
        pixels = expected(path)
        if pixels is None:
            assert "no image that can be decoded: " in failed[path]
        else:
            assert np.array_equal(found[path].image_data, pixels), path
    assert account.rows_in == len(files) == account.rows_out + account.rows_failed
    assert account.rows_failed > 5


@pytest.mark.parametrize("mode", ["CMYK", "P", "LA", "RGBA", "1", "I;16", "F", "L"])
def test_every_kind_of_pixels_becomes_what_pillow_calls_rgb(tmp_path, mode):
    pixels = Image.fromarray(np.random.default_rng(1).integers(0, 255, (9, 7, 3), np.uint8))
    image = pixels.convert("L").convert("I;16") if mode == "I;16" else pixels.convert(mode)
    image.save(tmp_path / "a.tiff")
    (one,) = read(tmp_path)[0].values()
    assert np.array_equal(one.image_data, expected(tmp_path / "a.tiff"))


def test_an_image_beyond_the_limit_is_set_aside_without_being_decoded(tmp_path):
    Image.new("1", (10_000, 10_000)).save(tmp_path / "bomb.png")
    (tmp_path / "good.jpg").write_bytes(picture(1))
    with pytest.raises(RunFailedError, match="an image of 10000 x 10000 pixels; wanted at most 89478485 pixels"):
        read(tmp_path)
    images, account = read(tmp_path, max_failed_fraction=0.5)
    assert (list(images), account.rows_failed) == (["good+jpg"], 1)


def test_damage_costs_the_damaged_members_and_no_others(tmp_path):
    write_tar(tmp_path / "a.tar", [(f"{at}.jpg", picture(at)) for at in range(8)])
    data = bytearray((tmp_path / "a.tar").read_bytes())
    place = data.index(b"3.jpg\0")
    data[place + 130] ^= 1  # the size of a member
    del data[data.index(picture(5)) : data.index(picture(5)) + 333]  # and the bytes of another are gone
    (tmp_path / "a.tar").write_bytes(data)
    images, account = read(tmp_path, max_failed_fraction=1.0)
    assert {"a~~0", "a~~1", "a~~2", "a~~4", "a~~7"} <= images.keys()
    assert "a~~3" not in images
    assert account.rows_in == len(images) + account.rows_failed
    assert account.rows_failed >= 2
    assert any("member 4, at byte" in failure.message for failure in account.failures)


def test_a_cut_off_tar_gives_what_is_before_and_fails(tmp_path):
    write_tar(tmp_path / "a.tar", [(f"{at}.jpg", picture(at)) for at in range(8)])
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress((tmp_path / "a.tar").read_bytes())[:-200])
    (tmp_path / "a.tar").unlink()
    with pytest.raises(RunFailedError, match="the gzip stream is cut off"):
        read(tmp_path)


@needs_real
def test_real_tars_of_two_projects_are_read():
    images, account = read(REAL / "webdataset", max_failed_fraction=0.0)
    assert account.rows_out == 101
    assert account.dropped == {"sample without an image": 1000}
    assert images["webdataset_sample+tgz~~10"].image_data.shape == (28, 28, 3)
    assert images["webdataset_sample+tgz~~10"].extras.keys() == {"cls"}
    assert "clipretrieval_image3~~123_456" in images


def test_the_three_names_of_the_batch_size_are_one_and_may_not_disagree():
    for name in ("dali_batch_size", "batch_size", "task_batch_size"):
        stage = ImageReaderStage(**{name: 7})
        assert (stage.dali_batch_size, stage.task_batch_size, stage.batch_size) == (7, 7, 1)
    assert ImageReaderStage(batch_size=7, task_batch_size=7).dali_batch_size == 7
    assert ImageReaderStage().dali_batch_size == 100
    with pytest.raises(ValueError, match="are names of the same number, and disagree; give one"):
        ImageReaderStage(batch_size=7, task_batch_size=8)
    with pytest.raises(ValueError, match="the images of a batch is 0; wanted at least 1"):
        ImageReaderStage(0)


def test_a_reader_that_was_told_nothing_describes_itself_and_fails_with_the_ways_out():
    pipeline = Pipeline(
        "images", stages=[ImageReaderStage(task_batch_size=10, num_threads=16, num_gpus_per_worker=0.25)]
    )
    assert "image_reader" in pipeline.describe()
    with pytest.raises(
        ContractError, match=r"give it input_path, begin the pipeline with .* or give run.* initial_tasks"
    ):
        run(*pipeline.stages)
    with pytest.raises(InputError, match="No tar file paths in task"):
        ImageReaderStage().process(FileGroupTask("set", []))


def test_building_a_pipeline_twice_finds_files_once(folder):
    pipeline = Pipeline("images", stages=[ImageReaderStage(input_path=str(folder))])
    pipeline.build()
    assert [stage.name for stage in pipeline.build()] == ["file_partitioning", "image_reader"]


def test_without_decoding_what_is_no_image_is_found_where_pixels_are_wanted(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    (image,) = read(tmp_path, decode=False)[0].values()
    with pytest.raises(InputError, match="no image that can be decoded"):
        _ = image.image_data


def flat(width, height):
    """A large image of a few bytes."""
    sink = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(sink, "JPEG")
    return sink.getvalue()


MEMORY = """
import resource, sys
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.image.io import ImageReaderStage, ImageWriterStage, image_reader
image_reader.PIXEL_BYTES = 2**26
def run(path, out):
    stages = [ImageReaderStage(input_path=path), ImageWriterStage(out, remove_image_data=True)]
    Pipeline("images", stages=stages).run(LocalExecutor(num_workers=0))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = run(sys.argv[1], sys.argv[3])
print((run(sys.argv[2], sys.argv[3]) - before) // 1024)
"""


def test_a_tar_takes_no_more_memory_than_a_batch_whatever_its_pixels_would(tmp_path):
    large = flat(2400, 1600)
    write_tar(tmp_path / "one.tar", [("0.jpg", large)])
    write_tar(tmp_path / "many.tar", [(f"{at:03d}.jpg", large) for at in range(50)])  # 576 MB of pixels
    command = [sys.executable, "-c", MEMORY, *(str(tmp_path / name) for name in ("one.tar", "many.tar", "out"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[4])
    assert int(done.stdout) < 200


def test_metadata_that_is_json_travels_as_it_is(tmp_path):
    known = {"nested": {"a": [1, None, 2.5]}, "é": "語"}
    write_tar(tmp_path / "a.tar", [("1.jpg", picture(1)), ("1.json", json.dumps(known).encode())])
    assert read(tmp_path)[0]["a~~1"].metadata == known
