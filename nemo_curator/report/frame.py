"""The account of a run as a pandas frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.report.account import number, steps
from nemo_curator.report.record import Record

if TYPE_CHECKING:
    import pandas as pd


def outcomes(run: Record) -> pd.DataFrame:
    """A row for everything that happened to rows in a stage: in, added, dropped, failed, joined, out; `by` what."""
    import pandas as pd

    lines = []
    for place, stage in enumerate(run["stages"]):
        name = str(stage["stage"])
        lines.append((place, name, "in", "", number(stage, "rows_in")))
        lines += [
            (place, name, one.kind, "" if one.kind in ("added", "joined") else one.by, one.rows) for one in steps(stage)
        ]
        lines.append((place, name, "out", "", number(stage, "rows_out")))
    return pd.DataFrame(lines, columns=["place", "stage", "outcome", "by", "rows"])
