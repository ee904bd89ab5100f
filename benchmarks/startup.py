"""How long it takes until the first result of a one-file pipeline, as a whole process.

    python benchmarks/startup.py [--runs 5] [--ray]

Kernels are compiled before. `--ray` adds the three engines, each on a fresh cluster of its own.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from measure import measure

SCRIPT = """
import sys, time
start = time.perf_counter()
from nemo_curator.pipeline import Pipeline
imported = time.perf_counter() - start
from nemo_curator.stages.text.filters import ScoreFilter, WordCountFilter
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.stages.text.modifiers import Modify, UnicodeReformatter
{executor}
stages = [JsonlReader(sys.argv[1]), Modify(UnicodeReformatter()), ScoreFilter(WordCountFilter(min_words=2)),
          JsonlWriter(sys.argv[2])]
tasks = Pipeline("first", stages=stages).run(executor)
assert len(tasks) == 1
"""
LOCAL = "from nemo_curator.backends.local import LocalExecutor\nexecutor = LocalExecutor()"
ENGINES = {
    "XennaExecutor": "from nemo_curator.backends.xenna import XennaExecutor\nexecutor = XennaExecutor()",
    "RayDataExecutor": "from nemo_curator.backends.ray_data import RayDataExecutor\nexecutor = RayDataExecutor()",
    "RayActorPoolExecutor": (
        "from nemo_curator.backends.ray_actor_pool import RayActorPoolExecutor\nexecutor = RayActorPoolExecutor()"
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--ray", action="store_true")
    arguments = parser.parse_args()
    bare = "import sys"
    imports = "from nemo_curator.pipeline import Pipeline"
    for code in (bare, imports):
        seconds = [measure("-c", code).cpu_seconds for _ in range(arguments.runs)]
        print(f"{code}: {statistics.median(seconds):.2f} s CPU")
    for name, executor in {"LocalExecutor": LOCAL, **(ENGINES if arguments.ray else {})}.items():
        seconds = [first_result(executor) for _ in range(arguments.runs if name == "LocalExecutor" else 1)]
        print(f"{name}: {statistics.median(seconds):.2f} s (all: {', '.join(f'{one:.2f}' for one in seconds)})")


def first_result(executor: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.jsonl"
        source.write_text('{"text": "two words"}\n{"text": "one"}\n' * 1000)
        return measure("-c", SCRIPT.format(executor=executor), str(source), f"{folder}/out").seconds


if __name__ == "__main__":
    main()
