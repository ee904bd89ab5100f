"""What it costs to account for every row: the seed job with the ledger, and with stages that are called and no more.

    python benchmarks/ledger.py [--megabytes 100] [--runs 5]

CPU seconds of the whole job in one process; median of alternated runs.
"""

import argparse
import shutil
import statistics
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from corpus import make_corpus
from seed_job import pipeline

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.backends.run_stage import _identify
from nemo_curator.ledger.run import Run
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks.tasks import Task


def bare_chain(stages: list[ProcessingStage], tasks: Iterable[Task], _: Any) -> Iterator[Task]:
    """Take tasks through stages, and count nothing; files are named after ids, so those stay."""
    made = iter(tasks)
    for stage in stages:
        made = bare_stage(stage, made)
    return made


def bare_stage(stage: ProcessingStage, tasks: Iterator[Task]) -> Iterator[Task]:
    for task in tasks:
        result = stage.process(task)
        for position, made in enumerate([result] if isinstance(result, Task) else result or []):
            _identify(made, task, position, is_fanout=not isinstance(result, Task))
            yield made


def cpu_seconds(source: Path, target: Path, *, has_ledger: bool) -> float:
    shutil.rmtree(target, ignore_errors=True)
    with ExitStack() as stack:
        if not has_ledger:
            stack.enter_context(patch("nemo_curator.backends.base.run_chain", bare_chain))
            stack.enter_context(patch.object(Run, "add", lambda *_, **__: None))
            stack.enter_context(patch.object(Run, "check", lambda *_: None))
        start = time.process_time()
        pipeline(source, target).run(LocalExecutor(num_workers=0))
        return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/curator-seed-job"))
    arguments = parser.parse_args()
    source = make_corpus(arguments.folder / f"corpus-{arguments.megabytes}.jsonl", arguments.megabytes)
    target = arguments.folder / "out"
    cpu_seconds(source, target, has_ledger=True)
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(arguments.runs):
        for has_ledger, measured in times.items():
            measured.append(cpu_seconds(source, target, has_ledger=has_ledger))
    without, full = (statistics.median(times[has_ledger]) for has_ledger in (False, True))
    print(f"bare {without:.3f} s, with the ledger {full:.3f} s of CPU: {100 * (full / without - 1):+.1f} %")


if __name__ == "__main__":
    main()
