"""The runs of this process as Prometheus wants them: sums that only grow, by pipeline and stage."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from nemo_curator import __version__
from nemo_curator.ledger.counts import StageCount
from nemo_curator.ledger.progress import Progress
from nemo_curator.ledger.run import Run
from nemo_curator.utils.memory_use import MemoryUse

_Key: TypeAlias = tuple[str, str, str]
STAGE = ("pipeline", "place", "stage")
COUNTERS = {
    "rows_in": ("curator_rows_in", "Rows that went into a stage."),
    "rows_added": ("curator_rows_added", "Rows that a stage made of none."),
    "rows_out": ("curator_rows_out", "Rows that came out of a stage."),
    "rows_joined": ("curator_rows_joined", "Rows that became part of another row."),
    "bytes_in": ("curator_bytes_in", "Bytes that went into a stage: in memory, or those read from files."),
    "bytes_out": ("curator_bytes_out", "Bytes that came out of a stage: in memory, or those written to files."),
    "seconds": ("curator_stage_seconds", "Seconds that workers spent in a stage."),
}
GAUGES = {
    "partitions": ("curator_partitions", "Partitions of the latest run, as far as they are known."),
    "done": ("curator_partitions_done", "Partitions of the latest run that came back."),
    "resumed": ("curator_partitions_resumed", "Partitions of the latest run that an earlier attempt did."),
    "lost": ("curator_partitions_lost", "Partitions of the latest run that were given up."),
    "running": ("curator_running", "Whether the pipeline runs now."),
    "started": ("curator_started_timestamp_seconds", "When the latest run began, in seconds since 1970."),
}


@dataclass
class _Sums:
    """What a stage did in all runs."""

    numbers: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    def add(self, stage: StageCount) -> None:
        for name in COUNTERS:
            self.numbers[name] += getattr(stage, name)
        self.dropped.update(stage.dropped)
        self.failed.update(stage.failed)


class Runs:
    """Remembers the runs of this process: those under way, and of the others the sums."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: list[Progress] = []
        self._ended: dict[_Key, _Sums] = {}
        self._latest: dict[str, tuple[str, dict[str, float]]] = {}
        self._memory = MemoryUse()

    @contextmanager
    def exported(self, progress: Progress) -> Iterator[None]:
        """Export a run from now on."""
        with self._lock:
            self._running.append(progress)
        try:
            yield
        finally:
            with self._lock:
                self._running.remove(progress)
                _add(self._ended, progress.run)
                self._latest[progress.run.pipeline] = progress.run.executor, _state(progress, is_running=False)

    def collect(self) -> Iterable[Any]:
        """All metrics, for prometheus_client."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

        sums, latest = self._now()
        for name, (metric, text) in COUNTERS.items():
            family = CounterMetricFamily(metric, text, labels=STAGE)
            for key, one in sums.items():
                family.add_metric(key, one.numbers[name])
            yield family
        for name, metric, label, text in (
            ("dropped", "curator_rows_dropped", "filter", "Rows that a filter dropped."),
            ("failed", "curator_rows_failed", "error", "Rows that were set aside because of an error."),
        ):
            family = CounterMetricFamily(metric, text, labels=(*STAGE, label))
            for key, one in sums.items():
                for reason, rows in getattr(one, name).items():
                    family.add_metric((*key, reason), rows)
            yield family
        for name, (metric, text) in GAUGES.items():
            gauge = GaugeMetricFamily(metric, text, labels=("pipeline",))
            for pipeline, (_, state) in latest.items():
                gauge.add_metric((pipeline,), state[name])
            yield gauge
        info = InfoMetricFamily("curator_run", "What runs, or ran last.", labels=("pipeline",))
        for pipeline, (executor, _) in latest.items():
            info.add_metric((pipeline,), {"executor": executor, "version": __version__})
        yield info
        yield GaugeMetricFamily("curator_memory_bytes", "Memory of this process and its workers.", self._memory())

    def _now(self) -> tuple[dict[_Key, _Sums], dict[str, tuple[str, dict[str, float]]]]:
        with self._lock:
            sums = {key: _Sums(*map(Counter, vars(one).values())) for key, one in self._ended.items()}
            latest = dict(self._latest)
            for progress in self._running:
                with progress.lock:
                    _add(sums, progress.run)
                    latest[progress.run.pipeline] = progress.run.executor, _state(progress, is_running=True)
        return sums, latest


def _add(sums: dict[_Key, _Sums], run: Run) -> None:
    for place, stage in enumerate(run.stages):
        sums.setdefault((run.pipeline, str(place), stage.stage), _Sums()).add(stage)


def _state(progress: Progress, *, is_running: bool) -> dict[str, float]:
    run = progress.run
    return {
        "partitions": run.partitions,
        "done": run.partitions_done,
        "resumed": progress.resumed,
        "lost": len(run.failures),
        "running": int(is_running),
        "started": run.started,
    }


RUNS = Runs()
