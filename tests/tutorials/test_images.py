"""Both scripts of the image tutorial, on real photos in tars, with models of a few kilobytes."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.models.photos import IMAGES, needs_photos
from tests.tiny_models import image_models_folder

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


@needs_photos
def test_images_are_kept_by_their_scores(tars, tmp_path):
    limits = ["--aesthetic-threshold", "-9", "--nsfw-threshold", "1.1"]
    rows = run_script("image_curation_example.py", tars, tmp_path / "out", *limits)
    assert len(rows) == 5
    assert all(row["aesthetic_score"] is not None and 0 <= row["nsfw_score"] <= 1 for row in rows)


@needs_photos
def test_images_that_look_like_others_go(tars, tmp_path):
    folders = ["--embeddings-dir", tmp_path / "embeddings", "--removal-parquets-dir", tmp_path / "removal"]
    rows = run_script("image_dedup_example.py", tars, tmp_path / "out", *folders, "--eps", "0.00001")
    assert len(rows) == 3
    assert len(pq.read_table(tmp_path / "removal/duplicates")) == 2
