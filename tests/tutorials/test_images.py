"""Both scripts of the image tutorial, on real photos in tars, with models of a few kilobytes."""

import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.tasks import ImageBatch, ImageObject
from tests.models.photos import IMAGES, needs_photos
from tests.stages.image.io.images import members_of, picture
from tests.tiny_models import image_models_folder
from tests.web_server import serving

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tutorials/image/getting-started"
GOLD = IMAGES / "neardup_imagededup"


@pytest.fixture
def tars(tmp_path):
    """Two tars with five photos; the second photo of each tar is the first one again."""
    photos = sorted(path for path in GOLD.iterdir() if path.suffix == ".jpg")[:5]
    (tmp_path / "tars").mkdir()
    for number, some in enumerate([[photos[0], photos[0], photos[1]], [photos[2], photos[2]]]):
        with tarfile.open(tmp_path / f"tars/{number:05}.tar", "w") as tar:
            for at, photo in enumerate(some):
                data = photo.read_bytes()
                member = tarfile.TarInfo(f"{at:06}.jpg")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return tmp_path / "tars"


def run_script(name, tars, output, *options):
    common = ["--input-wds-dataset-dir", tars, "--output-dataset-dir", output, "--model-dir", image_models_folder()]
    done = subprocess.run(
        [sys.executable, FOLDER / name, *common, *options, "--num-workers", "0"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return [row for path in sorted(output.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.fixture
def helper():
    spec = importlib.util.spec_from_file_location("helper", FOLDER / "helper.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """A list of five images, and one that is not there, on a server of this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as site:
        urls = [site.put(f"/{number}.jpg", picture(number, size=(80, 60))) for number in range(5)]
        table = pa.table({"URL": [*urls, f"{site.url}/missing.jpg"], "TEXT": [f"caption {at}" for at in range(6)]})
        pq.write_table(table, tmp_path / "list.parquet")
        yield tmp_path / "list.parquet"


def test_images_of_a_list_are_downloaded_and_kept_by_their_scores(listed, tmp_path):
    limits = ["--aesthetic-threshold", "-9", "--nsfw-threshold", "1.1"]
    download = ["--input-parquet", listed, "--entries-per-tar", "3", "--download-processes", "0"]
    download.append("--allow-private-addresses")
    rows = run_script("image_curation_example.py", tmp_path / "tars", tmp_path / "out", *limits, *download)
    assert [path.name for path in sorted((tmp_path / "tars").glob("*.tar"))] == ["00000.tar", "00001.tar"]
    assert [row["caption"] for row in sorted(rows, key=lambda row: row["image_id"])] == [
        f"caption {at}" for at in range(5)
    ]
    assert all(row["aesthetic_score"] is not None and 0 <= row["nsfw_score"] <= 1 for row in rows)


@needs_photos
def test_images_that_look_like_others_go(tars, tmp_path):
    folders = ["--embeddings-dir", tmp_path / "embeddings", "--removal-parquets-dir", tmp_path / "removal"]
    rows = run_script("image_dedup_example.py", tars, tmp_path / "out", *folders, "--eps", "0.00001")
    assert len(rows) == 3
    assert len(pq.read_table(tmp_path / "removal/duplicates")) == 2


def test_a_list_becomes_tars_as_documented(helper, listed, tmp_path):
    folder = tmp_path / "tars"
    helper.download_webdataset(str(listed), str(folder), 4, num_processes=0, allow_private_addresses=True)
    first = members_of(folder / "00000.tar")
    assert sorted(first) == [f"00000000{at}.{kind}" for at in range(4) for kind in ("jpg", "json", "txt")]
    assert first["000000000.jpg"] == picture(0, size=(80, 60))
    assert json.loads(first["000000003.json"]).keys() == {"url", "caption", "key"}
    rows = pq.read_table(folder / "00001.parquet").to_pylist()
    assert [(row["key"], row["status"]) for row in rows] == [("000010000", "success"), ("000010001", "http_404")]


def test_batches_of_images_become_tars_of_even_size(helper, tmp_path):
    def image(number):
        given = {"image_bytes": picture(number)} if number % 2 else {"image_data": np.full((4, 4, 3), number, np.uint8)}
        made = ImageObject(f"{number}.jpg", f"old{number}", {"n": number}, caption=f"caption {number}", **given)
        made.embedding, made.aesthetic_score = np.array([number, 0.5]), float(number)
        return made

    batches = [ImageBatch("set", [image(number) for number in some]) for some in ([0, 1, 2], [], [3, 4])]
    helper.save_imagebatch_to_webdataset(batches, str(tmp_path), samples_per_shard=2, max_shards=3, old_id_col="old")
    assert [path.stem for path in sorted(tmp_path.glob("*.tar"))] == ["000", "001", "002"]
    second = members_of(tmp_path / "001.tar")
    assert second["0011.jpg"] == picture(3)
    assert json.loads(second["0011.json"])["old"] == "old3"
    row = pq.read_table(tmp_path / "002.parquet").to_pylist()[0]
    assert (row["key"], row["old"], row["aesthetic_score"], row["embedding"]) == ("0020", "old4", 4.0, [4.0, 0.5])
    with pytest.raises(ValueError, match="more than 10 shards"):
        helper.save_imagebatch_to_webdataset(batches * 3, str(tmp_path), samples_per_shard=1, max_shards=1)
