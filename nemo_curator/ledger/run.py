"""The account of a whole run."""

from __future__ import annotations

import json
import os
import platform
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from nemo_curator import __version__
from nemo_curator.errors import InputError, LedgerError, RunFailedError
from nemo_curator.ledger.counts import Failure, StageCount
from nemo_curator.ledger.machine import command, describe_machine
from nemo_curator.ledger.partitions import PartitionCounts, explain_imbalance, imbalances
from nemo_curator.ledger.samples import Limits, Samples
from nemo_curator.ledger.scores import Scores
from nemo_curator.ledger.secrets import without_login
from nemo_curator.utils.storage import ask, locate
from nemo_curator.utils.whole_files import put

if TYPE_CHECKING:
    import pandas as pd

LEDGER, PARTITIONS = "ledger.json", "ledger.parquet"
FORMAT = 1
_COLUMNS = ("stage", "rows in", "rows out", "dropped", "failed", "seconds")


@dataclass
class Run:
    """What every stage did, in the order of the pipeline, and how many source partitions came back."""

    pipeline: str
    executor: str
    stages: list[StageCount] = field(default_factory=list)
    partitions: int = 0
    partitions_done: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    """Partitions that were lost as a whole: their worker died too often."""
    settings: list[dict[str, str]] = field(default_factory=list)
    """Every setting of every stage, in words; secrets are left out."""
    started: float = field(default_factory=time.time)
    error: str | None = None
    """Why the run did not end well."""
    by_partition: PartitionCounts = field(default_factory=PartitionCounts, repr=False)
    imbalances: list[str] = field(default_factory=list)
    limits: dict[int, dict[str, Limits]] = field(default_factory=dict, repr=False)
    """By stage and filter, the numbers that rows must draw to get into the samples."""
    description: str | None = None
    command: str | None = field(default_factory=command.get)
    made_by: dict[str, Any] | None = None
    """Of a run that was read: the machine, and the versions of what it ran with."""

    @property
    def rows_in(self) -> int | None:
        """Rows that the first stage got which dealt with rows; None where all were about files."""
        return next((stage.rows_in for stage in self.stages if stage.has_rows), None)

    @property
    def rows_out(self) -> int | None:
        """Rows that the last stage gave which dealt with rows."""
        return next((stage.rows_out for stage in reversed(self.stages) if stage.has_rows), None)

    @property
    def rows_failed(self) -> int:
        return sum(stage.rows_failed for stage in self.stages)

    @property
    def unread(self) -> int:
        """Sources that could not be read to their end."""
        return sum(stage.unread for stage in self.stages)

    @property
    def failed_fraction(self) -> float:
        """Failed rows as a share of the rows that the stage with most rows got."""
        most = max((stage.rows_in + stage.rows_added for stage in self.stages), default=0)
        return self.rows_failed / max(most, 1)

    def dropped(self) -> dict[str, int]:
        """Rows dropped by each filter of the run."""
        total: dict[str, int] = {}
        for stage in self.stages:
            for by, rows in stage.dropped.items():
                total[by] = total.get(by, 0) + rows
        return total

    def to_pandas(self) -> pd.DataFrame:
        """The account as a frame: a row for what went into each stage, was dropped, failed, joined, and came out."""
        from nemo_curator.report.frame import outcomes

        return outcomes(self.to_dict())

    def _repr_html_(self) -> str:
        from nemo_curator.report.notebook import record_html

        return record_html(self.to_dict())

    def add(self, partition: str, counts: dict[int, StageCount], tasks: int, lost: Failure | None = None) -> None:
        """Take the account of a partition, and note where it does not balance."""
        for place, count in counts.items():
            self.stages[place].merge(count)
            self.limits.setdefault(place, {}).update(
                (by, samples.limits()) for by, samples in self.stages[place].samples.items()
            )
        self.by_partition.add(partition, counts, is_lost=lost is not None)
        if lost is None:
            self.partitions_done += 1
            self.imbalances += imbalances(partition, counts, tasks)
        else:
            self.failures.append(lost)

    def check(self, max_failed_fraction: float = 0.0) -> None:
        """Raise if rows are unaccounted for, or if more failed than allowed."""
        if wrong := [*self.imbalances, *(explain_imbalance(stage) for stage in self.stages if stage.imbalance)]:
            more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise LedgerError("; ".join(wrong[:3]) + more)
        if self.partitions_done + len(self.failures) != self.partitions:
            raise LedgerError(
                f"{self.partitions} source partitions went in, {self.partitions_done} came back and "
                f"{len(self.failures)} are known to have failed"
            )
        if self.failures or self.unread or self.failed_fraction > max_failed_fraction:
            raise RunFailedError(self._explain())

    def table(self) -> str:
        """The account as text, one line a stage."""
        rows = [_COLUMNS]
        for stage in self.stages:
            gone = {**stage.dropped, **({"joined": stage.rows_joined} if stage.rows_joined else {})}
            drops = ", ".join(f"{rows} {by}" for by, rows in gone.items() if by != stage.stage)
            rows.append(
                (
                    stage.stage,
                    str(stage.rows_in + stage.rows_added),
                    str(stage.rows_out),
                    f"{stage.rows_dropped} ({drops})" if drops else str(stage.rows_dropped),
                    str(stage.rows_failed),
                    f"{stage.seconds:.2f}",
                )
            )
        widths = [max(len(row[at]) for row in rows) for at in range(len(_COLUMNS))]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)

    def partition_table(self) -> pa.Table:
        """The account of every source partition: a row for each partition and stage."""
        return self.by_partition.table([stage.stage for stage in self.stages])

    def to_dict(self) -> dict[str, Any]:
        """The account as plain values, with what it takes to run it again."""
        versions = {"curator": __version__, "python": platform.python_version()}
        return {
            "format": FORMAT,
            "pipeline": self.pipeline,
            "description": self.description,
            "executor": self.executor,
            **(self.made_by or {**versions, **describe_machine()}),
            "command": self.command,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started)),
            "seconds": self.seconds,
            "error": self.error,
            "partitions": {"in": self.partitions, "done": self.partitions_done, "lost": len(self.failures)},
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "stages": [_plain(stage) for stage in self.stages],
            "failures": [asdict(failure) for failure in self.all_failures()],
            "settings": self.settings,
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Run:
        """The account that `to_dict` made plain."""
        if record.get("format") != FORMAT:
            raise InputError(f"the record of a run has format {record.get('format')!r}; wanted {FORMAT}: run it again")
        failures = [Failure(**failure) for failure in record["failures"]]
        lost = record["partitions"]["lost"]
        run = cls(
            record["pipeline"],
            record["executor"],
            [_stage(stage) for stage in record["stages"]],
            partitions=record["partitions"]["in"],
            partitions_done=record["partitions"]["done"],
            failures=failures[:lost],
            started=datetime.fromisoformat(record["started"]).timestamp(),
            made_by={name: record[name] for name in _MADE_BY if name in record},
            **{name: record[name] for name in ("seconds", "settings", "error", "description", "command")},
        )
        places = {stage.stage: stage for stage in reversed(run.stages)}
        for failure in failures[lost:]:
            places[failure.stage].failures.append(failure)
        return run

    def save(self, folder: str | os.PathLike) -> None:
        """Write the account to a folder or URL: `ledger.json`, `report.html`, and partitions as `ledger.parquet`."""
        import pyarrow.parquet as pq

        from nemo_curator.report import add_report

        fs, place = locate(os.fspath(folder))
        put(fs, f"{place}/{LEDGER}", json.dumps(self.to_dict(), default=str).encode())
        sink = pa.BufferOutputStream()
        pq.write_table(self.partition_table(), sink, compression="zstd")
        put(fs, f"{place}/{PARTITIONS}", sink.getvalue().to_pybytes())
        add_report(folder)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> Run:
        """Read what `save` wrote."""
        import pyarrow.parquet as pq

        run = cls.from_dict(read_record(folder, LEDGER))
        fs, place = locate(os.fspath(folder))
        run.by_partition.read = pq.read_table(pa.BufferReader(ask(fs, "cat_file", f"{place}/{PARTITIONS}")))
        return run

    def all_failures(self) -> Iterator[Failure]:
        """Lost partitions, then samples of the records that failed in each stage."""
        yield from self.failures
        for stage in self.stages:
            yield from stage.failures

    def _explain(self) -> str:
        lost = f" and {len(self.failures)} of {self.partitions} source partitions" if self.failures else ""
        unread = f"; {self.unread} sources could not be read to their end" if self.unread else ""
        failures = list(self.all_failures())
        shown = "".join(f"\n  {failure}" for failure in failures[:5])
        more = "\n  …" if len(failures) > 5 else ""
        return f"{self.rows_failed} rows{lost} failed{unread}; what was written stays.{shown}{more}"


