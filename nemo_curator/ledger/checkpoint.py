"""Which partitions are done, kept in a folder, so that a run that was ended goes on where it was."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any, Literal

from nemo_curator.errors import CheckpointError
from nemo_curator.ledger.counts import Failure, StageCount
from nemo_curator.ledger.fingerprint import changed_settings, describe_stage, input_signature
from nemo_curator.ledger.samples import NO_LIMITS, Limits, Samples
from nemo_curator.ledger.scores import Scores
from nemo_curator.ledger.stored_tasks import are_there, load_tasks, output_storages, remove_outputs, store_tasks
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks.tasks import Task
from nemo_curator.utils.file_utils import make_folder
from nemo_curator.utils.storage import ask, is_local, locate
from nemo_curator.utils.whole_files import put, remove_leftovers

FLUSH_S = 2.0
"""How long finished partitions wait before they are written where files cannot be appended to."""

OnChange = Literal["error", "redo"]


class Checkpoint:
    """The records of finished partitions in a folder, on this machine or behind a URL of fsspec.

    `run.json` says what the pipeline was; each attempt appends the partitions it finished to a file of its own, with
    their tasks and their counts. A pipeline or an input that has changed is an error, or with `on_change="redo"` costs
    what has changed.
    """

    def __init__(self, path: str | os.PathLike, on_change: OnChange = "error"):
        if on_change not in ("error", "redo"):
            raise ValueError(f"on_change is 'error' or 'redo', not {on_change!r}")
        self.path = os.fspath(path)
        self.on_change = on_change
        self._fs, self._folder = locate(self.path)
        self._records: dict[tuple[int, str], dict[str, Any]] = {}
        self._waiting: list[str] = []
        self._attempt = self._part = 0
        self.is_open = False
        self._flushed = time.monotonic()

    def open(self, stages: Sequence[ProcessingStage]) -> dict[str, Any]:
        """Read what earlier attempts did; returns what the stages of the first attempt left for its successors."""
        now = [describe_stage(stage) for stage in stages]
        make_folder(self.path)
        self._fs.invalidate_cache()
        for folder in (self.path, f"{self.path}/tasks"):
            remove_leftovers(folder)
        self._storages = output_storages(stages)
        earlier = self._read_json("run.json") or {}
        if changes := changed_settings(earlier.get("stages", now), now):
            self._refuse(f"the pipeline has changed: {'; '.join(changes[:3])}")
            earlier = {}
            self._read_records(was_ended=False)
            self._drop(list(self._records))
            self._forget()
        self._attempt = int(earlier.get("attempts", 0)) + 1
        self._read_records(was_ended=bool(earlier.get("ended")))
        self.flush()  # before run.json says that the run is under way: what got another chance keeps it
        self._run = {"stages": now, "states": earlier.get("states", {}), "attempts": self._attempt, "ended": False}
        self._write_json("run.json", self._run)
        self.is_open = True
        return dict(self._run["states"])

    def keep_states(self, states: dict[str, Any]) -> None:
        """Keep what stages chose when the run began, and a later attempt must not choose anew."""
        self._run["states"] = states
        self._write_json("run.json", self._run)

    def check_inputs(self, sources: dict[str, list[Task]], storage_options: dict[str, Any] | None) -> None:
        """Raise if files that were read have changed or are gone, or forget what was made of them."""
        self._signatures = {partition: input_signature(tasks, storage_options) for partition, tasks in sources.items()}
        known = {partition: record for (segment, partition), record in self._records.items() if segment == 0}
        changed = [one for one, record in known.items() if one in sources and record["input"] != self._signatures[one]]
        gone = [one for one in known if one not in sources]
        if not changed and not gone:
            return
        names = [path for one in [*changed, *gone] for path, *_ in known[one]["input"]]
        what = f"{len(changed)} partitions have changed and {len(gone)} are gone"
        self._refuse(f"the input has changed ({what}): {', '.join(map(str, names[:3]))}")
        self._drop([(0, one) for one in [*changed, *gone]])
        self.forget_after(0)

    def forget_after(self, segment: int) -> None:
        """Forget what was made of this segment, for some of it is made anew: what follows a barrier saw all of it."""
        self._drop([key for key in self._records if key[0] > segment])

    def has(self, segment: int, partition: str) -> bool:
        """Whether an earlier attempt has finished a partition, and what it made is still there."""
        record = self._records.get((segment, partition))
        return record is not None and are_there(record["tasks"], self._fs, self._folder, self._storages)

    def load(self, segment: int, partition: str) -> tuple[list[Task], dict[int, StageCount]]:
        """What an earlier attempt made of a partition."""
        record = self._records[segment, partition]
        counts = {int(place): _count(saved) for place, saved in record["counts"].items()}
        return load_tasks(record["tasks"], self._fs, self._folder), counts

    def add(
        self,
        segment: int,
        partition: str,
        tasks: list[Task],
        counts: dict[int, StageCount],
        limits: dict[int, dict[str, Limits]] | None = None,
    ) -> None:
        """Record a finished partition. One whose tasks cannot be stored is done again by the next attempt.

        Samples that did not draw less than the `limits` of their stage and filter are left out.
        """
        stored = store_tasks(tasks, self._fs, self._folder, f"{segment}-{partition}")
        if stored is None:
            return
        record = {
            "segment": segment,
            "id": partition,
            "input": self._signatures.get(partition, []) if segment == 0 else [],
            "tasks": stored,
            "counts": {place: _saved(count, (limits or {}).get(place, {})) for place, count in counts.items()},
        }
        self._waiting.append(json.dumps(record))
        if is_local(self._fs) or time.monotonic() - self._flushed > FLUSH_S:
            self.flush()

    def flush(self) -> None:
        if not self._waiting:
            return
        data = "".join(f"{line}\n" for line in self._waiting).encode()
        if is_local(self._fs):
            with self._fs.open(f"{self._folder}/done-{self._attempt:04}.jsonl", "ab") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        else:
            put(self._fs, f"{self._folder}/done-{self._attempt:04}-{self._part:06}.jsonl", data)
            self._part += 1
        self._waiting, self._flushed = [], time.monotonic()

    def end(self) -> None:
        """Say that the run came to its end, with or without failures."""
        self.flush()
        self._write_json("run.json", {**self._run, "ended": True})

    def _read_records(self, *, was_ended: bool) -> None:
        names = self._names()
        for line in (line for name in names for line in ask(self._fs, "cat_file", name).splitlines()):
            try:
                record = json.loads(line)
            except ValueError:
                continue  # cut off when the run was ended: the partition is done again
            for segment, partition in record.get("forgotten", []):
                self._records.pop((segment, partition), None)
            if "id" in record:
                self._records[record["segment"], record["id"]] = record
        if was_ended:  # what failed in a run that came to its end gets another chance
            self._drop([key for key, record in self._records.items() if _failed(record)])

    def _drop(self, keys: list[tuple[int, str]]) -> None:
        """Forget records, in later attempts too, and delete the files that were written."""
        if keys:
            for key in keys:
                remove_outputs(self._records.pop(key), self._storages)
            self._waiting.append(json.dumps({"forgotten": keys}))

    def _refuse(self, what: str) -> None:
        if self.on_change == "error":
            raise CheckpointError(
                f"{self.path} belongs to another run: {what}. Give another checkpoint_path, undo the change, or pass "
                "on_change='redo' to do again what has changed"
            )

    def _forget(self) -> None:
        self._waiting = []
        for name in self._names():
            ask(self._fs, "rm_file", name)

    def _names(self) -> list[str]:
        """The files of records, in the order they were written."""
        try:
            names = ask(self._fs, "ls", self._folder, detail=False)
        except FileNotFoundError:
            return []
        return sorted(name for name in names if name.rpartition("/")[2].startswith("done-"))

    def _read_json(self, name: str) -> dict[str, Any] | None:
        path = f"{self._folder}/{name}"
        try:
            return json.loads(ask(self._fs, "cat_file", path))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise CheckpointError(
                f"{path} is damaged ({error}); delete the folder, or give another checkpoint_path"
            ) from error

    def _write_json(self, name: str, value: dict[str, Any]) -> None:
        put(self._fs, f"{self._folder}/{name}", json.dumps(value, indent=1).encode())


def _failed(record: dict[str, Any]) -> bool:
    return any(count["failed"] for count in record["counts"].values())


def _saved(count: StageCount, limits: dict[str, Limits]) -> dict[str, Any]:
    samples = {by: samples.below(limits.get(by, NO_LIMITS)) for by, samples in count.samples.items()}
    return {
        **vars(count),
        "rejects": None,
        "limits": {},
        "before": None,
        "failures": [asdict(failure) for failure in count.failures],
        "scores": {by: scores.packed() for by, scores in count.scores.items()},
        "samples": {by: [some.kept, some.dropped] for by, some in samples.items()},
    }


def _count(saved: dict[str, Any]) -> StageCount:
    known = {field.name for field in fields(StageCount)}
    count = StageCount(**{key: value for key, value in saved.items() if key in known})
    count.dropped, count.failed = Counter(saved["dropped"]), Counter(saved["failed"])
    count.failures = [Failure(**failure) for failure in saved["failures"]]
    count.scores = {by: Scores.unpacked(packed) for by, packed in saved.get("scores", {}).items()}
    count.samples = {
        by: Samples(*([(number, row) for number, row in rows] for rows in sides))
        for by, sides in saved.get("samples", {}).items()
    }
    return count
