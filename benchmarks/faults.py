"""Kills at any moment: the output of a run that was killed and started again is that of an undisturbed one.

    python benchmarks/faults.py [--trials 100] [--job local ray exact fuzzy] [--megabytes 20] [--seed 0]

`local` and `ray` are a pipeline on either engine: it reads, changes, filters, gives running numbers to all documents at
once (a barrier) and writes. `exact` and `fuzzy` are workflows of deduplication on this machine's processes, which also
write copies of their input without the duplicates. In every trial one process, a worker or the script that leads the
run, gets SIGKILL at a random moment; the script is started again until it ends by itself. Then the output files are
compared byte by byte, and the account of the rows number by number, with those of a run that nobody disturbed. Prints
the time that a kill cost.
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
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import psutil
from planted import make_planted

FILES, LINES = 12, 400
MOST_STARTS = 10
LOCAL, RAY, EXACT, FUZZY = "local", "ray", "exact", "fuzzy"
SHARES = {LOCAL: 0.4, RAY: 0.2, EXACT: 0.2, FUZZY: 0.2}


def deduplicate(folder: Path, job: str) -> None:
    """The workflow that is killed."""
    from nemo_curator.backends.local import LocalExecutor
    from nemo_curator.stages.deduplication.exact.workflow import ExactDeduplicationWorkflow
    from nemo_curator.stages.deduplication.fuzzy import FuzzyDeduplicationWorkflow

    files = {"input_path": str(folder / "in"), "output_path": str(folder / "out"), "input_filetype": "jsonl"}
    settings = {**files, "input_blocksize": "2MiB", "perform_removal": True}
    workflow = (
        ExactDeduplicationWorkflow(**settings)
        if job == EXACT
        else FuzzyDeduplicationWorkflow(cache_path=str(folder / "cache"), **settings)
    )
    workflow.run(executor=LocalExecutor(num_workers=2), checkpoint_path=folder / "run")


def transform(folder: Path, job: str) -> None:
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
    one = LocalExecutor(num_workers=2) if job == LOCAL else RayActorPoolExecutor(show_progress=False)
    pipeline = Pipeline("faults", stages=stages)
    pipeline.run(one, checkpoint_path=folder / "run")


@dataclass
class Trial:
    """One run that was disturbed: what was killed, how often it had to be started, and its wall seconds."""

    killed: str
    starts: int
    seconds: float
    is_same: bool


@contextmanager
def fresh(source: Path) -> Iterator[Path]:
    """A folder for a trial; all have the same path, for it is in some of the output."""
    folder = source.parent / "trial"
    folder.mkdir()
    (folder / "in").symlink_to(source)
    yield folder
    shutil.rmtree(folder)


def disturb(source: Path, job: str, seconds: float, expected: str, draw: random.Random) -> Trial:
    """Kill one process at a random moment of a run, then let it go on to its end."""
    with fresh(source) as folder:
        begin, starts, killed = time.perf_counter(), 0, "nothing"
        moment, victim = draw.uniform(0.0, seconds), draw.choice(["worker", "driver"])
        while True:
            starts += 1
            process = start(folder, job)
            if killed == "nothing":
                killed = kill(process, victim, moment, job, draw)
            if process.wait(timeout=120) == 0:
                break
            if starts == MOST_STARTS:
                raise SystemExit(f"started {starts} times and never came to its end:\n{log_of(folder)}")
        return Trial(killed, starts, time.perf_counter() - begin, state(folder) == expected)


def start(folder: Path, job: str) -> subprocess.Popen:
    with (folder / "log").open("ab") as log:
        return subprocess.Popen([sys.executable, __file__, "--run", job, str(folder)], stdout=log, stderr=log)


def kill(process: subprocess.Popen, victim: str, moment: float, job: str, draw: random.Random) -> str:
    """Wait, then end the process or one of its workers; says what was killed."""
    try:
        process.wait(timeout=moment)
        return "nothing"
    except subprocess.TimeoutExpired:
        workers = [] if victim == "driver" else workers_of(process, job)
    try:
        (draw.choice(workers) if workers else psutil.Process(process.pid)).kill()
    except psutil.NoSuchProcess:
        return "nothing"
    return "worker" if workers else "driver"


def workers_of(process: subprocess.Popen, job: str) -> list[psutil.Process]:
    if job != RAY:
        try:
            return psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
    family = psutil.Process().children(recursive=True)
    return [one for one in family if "".join(one.cmdline()[:1]).startswith("ray::_Worker")]


def state(folder: Path) -> str:
    """What a run has left: every file with its bytes, and the rows of every stage."""
    digest = hashlib.sha256()
    for path in sorted((folder / "out").rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    ledgers = [json.loads(path.read_text()) for path in sorted((folder / "run").rglob("ledger.json"))]
    stages = [stage for ledger in ledgers for stage in ledger["stages"]]
    return f"{digest.hexdigest()} {[(one['stage'], one['rows_in'], one['rows_out'], one['dropped']) for one in stages]}"


def log_of(folder: Path) -> str:
    return (folder / "log").read_text()


def make_input(folder: Path, job: str, megabytes: int) -> Path:
    if job in (EXACT, FUZZY):
        return make_planted(folder, megabytes) / "documents"
    folder.mkdir(parents=True)
    for number in range(FILES):
        rows = [{"text": f"file {number} " + "word " * (line % 9), "line": line} for line in range(LINES)]
        (folder / f"{number}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder


def undisturbed(source: Path, job: str) -> tuple[float, str]:
    with fresh(source) as folder:
        begin = time.perf_counter()
        if start(folder, job).wait():
            raise SystemExit(f"the undisturbed run failed:\n{log_of(folder)}")
        return time.perf_counter() - begin, state(folder)


def run_trials(source: Path, job: str, count: int, draw: random.Random) -> bool:
    seconds, expected = min(undisturbed(source, job) for _ in range(2))
    trials, quiet = [], [seconds]
    while sum(trial.killed != "nothing" for trial in trials) < count:
        trials.append(disturb(source, job, min(quiet), expected, draw))
        quiet += [trials[-1].seconds] if trials[-1].killed == "nothing" else []
    done = [trial for trial in trials if trial.killed != "nothing"]
    same = sum(trial.is_same for trial in trials)
    usual = statistics.median(quiet)  # of those that ended before they were killed, too: machines get faster and slower
    print(f"{job}: {usual:.1f} s undisturbed; {len(done)} kills; {same} of {len(trials)} outputs identical", flush=True)
    for victim in ("worker", "driver"):
        lost = [trial.seconds - usual for trial in done if trial.killed == victim]
        if lost:
            middle, most = statistics.median(lost), max(lost)
            print(f"  a killed {victim} cost {middle:.1f} s (median of {len(lost)}; most {most:.1f} s)", flush=True)
    return same == len(trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100, help="kills in all, shared among the jobs")
    parser.add_argument("--job", nargs="+", choices=list(SHARES), default=list(SHARES))
    parser.add_argument("--megabytes", type=int, default=20, help="documents of exact and fuzzy")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        job, folder = arguments.run
        (transform if job in (LOCAL, RAY) else deduplicate)(Path(folder), job)
        return
    draw = random.Random(arguments.seed)
    total = sum(SHARES[job] for job in arguments.job)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    is_same = []
    for job in arguments.job:
        with tempfile.TemporaryDirectory() as name, cluster() if job == RAY else nullcontext():
            count = max(round(arguments.trials * SHARES[job] / total), 1)
            source = make_input(Path(name) / "in", job, arguments.megabytes)
            is_same.append(run_trials(source, job, count, draw))
    sys.exit(0 if all(is_same) else "an output differs")


def cluster() -> AbstractContextManager:
    from nemo_curator.core.client import RayClient

    return RayClient(num_cpus=2, num_gpus=0)


if __name__ == "__main__":
    main()
