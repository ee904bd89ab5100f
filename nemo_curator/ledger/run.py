"""The account of a whole run."""

from __future__ import annotations

from dataclasses import dataclass, field

from nemo_curator.errors import LedgerError, RunFailedError
from nemo_curator.ledger.counts import Failure, StageCount

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

    @property
    def rows_failed(self) -> int:
        return sum(stage.rows_failed for stage in self.stages)

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

    def check(self, max_failed_fraction: float = 0.0) -> None:
        """Raise if rows are unaccounted for, or if more failed than allowed."""
        for stage in self.stages:
            if stage.imbalance:
                raise LedgerError(
                    f"{stage.stage}: {stage.rows_in} rows in and {stage.rows_added} added, but {stage.rows_out} out, "
                    f"{stage.rows_dropped} dropped, {stage.rows_failed} failed and {stage.rows_joined} joined: "
                    f"{stage.imbalance} unaccounted for"
                )
        if self.partitions_done + len(self.failures) != self.partitions:
            raise LedgerError(
                f"{self.partitions} source partitions went in, {self.partitions_done} came back and "
                f"{len(self.failures)} are known to have failed"
            )
        failures = self.failures + [failure for stage in self.stages for failure in stage.failures]
        if self.failures or self.failed_fraction > max_failed_fraction:
            raise RunFailedError(self._explain(failures))

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

    def _explain(self, failures: list[Failure]) -> str:
        lost = f" and {len(self.failures)} of {self.partitions} source partitions" if self.failures else ""
        shown = "".join(f"\n  {failure}" for failure in failures[:5])
        more = "\n  …" if len(failures) > 5 else ""
        return f"{self.rows_failed} rows{lost} failed; what was written stays.{shown}{more}"
