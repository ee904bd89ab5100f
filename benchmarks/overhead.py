"""What the framework costs: one filter against 28 fused filters whose `score_texts` does nothing.

    python benchmarks/overhead.py [--megabytes 50] [--runs 5]

CPU seconds of the whole job (read, filter, write) in one process; median of alternated runs.
"""

import argparse
import shutil
import statistics
import time
from pathlib import Path

import numpy as np
from corpus import make_corpus

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import DocumentFilter, ScoreFilter
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.tasks.text_column import TextColumn


class Nothing(DocumentFilter):
    """Keep everything."""

    def score_texts(self, texts: TextColumn) -> np.ndarray:
        return np.zeros(len(texts))

    def keep_scores(self, scores: np.ndarray) -> np.ndarray:
        return np.ones(len(scores), dtype=bool)


def cpu_seconds(source: Path, target: Path, filters: int) -> float:
    shutil.rmtree(target, ignore_errors=True)
    stages = [JsonlReader(str(source)), *(ScoreFilter(Nothing()) for _ in range(filters)), JsonlWriter(str(target))]
    start = time.process_time()
    Pipeline("overhead", stages=stages).run(LocalExecutor(num_workers=0))
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/curator-seed-job"))
    arguments = parser.parse_args()
    source = make_corpus(arguments.folder / f"corpus-{arguments.megabytes}.jsonl", arguments.megabytes)
    cpu_seconds(source, arguments.folder / "out", 1)
    times: dict[int, list[float]] = {1: [], 28: []}
    for _ in range(arguments.runs):
        for filters, measured in times.items():
            measured.append(cpu_seconds(source, arguments.folder / "out", filters))
    one, many = (statistics.median(times[filters]) for filters in (1, 28))
    print(f"1 filter {one:.3f} s, 28 filters {many:.3f} s of CPU: {100 * (many / one - 1):+.1f} %")


if __name__ == "__main__":
    main()
