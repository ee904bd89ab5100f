"""What processes use of the machine's memory, and whether there is room for more work."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.05
"""How often memory is measured while there is a limit."""


@dataclass
class _Use:
    """Bytes of a process when its partition came, now, and at most since then."""

    start: int
    now: int
    peak: int


class MemoryGuard:
    """Keeps this process and its workers within a limit, by measuring them.

    What one more partition will take is not known before one has been through: until then one runs at a time. Then it
    is taken to be the most that any has taken.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self.used = 0
        self.most_running = sys.maxsize
        self._growth = 0
        self._running: dict[int, _Use] = {}

    def begin(self, pid: int) -> None:
        """A worker has got a partition."""
        own, _ = measure(pid)
        self._running[pid] = _Use(own, own, own)

    def end(self, pid: int) -> None:
        """A worker is done with its partition, or has died of it."""
        use = self._running.pop(pid)
        self._growth = max(self._growth, use.peak - use.start, 1)

    def look(self, pids: list[int]) -> bool:
        """Measure this process and the workers; returns whether they are within the limit."""
        found = {pid: measure(pid) for pid in pids}
        for pid, use in self._running.items():
            use.now = found.get(pid, (0, 0))[0]
            use.peak = max(use.peak, use.now)
        # libraries are in memory once for all; files that this process has mapped are given back when others need room
        libraries = max((shared for _, shared in found.values()), default=0)
        self.used = measure(os.getpid())[0] + sum(own for own, _ in found.values()) + libraries
        return self.used <= self.limit

    def has_room(self) -> bool:
        """Whether another partition may start."""
        if not self._running:
            return True
        if not self._growth or len(self._running) >= self.most_running:
            return False
        to_come = sum(max(self._growth - (use.now - use.start), 0) for use in self._running.values())
        return self.used + to_come + self._growth <= self.limit


def measure(pid: int) -> tuple[int, int]:
    """Bytes of a process in memory: its own, and those it shares with others. Of one that has ended, none."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return (0, 0) if Path("/proc/self/statm").exists() else (_resident(pid), 0)
    page = os.sysconf("SC_PAGE_SIZE")
    return (int(resident) - int(shared)) * page, int(shared) * page


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the machine or a card had no room: Python's, torch's and CUDA's ways to say so."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    says = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        words in says for words in ("out of memory", "alloc_failed", "resource_exhausted", "can't allocate memory")
    )


def free_device_memory() -> None:
    """Give back what torch keeps of a card's memory for later."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _resident(pid: int) -> int:
    import psutil

    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return 0
