"""A tar of images that were downloaded, and the Parquet file beside it that says what became of every URL."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import InputError
from nemo_curator.stages.image.download.downloads import Outcome
from nemo_curator.stages.image.download.failures import SUCCESS, UNREACHED, FetchError
from nemo_curator.stages.image.download.pictures import Picture
from nemo_curator.stages.image.io.names import split_key
from nemo_curator.stages.text.io.reader.parquet import DAMAGE
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.storage import ask, kind_of, locate, open_bytes
from nemo_curator.utils.tar_members import tar_members
from nemo_curator.utils.tar_pieces import tar_pieces
from nemo_curator.utils.whole_files import appearing_whole

HELD_BYTES = 2**26
"""How much of the images of a shard is held in memory; the rest is in a file without a name."""
_MARK = b"curator_download"
_FACTS = ("sha256", "width", "height", "original_width", "original_height")
_SCHEMA = pa.schema(
    {
        "url": pa.string(),
        "caption": pa.string(),
        "key": pa.string(),
        "status": pa.string(),
        "error": pa.string(),
        "bytes": pa.int64(),
        "sha256": pa.string(),
        **dict.fromkeys(_FACTS[1:], pa.int32()),
    }
)


@dataclass
class Entry:
    """A row of the list, and what became of its URL."""

    key: str
    url: str | None
    caption: str | None
    others: dict[str, Any]
    wanted_hash: str | None = None
    outcome: Outcome | None = None
    """Without the bytes of the image, which are in the spool."""

    @property
    def source(self) -> tuple[str, str | None]:
        """Rows that share it share an image, which is fetched once."""
        return self.url or "", self.wanted_hash

    @property
    def status(self) -> str:
        return SUCCESS if isinstance(self.outcome, Picture) else self.outcome.status if self.outcome else "unknown"

    def row(self) -> dict[str, Any]:
        known = {name: value and _unicode(value) for name, value in (("url", self.url), ("caption", self.caption))}
        row: dict[str, Any] = {**known, "key": self.key, "status": self.status}
        if isinstance(self.outcome, Picture):
            return {**row, "bytes": self.outcome.nbytes} | {name: getattr(self.outcome, name) for name in _FACTS}
        return {**row, "error": _unicode(str(self.outcome))}


@dataclass
class Spool:
    """Images in the order in which they came, held back until the tar is written in the order of the list."""

    file: IO[bytes]
    places: dict[Any, tuple[int, int]] = field(default_factory=dict)

    def put(self, source: Any, data: bytes) -> None:
        self.places[source] = self.file.seek(0, 2), len(data)
        self.file.write(data)

    def get(self, source: Any) -> bytes:
        start, size = self.places[source]
        self.file.seek(start)
        return self.file.read(size)


@contextmanager
def spooling(folder: str) -> Iterator[Spool]:
    """A spool that leaves nothing behind, however the process ends."""
    place = None if is_remote_url(folder) else folder
    if place:
        Path(place).mkdir(parents=True, exist_ok=True)
    with tempfile.SpooledTemporaryFile(HELD_BYTES, dir=place) as file:
        yield Spool(file)


@dataclass(frozen=True)
class Shard:
    """The two files of a shard, which are there when they are complete: the tar first."""

    stem: str
    storage_options: dict[str, Any] | None = None

    @property
    def files(self) -> list[str]:
        return [f"{self.stem}.tar", f"{self.stem}.parquet"]

    def read(self, fingerprint: str) -> pa.Table | None:
        """What an earlier run wrote for the same part of the list with the same settings; None where there is nothing.

        Where all of it could not be reached there is nothing, either.
        """
        parquet = self.files[1]
        fs, place = locate(parquet, self.storage_options)
        if kind_of(fs, place) is None:
            return None
        table = self._table()
        mark = json.loads((table.schema.metadata or {}).get(_MARK, b"{}"))
        if mark.get("fingerprint") != fingerprint:
            raise InputError(
                f"{parquet} is of another list or other settings; give another output_dir, or mode='overwrite', which "
                "empties the folder"
            )
        if nothing_reached(table) or self.tar_bytes() != mark["tar_bytes"]:
            return None
        return table

    def read_statuses(self) -> pa.Table:
        return self._table(["status"])

    def _table(self, columns: list[str] | None = None) -> pa.Table:
        path = self.files[1]
        try:
            with open_bytes(path, self.storage_options) as file:
                # not pq.read_table: its threads may still have the file when the process ends, which ends it with an
                # abort
                return pq.ParquetFile(file).read(columns, use_threads=False)
        except DAMAGE as error:
            remedy = "delete it, and the next run makes the shard again"
            raise InputError(f"{path} cannot be read: {type(error).__name__}: {error}; {remedy}") from error

    def images(self) -> Iterator[tuple[str, str, bytes]]:
        """Key, extension and content of the images in the tar."""
        for name, data in tar_members(self.files[0], skipped=_refuse, storage_options=self.storage_options):
            key, extension = split_key(name) or ("", "")
            if extension not in ("txt", "json"):
                yield key, extension, data

    def write(self, entries: list[Entry], spool: Spool, fingerprint: str) -> None:
        """Write both files."""
        tar, parquet = self.files
        with self._appearing(tar) as place, Path(place).open("wb") as file:
            file.writelines(tar_pieces(_members(entries, spool)))
            size = file.tell()
        table = make_table(entries)
        mark = {"fingerprint": fingerprint, "tar_bytes": size}
        table = table.replace_schema_metadata({_MARK: json.dumps(mark).encode()})
        with self._appearing(parquet) as place:
            pq.write_table(table, place, compression="zstd", write_page_checksum=True)

    def remove(self) -> None:
        for path in reversed(self.files):
            fs, place = locate(path, self.storage_options)
            with suppress(FileNotFoundError):
                ask(fs, "rm_file", place)

    def tar_bytes(self) -> int | None:
        fs, place = locate(self.files[0], self.storage_options)
        try:
            return ask(fs, "info", place)["size"]
        except FileNotFoundError:
            return None

    @contextmanager
    def _appearing(self, path: str) -> Iterator[str]:
        """A place on this machine to write to, from where the file goes to where it belongs when it is complete."""
        if not is_remote_url(path):
            with appearing_whole(path) as place:
                yield place
            return
        with tempfile.TemporaryDirectory() as folder:
            yield f"{folder}/file"
            fs, there = locate(path, self.storage_options)
            ask(fs, "put_file", f"{folder}/file", there)


def make_table(entries: list[Entry]) -> pa.Table:
    """A row for each URL."""
    table = pa.Table.from_pylist([entry.row() for entry in entries], _SCHEMA)
    for name in entries[0].others if entries else ():
        table = table.append_column(name, _column([entry.others[name] for entry in entries]))
    return table


def statuses(table: pa.Table) -> Counter[str]:
    return Counter(table.column("status").to_pylist())


def nothing_reached(table: pa.Table) -> bool:
    """Whether no server of any URL could be reached."""
    return table.num_rows > 0 and statuses(table).keys() <= set(UNREACHED)


def outcome_of(row: dict[str, Any], data: bytes, extension: str) -> Outcome:
    """What the Parquet file and the tar say of a URL."""
    if row["status"] != SUCCESS:
        return FetchError(row["status"], row["error"])
    return Picture(data, extension, nbytes=row["bytes"], **{name: row[name] for name in _FACTS})


def _members(entries: list[Entry], spool: Spool) -> Iterator[tuple[str, bytes]]:
    for entry in entries:
        if not isinstance(entry.outcome, Picture):
            continue
        yield f"{entry.key}.{entry.outcome.extension}", spool.get(entry.source)
        if entry.caption is not None:
            yield f"{entry.key}.txt", _unicode(entry.caption).encode()
        known = {"url": entry.url, "caption": entry.caption, "key": entry.key, **entry.others}
        yield f"{entry.key}.json", _unicode(json.dumps(known, ensure_ascii=False, default=str)).encode()


def _column(values: list[Any]) -> pa.Array:
    try:
        return pa.array([_unicode(value) if isinstance(value, str) else value for value in values])
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        return pa.array([None if value is None else json.dumps(value, default=str) for value in values])


def _refuse(error: InputError) -> None:
    raise error


def _unicode(text: str) -> str:
    """Text without the halves of characters that JSON may hold."""
    return text.encode(errors="replace").decode()
