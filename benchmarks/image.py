"""How fast images come out of tars, beside webdataset and Pillow called directly.

Run: python benchmarks/image.py [IMAGES], which needs `pip install webdataset`. Two tars of as many JPEGs each, with a
caption and JSON: small ones (of 20 kB) for reading alone, photos of 1600 x 1200 for decoding and scaling to 224 x 224.
Images per second of CPU, the best of three for each, in turn.
"""

import io
import json
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import webdataset
from PIL import Image

from nemo_curator.ledger.counts import StageCount, counting
from nemo_curator.stages.image.io import ImageReaderStage
from nemo_curator.tasks import FileGroupTask

SIDE = 224


def write_tar(path: str, count: int, width: int, height: int) -> None:
    """A tar of photos that are as large as real ones: smooth, with some noise."""
    rows, columns = np.mgrid[0:height, 0:width]
    smooth = np.stack([128 + 100 * np.sin(rows / 97 + at) * np.cos(columns / 131 - at) for at in range(3)], axis=2)
    sink = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 6, smooth.shape)
    Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8)).save(sink, "JPEG", quality=85)
    with tarfile.open(path, "w") as tar:
        for at in range(count):
            beside = {"txt": b"a caption of some words", "json": json.dumps({"url": f"https://x/{at}"}).encode()}
            for kind, data in {"jpg": sink.getvalue(), **beside}.items():
                info = tarfile.TarInfo(f"{at:09d}.{kind}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    print(f"{Path(path).name}: {count} images of {width} x {height}, {len(sink.getvalue()) / 1000:.0f} kB each")


def with_tarfile(path: str) -> Iterator[bytes]:
    with tarfile.open(path) as tar:
        for member in tar:
            data = tar.extractfile(member).read()  # type: ignore[union-attr]
            if member.name.endswith(".jpg"):
                yield data


def with_webdataset(path: str) -> Iterator[bytes]:
    for sample in webdataset.WebDataset(path, shardshuffle=False):
        yield sample["jpg"]


def parsed_by_webdataset(path: str) -> Iterator[bytes]:
    """With captions as text and JSON parsed, as the reader of Curator gives them."""
    for sample in webdataset.WebDataset(path, shardshuffle=False).decode():
        yield sample["jpg"]


def with_curator(path: str, **settings: object) -> Iterator[object]:
    stage = ImageReaderStage(verbose=False, **settings)
    with counting(StageCount("read")):
        for batch in stage.process(FileGroupTask("set", [path])):
            yield from batch.data


def small_by_webdataset(path: str) -> Iterator[Image.Image]:
    for data in with_webdataset(path):
        yield Image.open(io.BytesIO(data)).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def small_by_curator(path: str, **settings: object) -> Iterator[Image.Image]:
    for image in with_curator(path, **settings):
        yield Image.fromarray(image.decode()).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def compare(title: str, path: str, ways: dict[str, Callable[[str], Iterator]]) -> None:
    """Run each way three times in turn and print images per CPU second, and how often those of the first."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    counts = {}
    for _ in range(3):
        for name, way in ways.items():
            start = time.process_time()
            counts[name] = sum(1 for _ in way(path))
            seconds[name].append(time.process_time() - start)
    assert len(set(counts.values())) == 1, counts
    print(f"\n{title}")
    first = min(next(iter(seconds.values())))
    for name, times in seconds.items():
        print(f"  {name:48} {counts[name] / min(times):9,.0f} images/CPU s  {first / min(times):5.1f} x")


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        small, photos = f"{folder}/small.tar", f"{folder}/photos.tar"
        write_tar(small, 20 * count, 300, 220)
        write_tar(photos, count, 1600, 1200)
        reading = {
            "webdataset, captions and JSON parsed": parsed_by_webdataset,
            "webdataset, as bytes": with_webdataset,
            "tarfile": with_tarfile,
            "ImageReaderStage(decode=False)": lambda path: with_curator(path, decode=False),
        }
        compare("reading alone", small, reading)
        scaling = {
            "webdataset, Pillow": small_by_webdataset,
            "ImageReaderStage(num_threads=1)": lambda path: small_by_curator(path, num_threads=1),
            "ImageReaderStage(decode=False)": lambda path: small_by_curator(path, decode=False),
            "ImageReaderStage(num_threads=1, decode_size=224)": lambda path: small_by_curator(
                path, num_threads=1, decode_size=SIDE
            ),
        }
        compare(f"reading, decoding, scaling to {SIDE} x {SIDE}", photos, scaling)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
