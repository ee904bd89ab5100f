"""URLs that wait for their turn: never too many of one host at once, and none before its time."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from dataclasses import dataclass, field
from threading import Condition

from nemo_curator.stages.image.download.connections import Target
from nemo_curator.stages.image.download.failures import FetchError

MOST_PAUSE_S = 120.0
"""How long a host may be waited for in all, while a shard is made; beyond it what it refuses has failed."""
MOST_FAILURES = 32
"""After so many attempts in a row without any answer the rest of a host's URLs fails as well."""


@dataclass
class Job:
    """A URL with its place in the shard, and how often it was tried."""

    place: int
    target: Target
    attempts: int = 0


@dataclass
class Host:
    """What waits for a host, and how it behaves."""

    waiting: deque[Job] = field(default_factory=deque)
    active: int = 0
    not_before: float = 0.0
    paused: float = 0.0
    silent: int = 0
    is_listed: bool = False
    gone: FetchError | None = None
    """Why it is not asked any more."""

    def answered(self) -> None:
        self.silent = 0

    def failed(self, error: FetchError) -> None:
        """Note an attempt that brought nothing; hosts that never answer are given up."""
        self.silent = self.silent + 1 if error.status in ("connect", "timeout") else 0
        if self.silent >= MOST_FAILURES and self.gone is None:
            self.gone = FetchError(error.status, f"the host did not answer {self.silent} times in a row: {error}")


@dataclass
class HostQueue:
    """Gives jobs to threads, the hosts in turn. At most `per_host` of a host at once, at most `rate` in a second."""

    per_host: int
    rate: float | None = None
    _hosts: dict[str, Host] = field(default_factory=dict)
    _ready: deque[Host] = field(default_factory=deque)
    _later: list[tuple[float, int, Host, Job | None]] = field(default_factory=list)
    _numbers: itertools.count = field(default_factory=itertools.count)
    _left: int = 0
    _changed: Condition = field(default_factory=Condition)

    def put(self, host: str, job: Job) -> None:
        with self._changed:
            self._left += 1
            self._add(self._hosts.setdefault(host, Host()), job)

    def take(self) -> tuple[Host, Job] | None:
        """Wait for a job whose turn it is; None when all are done."""
        with self._changed:
            while self._left > 0:
                now = time.monotonic()
                self._release(now)
                if self._ready:
                    host = self._ready.popleft()
                    host.is_listed = False
                    if host.not_before > now:  # since it was listed
                        self._list(host, now)
                        continue
                    job = host.waiting.popleft()
                    host.active += 1
                    if self.rate:
                        host.not_before = max(now, host.not_before) + 1 / self.rate
                    self._list(host, now)
                    return host, job
                self._changed.wait(max(self._later[0][0] - now, 0.0) if self._later else None)
            return None

    def done(self, host: Host) -> None:
        """Say that a job of a host needs no further attempt."""
        with self._changed:
            host.active -= 1
            self._left -= 1
            self._list(host, time.monotonic())
            if self._left <= 0:
                self._changed.notify_all()

    def again(self, host: Host, job: Job, wait: float, *, pauses: bool) -> None:
        """Give a job another attempt after some seconds. `pauses` holds the others of its host back, too."""
        with self._changed:
            now = time.monotonic()
            host.active -= 1
            if pauses:
                host.paused += max(now + wait - max(host.not_before, now), 0.0)
                host.not_before = max(host.not_before, now + wait)
            heapq.heappush(self._later, (now + wait, next(self._numbers), host, job))
            self._list(host, now)
            self._changed.notify()

    def close(self) -> None:
        """Let the threads go, whatever is left."""
        with self._changed:
            self._left = 0
            self._changed.notify_all()

    def _release(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            _, _, host, job = heapq.heappop(self._later)
            if job is None:
                host.is_listed = False
                self._list(host, now)
            else:
                self._add(host, job)

    def _add(self, host: Host, job: Job) -> None:
        host.waiting.append(job)
        self._list(host, time.monotonic())

    def _list(self, host: Host, now: float) -> None:
        """Let a host have its turn, if something waits for it and there is room."""
        if host.is_listed or not host.waiting or host.active >= self.per_host:
            return
        host.is_listed = True
        if host.not_before > now:
            heapq.heappush(self._later, (host.not_before, next(self._numbers), host, None))
        else:
            self._ready.append(host)
        self._changed.notify()
