"""Ray's own processes: how they are started, asked and ended."""

import contextlib
import ipaddress
import json
import os
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from nemo_curator.core.attachment import own_token

SUPERVISOR = Path(__file__).with_name("supervisor.py")
END_S = 20

# The CLI of this interpreter's Ray, whatever PATH holds. It would also write the address to where every plain
# `ray.init()` on the machine looks: without the token that attempt fails, after 20 s.
RAY_CLI = (
    "import ray._private.utils as utils; utils.write_ray_address = lambda *_: None; "
    "from ray.scripts.scripts import main; main()"
)


def ray_command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-c", RAY_CLI, *arguments]


def supervise(
    command: Sequence[str], environment: Mapping[str, str], output: IO[bytes], owned: Sequence[Path] = ()
) -> subprocess.Popen:
    """Start a command that ends with this process and then takes the owned paths with it."""
    paths = os.pathsep.join(map(str, owned))
    return subprocess.Popen(
        [sys.executable, "-P", str(SUPERVISOR), str(os.getpid()), paths, *command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        start_new_session=True,
    )


def end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def open_output(path: str | None) -> IO[bytes]:
    """A new file for what a process says: at the given path, or with no name and gone when closed."""
    if path is None:
        return tempfile.TemporaryFile("a+b")
    Path(path).touch(exist_ok=False)
    return Path(path).open("a+b")


def last_lines(output: IO[bytes], count: int = 20) -> str:
    output.seek(0)
    lines = output.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-count:])


def count_alive_nodes(dashboard: str) -> int:
    """Ask the dashboard how many nodes can take work; 0 while nobody answers."""
    request = urllib.request.Request(f"http://{dashboard}/api/v0/nodes?limit=10000")
    if token := own_token():
        request.add_header("Authorization", f"Bearer {token}")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=10) as response:
            nodes = json.load(response)["data"]["result"]["result"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return sum(node["state"] == "ALIVE" for node in nodes)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def interface_address() -> str:
    """The address by which other machines reach this one; loopback where there is no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing: it only picks the route
        return probe.getsockname()[0]
    return socket.gethostbyname(socket.gethostname())
