"""Split large files into smaller ones, on record boundaries.

python -m nemo_curator.utils.split_large_files --input-path P --file-type jsonl --output-path O [--target-size-mb 128]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import InputError
from nemo_curator.stages.file_partitioning import byte_ranges
from nemo_curator.stages.text.io.reader.lines import open_bytes, read_lines
from nemo_curator.utils.file_utils import get_default_file_extensions
from nemo_curator.utils.find_files import Found, compression_of, find_input_files, with_sizes
from nemo_curator.utils.storage import locate
from nemo_curator.utils.whole_files import put


def split_jsonl_file_by_size(
    input_file: str, output_path: str, target_size_mb: int, storage_options: dict[str, Any] | None = None
) -> list[str]:
    """Cut a JSON Lines file into files of about `target_size_mb` MiB, called `<stem>_<i>.jsonl`.

    Lines are copied as they are; one that is longer has a file of its own. Returns the paths.
    """
    if compression_of(input_file):
        raise InputError(f"cannot split {input_file}: it is compressed; decompress it first")
    made: list[str] = []
    for start, stop in byte_ranges(_size(input_file, storage_options), target_size_mb * 2**20):
        runs = [lines for _, lines in read_lines(input_file, start, stop, storage_options=storage_options)]
        if runs:
            made.append(_put(b"".join(runs), input_file, output_path, len(made), storage_options))
    return made


def split_parquet_file_by_size(
    input_file: str, output_path: str, target_size_mb: int, storage_options: dict[str, Any] | None = None
) -> list[str]:
    """Cut a Parquet file into files with equally many rows, of about `target_size_mb` MiB: `<stem>_<i>.parquet`.

    A row that is larger has a file of its own. Returns the paths.
    """
    count = len(byte_ranges(_size(input_file, storage_options), target_size_mb * 2**20))
    made: list[str] = []
    with open_bytes(input_file, storage_options) as source:
        file = pq.ParquetFile(source)
        footer = file.metadata
        codec = footer.row_group(0).column(0).compression if footer.num_row_groups and footer.num_columns else "ZSTD"
        for table in _tables_of(file, max(-(-footer.num_rows // count), 1)):
            sink = pa.BufferOutputStream()
            pq.write_table(table, sink, compression="none" if codec == "UNCOMPRESSED" else codec)
            made.append(_put(sink.getvalue().to_pybytes(), input_file, output_path, len(made), storage_options))
    return made


def main(arguments: list[str] | None = None) -> None:
    split = {"jsonl": split_jsonl_file_by_size, "parquet": split_parquet_file_by_size}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input-path", required=True, help="a file, a folder or a pattern")
    parser.add_argument("--file-type", required=True, choices=sorted(split))
    parser.add_argument("--output-path", required=True, help="the folder to write to")
    parser.add_argument("--target-size-mb", type=int, default=128, help="about how many MiB a file may have")
    parser.add_argument("--storage-options", type=json.loads, default={}, help="settings of fsspec, as JSON")
    given = parser.parse_args(arguments)
    extensions = get_default_file_extensions(given.file_type)
    for found in find_input_files(given.input_path, extensions, given.storage_options):
        made = split[given.file_type](found.path, given.output_path, given.target_size_mb, given.storage_options)
        print(f"{found.path}: {len(made)} files")


def _tables_of(file: pq.ParquetFile, rows: int) -> Iterator[pa.Table]:
    """The rows of a file in tables of `rows` rows; the last may have fewer."""
    held = file.schema_arrow.empty_table()
    for batch in file.iter_batches(min(rows, 2**16), use_threads=False):
        held = pa.concat_tables([held, pa.Table.from_batches([batch])])
        while len(held) >= rows:
            yield held.slice(0, rows)
            held = held.slice(rows)
    if len(held):
        yield held


def _size(path: str, storage_options: dict[str, Any] | None) -> int:
    return with_sizes([Found(path, None, "")], storage_options)[0].size or 0


def _put(data: bytes, input_file: str, output_path: str, number: int, storage_options: dict[str, Any] | None) -> str:
    name = PurePosixPath(input_file)
    path = f"{output_path.rstrip('/')}/{name.stem}_{number}{name.suffix}"
    put(*locate(path, storage_options), data)
    return path


if __name__ == "__main__":
    main()
