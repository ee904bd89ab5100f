"""What a run takes of the machine's memory."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LEAST_S = 1.0
"""How long a measurement is good for."""


class MemoryUse:
    """Bytes of this process and of all that it has started, measured at most once a second."""

    def __init__(self) -> None:
        self._bytes = 0
        self._measured = -LEAST_S

    def __call__(self) -> int:
        now = time.monotonic()
        if now - self._measured >= LEAST_S:
            self._bytes, self._measured = measure_tree(os.getpid()), now
        return self._bytes


def measure_tree(pid: int) -> int:
    """Bytes of a process and its descendants. What they share, such as libraries, is counted once."""
    import psutil

    own, shared = 0, 0
    for process in (pid, *_descendants(pid)):
        with suppress(psutil.Error):
            info = psutil.Process(process).memory_info()
            common = getattr(info, "shared", 0)
            own, shared = own + info.rss - common, max(shared, common)
    return own + shared


def _descendants(pid: int) -> Iterator[int]:
    import psutil

    if not Path(f"/proc/{pid}/task/{pid}/children").exists():
        yield from (child.pid for child in psutil.Process(pid).children(recursive=True))
        return
    # psutil reads about every process of the machine for this: 7 ms where there are 90
    parents = deque([pid])
    while parents:
        with suppress(OSError):
            for task in Path(f"/proc/{parents.popleft()}/task").iterdir():
                children = [int(child) for child in (task / "children").read_text().split()]
                yield from children
                parents.extend(children)
