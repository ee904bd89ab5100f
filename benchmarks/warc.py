"""Pages per second out of web archives: FastWARC called directly, warcio, our iterator, and the stage around it.

    pip install fastwarc warcio
    python benchmarks/warc.py ARCHIVE.warc.gz [--megabytes 60] [--runs 5]

The records of the given archive, which is compressed record by record, are repeated to so many megabytes, as gzip and
plain. Everybody decodes the bodies. CPU seconds in one process; best of alternated runs.
"""

import argparse
import gzip
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fastwarc.warc import ArchiveIterator, WarcRecordType
from warcio.archiveiterator import ArchiveIterator as WarcioIterator

from nemo_curator.ledger.counts import StageCount, counting
from nemo_curator.stages.text.download.base import DocumentIterateExtractStage
from nemo_curator.stages.text.download.common_crawl import CommonCrawlWarcIterator
from nemo_curator.tasks import FileGroupTask


def fastwarc(path: Path) -> int:
    rows = 0
    with path.open("rb") as file:
        for record in ArchiveIterator(file, record_types=WarcRecordType.response, auto_decode="all"):
            _ = record.headers["WARC-Target-URI"], record.record_id, record.http_headers.get("Content-Type")
            _ = record.reader.read()
            rows += 1
    return rows


def warcio(path: Path) -> int:
    rows = 0
    with path.open("rb") as file:
        for record in WarcioIterator(file):
            if record.rec_type == "response":
                _ = record.rec_headers["WARC-Target-URI"], record.http_headers.get_header("Content-Type")
                _ = record.content_stream().read()
                rows += 1
    return rows


def iterator(path: Path) -> int:
    return sum(1 for _ in CommonCrawlWarcIterator().iterate(str(path)))


def stage(path: Path) -> int:
    made = DocumentIterateExtractStage(CommonCrawlWarcIterator())
    with counting(StageCount("iterate")):
        return sum(batch.num_items for batch in made.process(FileGroupTask(dataset_name="archives", data=[str(path)])))


WAYS: dict[str, Callable[[Path], int]] = {
    "fastwarc": fastwarc,
    "warcio": warcio,
    "iterator": iterator,
    "whole stage": stage,
}


def compare(path: Path, runs: int) -> None:
    best = dict.fromkeys(WAYS, float("inf"))
    rows: dict[str, int] = {}
    for _ in range(runs):
        for name, way in WAYS.items():
            start = time.process_time()
            rows[name] = way(path)
            best[name] = min(best[name], time.process_time() - start)
    assert len(set(rows.values())) == 1, rows
    print(f"{path.name}: {rows['iterator']} pages, {path.stat().st_size / 1e6:.1f} MB")
    for name, seconds in best.items():
        each = 1e6 * seconds / rows[name]
        print(
            f"  {name:12} {rows[name] / seconds:8.0f} pages/s  {each:6.1f} µs each  {seconds / best['fastwarc']:.2f} ×"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--megabytes", type=int, default=60)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    data = arguments.archive.read_bytes()
    plain = gzip.decompress(data)
    times = max(1, arguments.megabytes * 10**6 // len(plain))
    with tempfile.TemporaryDirectory() as folder:
        for name, each in (("pages.warc.gz", data), ("pages.warc", plain)):
            path = Path(folder) / name
            path.write_bytes(each * times)
            compare(path, arguments.runs)


if __name__ == "__main__":
    main()
