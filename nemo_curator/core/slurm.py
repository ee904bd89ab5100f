"""What a Slurm job says about itself, and the files by which its nodes find each other."""

import contextlib
import os
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from nemo_curator.core.ray_process import interface_address, is_loopback

LAST_BRACKETS = re.compile(r"(.*)\[([^\]]*)\]([^\[\]]*)")
BETWEEN_NODES = re.compile(r",(?![^\[]*\])")


@dataclass(frozen=True)
class SlurmJob:
    """The job this process is part of. The files must be in a folder that all its nodes see."""

    id: str
    node: int
    hosts: tuple[str, ...]
    folder: Path

    @classmethod
    def from_environment(cls) -> "SlurmJob":
        return cls(
            id=os.environ["SLURM_JOB_ID"],
            node=int(os.environ.get("SLURM_NODEID", "0")),
            hosts=tuple(job_hosts(os.environ.get("SLURM_JOB_NODELIST", "") or socket.gethostname())),
            folder=Path(os.environ.get("RAY_PORT_BROADCAST_DIR") or "/tmp"),
        )

    @property
    def port_file(self) -> Path:
        return self.folder / f"ray_head_port_{self.id}"

    @property
    def token_file(self) -> Path:
        return self.folder / f"ray_head_token_{self.id}"

    def head_ip(self) -> str:
        with contextlib.suppress(OSError):
            address = socket.gethostbyname(self.hosts[0])
            if not is_loopback(address):
                return address
        return interface_address()

    def announce(self, port: int) -> None:
        """Tell the other nodes the port; they see all of the number or nothing."""
        draft = self.port_file.with_name(f"{self.port_file.name}.{os.getpid()}")
        draft.write_text(str(port))
        draft.replace(self.port_file)

    def announced_port(self) -> int | None:
        """The head's port once it answers there. What others than this user wrote does not count."""
        with contextlib.suppress(OSError, ValueError):
            if self.port_file.stat().st_uid == os.getuid():
                port = int(self.port_file.read_text())
                with socket.create_connection((self.head_ip(), port), timeout=5):
                    return port
        return None


def job_hosts(nodelist: str) -> list[str]:
    """Expand a node list as Slurm does, or like it where Slurm's tools are missing, as in most containers."""
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        found = subprocess.run(["scontrol", "show", "hostnames", nodelist], capture_output=True, text=True, check=True)
        if hosts := found.stdout.split():
            return hosts
    return expand(nodelist)


def expand(nodelist: str) -> list[str]:
    """`expand("p-[01,03-05],q")` is p-01, p-03, p-04, p-05, q."""
    return [host for part in BETWEEN_NODES.split(nodelist) for host in expand_one(part.strip())]


def expand_one(name: str) -> list[str]:
    match = LAST_BRACKETS.fullmatch(name)
    if match is None:
        return [name] if name else []
    before, ranges, after = match.groups()
    return [f"{start}{number}{after}" for start in expand_one(before) or [""] for number in numbers(ranges)]


def numbers(ranges: str) -> list[str]:
    """`numbers("01,3-5")` is 01, 3, 4, 5: a number is as wide as the first of its range."""
    found = []
    for item in ranges.split(","):
        first, _, last = item.strip().partition("-")
        found += [str(number).zfill(len(first)) for number in range(int(first), int(last or first) + 1)]
    return found
