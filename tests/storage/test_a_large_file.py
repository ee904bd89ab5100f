"""One file of two gigabytes, read in parts by two processes, in memory that does not depend on its size."""

import json
import threading
import time

import psutil
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import ScoreFilter, WordCountFilter
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter

LINES = "".join(json.dumps({"id": n, "text": "word " * (n % 800)}) + "\n" for n in range(8000)).encode()
BYTES = 2 * 2**30


class Peak(threading.Thread):
    """Watches how much memory the processes below this one hold together."""

    def __init__(self):
        super().__init__(daemon=True)
        self.bytes, self.ended = 0, threading.Event()

    def run(self):
        while not self.ended.wait(0.1):
            sizes = []
            for process in psutil.Process().children(recursive=True):
                try:
                    sizes.append(process.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue
            self.bytes = max(self.bytes, sum(sizes))


@pytest.mark.big
def test_a_large_file_is_read_in_parts_within_bounded_memory(tmp_path):
    copies = BYTES // len(LINES)
    with (tmp_path / "a.jsonl").open("wb") as file:
        for _ in range(copies):
            file.write(LINES)
    stages = [
        JsonlReader(str(tmp_path / "a.jsonl")),
        ScoreFilter(WordCountFilter(min_words=700)),
        JsonlWriter(str(tmp_path / "out")),
    ]
    pipeline, peak = Pipeline("large", stages=stages), Peak()
    peak.start()
    start = time.perf_counter()
    pipeline.run(LocalExecutor(num_workers=2))
    taken = time.perf_counter() - start
    peak.ended.set()
    print(f"{copies * len(LINES) / 1e9:.2f} GB in {taken:.1f} s, {peak.bytes / 1e6:.0f} MB at most in two processes")
    reader, filtered = pipeline.last_run.stages[1:3]
    assert reader.rows_out == 8000 * copies
    assert filtered.rows_out == 1000 * copies
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) > BYTES / 10
    assert peak.bytes < 1.5e9
