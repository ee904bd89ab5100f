import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.image.io import ImageReaderStage

REAL = Path(__file__).parents[5] / "shared" / "data" / "image"

needs_real = pytest.mark.skipif(not REAL.exists(), reason=f"needs the real images in {REAL}")


def picture(number, kind="JPEG", size=(24, 16)):
    """An image that no other number has."""
    pixels = np.random.default_rng(number).integers(0, 255, (size[1], size[0], 3), np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, kind)
    return sink.getvalue()


def write_tar(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def members_of(path):
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def run(*stages, workers=0, tasks=None, **how):
    """What the last stage made, and the account, which balances."""
    pipeline = Pipeline("images", stages=list(stages))
    try:
        return pipeline.run(LocalExecutor(num_workers=workers), tasks, **how), pipeline.last_run
    finally:
        if pipeline.last_run:
            assert all(stage.imbalance == 0 for stage in pipeline.last_run.stages)


def read(path, workers=0, tasks=None, max_failed_fraction=0.0, **settings):
    """All images of a path, by their id, and the account of the reader."""
    stage = ImageReaderStage(input_path=None if tasks else str(path), **settings)
    batches, account = run(stage, workers=workers, tasks=tasks, max_failed_fraction=max_failed_fraction)
    images = [image for batch in batches for image in batch.data]
    by_id = {image.image_id: image for image in images}
    assert len(by_id) == len(images)
    return by_id, account.stages[-1]
