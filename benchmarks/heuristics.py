"""The English cascade of 28 heuristic filters: kernels over columns, plain Python on each text, and datatrove.

    python benchmarks/heuristics.py [--megabytes 200] [--small] [--no-datatrove] [--folder /tmp/curator-heuristics]

Real web pages, encyclopedia articles, forum posts and chapters, whole, with their real lines. Bounds are so wide that
nothing is dropped: every filter sees every document. Figures are of CPU time on one core and of UTF-8 bytes; plain
Python and datatrove get a part of the documents, and what they score there is compared. datatrove runs in an
environment of its own, which the script makes under the folder.
"""

import argparse
import copy
import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
from corpus import make_documents
from formulas import ENGLISH

from nemo_curator.kernels.compile import warmup
from nemo_curator.stages.text.filters import DocumentFilter, ScoreFilter
from nemo_curator.tasks import DocumentBatch

BATCH = 16_000_000
DATATROVE = """
import json, sys, time
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter,
)
texts = [json.loads(line)["text"] for line in open(sys.argv[1], encoding="utf-8")]
size = sum(len(text.encode()) for text in texts) / 1e6
wide = dict(
    min_doc_words=None, max_doc_words=None, min_avg_word_length=None, max_avg_word_length=None,
    max_symbol_word_ratio=9e9, max_bullet_lines_ratio=9, max_ellipsis_lines_ratio=9, max_non_alpha_words_ratio=-1,
    min_stop_words=0,
)
filters = [
    GopherQualityFilter(**wide),
    GopherRepetitionFilter(
        dup_line_frac=9, dup_para_frac=9, dup_line_char_frac=9, dup_para_char_frac=9,
        top_n_grams=((2, 9), (3, 9), (4, 9)), dup_n_grams=((5, 9), (6, 9), (7, 9), (8, 9), (9, 9), (10, 9)),
    ),
    C4QualityFilter(min_num_sentences=0, min_words_per_line=0, filter_no_terminal_punct=False),
    FineWebQualityFilter(line_punct_thr=-1, short_line_thr=9, char_duplicates_ratio=9e9, new_line_ratio=9e9),
]
for one in filters:
    one.filter(Document(text="To load the models. " * 50, id="0"))
total = 0
for one in filters:
    start = time.process_time()
    for text in texts:
        one.filter(Document(text=text, id="0"))
    seconds = time.process_time() - start
    total += seconds
    print(f"  {type(one).__name__:34}{1000 * seconds / size:9.1f}")
print(f"  {'all':34}{1000 * total / size:9.1f}   {size / total:.2f} MB/s per core", flush=True)
"""


def batches(path: Path) -> Iterator[tuple[DocumentBatch, int]]:
    texts: list[str] = []
    size = 0
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            texts.append(json.loads(line)["text"])
            size += len(texts[-1].encode())
            if size > BATCH:
                yield DocumentBatch.from_arrow(pa.table({"text": pa.array(texts)})), size
                texts, size = [], 0
    if texts:
        yield DocumentBatch.from_arrow(pa.table({"text": pa.array(texts)})), size


def widened(one: DocumentFilter) -> DocumentFilter:
    """The same filter with bounds that keep everything; what four of them call a maximum is a minimum."""
    one = copy.copy(one)
    for name in vars(one):
        if name.startswith(("min_", "max_repeated_")):
            setattr(one, name, -1)
        elif name.startswith("max_"):
            setattr(one, name, 1e9)
    return one


def columnar(path: Path) -> tuple[float, float, dict[str, float]]:
    """Bytes, seconds, and seconds for each filter of the chain of ScoreFilters."""
    stages = [ScoreFilter(widened(one)) for one, _ in ENGLISH]
    seconds = dict.fromkeys([stage.name for stage in stages], 0.0)
    total = 0
    for batch, size in batches(path):
        total += size
        before = batch.num_items
        for stage in stages:
            start = time.process_time()
            batch = stage.process(batch)
            seconds[stage.name] += time.process_time() - start
        if batch.num_items != before:
            raise SystemExit(f"{before - batch.num_items} documents were dropped")
    return total / 1e6, sum(seconds.values()), seconds


