"""The source of pipelines that read files: it finds them, and puts them into partitions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise, takewhile
from typing import Any, Literal, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import StorageError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.sentinels import EmptyTask
from nemo_curator.utils.file_utils import infer_dataset_name_from_path, parse_bytes_string_to_int
from nemo_curator.utils.find_files import Found, compression_of, each, find_input_files, with_sizes
from nemo_curator.utils.hash_utils import get_deterministic_hash
from nemo_curator.utils.storage import open_bytes

T = TypeVar("T")
DEFAULT_BLOCK_BYTES = 16 * 2**20
"""What a file may have before it is split, where nothing else is asked for."""
SOURCE_ROOT = "source_root"
"""In the metadata of a task: the folder that was searched, as seen from which paths name what is in the files."""


@dataclass
class FilePartitioningStage(ProcessingStage[EmptyTask, FileGroupTask]):
    """Find files and group them into partitions, which are read independently.

    `file_paths` is a folder (with all below it), a file, a pattern, or a list of these, on this machine or behind a
    URL. `files_per_partition` groups files in the order of their paths; `blocksize` groups files, small ones first,
    up to that size. A file beyond the block size is split where `split_by` says how its reader takes parts of a file:
    `byte_range` for lines, `row_groups` for Parquet. `limit` is the most partitions there may be.
    """

    file_paths: str | list[str]
    files_per_partition: int | None = None
    blocksize: int | str | None = None
    file_extensions: list[str] | None = None
    storage_options: dict[str, Any] | None = None
    limit: int | None = None
    name: str = "file_partitioning"
    split_by: Literal["byte_range", "row_groups"] | None = field(default=None, kw_only=True)

    resources = Resources(cpus=0.5)

    def __post_init__(self) -> None:
        if self.files_per_partition is not None and self.blocksize is not None:
            raise ValueError("give files_per_partition or blocksize, not both")
        block = None if self.blocksize is None else parse_bytes_string_to_int(self.blocksize)
        wanted = {"files_per_partition": self.files_per_partition, "blocksize": block, "limit": self.limit}
        for what, value in wanted.items():
            if value is not None and value < 1:
                raise ValueError(f"{what} is {value}; wanted at least 1")

    def num_workers(self) -> int | None:
        return 1

    def process(self, _: EmptyTask) -> list[FileGroupTask]:
        extensions = self.file_extensions or [".jsonl", ".json", ".parquet"]
        files = find_input_files(self.file_paths, extensions, self.storage_options)
        parts = self._parts(files)[: self.limit]
        root = common_folder(found.root for found in files)
        ids = _ids(parts, root)
        return [
            self._task(part, {SOURCE_ROOT: root, "partition_index": index, "total_partitions": len(parts)}, source_id)
            for index, (part, source_id) in enumerate(zip(parts, ids))
        ]

    def _parts(self, files: list[Found]) -> list[Part]:
        if self.files_per_partition is not None:
            starts = range(0, len(files), self.files_per_partition)
            return [Part([one.path for one in files[at : at + self.files_per_partition]]) for at in starts]
        if self.blocksize is None and self.split_by is None:
            return [Part([one.path]) for one in files]
        block = DEFAULT_BLOCK_BYTES if self.blocksize is None else parse_bytes_string_to_int(self.blocksize)
        files = with_sizes(files, self.storage_options)
        cuts = self._cuts([one for one in files if self.split_by and (one.size or 0) > block], block)
        if self.blocksize is None:
            groups = [[one.path] for one in files]
        else:
            sizes = [(block if one.size is None else one.size, one.path) for one in files]
            groups = pack([(path, size) for size, path in sorted(sizes)], block)
        return [Part(paths, cut) for paths in groups for cut in cuts.get(paths[0], [{}])]

    def _cuts(self, files: list[Found], block: int) -> dict[str, list[dict[str, Any]]]:
        """How each file that is too large is cut; what is compressed cannot be."""
        sizes = {one.path: one.size or 0 for one in files if not compression_of(one.path)}
        if self.split_by == "byte_range":
            return {path: [{"byte_range": cut} for cut in byte_ranges(size, block)] for path, size in sizes.items()}
        runs = each(lambda path: row_group_runs(path, block, self.storage_options), list(sizes))
        return {path: [{"row_groups": run} for run in cut] for path, cut in zip(sizes, runs) if len(cut) > 1}

    def _task(self, part: Part, place: dict[str, Any], source_id: str) -> FileGroupTask:
        task = FileGroupTask(
            dataset_name=infer_dataset_name_from_path(part.paths[0]),
            data=part.paths,
            reader_config=part.reader_config,
            _metadata={**place, "source_files": list(part.paths)},
        )
        task._source_id = source_id
        return task


@dataclass(frozen=True)
class Part:
    """Files that are one partition; `reader_config` narrows a single one to a part of it."""

    paths: list[str]
    reader_config: dict[str, Any] = field(default_factory=dict)


def pack(sizes: Iterable[tuple[T, int]], most: int) -> list[list[T]]:
    """Group what follows one another while it stays within `most` bytes; what is larger stands alone."""
    packs: list[list[T]] = []
    room = -1
    for one, size in sizes:
        if size > room or not packs:
            packs.append([])
            room = most
        packs[-1].append(one)
        room -= size
    return packs


def byte_ranges(size: int, most: int) -> list[tuple[int, int]]:
    """Cut a size into equal ranges of at most `most` bytes."""
    count = max(-(-size // most), 1)
    cuts = [size * at // count for at in range(count + 1)]
    return list(pairwise(cuts))


def row_group_runs(path: str, most: int, storage_options: dict[str, Any] | None = None) -> list[list[int]]:
    """Cut the row groups of a Parquet file into runs of at most about `most` bytes of it."""
    try:
        with open_bytes(path, storage_options) as file:
            footer = pq.ParquetFile(file).metadata
            length = max(file.seek(0, 2) - footer.serialized_size, 0)
    except StorageError:
        raise  # cut in another way the file would be other partitions
    except (OSError, ValueError, pa.ArrowException):
        return []  # its reader will say what is wrong with it
    # not from footer.row_group(at).column(at): in a damaged footer that ends the process
    sizes = [max(footer.row_group(at).total_byte_size, 0) for at in range(footer.num_row_groups)]
    total = max(sum(sizes), 1)
    return pack(((at, length * size // total) for at, size in enumerate(sizes)), most)


def common_folder(folders: Iterable[str]) -> str:
    """The folder that these are in, or are; empty if they share no more than a machine or a storage."""
    shared, *others = [folder.rstrip("/").split("/") for folder in set(folders)]
    for other in others:
        shared = [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(shared, other))]
    folder = "/".join(shared).rstrip("/")
    return "" if folder.endswith(":") else folder


def _ids(parts: list[Part], root: str) -> list[str]:
    """Name partitions after their files, as seen from the root, and what is read of them."""
    ids: list[str] = []
    taken: set[str] = set()
    for part in parts:
        names = [path[len(root) + 1 :] if root else path.rpartition("/")[2] for path in part.paths]
        seed = "".join(f"{key}={value}" for key, value in part.reader_config.items())
        while (source_id := get_deterministic_hash(names, seed)) in taken:
            seed += "+"
        taken.add(source_id)
        ids.append(source_id)
    return ids
