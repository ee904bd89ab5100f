"""Kills at any moment: the output of a run that was killed and started again is that of an undisturbed one.

    python benchmarks/faults.py [--trials 100] [--executor local ray] [--seed 0]

A pipeline reads, changes, filters, gives running numbers to all documents at once (a barrier) and writes. In every
trial one process of it, a worker or the script that leads the run, gets SIGKILL at a random moment; the script is
started again until it ends by itself. Then the output files are compared byte by byte, and the account of the rows
number by number, with those of a run that nobody disturbed. Prints the time that a kill cost.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

FILES, LINES = 12, 400
MOST_STARTS = 10
LOCAL, RAY = "local", "ray"


def job(folder: Path, executor: str) -> None:
    """The pipeline that is killed."""
    from nemo_curator.backends.local import LocalExecutor
    from nemo_curator.backends.ray_actor_pool import RayActorPoolExecutor
    from nemo_curator.pipeline import Pipeline
    from nemo_curator.stages.base import ProcessingStage
    from nemo_curator.stages.text.filters import ScoreFilter, WordCountFilter
    from nemo_curator.stages.text.io.reader import JsonlReader
    from nemo_curator.stages.text.io.writer import JsonlWriter
    from nemo_curator.stages.text.modifiers import Modify
    from nemo_curator.tasks import DocumentBatch

    def shout(text: str) -> str:
        time.sleep(0.0005)
        return text.upper()

    class Number(ProcessingStage[DocumentBatch, DocumentBatch]):
        """Give running numbers to all documents."""

        name = "number"
        is_barrier = True

        def process(self, task: DocumentBatch) -> list[DocumentBatch]:
            return self.process_batch([task])

        def process_batch(self, tasks: list[DocumentBatch]) -> list[DocumentBatch]:
            numbered, start = [], 0
            for task in tasks:
                numbered.append(task.with_column("number", list(range(start, start + task.num_items))))
                start += task.num_items
            return numbered

    stages = [
        JsonlReader(str(folder / "in")),
        Modify(shout),
        ScoreFilter(WordCountFilter(min_words=5)),
        Number(),
        Modify(lambda text: text.lower()),
        JsonlWriter(str(folder / "out")),
    ]
    one = LocalExecutor(num_workers=2) if executor == LOCAL else RayActorPoolExecutor(show_progress=False)
    pipeline = Pipeline("faults", stages=stages)
    pipeline.run(one, checkpoint_path=folder / "run")


@dataclass
class Trial:
    """One run that was disturbed: what was killed, how often it had to be started, and its wall seconds."""

    killed: str
    starts: int
    seconds: float
    is_same: bool


def disturb(source: Path, executor: str, seconds: float, expected: str, draw: random.Random) -> Trial:
    """Kill one process at a random moment of a run, then let it go on to its end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").symlink_to(source)
        begin, starts, killed = time.perf_counter(), 0, "nothing"
        moment, victim = draw.uniform(0.0, seconds), draw.choice(["worker", "driver"])
        while True:
            starts += 1
            process = start(folder, executor)
            if killed == "nothing":
                killed = kill(process, victim, moment, executor, draw)
            if process.wait(timeout=120) == 0:
                break
            if starts == MOST_STARTS:
                raise SystemExit(f"started {starts} times and never came to its end:\n{log_of(folder)}")
        return Trial(killed, starts, time.perf_counter() - begin, state(folder) == expected)


def start(folder: Path, executor: str) -> subprocess.Popen:
    with (folder / "log").open("ab") as log:
        return subprocess.Popen([sys.executable, __file__, "--job", str(folder), executor], stdout=log, stderr=log)


def kill(process: subprocess.Popen, victim: str, moment: float, executor: str, draw: random.Random) -> str:
    """Wait, then end the process or one of its workers; says what was killed."""
    try:
        process.wait(timeout=moment)
        return "nothing"
    except subprocess.TimeoutExpired:
        workers = [] if victim == "driver" else workers_of(process, executor)
    try:
        (draw.choice(workers) if workers else psutil.Process(process.pid)).kill()
    except psutil.NoSuchProcess:
        return "nothing"
    return "worker" if workers else "driver"


def workers_of(process: subprocess.Popen, executor: str) -> list[psutil.Process]:
    if executor == LOCAL:
        try:
            return psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
    family = psutil.Process().children(recursive=True)
    return [one for one in family if "".join(one.cmdline()[:1]).startswith("ray::_Worker")]


def state(folder: Path) -> str:
    """What a run has left: every file with its bytes, and the rows of every stage."""
    digest = hashlib.sha256()
    for path in sorted((folder / "out").iterdir()):
        if not path.name.startswith("."):
            digest.update(path.name.encode() + path.read_bytes())
    ledger = json.loads((folder / "run" / "ledger.json").read_text())
    rows = [(stage["stage"], stage["rows_in"], stage["rows_out"], stage["dropped"]) for stage in ledger["stages"]]
    return f"{digest.hexdigest()} {rows}"


def log_of(folder: Path) -> str:
    return (folder / "log").read_text()


def make_input(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number in range(FILES):
        rows = [{"text": f"file {number} " + "word " * (line % 9), "line": line} for line in range(LINES)]
        (folder / f"{number}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder


def undisturbed(source: Path, executor: str) -> tuple[float, str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").symlink_to(source)
        begin = time.perf_counter()
        if start(folder, executor).wait():
            raise SystemExit(f"the undisturbed run failed:\n{log_of(folder)}")
        return time.perf_counter() - begin, state(folder)


def run_trials(source: Path, executor: str, count: int, draw: random.Random) -> bool:
    seconds, expected = min(undisturbed(source, executor) for _ in range(2))
    trials, quiet = [], [seconds]
    while sum(trial.killed != "nothing" for trial in trials) < count:
        trials.append(disturb(source, executor, min(quiet), expected, draw))
        quiet += [trials[-1].seconds] if trials[-1].killed == "nothing" else []
    done = [trial for trial in trials if trial.killed != "nothing"]
    same = sum(trial.is_same for trial in trials)
    usual = statistics.median(quiet)  # of those that ended before they were killed, too: machines get faster and slower
    print(f"{executor}: {usual:.1f} s undisturbed; {len(done)} kills; {same} of {len(trials)} outputs identical")
    for victim in ("worker", "driver"):
        lost = [trial.seconds - usual for trial in done if trial.killed == victim]
        if lost:
            middle, most = statistics.median(lost), max(lost)
            print(f"  a killed {victim} cost {middle:.1f} s (median of {len(lost)}; most {most:.1f} s)")
    return same == len(trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100, help="kills in all, shared among the executors")
    parser.add_argument("--executor", nargs="+", choices=[LOCAL, RAY], default=[LOCAL, RAY])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--job", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        job(Path(arguments.job[0]), arguments.job[1])
        return
    draw = random.Random(arguments.seed)
    shares = {LOCAL: 0.7, RAY: 0.3}
    total = sum(shares[executor] for executor in arguments.executor)
    folder = Path(tempfile.mkdtemp())
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    try:
        source, is_same = make_input(folder / "in"), []
        for executor in arguments.executor:
            count = max(round(arguments.trials * shares[executor] / total), 1)
            if executor == LOCAL:
                is_same.append(run_trials(source, executor, count, draw))
                continue
            from nemo_curator.core.client import RayClient

            with RayClient(num_cpus=2, num_gpus=0):
                is_same.append(run_trials(source, executor, count, draw))
    finally:
        shutil.rmtree(folder)
    sys.exit(0 if all(is_same) else "an output differs")


if __name__ == "__main__":
    main()
