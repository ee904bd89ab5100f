"""What earlier runs have kept, so that a new delivery is deduplicated against it without reading the old text again.

    <index>/index.json                                  what it is of, and the deliveries that are in it
    <index>/deliveries/<name>/<part>/<bucket>.parquet   rows in buckets by their key, as `bucket_of` finds them

A delivery is what one run has added: the documents that it kept. Its ids follow those of the deliveries before. A
delivery is in the index when `index.json` names it, which is the last thing that a run does; a folder that is not
named is what a killed run has left, and the next one replaces it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import InputError
from nemo_curator.stages.deduplication.buckets import bucket_of
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.utils.storage import ask, kind_of, locate, open_bytes
from nemo_curator.utils.whole_files import put

MANIFEST = "index.json"
VERSION = 1
_DELIVERIES = "deliveries"


@dataclass(frozen=True)
class Delivery:
    """The documents that one run has kept. `digest` is that of all its input, `num_rows` counts all of it."""

    name: str
    digest: str
    first_id: int
    num_rows: int
    num_buckets: int
    id_type: str = "int64"

    def folder(self, index_path: str, part: str) -> str:
        return f"{absolute(index_path)}/{_DELIVERIES}/{self.name}/{part}"


@dataclass
class Index:
    """An index as it was when it was opened. `parameters` are those by which rows of different runs can be compared."""

    path: str
    kind: str
    parameters: dict[str, Any]
    storage_options: dict[str, Any] | None = None
    deliveries: list[Delivery] = field(default_factory=list)

    @classmethod
    def open(
        cls, path: str, kind: str, parameters: dict[str, Any], storage_options: dict[str, Any] | None = None
    ) -> Index:
        """Read `index.json`, or begin an index where there is nothing. One made with other parameters is an error."""
        fs, place = locate(absolute(path), storage_options)
        fs.invalidate_cache()
        there = _manifest(fs, place)
        if there is None:
            if kind_of(fs, place) == "directory" and _strangers(ask(fs, "ls", place, detail=False)):
                raise InputError(f"{path} has files and no {MANIFEST}; give an index_path that is empty, or an index")
            return cls(path, kind, parameters, storage_options)
        wanted = {"version": VERSION, "kind": kind, "parameters": parameters}
        for name, value in wanted.items():
            if there.get(name) != value:
                raise InputError(
                    f"the index {path} is of {name} {there.get(name)}, wanted {value}; use the parameters it was made "
                    "with, or another index_path"
                )
        deliveries = [Delivery(**delivery) for delivery in there["deliveries"]]
        return cls(path, kind, parameters, storage_options, deliveries)

    def place_of(self, digest: str, num_rows: int, num_buckets: int, id_type: str = "int64") -> tuple[Delivery, bool]:
        """The delivery with this digest, and whether it is in the index already; if not, it is the next one."""
        for delivery in self.deliveries:
            if delivery.digest == digest:
                return delivery, True
        if any(delivery.id_type != id_type for delivery in self.deliveries):
            kinds = sorted({delivery.id_type for delivery in self.deliveries})
            raise InputError(f"the index {self.path} has ids of type {kinds[0]}, this delivery of type {id_type}")
        first_id = max((delivery.first_id + delivery.num_rows for delivery in self.deliveries), default=0)
        name = f"{len(self.deliveries):06d}"
        return Delivery(name, digest, first_id, num_rows, num_buckets, id_type), False

    def before(self, delivery: Delivery) -> list[Delivery]:
        """The deliveries before this one: what it is compared with."""
        return [other for other in self.deliveries if other.name < delivery.name]

    def begin(self, delivery: Delivery) -> None:
        """Empty the folder of a delivery that is about to be written: only a killed run can have left anything there."""
        fs, place = locate(f"{absolute(self.path)}/{_DELIVERIES}/{delivery.name}", self.storage_options)
        if any(delivery.name == other.name for other in self.deliveries):
            raise InputError(f"delivery {delivery.name} is in the index {self.path} already")
        if kind_of(fs, place) == "directory":
            ask(fs, "rm", place, recursive=True)

    def add(self, delivery: Delivery) -> None:
        """Name a delivery whose files are written: from now on it is in the index."""
        fs, place = locate(absolute(self.path), self.storage_options)
        fs.invalidate_cache()
        now = [Delivery(**each) for each in (_manifest(fs, place) or {"deliveries": []})["deliveries"]]
        if now != self.deliveries:
            raise InputError(f"another run has added to the index {self.path} meanwhile; run this one again")
        self.deliveries = [*now, delivery]
        manifest = {"version": VERSION, "kind": self.kind, "parameters": self.parameters}
        manifest["deliveries"] = [asdict(each) for each in self.deliveries]
        put(fs, f"{place}/{MANIFEST}", json.dumps(manifest, indent=1).encode())


def write_part(
    index_path: str,
    delivery: Delivery,
    part: str,
    bucket: int,
    rows: pa.Table,
    *,
    storage_options: dict[str, Any] | None = None,
    **settings: Any,
) -> str:
    """Write the rows of one bucket, `settings` as `pyarrow.parquet.write_table` knows them; returns the path."""
    path = f"{delivery.folder(index_path, part)}/{bucket:05d}.parquet"
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, **{"compression": "zstd", **settings})
    put(*locate(path, storage_options), sink.getvalue().to_pybytes())
    return path


def read_part(
    index_path: str,
    deliveries: Iterable[Delivery],
    part: str,
    bucket: int,
    num_buckets: int,
    *,
    key_field: str,
    storage_options: dict[str, Any] | None = None,
) -> pa.Table | None:
    """Read one of `num_buckets` buckets of these deliveries, whatever number of buckets each was written with."""
    tables = []
    for delivery in deliveries:
        number = delivery.num_buckets
        wanted = range(bucket, number, num_buckets) if number > num_buckets else [bucket % number]
        for each in wanted:
            table = _read(f"{delivery.folder(index_path, part)}/{each:05d}.parquet", storage_options)
            if table is not None and number < num_buckets:
                table = table.filter(pa.array(bucket_of(table[key_field], num_buckets) == bucket))
            tables += [] if table is None else [table]
    return pa.concat_tables(tables) if tables else None


def digest_of(parts: Iterable[str]) -> str:
    """One digest of the digests of the parts of an input, in any order."""
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:32]


def digest_of_rows(*arrays: np.ndarray) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()


def _read(path: str, storage_options: dict[str, Any] | None) -> pa.Table | None:
    try:
        with open_bytes(path, storage_options) as file:
            return pq.read_table(file)
    except FileNotFoundError:
        return None  # no row has fallen into this bucket


def _manifest(fs: Any, place: str) -> dict[str, Any] | None:
    try:
        return json.loads(ask(fs, "cat_file", f"{place}/{MANIFEST}"))
    except FileNotFoundError:
        return None
    except json.JSONDecodeError as error:
        raise InputError(f"{place}/{MANIFEST} is damaged: {error}") from error


def _strangers(paths: list[str]) -> list[str]:
    """What does not belong to an index whose first run was killed."""
    return [path for path in paths if (name := path.rstrip("/").rpartition("/")[2]) != _DELIVERIES and name[:1] != "."]
