"""Ids of documents: running numbers, given to groups of files in the order in which they are registered.

Where this script is connected to Ray the numbers are kept by an actor, else in a file of this machine which its
processes share.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_curator.errors import UnknownIdsError
from nemo_curator.utils.client_utils import is_remote_url, local_path
from nemo_curator.utils.file_utils import read_json_file
from nemo_curator.utils.storage import locate
from nemo_curator.utils.whole_files import put

CURATOR_DEDUP_ID_STR = "_curator_dedup_id"
"""The column of the ids."""
CURATOR_ID_GENERATOR_ACTOR_NAME = "curator_deduplication_id_generator"
"""The name of the actor, and its namespace."""
LOCAL_GENERATOR = "CURATOR_ID_GENERATOR"
"""The variable with the file in which this script, and what it starts, keep the numbers."""

_PATIENCE_S = 300.0  # how long a process waits for others that write


class IdGeneratorBase:
    """Gives each group of files a range of ids, and the same one again when it is asked again."""

    def __init__(self, start_id: int = 0, batch_registry: dict[str, tuple[int, int]] | None = None):
        self.next_id = start_id
        self.batch_registry = dict(batch_registry or {})

    def register_batch(self, files: str | list[str], count: int) -> int:
        """Reserve ids for the records of a group; returns the first. A group that is known keeps those it has."""
        key = self.hash_files(files)
        if key not in self.batch_registry:
            self.batch_registry[key] = (self.next_id, self.next_id + count - 1)
            self.next_id += count
        return self.batch_registry[key][0]

    def hash_files(self, filepath: str | list[str]) -> str:
        return hash_files(filepath)

    def get_batch_range(self, files: str | list[str] | None = None, key: str | None = None) -> tuple[int, int]:
        """The first and the last id of a group, which is named by its files or by their hash."""
        found = self.find_range([_key(files, key)])
        if found is None:
            raise unknown(files or key, self.size())
        return found

    def find_range(self, keys: list[str]) -> tuple[int, int] | None:
        """The ids of the first of these groups that is known."""
        return next((self.batch_registry[key] for key in keys if key in self.batch_registry), None)

    def size(self) -> int:
        """How many groups are known."""
        return len(self.batch_registry)

    def to_disk(self, filepath: str, storage_options: dict[str, Any] | None = None) -> None:
        """Write what is known as JSON, to a file or URL."""
        state = {"next_id": self.next_id, "batch_registry": self.batch_registry}
        put(*locate(str(filepath), storage_options), json.dumps(state).encode())

    @classmethod
    def from_disk(cls, filepath: str, storage_options: dict[str, Any] | None = None) -> IdGeneratorBase:
        state = read_json_file(str(filepath), storage_options)
        return cls(state["next_id"], {key: tuple(ids) for key, ids in state["batch_registry"].items()})


class LocalIdGenerator:
    """The same, kept in a file that all processes of this machine write to."""

    def __init__(self, path: str):
        self.path = path

    @classmethod
    def create(cls, path: str, state: IdGeneratorBase) -> LocalIdGenerator:
        Path(path).touch()
        made = cls(path)
        with made._writing() as database:
            database.execute("CREATE TABLE batches (key TEXT PRIMARY KEY, first INTEGER, last INTEGER) WITHOUT ROWID")
            database.execute("CREATE TABLE state (next_id INTEGER)")
            database.execute("INSERT INTO state VALUES (?)", (state.next_id,))
            rows = ((key, *ids) for key, ids in state.batch_registry.items())
            database.executemany("INSERT INTO batches VALUES (?, ?, ?)", rows)
        return made

    def state(self) -> IdGeneratorBase:
        """A copy of what is known now."""
        with self._writing() as database:
            batches = database.execute("SELECT key, first, last FROM batches").fetchall()
            next_id = database.execute("SELECT next_id FROM state").fetchone()[0]
        return IdGeneratorBase(next_id, {key: (first, last) for key, first, last in batches})

    @property
    def next_id(self) -> int:
        return self.state().next_id

    @property
    def batch_registry(self) -> dict[str, tuple[int, int]]:
        return self.state().batch_registry

    def register_batch(self, files: str | list[str], count: int) -> int:
        key = hash_files(files)
        with self._writing() as database:
            known = database.execute("SELECT first FROM batches WHERE key = ?", (key,)).fetchone()
            if known is not None:
                return known[0]
            first = database.execute("SELECT next_id FROM state").fetchone()[0]
            database.execute("INSERT INTO batches VALUES (?, ?, ?)", (key, first, first + count - 1))
            database.execute("UPDATE state SET next_id = ?", (first + count,))
        return first

    def hash_files(self, filepath: str | list[str]) -> str:
        return hash_files(filepath)

    def get_batch_range(self, files: str | list[str] | None = None, key: str | None = None) -> tuple[int, int]:
        found = self.find_range([_key(files, key)])
        if found is None:
            raise unknown(files or key, self.size())
        return found

    def to_disk(self, filepath: str, storage_options: dict[str, Any] | None = None) -> None:
        self.state().to_disk(filepath, storage_options)

    def find_range(self, keys: list[str]) -> tuple[int, int] | None:
        with closing(self._open()) as database:
            query = "SELECT first, last FROM batches WHERE key = ?"
            found = (database.execute(query, (key,)).fetchone() for key in keys)
            return next((ids for ids in found if ids is not None), None)

    def size(self) -> int:
        with closing(self._open()) as database:
            return database.execute("SELECT count(*) FROM batches").fetchone()[0]

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with closing(self._open()) as database, database:
            database.execute("BEGIN IMMEDIATE")
            yield database

    def _open(self) -> sqlite3.Connection:
        if not Path(self.path).exists():
            raise RuntimeError(
                f"the id generator {self.path} is not there any more, or is on another machine; start it with "
                "create_id_generator_actor() when this script is connected to Ray"
            )
        database = sqlite3.connect(self.path, timeout=_PATIENCE_S, isolation_level=None)
        database.execute("PRAGMA synchronous=OFF")  # a loss of power takes the script with it
        return database


@dataclass(frozen=True)
class GeneratorAddress:
    """Where the id generator is: found where the run is started, and carried to the workers."""

    place: str
    folder: str
    """The working folder of the script: paths in a file of ids may be relative to it."""

    @classmethod
    def here(cls) -> GeneratorAddress:
        """The generator of this script. Raises RuntimeError if there is none."""
        try:
            found = get_id_generator_actor()
        except ValueError as error:
            raise RuntimeError(
                "no id generator is running; start one with create_id_generator_actor(), or with the path of a file "
                "that write_id_generator_to_disk has written"
            ) from error
        is_local = isinstance(found, LocalIdGenerator)
        return cls(f"file://{found.path}" if is_local else _ray_address(), str(Path.cwd()))

    def register(self, files: list[str], count: int) -> int:
        """Reserve ids for a group, or look up those that it has; returns the first."""
        return self._ask("register_batch", files, count)

    def size(self) -> int:
        """How many groups are known."""
        return self._ask("size")

    def ranges_of(self, files: list[str]) -> list[tuple[int, int]]:
        """The first and last id of a group, or where it is not known as one, those of each of its files."""
        return ranges_of(files, self.folder, self)

    def find_range(self, keys: list[str]) -> tuple[int, int] | None:
        """The ids of the first of these groups that is known."""
        return self._ask("find_range", keys)

    def _ask(self, method: str, *arguments: Any) -> Any:
        if self.place.startswith("file://"):
            return getattr(LocalIdGenerator(self.place.removeprefix("file://")), method)(*arguments)
        import ray

        if not ray.is_initialized():
            ray.init(address=self.place, log_to_driver=False)
        actor = ray.get_actor(CURATOR_ID_GENERATOR_ACTOR_NAME, namespace=CURATOR_ID_GENERATOR_ACTOR_NAME)
        return call(actor, method, *arguments)


def call(generator: Any, method: str, *arguments: Any) -> Any:
    """Ask an id generator, which may be an actor."""
    if isinstance(generator, IdGeneratorBase | LocalIdGenerator):
        return getattr(generator, method)(*arguments)
    import ray

    return ray.get(getattr(generator, method).remote(*arguments))


def hash_files(files: str | list[str]) -> str:
    """Stands for a group of files: for their paths as they are written, in their order."""
    paths = [files] if isinstance(files, str) else files
    return str(uuid.uuid5(uuid.NAMESPACE_URL, ";".join(map(str, paths))))


def ranges_of(files: list[str], folder: str, generator: Any) -> list[tuple[int, int]]:
    """The first and last id of a group, or of each of its files, as an id generator knows them.

    Their paths may have been written in another way, also relative to the folder.
    """
    if (of_all := generator.find_range(_spellings(files, folder))) is not None:
        return [of_all]
    found = [generator.find_range(_spellings([path], folder)) for path in files]
    if None in found:
        raise unknown(files, generator.size())
    return found


def _spellings(files: list[str], folder: str) -> list[str]:
    """The keys under which a group may be known."""
    ways = [files, sorted(files)]
    for paths in (files, sorted(files)):
        if any(map(is_remote_url, paths)):
            ways.append([path.partition("://")[2] for path in paths])
            continue
        absolute = [str(local_path(path)) for path in paths]
        relative = [os.path.relpath(path, folder) for path in absolute]
        ways += [absolute, relative, [f"./{path}" for path in relative], [f"file://{path}" for path in absolute]]
    return list(dict.fromkeys(map(hash_files, ways)))


def create_id_generator_actor(filepath: str | None = None, storage_options: dict[str, Any] | None = None) -> None:
    """Start the id generator, with what a file or URL holds. It is there until it is killed.

    Without Ray it is there for this script and what it starts. Raises ValueError if there is one.
    """
    state = IdGeneratorBase() if filepath is None else IdGeneratorBase.from_disk(filepath, storage_options)
    with _connected() as ray:
        if ray is None:
            _create_here(state)
            return
        options = {"name": CURATOR_ID_GENERATOR_ACTOR_NAME, "namespace": CURATOR_ID_GENERATOR_ACTOR_NAME}
        actor = _actor_class().options(**options, lifetime="detached").remote(state.next_id, state.batch_registry)
        ray.get(actor.wait.remote())


def get_id_generator_actor() -> Any:
    """The id generator: an actor where Ray keeps it, else a `LocalIdGenerator`. Raises ValueError if there is none."""
    if (ray := _ray()) is not None:
        if not ray.is_initialized():
            ray.init(ignore_reinit_error=True)
        with suppress(ValueError):
            return ray.get_actor(CURATOR_ID_GENERATOR_ACTOR_NAME, namespace=CURATOR_ID_GENERATOR_ACTOR_NAME)
    if (found := _local()) is None:
        raise ValueError("there is no id generator; start one with create_id_generator_actor()")
    return found


def kill_id_generator_actor() -> None:
    """End the id generator; what it knows is gone unless it was written to disk."""
    with _connected() as ray:
        found = get_id_generator_actor()
        if isinstance(found, LocalIdGenerator):
            _delete_here(found.path, os.getpid())
            os.environ.pop(LOCAL_GENERATOR, None)
        elif ray is not None:
            ray.kill(found)


def write_id_generator_to_disk(filepath: str, storage_options: dict[str, Any] | None = None) -> None:
    """Write what the id generator knows as JSON, to a file or URL."""
    with _connected() as ray:
        found = get_id_generator_actor()
        if isinstance(found, LocalIdGenerator):
            found.to_disk(filepath, storage_options)
        elif ray is not None:
            ray.get(found.to_disk.remote(filepath, storage_options))


def _key(files: str | list[str] | None, key: str | None) -> str:
    if (files is None) == (key is None):
        raise ValueError("Either files or key must be provided, and not both")
    return hash_files(files) if files is not None else str(key)


def unknown(files: str | list[str] | None, groups: int) -> UnknownIdsError:
    names = [files] if isinstance(files, str) else list(files or [])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return UnknownIdsError(
        f"no ids are known for {', '.join(map(str, names[:3]))}{more}, neither for this group of files nor for each; "
        f"the id generator knows {groups} groups. Read the files that got their ids from it, with the input_path, "
        "blocksize or files_per_partition, and extensions of that run"
    )


def _create_here(state: IdGeneratorBase) -> None:
    if (found := _local()) is not None:
        raise ValueError(
            f"the name is already taken: {found.path} is an id generator; end it with kill_id_generator_actor()"
        )
    path = str(Path(tempfile.mkdtemp(prefix="curator-ids-")) / "ids.sqlite")
    LocalIdGenerator.create(path, state)
    os.environ[LOCAL_GENERATOR] = path
    atexit.register(_delete_here, path, os.getpid())


def _local() -> LocalIdGenerator | None:
    path = os.environ.get(LOCAL_GENERATOR, "")
    return LocalIdGenerator(path) if Path(path).is_file() else None


def _delete_here(path: str, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(Path(path).parent, ignore_errors=True)


@contextmanager
def _connected() -> Iterator[Any]:
    """Ray, connected for as long as this takes, or as it is; None where this script has nothing to do with it."""
    ray = _ray()
    was_connected = ray is None or ray.is_initialized()
    if not was_connected:
        ray.init(ignore_reinit_error=True, log_to_driver=False)
    try:
        yield ray
    finally:
        if not was_connected:
            ray.shutdown()


def _ray() -> Any:
    """Ray, where this process is connected to it or told where it is."""
    ray = sys.modules.get("ray")
    if os.environ.get("RAY_ADDRESS"):
        import ray
    return ray if os.environ.get("RAY_ADDRESS") or (ray is not None and ray.is_initialized()) else None


def _ray_address() -> str:
    import ray

    return ray.get_runtime_context().gcs_address


def _actor_class() -> Any:
    import ray

    class IdGenerator(IdGeneratorBase):
        """The id generator as an actor of Ray."""

        def wait(self) -> None:
            """Return when the actor has been started."""

    return ray.remote(IdGenerator)


def __getattr__(name: str) -> Any:
    if name == "IdGenerator":  # made when asked for: importing Ray takes longer than all else here
        return _actor_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
