"""Deduplication of a corpus whose duplicates are known, beside other tools on the same files in the same run.

    python benchmarks/dedup.py exact --megabytes 1000
    python benchmarks/dedup.py fuzzy --megabytes 1000

Each tool runs as a process of its own and reads JSON Lines and writes those that stay; the figures are its fastest run.
Ours waits until the disk has what it wrote; polars-synced and duckdb-synced do so, too.
The ids that ours removes are checked against what was planted. Needs: pip install polars duckdb rensa
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import near
import pyarrow.parquet as pq
from measure import measure
from planted import make_planted

THREADS = "2"


def exact(given: argparse.Namespace) -> None:
    """Compare exact deduplication, from files to files."""
    corpus, output = make_planted(given.folder / f"planted-{given.megabytes}", given.megabytes), given.folder / "out"
    size = sum(path.stat().st_size for path in (corpus / "documents").iterdir()) / 1e6
    usual = ["curator", "curator-xxh3", "polars", "polars-synced", "duckdb", "duckdb-synced"]
    tools = usual if given.tools is None else given.tools.split(",")
    best: dict[str, tuple[float, float, float]] = {}
    for _ in range(given.rounds):
        for tool in tools:
            shutil.rmtree(output, ignore_errors=True)
            run = measure(__file__, f"_{tool}", str(corpus / "documents"), str(output), str(given.memory_limit))
            found = run.seconds, run.cpu_seconds, run.peak_mb
            best[tool] = min(best.get(tool, found), found)
            _check(tool, corpus, output)
            print(f"{tool:14} {run.seconds:6.2f} s  {run.output.strip()}", flush=True)
    print(f"{size:.0f} MB, {THREADS} cores, fastest of {given.rounds}")
    for tool, (seconds, cpu, peak) in best.items():
        print(f"{tool:14} {size / seconds:6.0f} MB/s  {seconds:6.2f} s  {cpu:6.2f} s CPU  {peak:6.0f} MB at most")


def _check(tool: str, corpus: Path, output: Path) -> None:
    truth = pq.read_table(corpus / "truth.parquet").to_pylist()
    wanted = {row["id"] for row in truth if row["kind"] == "exact"}
    if tool.startswith("curator"):
        found = set(pq.read_table(output / "ExactDuplicateIds")["_curator_dedup_id"].to_pylist())
        assert found == wanted, f"{len(found - wanted)} removed that are no copies, {len(wanted - found)} copies left"
    documents, kept = _lines(corpus / "documents"), _lines(output / "deduplicated")
    assert documents - kept == len(wanted), f"{tool}: {documents} documents, {kept} kept, {len(wanted)} copies"


def _lines(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.rglob("*.jsonl"))


def _curator(source: str, output: str, memory_limit: str, hash_method: str = "md5") -> None:
    from nemo_curator.backends.local import LocalExecutor
    from nemo_curator.stages.deduplication.exact.workflow import ExactDeduplicationWorkflow

    start = time.perf_counter()
    workflow = ExactDeduplicationWorkflow(
        output, source, "jsonl", perform_removal=True, hash_method=hash_method, input_blocksize="64MiB"
    )
    limit = None if memory_limit == "None" else memory_limit
    result = workflow.run(executor=LocalExecutor(num_workers=int(THREADS)), memory_limit=limit)
    steps = {key: round(value, 2) for key, value in result.metadata.items() if key.endswith("_time")}
    print(f"{time.perf_counter() - start:.2f} s of {steps}")


def _polars(source: str, output: str, _: str) -> None:
    os.environ["POLARS_MAX_THREADS"] = THREADS
    import polars

    Path(output, "deduplicated").mkdir(parents=True)
    files = sorted(map(str, Path(source).glob("*.jsonl")))
    kept = polars.scan_ndjson(files).unique(subset="text", keep="first", maintain_order=True)
    kept.sink_ndjson(f"{output}/deduplicated/all.jsonl")


def _duckdb(source: str, output: str, _: str) -> None:
    import duckdb

    Path(output, "deduplicated").mkdir(parents=True)
    database = duckdb.connect()
    database.execute(f"SET threads = {THREADS}")
    kept = f"SELECT min(id) AS id, arg_min(url, id) AS url, text FROM read_ndjson('{source}/*.jsonl') GROUP BY text"
    database.execute(f"COPY ({kept}) TO '{output}/deduplicated/all.jsonl' (FORMAT json)")


def _synced(tool: Callable[[str, str, str], None], source: str, output: str, limit: str) -> None:
    tool(source, output, limit)
    with Path(output, "deduplicated", "all.jsonl").open("rb") as file:
        os.fsync(file.fileno())


TOOLS = {
    "_curator": _curator,
    "_curator-xxh3": lambda source, output, limit: _curator(source, output, limit, "xxh3_128"),
    "_polars": _polars,
    "_polars-synced": partial(_synced, _polars),
    "_duckdb": _duckdb,
    "_duckdb-synced": partial(_synced, _duckdb),
    **near.TOOLS,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("exact", help="exact copies")
    command.add_argument("--megabytes", type=int, default=1000)
    command.add_argument("--rounds", type=int, default=3)
    command.add_argument("--tools", help="names with commas between; all by default")
    command.add_argument("--memory-limit", help="what ours may use, such as 512MB")
    command.add_argument("--folder", type=Path, default=Path("/tmp/curator-dedup"))
    command.set_defaults(run=exact)
    command = commands.add_parser("fuzzy", help="near copies")
    command.add_argument("--megabytes", type=int, default=1000)
    command.add_argument("--rounds", type=int, default=1)
    command.add_argument("--tools", help="names with commas between: curator, rensa")
    command.add_argument("--memory-limit", help="what ours may use, such as 512MB")
    command.add_argument("--check", type=int, default=2000, help="removed documents that are measured again")
    command.add_argument("--folder", type=Path, default=Path("/tmp/curator-dedup"))
    command.set_defaults(run=lambda given: near.fuzzy(given, __file__))
    given = parser.parse_args()
    given.run(given)


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in TOOLS:
        TOOLS[sys.argv[1]](*sys.argv[2:])
    else:
        main()
