"""Signs of life of a worker: what it is at, and how often it has come further."""

from __future__ import annotations

beats = 0
place = ""


def beat(where: str | None = None) -> None:
    """Say that the work has come further. A stage that takes long over one batch may call this meanwhile."""
    global beats, place
    beats += 1
    if where is not None:
        place = where
