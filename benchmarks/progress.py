"""What it costs to show the progress of a run: many small partitions, shown and not shown.

    python benchmarks/progress.py [--partitions 2000] [--runs 5]

Seconds and CPU seconds of the process that leads the run, which does all the work itself, and of the thread in it that
shows the run; median of alternated runs. Each is a process of its own with a terminal of its own.
"""

import argparse
import json
import os
import pty
import statistics
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

MODES = ("off", "plain", "live")
JOB = """
import sys, time
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.progress import display
from nemo_curator.stages.text.filters import ScoreFilter, WordCountFilter
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter

def run(source, target):
    stages = [JsonlReader(source), ScoreFilter(WordCountFilter(min_words=20)), JsonlWriter(target)]
    Pipeline("benchmark", stages=stages).run(LocalExecutor(num_workers=0))

drawing = 0.0
close = display._Display.close

def measured(self):
    global drawing
    drawing = time.clock_gettime(time.pthread_getcpuclockid(self._thread.ident))
    close(self)

display._Display.close = measured
start, begun = time.process_time(), time.perf_counter()
run(*sys.argv[1:])
print(time.process_time() - start, time.perf_counter() - begun, drawing)
"""


def seconds(mode: str, source: Path, target: Path) -> tuple[float, ...]:
    """CPU seconds and seconds of one run in a terminal, and CPU seconds of the thread that shows it."""
    ours, theirs = pty.openpty()
    threading.Thread(target=_read_all, args=(ours,), daemon=True).start()
    done = subprocess.run(
        [sys.executable, "-c", JOB, source, target],
        env={**os.environ, "CURATOR_PROGRESS": mode, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=True,
        text=True,
    )
    os.close(theirs)
    return tuple(map(float, done.stdout.split()))


def _read_all(terminal: int) -> None:
    with suppress(OSError):
        while os.read(terminal, 65536):
            pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partitions", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in"), Path(folder, "out")
        source.mkdir()
        for number in range(arguments.partitions):
            texts = (f"document {number} {line} " + "word " * (line % 40) for line in range(50))
            (source / f"{number:06}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        seconds("off", source, target)
        measured: dict[str, list[tuple[float, ...]]] = {mode: [] for mode in MODES}
        for _ in range(arguments.runs):
            for mode, times in measured.items():
                times.append(seconds(mode, source, target))
    for mode, times in measured.items():
        cpu, elapsed, drawing = (statistics.median(column) for column in zip(*times))
        share = f"{1000 * drawing:.0f} ms of it to show it ({100 * drawing / elapsed:.2f} % of the time)"
        print(f"{mode:5}  {elapsed:.2f} s, {cpu:.2f} s of CPU, {share}")


if __name__ == "__main__":
    main()
