"""Images from an object store to an object store that fails now and then."""

import json

from nemo_curator.stages.image.io import ImageReaderStage, ImageWriterStage
from tests.stages.image.io.images import picture, read, run, write_tar


def test_images_come_through_byte_for_byte(tmp_path, store, options, proxy):
    fs, bucket = store
    for shard in range(3):
        members = [
            (f"{at}.{kind}", data)
            for at in range(20)
            for kind, data in (("jpg", picture(20 * shard + at)), ("txt", b"c"))
        ]
        write_tar(tmp_path / "shard.tar", members)
        fs.put_file(str(tmp_path / "shard.tar"), f"{bucket}/in/{shard}.tar")
    fs.pipe_file(f"{bucket}/in/loose/a.webp", picture(99, "WEBP"))
    fs.pipe_file(f"{bucket}/in/loose/a.json", json.dumps({"n": 1}).encode())
    proxy.make(shares={"500": 0.05, "cut": 0.1, "drop": 0.05}, seed=1)
    reader = ImageReaderStage(input_path=f"{bucket}/in", files_per_partition=2, storage_options=options)
    _, account = run(reader, ImageWriterStage(f"{bucket}/out", images_per_tar=15, storage_options=options))
    assert [(stage.rows_in, stage.rows_out) for stage in account.stages[1:]] == [(61, 61), (61, 61)]
    assert proxy.counts["cut"] + proxy.counts["500"] + proxy.counts["drop"] > 0
    proxy.make()
    before, after = (read(f"{bucket}/{folder}", storage_options=options)[0].values() for folder in ("in", "out"))
    one, two = (sorted((image.image_bytes, str(image.metadata)) for image in images) for images in (before, after))
    assert one == two
