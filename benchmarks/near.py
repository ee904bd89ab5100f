"""Fuzzy deduplication for `dedup.py`: the tools, and what is true of what they removed."""

import argparse
import json
import random
import shutil
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
from measure import measure
from planted import make_planted, true_jaccard

BANDS, ROWS, THRESHOLD = 20, 13, 0.8


def fuzzy(given: argparse.Namespace, script: str) -> None:
    """Compare fuzzy deduplication, from files to files, and check what ours removes."""
    work = given.folder
    corpus = make_planted(work / f"planted-{given.megabytes}", given.megabytes)
    size = sum(path.stat().st_size for path in (corpus / "documents").iterdir()) / 1e6
    tools = ["curator", "rensa"] if given.tools is None else given.tools.split(",")
    best: dict[str, tuple[float, float, float]] = {}
    for _ in range(given.rounds):
        for tool in tools:
            out = work / f"near-{tool}"
            shutil.rmtree(out, ignore_errors=True)
            run = measure(script, f"_near_{tool}", str(corpus / "documents"), str(out), str(given.memory_limit))
            figures = (run.seconds, run.cpu_seconds, run.peak_mb)
            best[tool] = min(best.get(tool, figures), figures)
            print(f"{tool}: {run.output.strip()}", flush=True)
    print(f"{size:.0f} MB, fastest of {given.rounds}")
    for tool, (seconds, cpu, peak) in best.items():
        print(f"{tool:14} {size / seconds:6.1f} MB/s  {seconds:6.2f} s  {cpu:6.2f} s CPU  {peak:6.0f} MB at most")
    if "curator" in tools:
        check(corpus, work / "near-curator", given.check)


def check(corpus: Path, output: Path, most: int) -> None:
    """Measure removed documents against their survivors, and the recall of planted pairs, with plain Python sets."""
    texts = Texts(corpus / "documents")
    table = pq.read_table(output / "clusters").to_pylist()
    gone = {row["member_id"] for row in table}
    assert not gone & {row["survivor_id"] for row in table}, "a survivor was removed"
    chosen = random.Random(0).sample(table, min(most, len(table)))
    lowest = 1.0
    for row in chosen:
        true = true_jaccard(texts[row["member_id"]], texts[row["survivor_id"]])
        assert abs(true - row["similarity"]) < 1e-9, (row, true)
        assert true >= THRESHOLD, (row, true)
        lowest = min(lowest, true)
    print(f"{len(table)} removed; {len(chosen)} of them measured: at least {lowest:.4f} like their survivor")
    truth = pq.read_table(corpus / "truth.parquet").to_pylist()
    planted = Counter(row["base_id"] for row in truth)
    # where a base has one copy alone, the pair was found if and only if one of the two is gone
    pairs = [(row["id"], row["base_id"]) for row in truth if row["kind"] == "near" and planted[row["base_id"]] == 1]
    found, expected = [], []
    for one, other in random.Random(1).sample(pairs, min(4 * most, len(pairs))):
        true = true_jaccard(texts[one], texts[other])
        if true >= THRESHOLD:
            found.append(one in gone or other in gone)
            expected.append(1 - (1 - true**ROWS) ** BANDS)
    recall, theory = sum(found) / len(found), sum(expected) / len(expected)
    print(f"recall of {len(found)} pairs of {THRESHOLD} and more: {recall:.4f}, in theory {theory:.4f}")


class Texts:
    """The texts of a corpus by row number, read when they are asked for."""

    def __init__(self, folder: Path):
        self.places: list[tuple[Path, int]] = []
        for path in sorted(folder.iterdir()):
            at = 0
            with path.open("rb") as file:
                for line in file:
                    self.places.append((path, at))
                    at += len(line)

    def __getitem__(self, row: int) -> str:
        path, at = self.places[row]
        with path.open("rb") as file:
            file.seek(at)
            return json.loads(file.readline())["text"]


def curator(source: str, output: str, memory_limit: str) -> None:
    from nemo_curator.backends.local import LocalExecutor
    from nemo_curator.stages.deduplication.fuzzy import FuzzyDeduplicationWorkflow

    start = time.perf_counter()
    workflow = FuzzyDeduplicationWorkflow(
        cache_path=f"{output}/cache",
        output_path=output,
        input_path=source,
        input_filetype="jsonl",
        perform_removal=True,
    )
    limit = None if memory_limit == "None" else memory_limit
    result = workflow.run(executor=LocalExecutor(num_workers=2), memory_limit=limit)
    steps = {key: round(value, 1) for key, value in result.metadata.items() if key.endswith("_time")}
    print(f"{time.perf_counter() - start:.2f} s of {steps}")


def rensa(source: str, output: str, _: str) -> None:
    """A plain loop: words in fives, 128 permutations, 16 bands; what is like something before it goes."""
    from rensa import RMinHash, RMinHashLSH

    Path(output, "deduplicated").mkdir(parents=True)
    index = RMinHashLSH(threshold=THRESHOLD, num_perm=128, num_bands=16)
    known: list[RMinHash] = []
    for path in sorted(Path(source).iterdir()):
        with path.open("rb") as lines, Path(output, "deduplicated", path.name).open("wb") as kept:
            for line in lines:
                words = json.loads(line)["text"].split()
                signature = RMinHash(num_perm=128, seed=42)
                signature.update([" ".join(words[at : at + 5]) for at in range(max(len(words) - 4, 1))])
                if any(known[near].jaccard(signature) >= THRESHOLD for near in index.query(signature)):
                    continue
                index.insert(len(known), signature)
                known.append(signature)
                kept.write(line)


TOOLS = {"_near_curator": curator, "_near_rensa": rensa}
