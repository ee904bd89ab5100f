"""Documents of files, one batch after the other, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from nemo_curator.backends.run_stage import run_chain
from nemo_curator.errors import InputError
from nemo_curator.ledger.counts import StageCount
from nemo_curator.stages.text.io.reader import BaseFileReader, JsonlReaderStage, ParquetReaderStage
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.file_utils import get_default_file_extensions
from nemo_curator.utils.find_files import Found, find_input_files, has_extension, with_sizes

PARQUET, JSONL = get_default_file_extensions("parquet"), get_default_file_extensions("jsonl")


def find_documents(paths: list[str]) -> list[Found]:
    """The JSON Lines and Parquet files that the paths stand for, with their sizes."""
    return with_sizes(find_input_files(paths, [*PARQUET, *JSONL]))


def check_apart(files: list[Found], output: str) -> None:
    """Raise if files that are read lie in the folder that is written to."""
    folder = absolute(output)
    for found in files:
        if f"{found.path}/".startswith(f"{folder}/"):
            raise InputError(f"cannot write to {output}: {found.path} is read from there; write to another folder")


def is_parquet(path: str) -> bool:
    return has_extension(path, PARQUET)


def file_type_of(files: list[Found]) -> Literal["parquet", "jsonl"]:
    """The format of files, which must be one."""
    parquet = [found.path for found in files if is_parquet(found.path)]
    if parquet and len(parquet) < len(files):
        other = next(found.path for found in files if not is_parquet(found.path))
        raise InputError(f"{parquet[0]} is Parquet and {other} is JSON Lines; give files of one format at a time")
    return "parquet" if parquet else "jsonl"


def read_documents(path: str, count: StageCount) -> Iterator[DocumentBatch]:
    """Read a file in batches of at most about 16 MiB; what cannot be read is counted as failed."""
    reader: BaseFileReader = ParquetReaderStage() if is_parquet(path) else JsonlReaderStage()
    task = FileGroupTask(dataset_name="documents", data=[path])
    for batch in run_chain([reader], [task], [count]):
        assert isinstance(batch, DocumentBatch)
        yield batch
