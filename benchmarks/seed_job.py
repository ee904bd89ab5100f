"""The seed job: read JSONL, unify quotes, repair Unicode, keep 80 words and more with a complete ending, write JSONL.

    python benchmarks/seed_job.py [--megabytes 300] [--folder /tmp/curator-seed-job]

Compares LocalExecutor with one and two processes with a plain single-process loop (orjson, ftfy, the same rules), and
checks that all of them write the same rows.
"""

import argparse
import hashlib
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from corpus import make_corpus
from measure import measure

if TYPE_CHECKING:
    from nemo_curator.pipeline import Pipeline

ENDINGS = {".", "!", "?", '"', "”"}
QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"'})
RUNS = ("plain loop", "1 process", "2 processes")


def plain_loop(source: Path, target: Path) -> None:
    import ftfy
    import orjson

    config = ftfy.TextFixerConfig(
        fix_latin_ligatures=False,
        fix_character_width=False,
        uncurl_quotes=False,
        fix_line_breaks=False,
        normalization=None,
        explain=False,
    )
    target.mkdir(parents=True)
    with source.open("rb") as lines, (target / "out.jsonl").open("wb") as out:
        for line in lines:
            record = orjson.loads(line)
            text = ftfy.fix_text(record["text"].translate(QUOTES), config)
            if len(text.split()) >= 80 and text.strip()[-1:] in ENDINGS:
                out.write(orjson.dumps({**record, "text": text}) + b"\n")


def pipeline(source: Path, target: Path) -> "Pipeline":
    from nemo_curator.pipeline import Pipeline
    from nemo_curator.stages.text.filters import DocumentFilter, ScoreFilter
    from nemo_curator.stages.text.filters.heuristic import WordCountFilter
    from nemo_curator.stages.text.io.reader import JsonlReader
    from nemo_curator.stages.text.io.writer import JsonlWriter
    from nemo_curator.stages.text.modifiers import DocumentModifier, Modify
    from nemo_curator.stages.text.modifiers.unicode import UnicodeReformatter

    class QuotationUnifier(DocumentModifier):
        def modify_document(self, text: str) -> str:
            return text.replace("‘", "'").replace("’", "'").replace("“", '"').replace("”", '"')

    class IncompleteStoryFilter(DocumentFilter):
        def score_document(self, text: str) -> bool:
            return text.strip()[-1:] in ENDINGS

        def keep_document(self, score: bool) -> bool:
            return score

    return Pipeline(
        "seed",
        stages=[
            JsonlReader(str(source)),
            Modify(QuotationUnifier()),
            Modify(UnicodeReformatter()),
            ScoreFilter(WordCountFilter(min_words=80)),
            ScoreFilter(IncompleteStoryFilter()),
            JsonlWriter(str(target)),
        ],
    )


def curator(source: Path, target: Path, processes: int) -> None:
    from nemo_curator.backends.local import LocalExecutor

    job = pipeline(source, target)
    job.run(LocalExecutor(num_workers=processes))
    assert job.last_run is not None
    print(job.last_run.table())


def rows_of(folder: Path) -> str:
    """A hash of all rows, whatever their order and files."""
    hashes = sorted(
        hashlib.md5(line).digest() for file in sorted(folder.iterdir()) for line in file.read_bytes().splitlines()
    )
    return f"{len(hashes)} rows, {hashlib.md5(b''.join(hashes)).hexdigest()[:8]}"


def compare(folder: Path, megabytes: int) -> None:
    source = make_corpus(folder / f"corpus-{megabytes}.jsonl", megabytes)
    size = source.stat().st_size / 1e6
    print(f"{size:.0f} MB of JSONL; MB/s is of input")
    print(f"{'run':14}{'MB/s':>8}{'MB/CPU-s':>10}{'peak MB':>9}  output")
    tables = []
    for run in RUNS:
        target = folder / "out"
        shutil.rmtree(target, ignore_errors=True)
        done = measure(__file__, "--run", run, "--source", str(source), "--target", str(target))
        speeds = f"{size / done.seconds:8.1f}{size / done.cpu_seconds:10.1f}"
        print(f"{run:14}{speeds}{done.peak_mb:9.0f}  {rows_of(target)}", flush=True)
        tables.append(done.output)
    print(f"\nwhere the time goes ({RUNS[-1]}; seconds of all workers)\n{tables[-1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/curator-seed-job"))
    parser.add_argument("--run", choices=RUNS)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--target", type=Path)
    arguments = parser.parse_args()
    if arguments.run is None:
        compare(arguments.folder, arguments.megabytes)
    elif arguments.run == "plain loop":
        start = time.perf_counter()
        plain_loop(arguments.source, arguments.target)
        print(f"{time.perf_counter() - start:.1f} s")
    else:
        curator(arguments.source, arguments.target, int(arguments.run.split()[0]))


if __name__ == "__main__":
    main()
