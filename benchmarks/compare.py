"""The same small jobs by Curator, datatrove, Dolma and Data-Juicer, one after the other: a table in Markdown.

    python benchmarks/compare.py --datatrove-python /tmp/compare-venv/datatrove/bin/python \
        --dolma-python /tmp/compare-venv/dolma/bin/python --data-juicer-python /tmp/compare-venv/juicer/bin/python

`filter` reads four files of .jsonl.gz, decides by Gopher's rules of quality and repetition, and writes what stays.
`minhash` reads four files of .jsonl.gz with planted near copies and writes them without. Each tool runs in an
environment of its own, as the files in compared/ say, and as a process of its own: starting it counts. CPU seconds are
those of all its processes; where others use the machine compare these, and not the wall time. A tool that is not given
is left out. The run of `--rounds` that took least CPU is shown.
"""

import argparse
import gzip
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from corpus import make_documents
from measure import Measured, measure
from planted import make_planted

HERE = Path(__file__).parent
FILES = 4
PACKAGES = {"curator": "curator-ray", "datatrove": "datatrove", "dolma": "dolma", "data-juicer": "py-data-juicer"}
JOBS = {"filter": list(PACKAGES), "minhash": ["curator", "datatrove", "data-juicer"]}


def main() -> None:
    given = parse_arguments()
    pythons = {tool: getattr(given, f"{tool.replace('-', '_')}_python") for tool in PACKAGES}
    tools = [tool for tool, python in pythons.items() if python is not None]
    versions = {tool: version_of(pythons[tool], PACKAGES[tool]) for tool in tools}
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, {given.workers} workers")
    for job in given.jobs.split(","):
        source = make_input(job, given)
        size = sum(len(gzip.decompress(path.read_bytes())) for path in source.iterdir()) / 1e6
        rows = count_rows(source)
        print(f"\n{job}: {rows} documents, {size:.0f} MB in {FILES} files of .jsonl.gz\n")
        chosen = [tool for tool in tools if tool in JOBS[job]]
        print_table(size, versions, ((tool, *run(job, tool, pythons[tool], source, given)) for tool in chosen))


def run(job: str, tool: str, python: str, source: Path, given: argparse.Namespace) -> tuple[int, Measured]:
    """Run a job by a tool, each time from nothing; the documents that stayed, and the run that took least CPU."""
    output, runs = given.folder / "out" / f"{job}-{tool}", []
    script = HERE / "compared" / f"{tool.replace('-', '_')}_job.py"
    for _ in range(given.rounds):
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        runs.append(measure(str(script), job, str(source), str(output), str(given.workers), python=python, quiet=True))
    kept = output / "kept"
    return count_rows(kept if kept.exists() else output / "deduplicated"), min(runs, key=lambda one: one.cpu_seconds)


def print_table(size: float, versions: dict[str, str], results: Iterable[tuple[str, int, Measured]]) -> None:
    """A row for each tool as soon as it is through; the first is the one that the others are compared with."""
    print("| | version | kept | s CPU | MB per CPU s | times ours | s | peak MB |")
    print("|---|---|---|---|---|---|---|---|")
    ours = None
    for tool, kept, one in results:
        ours = ours or one.cpu_seconds
        cells = [
            tool,
            versions[tool],
            f"{kept}",
            f"{one.cpu_seconds:.1f}",
            f"{size / one.cpu_seconds:.2f}",
            f"{one.cpu_seconds / ours:.1f}",
            f"{one.seconds:.1f}",
            f"{one.peak_mb:.0f}",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


def make_input(job: str, given: argparse.Namespace) -> Path:
    """Four files of .jsonl.gz below a folder `documents`, which is what Dolma asks for."""
    folder = given.folder / f"{job}-{given.megabytes}" / "documents"
    if folder.exists():
        return folder
    partial = folder.with_name("partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    parts: list[list[str]] = [[] for _ in range(FILES)]
    for number, text in enumerate(texts(job, given)):
        record = {"id": f"{number:08}", "source": "web", "text": text}
        parts[number % FILES].append(json.dumps(record, ensure_ascii=False) + "\n")
    for number, lines in enumerate(parts):
        (partial / f"part-{number}.jsonl.gz").write_bytes(gzip.compress("".join(lines).encode(), 6, mtime=0))
    partial.rename(folder)
    return folder


def texts(job: str, given: argparse.Namespace) -> Iterator[str]:
    if job == "filter":
        sources = [make_documents(given.folder / f"documents-{given.megabytes}.jsonl", given.megabytes)]
    else:
        sources = sorted(
            (make_planted(given.folder / f"planted-{given.megabytes}", given.megabytes) / "documents").iterdir()
        )
    for path in sources:
        for line in path.open(encoding="utf-8"):
            yield json.loads(line)["text"]


def count_rows(folder: Path) -> int:
    """Lines of all files of JSON Lines in a folder, compressed or not, but for those of Data-Juicer's statistics."""
    paths = [path for path in folder.rglob("*.json*") if "_stats." not in path.name]
    return sum(sum(1 for _ in lines_of(path)) for path in paths)


def lines_of(path: Path) -> Iterable[bytes]:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def version_of(python: str, package: str) -> str:
    ask = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for tool in PACKAGES:
        default = sys.executable if tool == "curator" else None
        parser.add_argument(f"--{tool}-python", metavar="PATH", default=default, help=f"the Python that has {tool}")
    parser.add_argument("--jobs", default=",".join(JOBS), help="which of them, with commas between")
    parser.add_argument("--megabytes", type=int, default=50, help="before compression")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/curator-compare"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
