"""Many URLs at once: threads, and what becomes of an attempt that failed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeAlias

from nemo_curator.ledger import pulse
from nemo_curator.stages.image.download.connections import Target
from nemo_curator.stages.image.download.failures import FetchError
from nemo_curator.stages.image.download.fetch import MOST_WAIT_S
from nemo_curator.stages.image.download.host_queue import MOST_PAUSE_S, Host, HostQueue, Job
from nemo_curator.stages.image.download.pictures import Picture

FIRST_WAIT_S = 1.0
Outcome: TypeAlias = Picture | FetchError


@dataclass(frozen=True)
class Crowd:
    """How many connections there are at once, in all and to one host, and how often a URL is tried."""

    connections: int
    connections_per_host: int
    requests_per_second_per_host: float | None
    retries: int

    def __post_init__(self) -> None:
        rate = self.requests_per_second_per_host
        wanted = {"connections": self.connections, "connections_per_host": self.connections_per_host}
        for name, number in wanted.items():
            if number < 1:
                raise ValueError(f"{name} is {number}; wanted at least 1")
        if self.retries < 0 or (rate is not None and rate <= 0):
            raise ValueError(f"retries is {self.retries}, requests_per_second_per_host {rate}; wanted 0, more than 0")

    def make_all(self, urls: list[str], make: Callable[[int, Target], Picture]) -> Iterator[tuple[int, Outcome]]:
        """Call `make` for every URL, in threads, and yield what becomes of each as it is known, with its place.

        Attempts that failed for now are made again after a growing random wait, or the one that the server asks for,
        which holds its other URLs back, too. Whatever else `make` raises is raised here.
        """
        queue = HostQueue(self.connections_per_host, self.requests_per_second_per_host)
        results: SimpleQueue[tuple[int, Any]] = SimpleQueue()
        for place, url in enumerate(urls):
            try:
                target = Target.of(url)
                queue.put(target.host, Job(place, target))
            except FetchError as error:
                results.put((place, error))
        threads = min(self.connections, max(len(urls), 1))
        pool = ThreadPoolExecutor(threads, thread_name_prefix="download")
        try:
            for _ in range(threads):
                pool.submit(self._work, queue, results, make)
            for _ in urls:
                place, outcome = results.get()
                pulse.beat()
                if isinstance(outcome, Picture | FetchError):
                    yield place, outcome
                else:
                    raise outcome
        finally:
            queue.close()
            pool.shutdown()

    def _work(self, queue: HostQueue, results: SimpleQueue, make: Callable[[int, Target], Picture]) -> None:
        while (taken := queue.take()) is not None:
            host, job = taken
            try:
                outcome: Outcome | BaseException = host.gone or make(job.place, job.target)
                host.answered()
            except FetchError as error:
                host.failed(error)
                job.attempts += 1
                if self._may_try_again(host, job, error):
                    wait = max(_wait(job.attempts), error.wait or 0.0)
                    queue.again(host, job, wait, pauses=error.wait is not None)
                    continue
                outcome = error
            except BaseException as error:  # raised where the results are taken
                outcome = error
            queue.done(host)
            results.put((job.place, outcome))

    def _may_try_again(self, host: Host, job: Job, error: FetchError) -> bool:
        is_patient = error.wait is None or host.paused + error.wait <= MOST_PAUSE_S
        return error.may_pass and job.attempts <= self.retries and is_patient


def _wait(attempts: int) -> float:
    first = float(os.environ.get("CURATOR_RETRY_WAIT_S") or FIRST_WAIT_S)
    # not all of them at the same moment
    return min(first * 2 ** (attempts - 1), MOST_WAIT_S) * random.uniform(0.5, 1.0)
