"""How long a stage took for a task, and on how many items."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass
class StagePerfStats:
    """One call of one stage. Times in seconds; sizes in MB of payload."""

    stage_name: str
    process_time: float = 0.0
    actor_idle_time: float = 0.0
    input_data_size_mb: float = 0.0
    num_items_processed: int = 0
    custom_metrics: dict[str, float] = field(default_factory=dict)

    def __add__(self, other: StagePerfStats) -> StagePerfStats:
        custom = dict(self.custom_metrics)
        for name, value in other.custom_metrics.items():
            custom[name] = custom.get(name, 0.0) + value
        return StagePerfStats(
            self.stage_name,
            self.process_time + other.process_time,
            self.actor_idle_time + other.actor_idle_time,
            self.input_data_size_mb + other.input_data_size_mb,
            self.num_items_processed + other.num_items_processed,
            custom,
        )

    def __radd__(self, other: int) -> StagePerfStats:
        if other == 0:
            return self
        return NotImplemented

    def reset(self) -> None:
        fresh = StagePerfStats(self.stage_name)
        for one in fields(self):
            setattr(self, one.name, getattr(fresh, one.name))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def items(self) -> Iterator[tuple[str, float]]:
        """Every number with its name; custom metrics as `custom.<name>`."""
        for one in fields(self):
            if one.name not in ("stage_name", "custom_metrics"):
                yield one.name, getattr(self, one.name)
        for name, value in self.custom_metrics.items():
            yield f"custom.{name}", value


class StageTimer:
    """Measures the calls of a stage: `reinit` before, `log_stats` after. Idle time is what lies between two calls."""

    def __init__(self, stage: Any):
        self._name = getattr(stage, "name", str(stage))
        self._ended: float | None = None
        self.reinit()

    def reinit(self, stage_input_size: float = 0.0) -> None:
        now = time.perf_counter()
        self._idle = 0.0 if self._ended is None else now - self._ended
        self._start, self._size, self._items = now, stage_input_size, 0

    @contextmanager
    def time_process(self, num_items: int = 1) -> Iterator[None]:
        self._items += num_items
        yield

    def log_stats(self, verbose: bool = False) -> tuple[str, StagePerfStats]:
        self._ended = time.perf_counter()
        stats = StagePerfStats(self._name, self._ended - self._start, self._idle, self._size, self._items)
        if verbose:
            logging.getLogger(__name__).info("%s", stats)
        return self._name, stats
