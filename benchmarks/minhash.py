"""Signatures: how fast they are beside rensa and datasketch, how near their estimates are, and what bands find.

Run: python benchmarks/minhash.py [--megabytes 8] [--png curve.png]. One core, best of three, in CPU time. rensa and
datasketch hash the same windows of characters; they are left out where they are not installed.
"""

import argparse
import importlib
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from corpus import make_corpus

from nemo_curator.kernels.shingles import jaccard, shingle_sets
from nemo_curator.kernels.sketches import METHODS, band_hashes, signatures
from nemo_curator.tasks.text_column import TextColumn

HASHES, WINDOW, BANDS, ROWS = 260, 24, 20, 13


def seconds(work: Callable[[], object], times: int = 3) -> float:
    work()
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def windows(text: str, size: int = WINDOW) -> list[str]:
    return [text[at : at + size] for at in range(max(len(text) - size + 1, 1))]


def contestants(texts: list[str]) -> Iterator[tuple[str, list[str], Callable[[], object]]]:
    """Name, texts and work; those that are slow get a few texts of the same kind."""
    column, few = TextColumn(texts), texts[:: max(len(texts) // 200, 1)]
    some = TextColumn(few)
    yield "fast, 260", texts, lambda: signatures(column)
    yield "fast, 260, 64 bits", texts, lambda: signatures(column, use_64bit_hash=True)
    yield "minhash, 260", texts, lambda: signatures(column, method="minhash")
    yield "minhash, 128", texts, lambda: signatures(column, method="minhash", num_hashes=128)
    yield "minhash, 260, 64 bits", few, lambda: signatures(some, method="minhash", use_64bit_hash=True)
    yield "sets of shingles", texts, lambda: shingle_sets(column)
    for name, work in others(few).items():
        yield name, few, work


def others(texts: list[str]) -> dict[str, Callable[[], object]]:
    found: dict[str, Callable[[], object]] = {}
    cut = [windows(text) for text in texts]
    try:
        rensa = importlib.import_module("rensa")
        found["rensa R, 260, windows ready"] = lambda: [_rensa(rensa.RMinHash, each) for each in cut]
        found["rensa C, 260, windows ready"] = lambda: [_rensa(rensa.CMinHash, each) for each in cut]
        found["rensa R, 260, from text"] = lambda: [_rensa(rensa.RMinHash, windows(each)) for each in texts]
    except ImportError:
        pass
    try:
        datasketch = importlib.import_module("datasketch")
        found["datasketch, 260, from text"] = lambda: [_datasketch(datasketch, windows(each)) for each in texts]
    except ImportError:
        pass
    return found


def _rensa(kind: type, tokens: list[str]) -> list[int]:
    one = kind(num_perm=HASHES, seed=42)
    one.update(tokens)
    return one.digest()


def _datasketch(module: object, tokens: list[str]) -> object:
    one = module.MinHash(num_perm=HASHES)
    one.update_batch([token.encode() for token in tokens])
    return one


def edited(text: str, edits: int, draw: random.Random) -> str:
    """Write over so many places of a text."""
    for _ in range(edits):
        at = draw.randrange(len(text))
        text = f"{text[:at]}{draw.choice('abcdefghijklmnopqrstuvwxyz0123456789')}{text[at + 1 :]}"
    return text


def pairs(texts: list[str], count: int, length: int, window: int, draw: random.Random) -> tuple[np.ndarray, list]:
    """Pairs of texts of this length and their exact similarity, from 0.4 to 1."""
    first, second = [], []
    while len(first) < count:
        text = draw.choice(texts)
        if len(text) < length:
            continue
        start = draw.randrange(len(text) - length + 1)
        text = text[start : start + length]
        most = int(length / window * 0.45) + 1
        first.append(text)
        second.append(edited(text, draw.randint(1, most), draw))
    columns = [TextColumn(first), TextColumn(second)]
    (hashes, ends), (others_, other_ends) = (shingle_sets(column, window) for column in columns)
    exact = [
        jaccard(hashes[ends[at] : ends[at + 1]], others_[other_ends[at] : other_ends[at + 1]]) for at in range(count)
    ]
    return np.array(exact), columns


def show_speed(texts: list[str]) -> None:
    print(f"{len(texts)} documents of {np.mean([len(text.encode()) for text in texts]):.0f} bytes")
    print(f"{'':<30}{'µs/document':>12}{'MB/s':>8}")
    for name, some, work in contestants(texts):
        took = seconds(work)
        size = sum(len(text.encode()) for text in some)
        print(f"{name:<30}{took / len(some) * 1e6:>12.1f}{size / took / 1e6:>8.1f}")


def show_errors(texts: list[str]) -> None:
    print("\nerror of the estimate (root mean square) against exact Jaccard; theory is √(J(1-J)/260)")
    print(f"{'characters':>10}{'window':>8}{'J':>7}{'pairs':>7}{'theory':>9}" + "".join(f"{m:>10}" for m in METHODS))
    for length, window in ((2000, 24), (200, 8), (60, 5), (30, 5)):
        exact, columns = pairs(texts, 6000, length, window, random.Random(length))
        errors = {method: _estimates(columns, method, window) - exact for method in METHODS}
        for low, high in ((0.47, 0.53), (0.77, 0.83), (0.87, 0.93)):
            some = (low <= exact) & (exact < high)
            if some.sum() < 50:
                continue
            theory = np.sqrt((exact[some] * (1 - exact[some])).mean() / HASHES)
            found = "".join(f"{np.sqrt((errors[method][some] ** 2).mean()):>10.4f}" for method in METHODS)
            print(f"{length:>10}{window:>8}{exact[some].mean():>7.2f}{some.sum():>7}{theory:>9.4f}{found}")


def _estimates(columns: list[TextColumn], method: str, window: int) -> np.ndarray:
    first, second = (signatures(column, method=method, char_ngrams=window) for column in columns)
    return (first == second).mean(1)


def show_bands(texts: list[str], png: str | None) -> None:
    print(f"\nshare of pairs that share one of {BANDS} bands of {ROWS}; theory is 1-(1-J^{ROWS})^{BANDS}")
    exact, columns = pairs(texts, 8000, 1500, WINDOW, random.Random(7))
    shares = {method: _share_a_band(columns, method) for method in METHODS}
    print(f"{'J':>6}{'pairs':>7}{'theory':>9}" + "".join(f"{method:>10}" for method in METHODS))
    rows = []
    for low in np.arange(0.55, 1.0, 0.05):
        some = (low <= exact) & (exact < low + 0.05)
        if some.sum() < 50:
            continue
        theory = (1 - (1 - exact[some] ** ROWS) ** BANDS).mean()
        rows.append((exact[some].mean(), theory, *(shares[method][some].mean() for method in METHODS)))
        print(f"{rows[-1][0]:>6.3f}{some.sum():>7}" + f"{theory:>9.3f}" + "".join(f"{v:>10.3f}" for v in rows[-1][2:]))
    if png:
        _draw(np.array(rows), png)


def _share_a_band(columns: list[TextColumn], method: str) -> np.ndarray:
    first, second = (band_hashes(signatures(column, method=method), BANDS) for column in columns)
    return (first == second).any(1)


def _draw(rows: np.ndarray, png: str) -> None:
    plot = importlib.import_module("matplotlib.pyplot")
    similarity = np.linspace(0.5, 1, 200)
    plot.plot(similarity, 1 - (1 - similarity**ROWS) ** BANDS, label="theory")
    for at, method in enumerate(METHODS):
        plot.plot(rows[:, 0], rows[:, 2 + at], "o", label=method)
    plot.xlabel("Jaccard similarity")
    plot.ylabel("share of pairs that share a band")
    plot.legend()
    plot.savefig(png)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=8)
    parser.add_argument("--png", help="draw the curve of the bands (needs matplotlib)")
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = make_corpus(Path(folder) / "corpus.jsonl", settings.megabytes)
        texts = [json.loads(line)["text"] for line in path.read_text().splitlines()]
    show_speed(texts)
    show_errors(texts)
    show_bands(texts, settings.png)


if __name__ == "__main__":
    main()
