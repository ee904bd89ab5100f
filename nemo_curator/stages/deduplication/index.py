"""What earlier deliveries held, so that a new one is compared with all of them and none is read again.

An index is a folder: `index.json` says how it was made and lists the deliveries, each of which has a folder beside it
with its rows in buckets. A delivery counts once it is in the list, so a run that was killed leaves the index as it was.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from nemo_curator.errors import ConfigError, InputError
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.utils.storage import ask, locate
from nemo_curator.utils.whole_files import put

INDEX_MANIFEST = "index.json"
_VERSION = 1


@dataclass(frozen=True)
class Delivery:
    """A data set in an index: its folder there, the output of the run that added it, and the ids of its documents."""

    name: str
    output_path: str
    first_id: int
    num_rows: int


@dataclass
class Index:
    """The deliveries of an index. `kind` and `settings` are what its rows depend on, and stay those it was made with.

    Ids are unique across deliveries, where they are row numbers: each delivery goes on where the one before ended.
    """

    path: str
    kind: str
    settings: dict[str, Any]
    storage_options: dict[str, Any] | None = None
    deliveries: list[Delivery] = field(default_factory=list)
    _found: dict[str, Any] | None = None

    @classmethod
    def open(
        cls, path: str, kind: str, settings: dict[str, Any], storage_options: dict[str, Any] | None = None
    ) -> Index:
        """Read an index, or begin one where there is none. One that was made otherwise is an error."""
        index = cls(absolute(path), kind, settings, storage_options)
        found = index._found = index._read()
        if found is None:
            return index
        if found.get("version") != _VERSION or found.get("kind") != kind:
            what = f"{found.get('kind')!r} of version {found.get('version')}"
            raise ConfigError(
                f"{path} is an index {what}; wanted {kind!r} of version {_VERSION}: give another index_path"
            )
        have = found["settings"]
        if changed := [key for key in {**have, **settings} if have.get(key) != settings.get(key)]:
            was, now = ({key: some.get(key) for key in changed} for some in (have, settings))
            raise ConfigError(f"{path} was made with {was}, and this run has {now}; use those or another index_path")
        index.deliveries = [Delivery(**one) for one in found["deliveries"]]
        return index

    @property
    def next_id(self) -> int:
        """The first id of the next delivery."""
        return max((one.first_id + one.num_rows for one in self.deliveries), default=0)

    def begin(self, output_path: str) -> Delivery:
        """The delivery of a run with this output, still without rows. A run that is repeated takes the place it had."""
        where = absolute(output_path)
        earlier = [one for one in self.deliveries if one.output_path == where]
        if earlier and earlier[0] != self.deliveries[-1]:
            later = len(self.deliveries) - self.deliveries.index(earlier[0]) - 1
            raise ConfigError(
                f"{output_path} is delivery {earlier[0].name} of {self.path}, and {later} after it were compared "
                "with it; give another output_path, or make the index anew"
            )
        self.deliveries = self.deliveries[: len(self.deliveries) - len(earlier)]
        return Delivery(f"{len(self.deliveries):06}", where, self.next_id, 0)

    def folder(self, delivery: Delivery) -> str:
        return f"{self.path}/{delivery.name}"

    def add(self, delivery: Delivery) -> None:
        """Put a delivery into the list, when all of its rows are in its folder."""
        there = (self._read() or {}).get("deliveries", [])
        if [one for one in there if one["output_path"] != delivery.output_path] != list(map(asdict, self.deliveries)):
            raise InputError(f"{self.path} has got other deliveries meanwhile; run it again, one run at a time")
        self.deliveries = [*self.deliveries, delivery]
        value = self._found = {
            "version": _VERSION,
            "kind": self.kind,
            "settings": self.settings,
            "deliveries": [asdict(one) for one in self.deliveries],
        }
        self._write(value)

    @staticmethod
    def withdraw(folder: str, storage_options: dict[str, Any] | None = None) -> None:
        """Take a delivery out of the list before the files in its folder are written anew: `add` puts it back."""
        path, _, name = folder.rpartition("/")
        index = Index(path, "", {}, storage_options)
        found = index._read()
        if found is not None:
            found["deliveries"] = [one for one in found["deliveries"] if one["name"] != name]
            index._write(found)

    def _write(self, value: dict[str, Any]) -> None:
        fs, place = locate(f"{self.path}/{INDEX_MANIFEST}", self.storage_options)
        put(fs, place, json.dumps(value, indent=1).encode())

    def _read(self) -> dict[str, Any] | None:
        fs, place = locate(f"{self.path}/{INDEX_MANIFEST}", self.storage_options)
        fs.invalidate_cache()
        try:
            return json.loads(ask(fs, "cat_file", place))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise InputError(f"{self.path}/{INDEX_MANIFEST} is damaged ({error}); make the index anew") from error
