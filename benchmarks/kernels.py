"""How much faster kernels are than the Python that they equal: words against `str.split`, the scan against ftfy.

Run: python benchmarks/kernels.py [FOLDER], where the folder holds the texts named below. One core, best of five.
"""

import gzip
import json
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from nemo_curator.kernels.mojibake import find_suspects, scan_tables
from nemo_curator.kernels.unicode import count_chars
from nemo_curator.kernels.words import count_words
from nemo_curator.stages.text.modifiers.unicode import UnicodeReformatter
from nemo_curator.tasks.text_column import TextColumn

TEXTS = Path(__file__).parents[2] / "shared" / "data" / "text"
COLUMNS = "corpus|texts|MB|split|words|×|len|chars|ftfy|scan|×|repair|×|suspects"


def corpora(folder: Path) -> Iterator[tuple[str, list[str]]]:
    stories = (folder / "tinystories" / "tinystories_train_head_2MiB.txt").read_text()
    yield "tinystories", stories.split("<|endoftext|>")
    book = (folder / "books" / "pg1661_sherlock_holmes.txt").read_text(encoding="utf-8-sig")
    yield "sherlock, paragraphs", book.split("\n\n")
    yield "sherlock, one text", [book]
    with zipfile.ZipFile(folder / "nltk" / "state_union.zip") as speeches:
        names = [name for name in speeches.namelist() if name.endswith(".txt")]
        yield "state_union", [speeches.read(name).decode("latin-1") for name in names]
    for path in sorted((folder / "jsonl").iterdir()):
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            yield path.name.partition(".")[0][:24], [json.loads(line)["text"] for line in lines]


def seconds(work: Callable[[], object], times: int = 5) -> float:
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def figures(texts: list[str]) -> list[object]:
    column = TextColumn(texts)
    reformat = UnicodeReformatter()
    megabytes = column.array.nbytes / 1e6
    scan = scan_tables(reformat._settings())
    suspects = find_suspects(*column.buffers, *scan)
    split, words, length, chars, ftfy, scanned, repaired = (
        megabytes / seconds(work, times)
        for work, times in (
            (lambda: [len(text.split()) for text in texts], 5),
            (lambda: count_words(*column.buffers), 5),
            (lambda: [len(text) for text in texts], 5),
            (lambda: count_chars(*column.buffers), 5),
            (lambda: [reformat.modify_document(text) for text in texts], 1),
            (lambda: find_suspects(*column.buffers, *scan), 5),
            (lambda: reformat.modify_texts(column), 5),
        )
    )
    counts = [split, words, words / split, length, chars, ftfy, scanned, scanned / ftfy, repaired, repaired / ftfy]
    assert count_words(*column.buffers).tolist() == [len(text.split()) for text in texts]
    return [len(texts), f"{megabytes:.2f}", *(f"{each:.0f}" for each in counts), f"{np.mean(suspects):.2%}"]


def main(folder: Path) -> None:
    print("MB/s; × is how many times faster than the Python before it")
    layout = "{:<25}" + "{:>8}" * 13
    print(layout.format(*COLUMNS.split("|")))
    for name, texts in corpora(folder):
        print(layout.format(name, *figures(texts)))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TEXTS)