def plain(texts: list[str]) -> tuple[dict[str, float], dict[str, list[float]]]:
    seconds, scores = {}, {}
    for one, formula in ENGLISH:
        start = time.process_time()
        scores[one.name] = [formula(text) for text in texts]
        seconds[one.name] = time.process_time() - start
    return seconds, scores


def compare(path: Path, sample: list[str]) -> None:
    print("kernels:", ", ".join(warmup()))
    size, seconds, by_filter = columnar(path)
    part = sum(len(text.encode()) for text in sample) / 1e6
    slow, scores = plain(sample)
    batch = DocumentBatch.from_arrow(pa.table({"text": pa.array(sample)}))
    for one, _ in ENGLISH:
        if one.score_texts(batch.text("text")).tolist() != scores[one.name]:
            raise SystemExit(f"{one.name} scores differently by kernels")
    print(f"\n{'CPU ms per MB':36}{'columns':>9}{'plain':>9}")
    for name, taken in by_filter.items():
        print(f"  {name:34}{1000 * taken / size:9.2f}{1000 * slow[name] / part:9.1f}")
    ours, theirs = size / seconds, part / sum(slow.values())
    print(f"  {'all':34}{1000 / ours:9.2f}{1000 / theirs:9.1f}")
    print(
        f"\ncolumns {ours:.1f} MB/s per core ({size:.0f} MB); plain {theirs:.2f} ({part:.1f} MB); × {ours / theirs:.0f}"
    )


def profile(path: Path) -> None:
    """What each shared pass costs by itself, in ns for each byte."""
    batch, size = next(batches(path))
    passes: dict[str, Callable] = {
        "code points": lambda texts: texts.lengths,
        "kinds of characters": lambda texts: texts.count(0),
        "words, counted": lambda texts: texts.word_counts,
        "words, described": lambda texts: texts.vocabulary,
        "lines and paragraphs": lambda texts: texts.lines,
        "URLs": lambda texts: texts.urls,
        "boilerplate": lambda texts: texts.boilerplate,
        "n-grams": lambda texts: texts.ngrams(2),
    }
    print(f"\n{'ns per byte':36}{'best of 5':>9}")
    for name, count in passes.items():
        times = []
        for _ in range(5):
            texts = DocumentBatch.from_arrow(batch.to_pyarrow()).text("text")
            start = time.process_time()
            count(texts)
            times.append(time.process_time() - start)
        print(f"  {name:34}{1e9 * min(times) / size:9.2f}")


def datatrove(folder: Path, sample: list[str]) -> None:
    environment = folder / "datatrove"
    python = environment / "bin" / "python"
    if not python.exists():
        venv.create(environment, with_pip=True)
        packages = ["datatrove==0.10.1", "spacy", "nltk"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    path = folder / "sample.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in sample))
    print(f"\n{'datatrove, CPU ms per MB':36}", flush=True)
    subprocess.run([python, "-c", DATATROVE, path], check=True, env={**os.environ, "PYTHONPATH": ""})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--small", action="store_true", help="20 MB, and 1 MB for plain Python and datatrove")
    parser.add_argument("--no-datatrove", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/curator-heuristics"))
    arguments = parser.parse_args()
    megabytes = 20 if arguments.small else arguments.megabytes
    path = make_documents(arguments.folder / f"documents-{megabytes}.jsonl", megabytes)
    sample, left = [], 1e6 if arguments.small else 4e6
    with path.open(encoding="utf-8") as lines:
        while left > 0:
            sample.append(json.loads(next(lines))["text"])
            left -= len(sample[-1].encode())
    print(f"Python {sys.version.split()[0]}, one core")
    compare(path, sample)
    profile(path)
    if not arguments.no_datatrove:
        datatrove(arguments.folder, sample)


if __name__ == "__main__":
    main()
