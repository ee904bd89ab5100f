"""Long substrings: the workflow end to end beside a suffix array, on the same text, in the same run.

    python benchmarks/substrings.py --megabytes 100

The text is made of the words of real documents in an order of its own, so that long passages come again only where
they are planted: in one document in ten there are passages of 200 to 2,000 bytes of earlier ones, and in one in twenty
one of a few notices. The suffix array is pydivsufsort's (pip install pydivsufsort), with its LCP array; both are asked
for the bytes in substrings of 200 bytes or more that occur elsewhere, and the answers are compared.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import measure

MIN_LENGTH = 200
FILES = 8


def make_texts(folder: Path, megabytes: int, seed: int = 0) -> Path:
    """Write JSONL files of such documents."""
    from corpus import _documents

    if folder.exists():
        return folder
    draw = random.Random(seed)
    words = " ".join(text for texts in _documents().values() for text in texts).split()
    notices = [" ".join(draw.choices(words, k=60)) for _ in range(5)]
    earlier: list[str] = []
    unfinished = folder.with_suffix(".tmp")
    unfinished.mkdir(parents=True)
    for number in range(FILES):
        written = 0
        with (unfinished / f"{number}.jsonl").open("wb") as file:
            while written < megabytes * 1_000_000 // FILES:
                text = " ".join(draw.choices(words, k=draw.randrange(50, 1000)))
                if earlier and draw.random() < 0.1:
                    other = draw.choice(earlier)
                    start = draw.randrange(len(other))
                    passage, middle = other[start : start + draw.randrange(200, 2000)], len(text) // 2
                    text = f"{text[:middle]} {passage} {text[middle:]}"
                if draw.random() < 0.05:
                    text += "\n" + draw.choice(notices)
                if len(earlier) < 10_000:
                    earlier.append(text)
                written += file.write(json.dumps({"text": text}, ensure_ascii=False).encode() + b"\n")
    unfinished.rename(folder)
    return folder


def run_workflow(folder: str, output: str) -> dict[str, Any]:
    from nemo_curator.backends.local import LocalExecutor
    from nemo_curator.stages.text.deduplication.substrings import SubstringDeduplicationWorkflow

    workflow = SubstringDeduplicationWorkflow(output, folder, "jsonl", min_length=MIN_LENGTH, keep="none")
    return workflow.run(executor=LocalExecutor(num_workers=2)).metadata


def run_suffix_array(folder: str) -> dict[str, Any]:
    """The same with a suffix array: texts behind one another, cut where they end."""
    from pydivsufsort import divsufsort, kasai

    start = time.perf_counter()
    texts = [
        json.loads(line)["text"].encode() for path in sorted(Path(folder).glob("*.jsonl")) for line in path.open("rb")
    ]
    data = np.frombuffer(bytearray(b"".join(texts)), np.uint8)
    suffixes = divsufsort(data)
    shared = kasai(data, suffixes).astype(np.int32)
    ends = np.cumsum([len(text) for text in texts])
    room = np.repeat(ends, [len(text) for text in texts]).astype(np.int32) - np.arange(len(data), dtype=np.int32)
    room = room[suffixes]  # to the end of the text
    next_ = np.minimum(shared[:-1], np.minimum(room[:-1], room[1:])) >= MIN_LENGTH
    is_repeated = np.zeros(len(data), bool)
    is_repeated[suffixes[:-1][next_]] = True
    is_repeated[suffixes[1:][next_]] = True
    marks = np.zeros(len(data) + 1, np.int32)
    starts = np.flatnonzero(is_repeated)
    marks[starts] += 1
    np.subtract.at(marks, starts + MIN_LENGTH, 1)
    covered = np.cumsum(marks[:-1]) > 0
    removed = np.logical_and.reduceat(covered, np.flatnonzero(data & 0xC0 != 0x80))
    return {"removed_chars": int(removed.sum()), "total_time": time.perf_counter() - start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--work_dir", default=".bench")
    parser.add_argument("--only", choices=["workflow", "suffix_array"])
    parser.add_argument("--folder")
    arguments = parser.parse_args()
    work = Path(arguments.work_dir)
    if arguments.only == "workflow":
        print(json.dumps(run_workflow(arguments.folder, str(work / "substrings_out"))))
        return
    if arguments.only == "suffix_array":
        print(json.dumps(run_suffix_array(arguments.folder)))
        return
    folder = make_texts(work / f"substrings_{arguments.megabytes}", arguments.megabytes)
    subprocess.run([sys.executable, "-m", "nemo_curator.kernels"], check=True, stdout=subprocess.DEVNULL)
    size = sum(path.stat().st_size for path in folder.glob("*.jsonl")) / 1e6
    for name in ("workflow", "suffix_array"):
        found = measure(__file__, "--only", name, "--folder", str(folder), "--work_dir", str(work))
        said = json.loads(found.output)
        print(
            f"{name}: {size / found.seconds:.1f} MB/s ({found.seconds:.1f} s, {found.cpu_seconds:.1f} s of CPU), peak "
            f"{found.peak_mb:.0f} MB, {said['removed_chars']} characters in repeated substrings"
        )


if __name__ == "__main__":
    main()
