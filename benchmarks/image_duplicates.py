"""Which duplicates of images byte identity and perceptual hashes find, and what hashing and comparing cost.

python benchmarks/image_duplicates.py ../shared/data/image

Known duplicates are the photos of imagededup, where the name says which scene a file shows. Changed ones are made of
other photos, which all differ from each other.
"""

import argparse
import hashlib
import io
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from nemo_curator.kernels.hamming import find_near_hashes
from nemo_curator.stages.image.deduplication import perceptual_hash
from nemo_curator.stages.image.deduplication.hashes import content_hash

DISTANCES = (0, 2, 4, 6, 8, 10, 12, 16, 20)
HASHES = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    folder = parser.parse_args().images
    known_duplicates(folder / "neardup_imagededup")
    photos = [_opened(path) for path in sorted((folder / "photos").glob("*.[jp][pn]g"))]
    changed(photos)
    cost(photos)


def known_duplicates(folder: Path) -> None:
    """Precision and recall over pairs of files that show the same scene, however it was changed."""
    files = []
    for path in sorted([*folder.glob("*ukbench*"), folder / "alpha_channel_image.png"]):
        if "corrupt" not in path.name:
            scene = "00120" if "alpha" in path.name else path.name.partition("ukbench")[2][:5]
            files.append((scene, path.read_bytes(), np.asarray(_opened(path))))
    hashes = [perceptual_hash(pixels) for _, _, pixels in files]
    same = [one[0] == other[0] for one, other in combinations(files, 2)]
    print(
        f"| {len(files)} files, {sum(same)} pairs of {len(same)} show one scene | precision | recall |\n|---|---|---|"
    )
    bytes_of = [hashlib.sha256(data).digest() for _, data, _ in files]
    pixels_of = [content_hash(pixels) for _, _, pixels in files]
    _line("the same bytes in the file", same, [one == other for one, other in combinations(bytes_of, 2)])
    _line("the same pixels", same, [one == other for one, other in combinations(pixels_of, 2)])
    apart = [(one ^ other).bit_count() for one, other in combinations(hashes, 2)]
    for distance in DISTANCES:
        _line(f"hashes at most {distance} bits apart", same, [one <= distance for one in apart])


def changed(photos: list[Image.Image]) -> None:
    """The share of changed photos that is found, and how many pairs of different photos are taken for the same."""
    hashes = [perceptual_hash(np.asarray(photo)) for photo in photos]
    print(f"\n| {len(photos)} photos, changed | " + " | ".join(map(str, DISTANCES)) + " |")
    print("|---|" + "---|" * len(DISTANCES))
    for name, change in CHANGES.items():
        apart = [(one ^ perceptual_hash(np.asarray(change(photo)))).bit_count() for photo, one in zip(photos, hashes)]
        print(
            f"| {name} | " + " | ".join(f"{np.mean([one <= most for one in apart]):.0%}" for most in DISTANCES) + " |"
        )
    apart = [(one ^ other).bit_count() for one, other in combinations(hashes, 2)]
    wrong = [str(sum(one <= most for one in apart)) for most in DISTANCES]
    print(f"| pairs of other photos, of {len(apart)} | " + " | ".join(wrong) + " |")


def cost(photos: list[Image.Image]) -> None:
    pixels = [np.asarray(photo) for photo in photos]
    megapixels = sum(one.shape[0] * one.shape[1] for one in pixels) / 1e6
    print()
    for function in (content_hash, perceptual_hash):
        seconds = _fastest(lambda function=function: [function(one) for one in pixels])
        each, speed = seconds / len(pixels) * 1e3, megapixels / seconds
        print(f"{function.__name__}: {each:.2f} ms a photo, {speed:.0f} megapixels/s")
    hashes = np.random.default_rng(0).integers(0, 2**64, HASHES, np.uint64)
    find_near_hashes(hashes[:100], 4)
    for distance in (0, 4):
        start = time.perf_counter()
        find_near_hashes(hashes, distance)
        print(f"{HASHES:,} hashes compared, at most {distance} bits: {time.perf_counter() - start:.1f} s")


def _line(name: str, same: list[bool], found: list[bool]) -> None:
    hits = sum(one and other for one, other in zip(same, found))
    precision = f"{hits / sum(found):.2f}" if any(found) else "–"
    print(f"| {name} | {precision} | {hits / sum(same):.2f} |")


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as opened:
        return ImageOps.exif_transpose(opened).convert("RGB")


def _jpeg(quality: int) -> Callable[[Image.Image], Image.Image]:
    def change(photo: Image.Image) -> Image.Image:
        sink = io.BytesIO()
        photo.save(sink, "JPEG", quality=quality)
        return Image.open(sink).convert("RGB")

    return change


def _cropped(share: float) -> Callable[[Image.Image], Image.Image]:
    def change(photo: Image.Image) -> Image.Image:
        side, down = int(photo.width * share), int(photo.height * share)
        return photo.crop((side, down, photo.width - side, photo.height - down))

    return change


def _marked(photo: Image.Image) -> Image.Image:
    photo = photo.copy()
    draw = ImageDraw.Draw(photo)
    draw.text((photo.width // 20, photo.height * 9 // 10), "(c) somebody", fill="white", font_size=photo.height // 16)
    return photo


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG of quality 30": _jpeg(30),
    "half the size": lambda photo: photo.resize((photo.width // 2, photo.height // 2)),
    "a tenth of the size": lambda photo: photo.resize((photo.width // 10 + 1, photo.height // 10 + 1)),
    "grey": lambda photo: ImageOps.grayscale(photo).convert("RGB"),
    "brighter by 30 %": lambda photo: ImageEnhance.Brightness(photo).enhance(1.3),
    "half the contrast": lambda photo: ImageEnhance.Contrast(photo).enhance(0.5),
    "blurred by 2 pixels": lambda photo: photo.filter(ImageFilter.GaussianBlur(2)),
    "a line of text on it": _marked,
    "2 % cut from each side": _cropped(0.02),
    "10 % cut from each side": _cropped(0.1),
    "turned by 3 degrees": lambda photo: photo.rotate(3),
    "mirrored": ImageOps.mirror,
}


def _fastest(do: Callable[[], object], rounds: int = 3) -> float:
    return min(_seconds(do) for _ in range(rounds))


def _seconds(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