def read_record(folder: str | os.PathLike, name: str) -> dict[str, Any]:
    """Read a file of JSON in the folder of a run. InputError says that it is none, or that the file is damaged."""
    fs, place = locate(os.fspath(folder))
    try:
        return json.loads(ask(fs, "cat_file", f"{place}/{name}"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{os.fspath(folder)} holds no {name}; give the folder of a run that was recorded") from error
    except ValueError as error:
        raise InputError(f"{os.fspath(folder)}/{name} is damaged: {error}; run it again") from error


def _plain(stage: StageCount) -> dict[str, Any]:
    plain = {name: value for name, value in vars(stage).items() if name not in _INTERNAL}
    samples = {by: _without_logins(samples.to_dict()) for by, samples in stage.samples.items()}
    return {
        **plain,
        "dropped": dict(stage.dropped),
        "failed": dict(stage.failed),
        "scores": {by: scores.to_dict() for by, scores in stage.scores.items()},
        "samples": samples,
    }


def _stage(plain: dict[str, Any]) -> StageCount:
    known = {field.name for field in fields(StageCount)}
    stage = StageCount(**{name: value for name, value in plain.items() if name in known})
    stage.dropped, stage.failed = Counter(plain["dropped"]), Counter(plain["failed"])
    stage.scores = {by: Scores.from_dict(scores) for by, scores in plain.get("scores", {}).items()}
    stage.samples = {by: Samples.from_dict(samples) for by, samples in plain.get("samples", {}).items()}
    return stage


def _without_logins(samples: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [
            {**row, **{key: without_login(row[key]) for key in _WHERE if isinstance(row.get(key), str)}} for row in rows
        ]
        for name, rows in samples.items()
    }


_WHERE = ("id", "source")
"""What of a sample may be a URL."""
_MADE_BY = ("curator", "python", "platform", "cpus", "memory_bytes", "packages")
_INTERNAL = ("failures", "rejects", "limits", "before", "rows_seen", "rows_written", "bytes_read", "bytes_written")
