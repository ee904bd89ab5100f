"""How long a stage took for a task, and on how many items."""

from __future__ import annotations

from collections.abc import Iterator
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
