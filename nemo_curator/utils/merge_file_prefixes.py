"""Merge the pairs of Megatron files in a folder into one pair.

python -m nemo_curator.utils.merge_file_prefixes --input-dir D --output-prefix P
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

from nemo_curator.errors import InputError
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.stages.text.io.writer.megatron_index import (
    Index,
    appearing_as_pair,
    head,
    places,
    read_index,
)


def merge_file_prefixes(input_dir: str, output_prefix: str) -> int:
    """Put the tokens of all pairs of `.bin` and `.idx` in a folder behind each other, sorted by name.

    Every pair is checked first; one that is not whole, or has tokens of another type, is an error. The tokens are
    copied, and indexes are read one at a time. Returns the number of sequences.
    """
    target = absolute(output_prefix)
    indexes = _indexes(Path(absolute(input_dir)), f"{target}.idx")
    with appearing_as_pair(target) as (bin_path, idx_path):
        with Path(bin_path).open("wb") as out:
            for one in indexes:
                with one.bin_path.open("rb") as tokens:
                    shutil.copyfileobj(tokens, out, 1 << 20)
        with Path(idx_path).open("wb") as out:
            out.writelines(_merged(indexes))
    return sum(one.sequences for one in indexes)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input-dir", required=True, help="the folder with the pairs")
    parser.add_argument("--output-prefix", required=True, help="where to write, without .bin and .idx")
    given = parser.parse_args(arguments)
    sequences = merge_file_prefixes(given.input_dir, given.output_prefix)
    print(f"{given.output_prefix}: {sequences} sequences")


def _indexes(folder: Path, target: str) -> list[Index]:
    paths = sorted(path for path in folder.glob("*.idx") if str(path) != target and not path.name.startswith("."))
    if alone := [path for path in folder.glob("*.bin") if not path.with_suffix(".idx").exists()]:
        raise InputError(f"{min(alone)} has no .idx file beside it")
    if not paths:
        raise InputError(f"there are no .idx files in {folder}")
    indexes = [read_index(path) for path in paths]
    for one in indexes:
        if one.dtype != indexes[0].dtype:
            raise InputError(f"{one.path} has tokens of {one.dtype}, and {paths[0]} of {indexes[0].dtype}")
    return indexes


def _merged(indexes: list[Index]) -> Iterator[bytes]:
    documents = sum(one.bounds - 1 for one in indexes)
    yield head(indexes[0].dtype, sum(one.sequences for one in indexes), documents + 1)
    for one in indexes:
        yield one.lengths.tobytes()
    start = sequences = 0
    for one in indexes:
        yield places(one.lengths, one.dtype, start).tobytes()
        start += one.bin_path.stat().st_size
    yield bytes(8)
    for one in indexes:
        yield (one.document_bounds[1:] + sequences).astype("<i8").tobytes()
        sequences += one.sequences


if __name__ == "__main__":
    main()
