"""A corpus of any size whose duplicates are known: exact and near copies and chains, planted among unlike documents.

    python benchmarks/planted.py --megabytes 1000 --out corpus/

Documents are words of real text, drawn by their frequency, in paragraphs of web-like lengths: two of them share next to
no run of 24 characters unless one was made from the other. `truth.parquet` lists those that were: `id` and `base_id`
are row numbers over all files, `kind` is `exact`, `near` or `chain`, and `jaccard` is what the edits aim at;
`true_jaccard` measures it.
"""

import argparse
import heapq
import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DATA = Path(__file__).parent.parent.parent / "shared" / "data" / "text"
FILE_BYTES = 64_000_000
EXACT_SHARE, NEAR_SHARE, CHAIN_SHARE = 0.10, 0.08, 0.002
LOWEST_JACCARD, HIGHEST_JACCARD = 0.6, 0.98
CHAIN_JACCARD, CHAIN_LINKS = 0.85, 20
NGRAM = 24

_SENTENCE, _PARAGRAPH = 14, 70
_WORDS_AT_ONCE = 2**18


def make_planted(folder: Path, megabytes: int = 1000, seed: int = 0) -> Path:
    """Write `documents/part-000.jsonl`, … and `truth.parquet`, unless they are there."""
    if (folder / "truth.parquet").exists():
        return folder
    (folder / "documents").mkdir(parents=True, exist_ok=True)
    truth: list[tuple[int, int, str, float]] = []
    part, written = 0, 0
    file = (folder / "documents" / f"part-{part:03}.jsonl").open("wb")
    for number, (text, base, kind, jaccard) in enumerate(_documents(megabytes * 1_000_000, seed)):
        if kind:
            truth.append((number, base, kind, jaccard))
        record = {"id": f"{number:010}", "url": f"https://example.org/{seed}/{number}", "text": text}
        written += file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
        if written > FILE_BYTES:
            file.close()
            part, written = part + 1, 0
            file = (folder / "documents" / f"part-{part:03}.jsonl").open("wb")
    file.close()
    columns = [list(column) for column in zip(*truth)] or [[]] * 4
    pq.write_table(pa.table(columns, names=["id", "base_id", "kind", "jaccard"]), folder / "truth.parquet")
    return folder


def true_jaccard(one: str, other: str, ngram: int = NGRAM) -> float:
    """The share of runs of characters that two texts have in common, counted the plain way."""
    first, second = (_shingles(text, ngram) for text in (one, other))
    return len(first & second) / len(first | second) if first or second else 1.0


def edited(words: list[str], jaccard: float, draw: random.Random, vocabulary: list[str]) -> list[str]:
    """Replace single words, far from one another, so that about this share of the runs of characters stays common."""
    chars = len(" ".join(words))
    lost = chars * (1 - jaccard) / (1 + jaccard)
    times = max(round(lost / (NGRAM + 5)), 1)
    step = max(len(words) // times, 1)
    changed = list(words)
    for at in range(draw.randrange(step), len(words), step):
        changed[at] = f"{draw.choice(vocabulary)}{draw.randrange(1000)}"
    return changed


def _documents(total_bytes: int, seed: int):
    """Yield texts with what each was made from; copies come some time after their base."""
    draw = random.Random(seed)
    vocabulary, shares = _vocabulary()
    numbers = np.random.default_rng(seed)
    supply = _words(vocabulary, shares, numbers)
    waiting: list[tuple[int, int, list[str], int, str, float, int]] = []
    made = number = order = 0
    while made < total_bytes or waiting:
        if waiting and (waiting[0][0] <= number or made >= total_bytes):
            _, _, words, base, kind, jaccard, links = heapq.heappop(waiting)
        else:
            words = [next(supply) for _ in range(int(draw.lognormvariate(5.6, 0.8)) + 20)]
            base, kind, jaccard, links = number, "", 1.0, 0
        text = _text(words)
        made += len(text) + 100
        yield text, base, kind, jaccard
        for planted in _copies(words, number, kind, links, draw, vocabulary) if made < total_bytes else ():
            due = number + 1 + int(draw.expovariate(1 / 5000))
            heapq.heappush(waiting, (due, order, *planted))
            order += 1
        number += 1


def _copies(words: list[str], number: int, kind: str, links: int, draw: random.Random, vocabulary: list[str]):
    """What is made from a document: a copy, an edited copy, or the next link of a chain."""
    if links:
        yield edited(words, CHAIN_JACCARD, draw, vocabulary), number, "chain", CHAIN_JACCARD, links - 1
    if kind:
        return
    chance = draw.random()
    if chance < EXACT_SHARE:
        for _ in range(1 + int(draw.expovariate(1.0))):
            yield words, number, "exact", 1.0, 0
    elif chance < EXACT_SHARE + NEAR_SHARE:
        for _ in range(draw.choice([1, 1, 2])):
            jaccard = draw.uniform(LOWEST_JACCARD, HIGHEST_JACCARD)
            yield edited(words, jaccard, draw, vocabulary), number, "near", jaccard, 0
    elif chance < EXACT_SHARE + NEAR_SHARE + CHAIN_SHARE:
        yield edited(words, CHAIN_JACCARD, draw, vocabulary), number, "chain", CHAIN_JACCARD, CHAIN_LINKS


def _text(words: list[str]) -> str:
    """Sentences and paragraphs."""
    paragraphs = []
    for start in range(0, len(words), _PARAGRAPH):
        part = words[start : start + _PARAGRAPH]
        sentences = [" ".join(part[at : at + _SENTENCE]) for at in range(0, len(part), _SENTENCE)]
        paragraphs.append(". ".join(sentences) + ".")
    return "\n\n".join(paragraphs)


def _words(vocabulary: list[str], shares: np.ndarray, numbers: np.random.Generator):
    cumulative = np.cumsum(shares)
    while True:
        drawn = np.searchsorted(cumulative, numbers.random(_WORDS_AT_ONCE) * cumulative[-1])
        yield from map(vocabulary.__getitem__, drawn.tolist())


def _vocabulary() -> tuple[list[str], np.ndarray]:
    """The words of real text with how often they come; without that text, made-up ones by Zipf's law."""
    book = DATA / "books" / "pg1661_sherlock_holmes.txt"
    if not book.exists():
        draw = random.Random(0)
        made = ["".join(draw.choices("etaoinshrdlucmfwypvbgkjqxz", k=draw.randint(2, 9))) for _ in range(20_000)]
        return made, 1.0 / np.arange(1, len(made) + 1)
    words, counts = np.unique(np.array(book.read_text(encoding="utf-8-sig").split()), return_counts=True)
    return words.tolist(), np.sqrt(counts.astype(float))  # flatter than the book, so that short runs do not coincide


def _shingles(text: str, ngram: int) -> set[str]:
    return {text[at : at + ngram] for at in range(max(len(text) - ngram, 0) + 1)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    print(make_planted(given.out, given.megabytes, given.seed))
