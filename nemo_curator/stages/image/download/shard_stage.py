"""One shard of a list: what its URLs hold, in a tar."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.errors import StorageError
from nemo_curator.ledger import counts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.file_partitioning import SOURCE_ROOT
from nemo_curator.stages.image.download.addresses import Resolver
from nemo_curator.stages.image.download.connections import ConnectionPool, Target
from nemo_curator.stages.image.download.downloads import Crowd
from nemo_curator.stages.image.download.failures import SUCCESS, UNREACHED
from nemo_curator.stages.image.download.fetch import Fetcher, FetchRules
from nemo_curator.stages.image.download.pictures import Picture, PictureRules
from nemo_curator.stages.image.download.shards import (
    Entry,
    Shard,
    Spool,
    make_table,
    nothing_reached,
    outcome_of,
    spooling,
    statuses,
)
from nemo_curator.stages.image.download.url_lists import ListColumns, read_part
from nemo_curator.stages.image.download.url_shards import COLUMNS, SHARD
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.client_utils import is_remote_url, local_path
from nemo_curator.utils.file_utils import check_output_mode, refuse_to_empty
from nemo_curator.utils.storage import ask, locate
from nemo_curator.utils.whole_files import remove_leftovers

OFFLINE_HOSTS = 20
"""Where of so many hosts in a shard, or more, none can be reached, it is not the hosts."""
_FORMAT = 1


@dataclass
class ImageShardStage(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Download the images of a shard of a list into a webdataset tar, with a row of Parquet for every URL.

    A shard that is there, of the same part of the list with the same settings, is left as it is. The other settings are
    those of ImageDownloadStage.
    """

    output_dir: str
    images_per_tar: int
    fetching: FetchRules
    pictures: PictureRules
    crowd: Crowd
    allow_private_addresses: bool | tuple[str, ...] = False
    retry_failed: bool = False
    mode: Literal["ignore", "overwrite", "error"] = "ignore"
    storage_options: dict[str, Any] | None = None
    output_storage_options: dict[str, Any] | None = None
    name: str = "image_download"

    requires = {"PIL": "image"}

    def __post_init__(self) -> None:
        if self.mode not in ("ignore", "overwrite", "error"):
            raise ValueError(f"{self.name}: unknown mode {self.mode!r}; known are ignore, overwrite and error")

    @property
    def path(self) -> str:
        """The folder that is written to, absolute."""
        folder = str(self.output_dir)
        return folder.rstrip("/") if is_remote_url(folder) else str(local_path(folder))

    def check_inputs(self, paths: list[str]) -> None:
        """Raise if the run would delete lists that it reads."""
        if self.mode == "overwrite":
            refuse_to_empty(self.path, paths)

    def before_run(self, earlier: bool | None = None) -> bool:
        remove_leftovers(self.path)
        if earlier is None:
            check_output_mode(self.mode, locate(self.path, self.output_storage_options)[0], self.path)
        return True

    def after_run(self) -> None:
        """Clear up, and raise if no server of any URL could be reached: then nothing is left, for the next attempt."""
        remove_leftovers(self.path)
        fs, place = locate(self.path, self.output_storage_options)
        fs.invalidate_cache()
        names = sorted(name.rpartition("/")[2] for name in ask(fs, "ls", place, detail=False))
        shards = [self._shard(int(name[:-8])) for name in names if re.fullmatch(r"\d{5,}\.parquet", name)]
        total = 0
        for shard in shards:
            table = shard.read_statuses()
            if "status" not in table.column_names or not nothing_reached(table):
                return
            total += table.num_rows
        for shard in shards:
            shard.remove()
        if shards:
            raise _offline(f"{total} URLs", statuses(table))

    def setup(self, _: Any = None) -> None:
        self._pool = ConnectionPool(Resolver(self.allow_private_addresses), self.crowd.connections)
        self._fetcher = Fetcher(self.fetching, self._pool)

    def teardown(self) -> None:
        self._pool.close()

    def process(self, task: FileGroupTask) -> FileGroupTask:
        shard = self._shard(task._metadata[SHARD])
        entries = self._entries(task)
        fingerprint = self._fingerprint(entries)
        table = shard.read(fingerprint)
        if table is None or (self.retry_failed and statuses(table).keys() != {SUCCESS}):
            with spooling(self.path) as spool:
                if table is not None:
                    _take_over(shard, table, entries, spool)
                self._download(entries, spool)
                _check_network(shard, entries)
                shard.write(entries, spool, fingerprint)
            table = make_table(entries)
        return self._report(task, shard, table)

    def _shard(self, number: int) -> Shard:
        return Shard(f"{self.path}/{number:05d}", self.output_storage_options)

    def _entries(self, task: FileGroupTask) -> list[Entry]:
        columns = ListColumns(**task._metadata[COLUMNS])
        rows = read_part(task.data[0], task.reader_config, columns, self.storage_options)
        digits = max(len(str(self.images_per_tar - 1)), 4)
        return [
            Entry(
                f"{task._metadata[SHARD]:05d}{number:0{digits}d}",
                _text(row[columns.url]),
                _text(row.get(columns.caption or "")),
                {name: row.get(name) for name in columns.others},
                _text(row.get(columns.hash or "")),
            )
            for number, row in enumerate(rows)
        ]

    def _fingerprint(self, entries: list[Entry]) -> str:
        """The same for the same part of a list with the same settings, as far as these decide what is written."""
        settings = [asdict(self.pictures), self.fetching.max_bytes, self.fetching.opt_out_directives, _FORMAT]
        rows = [[entry.key, entry.url, entry.caption, entry.others, entry.wanted_hash] for entry in entries]
        return hashlib.sha256(json.dumps([settings, rows], default=str).encode()).hexdigest()

    def _download(self, entries: list[Entry], spool: Spool) -> None:
        """Fetch what is not there yet, each URL once."""
        wanted: dict[Any, list[Entry]] = {}
        for entry in entries:
            if entry.outcome is None:
                wanted.setdefault(entry.source, []).append(entry)
        sources = list(wanted)

        def make(place: int, target: Target) -> Picture:
            return self.pictures.make(self._fetcher.fetch(target), sources[place][1])

        for place, outcome in self.crowd.make_all([url for url, _ in sources], make):
            if isinstance(outcome, Picture):
                spool.put(sources[place], outcome.data)
                outcome = replace(outcome, data=b"")
            for entry in wanted[sources[place]]:
                entry.outcome = outcome

    def _report(self, task: FileGroupTask, shard: Shard, table: pa.Table) -> FileGroupTask:
        """Account for every URL: it is in the tar, or was dropped for a reason."""
        found = statuses(table)
        counts.seen(table.num_rows, pc.sum(table.column("bytes")).as_py() or 0)
        counts.written(found[SUCCESS], shard.tar_bytes() or 0)
        column = table.column("status").to_numpy(zero_copy_only=False)
        for status in sorted(found.keys() - {SUCCESS}):
            counts.removed(
                status, shard.files[0], column == status, lambda rows: DocumentBatch.from_arrow(table.take(rows))
            )
        metadata = {"source_files": shard.files[:1], SOURCE_ROOT: self.path, "num_rows": found[SUCCESS]}
        return FileGroupTask(dataset_name=task.dataset_name, data=shard.files, _metadata=metadata)


def _take_over(shard: Shard, table: pa.Table, entries: list[Entry], spool: Spool) -> None:
    """Take the images that an earlier run has downloaded."""
    by_key = {entry.key: (entry, row) for entry, row in zip(entries, table.to_pylist(), strict=True)}
    for key, extension, data in shard.images():
        entry, row = by_key[key]
        entry.outcome = outcome_of(row, b"", extension)
        spool.put(entry.source, data)


def _check_network(shard: Shard, entries: list[Entry]) -> None:
    """Raise if it is the network that fails, and not the hosts: then there is no shard, and the next run makes it."""
    found = {entry.status for entry in entries}
    if not entries or not found <= set(UNREACHED):
        return
    hosts = {Target.of(entry.url or "").host for entry in entries}
    if len(hosts) >= OFFLINE_HOSTS:
        raise _offline(f"the {len(entries)} URLs of {shard.stem}, on {len(hosts)} hosts", found)


def _offline(what: str, found: Any) -> StorageError:
    return StorageError(
        f"none of {what} could be reached ({', '.join(sorted(found))}); check that this machine has a network and "
        "resolves names, and run it again"
    )


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else str(value)
