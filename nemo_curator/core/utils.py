"""Ports, the Ray cluster behind `RayClient`, and tables split between groups."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from nemo_curator.core.constants import (
    DEFAULT_RAY_CLIENT_SERVER_PORT,
    DEFAULT_RAY_DASHBOARD_HOST,
    DEFAULT_RAY_DASHBOARD_PORT,
    DEFAULT_RAY_METRICS_PORT,
    DEFAULT_RAY_PORT,
    DEFAULT_RAY_TEMP_DIR,
)
from nemo_curator.core.ray_process import ray_command, supervise

RAY_WORKER_PORTS = range(10002, 20000)
AUTOSCALER_METRIC_PORT = 44217
DASHBOARD_METRIC_PORT = 44227
RAY_STATUS_S = 60

QUIET_XENNA = "*cosmos_xenna.*=error,debug"
"""What Xenna and nobody else reads in PYTHON_LOG: errors of its own, everything of the user's.

The pattern begins with a star because Xenna takes the folders of an environment within the project into the name.
"""

# Xenna asks for the state of up to 40000 actors and hands out GPUs itself; both are settled when a cluster starts.
CLUSTER_ENVIRONMENT = {
    "RAY_MAX_LIMIT_FROM_API_SERVER": "40000",
    "RAY_MAX_LIMIT_FROM_DATA_SOURCE": "40000",
    "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "PYTHONUNBUFFERED": "1",
    "PYTHON_LOG": QUIET_XENNA,
}


def get_free_port(start_port: int, get_next_free_port: bool = True, bind_host: str = "localhost") -> int:
    """Return the first free port from `start_port` on, or `start_port` itself if only that one will do.

    Ports 10002 to 19999 are passed over: Ray gives them to its workers.
    """
    if not get_next_free_port:
        if is_free(start_port, bind_host):
            return start_port
        raise RuntimeError(f"Port {start_port} on {bind_host} is in use; end what uses it, or choose another port")
    for port in range(start_port, 65536):
        if port not in RAY_WORKER_PORTS and is_free(port, bind_host):
            return port
    raise RuntimeError(f"No port from {start_port} on is free on {bind_host}")


def is_free(port: int, host: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def claimed_port(start_port: int, get_next_free_port: bool, bind_host: str) -> Iterator[int]:
    """A free port that no other cluster starting on this machine takes meanwhile."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as claim:
        while True:
            port = get_free_port(start_port, get_next_free_port, bind_host)
            try:
                if sys.platform == "linux":  # a name that exists only while this socket does
                    claim.bind(f"\0curator_port_{port}")
            except OSError:
                if not get_next_free_port:
                    raise RuntimeError(f"Port {port} is about to be used by another cluster; choose another") from None
                start_port = port + 1
            else:
                break
        yield port


def check_ray_responsive(timeout_s: int = 300) -> bool:
    """Say whether the cluster that RAY_ADDRESS names answers `ray status` before the time is up."""
    deadline = time.monotonic() + timeout_s
    while (left := deadline - time.monotonic()) > 0:
        try:
            subprocess.run(ray_command("status"), capture_output=True, check=True, timeout=min(left, RAY_STATUS_S))
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            time.sleep(min(0.5, max(0.0, deadline - time.monotonic())))
        else:
            return True
    return False


def init_cluster(
    *,
    ip_address: str = "127.0.0.1",
    ray_port: int = DEFAULT_RAY_PORT,
    ray_dashboard_port: int = DEFAULT_RAY_DASHBOARD_PORT,
    ray_client_server_port: int = DEFAULT_RAY_CLIENT_SERVER_PORT,
    ray_metrics_port: int = DEFAULT_RAY_METRICS_PORT,
    ray_dashboard_host: str = DEFAULT_RAY_DASHBOARD_HOST,
    ray_temp_dir: str = DEFAULT_RAY_TEMP_DIR,
    node_options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    output: IO[bytes],
    owned: Sequence[Path] = (),
) -> subprocess.Popen:
    """Start the head of a cluster, which ends with this process, and return before it is ready.

    The owned paths are removed when the cluster ends.
    """
    command = ray_command(
        *("start", "--head", "--block", "--disable-usage-stats", "--log-color", "false"),
        *("--node-ip-address", ip_address, "--port", str(ray_port), "--temp-dir", ray_temp_dir),
        *("--include-dashboard", "true", "--dashboard-host", ray_dashboard_host),
        *("--dashboard-port", str(ray_dashboard_port), "--dashboard-agent-listen-port", "0"),
        *("--ray-client-server-port", str(ray_client_server_port), "--metrics-export-port", str(ray_metrics_port)),
        *node_options,
    )
    metric_ports = {
        "AUTOSCALER_METRIC_PORT": str(get_free_port(AUTOSCALER_METRIC_PORT, bind_host=ip_address)),
        "DASHBOARD_METRIC_PORT": str(get_free_port(DASHBOARD_METRIC_PORT, bind_host=ip_address)),
    }
    variables = os.environ if environment is None else environment
    return supervise(command, {**CLUSTER_ENVIRONMENT, **metric_ports, **variables}, output, owned)


def split_table_by_group(
    table: pa.Table, group_column: str, *, max_batch_bytes: int | None = None, max_batch_rows: int | None = None
) -> list[pa.Table]:
    """Split a table between its groups, so that each part stays within the limits.

    A group is never split: one above a limit makes a part of its own. Groups keep the order in which they first
    appear, and rows their order within the group.
    """
    for name, limit in (("max_batch_bytes", max_batch_bytes), ("max_batch_rows", max_batch_rows)):
        if limit is not None and limit <= 0:
            raise ValueError(f"{name} must be above 0, not {limit}")
    if not table.num_rows or (max_batch_bytes is None and max_batch_rows is None):
        return [table]
    table, ends = in_groups(table, group_column)
    parts = []
    begin = previous = 0
    for end in ends:
        part = table.slice(begin, end - begin)
        too_long = max_batch_rows is not None and part.num_rows > max_batch_rows
        if begin < previous and (too_long or (max_batch_bytes is not None and part.nbytes > max_batch_bytes)):
            parts.append(table.slice(begin, previous - begin))
            begin = previous
        previous = end
    return [*parts, table.slice(begin)]


def in_groups(table: pa.Table, group_column: str) -> tuple[pa.Table, list[int]]:
    """Bring the rows of each group together; return the table and the row after each group's last one."""
    codes = table[group_column].combine_chunks().dictionary_encode("encode").indices.to_numpy(zero_copy_only=False)
    if np.any(codes[1:] < codes[:-1]):
        order = np.argsort(codes, kind="stable")
        table, codes = table.take(pa.array(order)), codes[order]
    return table, [*(np.flatnonzero(codes[1:] != codes[:-1]) + 1).tolist(), table.num_rows]
