"""What it costs to record scores, samples and memory: the English cascade of 28 filters with the record, and without.

    python benchmarks/record.py [--megabytes 20] [--runs 5] [--documents 200]

CPU seconds of the whole job (read, filter, write) in one process, of one file and of files of so many documents: the
least and the median of alternated runs. Without the record only the rows that are dropped are counted.
"""

import argparse
import shutil
import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from corpus import make_documents

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.ledger.counts import dropped
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.stages.text.recipes import heuristic_english

FILTERED, MEMORY = "nemo_curator.stages.text.filters.score_filter.filtered", "nemo_curator.backends.run_stage"


def counted(by: str, batch: Any, keep: Any = None, scores: Any = None, **_: Any) -> None:
    """Report the rows that are dropped, and nothing of them."""
    if keep is not None:
        dropped(by, len(keep) - int(np.count_nonzero(keep)))


def cpu_seconds(source: Path, target: Path, *, has_record: bool) -> float:
    shutil.rmtree(target, ignore_errors=True)
    stages = [JsonlReader(str(source)), *heuristic_english(), JsonlWriter(str(target))]
    with ExitStack() as stack:
        if not has_record:
            stack.enter_context(patch(FILTERED, counted))
            stack.enter_context(patch(f"{MEMORY}.resident_bytes", lambda: 0))
        start = time.process_time()
        Pipeline("record", stages=stages).run(LocalExecutor(num_workers=0))
        return time.process_time() - start


def cut(source: Path, folder: Path, documents: int) -> Path:
    """The same documents in files of so many."""
    if not folder.exists():
        folder.mkdir()
        lines = source.read_bytes().splitlines(keepends=True)
        for start in range(0, len(lines), documents):
            (folder / f"{start:08}.jsonl").write_bytes(b"".join(lines[start : start + documents]))
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/curator-heuristics"))
    arguments = parser.parse_args()
    source = make_documents(arguments.folder / f"documents-{arguments.megabytes}.jsonl", arguments.megabytes)
    many = cut(source, arguments.folder / f"cut-{arguments.megabytes}-{arguments.documents}", arguments.documents)
    cpu_seconds(source, arguments.folder / "out", has_record=True)
    for name, place in (("one file", source), (f"files of {arguments.documents} documents", many)):
        times: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(arguments.runs):
            for has_record, measured in times.items():
                measured.append(cpu_seconds(place, arguments.folder / "out", has_record=has_record))
        for what, figure in (("least", min), ("median", statistics.median)):
            without, full = (figure(times[has_record]) for has_record in (False, True))
            print(f"{name}, {what}: {without:.3f} s without, {full:.3f} s with: {100 * (full / without - 1):+.1f} %")


if __name__ == "__main__":
    main()
