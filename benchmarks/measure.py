"""Run a command as a process and measure it with all of its children."""

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import IO

import psutil


@dataclass
class Measured:
    """Wall and CPU seconds, and the highest sum of resident memory of the process and its children, in MB."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    output: str


def measure(*arguments: str, python: str = sys.executable, quiet: bool = False) -> Measured:
    """Run `python *arguments` to its end. With `quiet` what it prints is shown only where it fails."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as printed:
        return _measured([python, *arguments], start, printed, subprocess.STDOUT if quiet else None)


def _measured(command: list[str], start: float, printed: IO[str], errors: int | None) -> Measured:
    before = _waited()
    process = subprocess.Popen(command, stdout=printed, stderr=errors)
    watched = psutil.Process(process.pid)
    peak, cpu = 0.0, {}
    while process.poll() is None:
        total = 0
        for one in _family(watched):
            try:
                times = one.cpu_times()
                cpu[one.pid] = times.user + times.system
                total += one.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        peak = max(peak, total / 2**20)
        time.sleep(0.02)
    seconds = time.perf_counter() - start
    printed.seek(0)
    output = printed.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{output}")
    # a look misses what a process does after the last one; the system misses those that nobody waits for
    return Measured(seconds, max(sum(cpu.values()), _waited() - before), peak, output)


def _waited() -> float:
    """CPU seconds of all processes that have ended below this one and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
