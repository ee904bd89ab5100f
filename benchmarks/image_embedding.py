"""What ImageEmbeddingStage costs beside the model that it runs, and what memory images take.

Run: python benchmarks/image_embedding.py [IMAGES] [FOLDER], with a folder of photos. The model is a CLIP as large as
ViT-L/14 with random weights. For 32 photos, the best of three for each, in turn: the model alone on inputs made before;
the stage on pixels decoded before; the stage on JPEGs; what one would write with Pillow and the processor of
transformers. Before, so many photos in tars of 500 are read, embedded by a model of one layer, and written, and the
peak of memory is compared with that of the model alone on as many images as it gets at once.
"""

import io
import resource
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.ledger.counts import StageCount, counting
from nemo_curator.models.pixels import PixelRecipe, normalised
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.image import ImageEmbeddingStage, ImageReaderStage, ImageWriterStage
from nemo_curator.tasks import ImageBatch, ImageObject

PER_TAR = 500


def make_model(folder: str, layers: int) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "patch_size": 14}
    sizes["num_hidden_layers"] = layers
    texts = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = transformers.CLIPConfig(vision_config=sizes, text_config={**texts, "vocab_size": 100})
    transformers.CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil().save_pretrained(folder)


def photos(folder: str, count: int) -> list[bytes]:
    """JPEGs of a folder, again and again."""
    read = [path.read_bytes() for path in sorted(Path(folder).glob("*.jpg"))]
    return [read[at % len(read)] for at in range(count)]


def speed(model: str, jpegs: list[bytes]) -> None:
    stage = ImageEmbeddingStage(model, model_inference_batch_size=32)
    stage.setup()
    encoded = [ImageObject(str(at), str(at), image_bytes=data) for at, data in enumerate(jpegs)]
    decoded = [ImageObject(str(at), str(at), image_data=image.decode(448)) for at, image in enumerate(encoded)]
    groups = [decoded[at : at + 32] for at in range(0, len(decoded), 32)]
    cut = [np.stack([stage.model.prepare(image.image_data) for image in group]) for group in groups]
    levels = torch.from_numpy(PixelRecipe().levels)
    inputs = [normalised(torch.from_numpy(one), levels) for one in cut]
    processor = CLIPImageProcessorPil.from_pretrained(model)

    def embedded(images: list[ImageObject]) -> None:
        with counting(StageCount("embed")):
            assert len(stage.process(ImageBatch("set", images)).data) == len(images)

    def by_hand() -> None:
        for at in range(0, len(jpegs), 32):
            opened = [Image.open(io.BytesIO(data)).convert("RGB") for data in jpegs[at : at + 32]]
            stage.model.embed_pixels(processor(opened, return_tensors="pt")["pixel_values"])

    ways: dict[str, Callable[[], Any]] = {
        "the model alone": lambda: [stage.model.embed_pixels(one) for one in inputs],
        "ImageEmbeddingStage, decoded images": lambda: embedded(list(decoded)),
        "ImageEmbeddingStage, JPEGs": lambda: embedded(list(encoded)),
        "Pillow, transformers, JPEGs": by_hand,
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(3):
        for name, way in ways.items():
            cpu, wall = time.process_time(), time.perf_counter()
            way()
            times[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    alone = np.min(times["the model alone"], axis=0)
    for name, found in times.items():
        cpu, wall = np.min(found, axis=0)
        shares = f"{alone[0] / cpu:6.1%} of the model by CPU, {alone[1] / wall:6.1%} by the clock"
        print(f"  {name:38} {len(jpegs) / cpu:6.1f} images/CPU s {len(jpegs) / wall:6.1f} images/s  {shares}")


def write_tars(folder: Path, jpegs: list[bytes]) -> None:
    folder.mkdir()
    for start in range(0, len(jpegs), PER_TAR):
        with tarfile.open(folder / f"{start:06d}.tar", "w") as tar:
            for at, data in enumerate(jpegs[start : start + PER_TAR], start):
                info = tarfile.TarInfo(f"{at:06d}.jpg")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def peak_after(source: Path, model: str, out: Path) -> int:
    """Read, embed and write the images of a folder; the peak of memory of this process so far, in MB."""
    stages = [
        ImageReaderStage(input_path=str(source), verbose=False),
        ImageEmbeddingStage(model),
        ImageWriterStage(str(out)),
    ]
    Pipeline("images", stages=stages).run(LocalExecutor(num_workers=0))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def peak_of_model(model: str) -> int:
    stage = ImageEmbeddingStage(model)
    stage.setup()
    stage.model.embed_pixels(torch.zeros(32, 3, 224, 224))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def memory(folder: Path, model: str, jpegs: list[bytes]) -> None:
    write_tars(folder / "one", jpegs[:1])
    write_tars(folder / "all", jpegs)
    peak_after(folder / "one", model, folder / "out")
    alone = peak_of_model(model)
    more = peak_after(folder / "all", model, folder / "out") - alone
    size = sum(map(len, jpegs)) / len(jpegs) / 1000
    print(f"peak memory of the model alone, 32 images at once: {alone} MB")
    print(f"reading, embedding and writing {len(jpegs)} photos of {size:.0f} kB in tars of {PER_TAR}: {more} MB more")


def main(count: int, source: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        make_model(f"{folder}/1", 1)
        memory(Path(folder), f"{folder}/1", photos(source, count))
        make_model(f"{folder}/24", 24)
        print(f"{torch.get_num_threads()} threads")
        speed(f"{folder}/24", photos(source, 32))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, sys.argv[2] if len(sys.argv) > 2 else "photos")
