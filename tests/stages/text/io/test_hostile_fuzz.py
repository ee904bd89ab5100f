"""Planted files, damaged at random places and read by real runs: nothing raises, nothing hangs, nothing is lost unsaid.

CURATOR_FUZZ is how many damaged files there are of each kind. The input of the run under way lies in CURATOR_FUZZ_KEEP,
where that is set, so that one that ends the process can be looked at.
"""

import bz2
import gzip
import io
import json
import lzma
import os
import random
import tarfile
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import InputError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.io import JsonlReader, ParquetReader
from nemo_curator.stages.text.io.writer.jsonl import encode
from nemo_curator.utils.tar_members import tar_members

EACH = int(os.environ.get("CURATOR_FUZZ", "120"))
SECONDS = 20
ROWS = [
    {"id": f"{at:05d}", "text": f'some text é 語 {at * 7919 % 1000} \\ " ' * (at % 7), "n": at, "meta": {"a": [at]}}
    for at in range(400)
]
LINES = b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in ROWS)
CONTAINERS = {
    "jsonl.gz": gzip.compress(LINES[:30000]) + gzip.compress(LINES[30000:], mtime=0),
    "jsonl.zst": zstandard.ZstdCompressor(write_checksum=True).compress(LINES),
    "jsonl.bz2": bz2.compress(LINES),
    "jsonl.xz": lzma.compress(LINES),
}
FLAT = [{key: row[key] for key in ("id", "text", "n")} for row in ROWS]


def parquet(codec):
    sink = io.BytesIO()
    pq.write_table(
        pa.Table.from_pylist(FLAT),
        sink,
        compression=codec,
        row_group_size=100,
        data_page_size=1000,
        write_batch_size=20,
        write_page_checksum=True,
    )
    return sink.getvalue()


PARQUET = {codec: parquet(codec) for codec in ("zstd", "snappy", "none")}


def damage(kind, data, dice):
    """A damaged copy, and where the damage begins."""
    at = dice.randrange(len(data))
    if kind == "cut off":
        return data[:at], at
    length = min(dice.choice([1, 1, 4, 50, 3000]), len(data) - at)
    if kind == "bit":
        return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :], at
    if kind == "byte":
        new = dice.choice(b'\n\0 "{}[],:\\\xff0e') if dice.random() < 0.5 else dice.randrange(256)
        return data[:at] + bytes([new]) + data[at + 1 :], at
    if kind == "scribble":
        return data[:at] + dice.randbytes(length) + data[at + length :], at
    if kind == "zeros":
        return data[:at] + bytes(length) + data[at + length :], at
    if kind == "left out":
        return data[:at] + data[at + length :], at
    return data[:at] + data[at : at + length] + data[at:], at  # twice


KINDS = ["cut off", "cut off", "bit", "bit", "bit", "byte", "byte", "scribble", "zeros", "left out", "twice"]


def damaged(name, data, folder, kinds=KINDS):
    """As many damaged copies as asked for, each written to a file."""
    dice = random.Random(name)
    path = folder / f"damaged.{name}"
    keep = os.environ.get("CURATOR_FUZZ_KEEP")
    for number in range(EACH):
        kind = dice.choice(kinds)
        broken, at = damage(kind, data, dice)
        path.write_bytes(broken)
        if keep:
            Path(keep, path.name).write_bytes(broken)
        if broken != data:
            yield path, broken, at, f"{name} number {number}: {kind} at {at}"


def run(reader):
    """The rows that a run gives, as they would be written, and the number that it reports."""
    start = time.perf_counter()
    pipeline = Pipeline("hostile", stages=[reader])
    batches = pipeline.run(LocalExecutor(num_workers=0), max_failed_fraction=1.0)
    account = pipeline.last_run
    account.check(1.0)
    rows = [json.loads(line) for batch in batches for line in b"".join(encode(batch)).splitlines()]
    assert account.stages[1].rows_out == len(rows)
    assert time.perf_counter() - start < SECONDS
    return rows, account.rows_failed


def same(row):
    return json.dumps(row, sort_keys=True, default=str)


def test_lines_are_rows_or_reported(tmp_path):
    planted = Counter(map(same, ROWS))
    for path, broken, at, what in damaged("jsonl", LINES, tmp_path):
        rows, failed = run(JsonlReader(str(path)))
        there = [line for line in broken.split(b"\n") if line.strip()]
        assert len(rows) + failed == len(there), what
        before = LINES[:at].count(b"\n")
        after = 0 if LINES.startswith(broken) else LINES[at + 3000 :].count(b"\n") - 1
        assert [same(row) for row in rows[:before]] == [same(row) for row in ROWS[:before]], what
        assert sum((Counter(map(same, rows)) & planted).values()) >= before + max(after, 0), what


@pytest.mark.parametrize("name", CONTAINERS)
def test_what_a_compressed_file_lost_is_reported(tmp_path, name):
    for path, broken, _, what in damaged(name, CONTAINERS[name], tmp_path):
        rows, failed = run(JsonlReader(str(path)))
        assert failed or rows == ROWS, what
        if CONTAINERS[name].startswith(broken):
            assert rows == ROWS[: len(rows)], what


@pytest.mark.parametrize("codec", PARQUET)
def test_parquet_gives_rows_or_reports_them(tmp_path, codec):
    whole = PARQUET[codec]
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for path, broken, _, what in damaged(f"{codec}.parquet", whole, tmp_path):
        rows, failed = run(ParquetReader(str(path)))
        if whole.startswith(broken):
            assert (rows, failed) == ([], 1), what
        elif broken[footer:] == whole[footer:]:
            assert len(rows) + failed == len(FLAT), what
            assert rows == FLAT[: len(rows)], what
        else:
            assert failed or len(rows) == len(FLAT), what


def test_tar_gives_members_or_says_what_is_missing(tmp_path):
    members = [(f"{at:04d}.txt", b"%d " % at * (at * 13 % 400)) for at in range(100)]
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        end = tar.offset
    for suffix, whole in (("tar", sink.getvalue()), ("tar.gz", gzip.compress(sink.getvalue()))):
        for path, broken, _, what in damaged(suffix, whole, tmp_path):
            found, said, error = [], [], None
            try:
                found.extend(tar_members(str(path), skipped=said.append))
            except InputError as raised:
                error = str(raised)
            # nothing in a plain archive tells whether the bytes of a member are those that were put in
            names = [name for name, _ in found]
            assert error or said or set(names) >= {name for name, _ in members}, what
            if whole.startswith(broken):
                assert found == members[: len(found)], what
                assert error or (suffix == "tar" and len(broken) > end), what
