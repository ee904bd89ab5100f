"""A Ray cluster of one's own: private, ready when `start` returns, gone after `stop`."""

import atexit
import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NoReturn, Self

from nemo_curator.core.attachment import LOOPBACK_VARIABLE, connected_address, disconnect, environment, new_token
from nemo_curator.core.constants import (
    DEFAULT_RAY_CLIENT_SERVER_PORT,
    DEFAULT_RAY_DASHBOARD_HOST,
    DEFAULT_RAY_DASHBOARD_PORT,
    DEFAULT_RAY_METRICS_PORT,
    DEFAULT_RAY_PORT,
    DEFAULT_RAY_TEMP_DIR,
)
from nemo_curator.core.ray_process import (
    count_alive_nodes,
    end,
    interface_address,
    is_loopback,
    last_lines,
    open_output,
    ray_command,
    supervise,
)
from nemo_curator.core.slurm import SlurmJob
from nemo_curator.core.supervisor import remove
from nemo_curator.core.utils import CLUSTER_ENVIRONMENT, claimed_port, init_cluster
from nemo_curator.metrics.utils import (
    add_ray_prometheus_metrics_service_discovery,
    is_prometheus_running,
    remove_ray_prometheus_metrics_service_discovery,
)

logger = logging.getLogger(__name__)

START_S = 300
PORT_FILE_S = 600
POLL_S = 0.1
LOOPBACK = "127.0.0.1"
EVERY_INTERFACE = "0.0.0.0"
LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103
LONGEST_SOCKET_NAME = "/session_2026-01-01_00-00-00_000000_4194304/sockets/dash_MetricsHead"
DEFAULT_PORTS = {
    "ray_port": DEFAULT_RAY_PORT,
    "ray_dashboard_port": DEFAULT_RAY_DASHBOARD_PORT,
    "ray_client_server_port": DEFAULT_RAY_CLIENT_SERVER_PORT,
    "ray_metrics_port": DEFAULT_RAY_METRICS_PORT,
}


@dataclass
class RayClient:
    """Start a private Ray cluster on this machine, or use the one that RAY_ADDRESS names.

    `start` returns when the cluster can take work, and `ray.init()` then attaches to it. The cluster ends with
    `stop`, with the `with` block or with this process, however that ends. It listens on loopback only, and only to
    those who know its token (`RAY_AUTH_TOKEN_PATH` while it runs); a token of your own in Ray's variables is used
    instead. With a `ray_dashboard_host` beyond loopback the whole cluster listens on the network, still with a token.

    If RAY_ADDRESS is set or `ray.init()` has connected this process already, nothing is started and nothing stopped.

    A port left at its default moves to the next free one; any other must be free. `num_cpus=0` and `num_gpus=0` mean
    none; None means all. With `enable_object_spilling` spilled objects go to a private folder in `ray_temp_dir`,
    which `stop` removes; otherwise to Ray's session folder there. `ray_stdouterr_capture_file` must not exist yet.
    With `include_dashboard`, a Prometheus that `start_prometheus_grafana` has started in `metrics_dir` asks the cluster
    for its metrics while it lasts; Ray's own dashboard always runs, because Xenna asks it.
    """

    ray_port: int = DEFAULT_RAY_PORT
    ray_dashboard_port: int = DEFAULT_RAY_DASHBOARD_PORT
    ray_client_server_port: int = DEFAULT_RAY_CLIENT_SERVER_PORT
    ray_temp_dir: str = DEFAULT_RAY_TEMP_DIR
    include_dashboard: bool = True
    ray_metrics_port: int = DEFAULT_RAY_METRICS_PORT
    ray_dashboard_host: str = DEFAULT_RAY_DASHBOARD_HOST
    num_gpus: int | None = None
    num_cpus: int | None = None
    object_store_memory: int | None = None
    enable_object_spilling: bool = False
    ray_stdouterr_capture_file: str | None = None
    metrics_dir: str | None = None
    ray_process: subprocess.Popen | None = field(default=None, init=False, repr=False, compare=False)
    _undo: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, init=False, repr=False, compare=False)
    _owned: list[Path] = field(default_factory=list, init=False, repr=False, compare=False)
    _owner_pid: int | None = field(default=None, init=False, repr=False, compare=False)

    def start(self) -> None:
        """Start the cluster, or attach to the one there is, and return when it can take work."""
        if self.ray_process is not None and self.ray_process.poll() is not None:
            self.stop()
        if address := os.environ.get("RAY_ADDRESS") or connected_address():
            logger.info("Using the Ray cluster at %s", address)
            return
        self._owner_pid = os.getpid()
        atexit.register(self.stop)
        try:
            self._start_head()
            if self.include_dashboard:
                self._tell_prometheus()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End what `start` has started; a cluster of others stays."""
        if self._owner_pid != os.getpid():  # a fork must not end the cluster of its parent
            return
        atexit.unregister(self.stop)
        self._undo.close()
        self._owned.clear()
        self.ray_process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_head(self) -> None:
        check_temp_dir(self.ray_temp_dir)
        output = self._undo.enter_context(open_output(self.ray_stdouterr_capture_file))
        ip = self._ip_address()
        with contextlib.ExitStack() as claims:
            self._settle_ports(ip, claims)
            address = f"{ip}:{self.ray_port}"
            options = self._node_options()
            self._undo.enter_context(environment({"RAY_ADDRESS": address, **self._attach_variables(ip)}))
            self.ray_process = init_cluster(
                ip_address=ip,
                **{name: getattr(self, name) for name in DEFAULT_PORTS},
                ray_dashboard_host=self.ray_dashboard_host,
                ray_temp_dir=str(Path(self.ray_temp_dir).absolute()),
                node_options=options,
                output=output,
                owned=self._owned,
            )
            self._undo.callback(end, self.ray_process)
            self._undo.callback(disconnect, address)
            if not self._has_nodes(1, START_S):
                raise RuntimeError(self._failure(address, output))
        logger.info("Ray is ready at %s, its dashboard at http://%s", address, self._dashboard())

    def _tell_prometheus(self) -> None:
        """Let a Prometheus that runs in `metrics_dir` ask this cluster while it lasts."""
        if is_prometheus_running(self.metrics_dir):
            add_ray_prometheus_metrics_service_discovery(self.ray_temp_dir, self.metrics_dir)
            self._undo.callback(remove_ray_prometheus_metrics_service_discovery, self.ray_temp_dir, self.metrics_dir)

    def _ip_address(self) -> str:
        return LOOPBACK if is_loopback(self.ray_dashboard_host) else interface_address()

    def _settle_ports(self, ip: str, claims: contextlib.ExitStack) -> None:
        bind_host = ip if is_loopback(ip) else EVERY_INTERFACE
        chosen_first = sorted(DEFAULT_PORTS.items(), key=lambda port: getattr(self, port[0]) == port[1])
        for name, default in chosen_first:
            wanted = getattr(self, name)
            self._undo.callback(setattr, self, name, wanted)
            setattr(self, name, claims.enter_context(claimed_port(wanted, wanted == default, bind_host)))

    def _node_options(self) -> list[str]:
        options: dict[str, object] = {
            "--num-cpus": self.num_cpus,
            "--num-gpus": self.num_gpus,
            "--object-store-memory": self.object_store_memory,
        }
        if self.enable_object_spilling:
            Path(self.ray_temp_dir).mkdir(parents=True, exist_ok=True)
            spill = self._own(tempfile.mkdtemp(prefix="spill_", dir=self.ray_temp_dir))
            options["--object-spilling-directory"] = spill.absolute()
        return [str(word) for option, value in options.items() if value is not None for word in (option, value)]

    def _attach_variables(self, ip: str) -> dict[str, str]:
        variables = {LOOPBACK_VARIABLE: "0" if is_loopback(ip) else "1"}
        variables["RAY_AUTH_MODE"] = os.environ.get("RAY_AUTH_MODE", "token")
        token_given = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
        if variables["RAY_AUTH_MODE"] == "token" and not token_given:
            variables["RAY_AUTH_TOKEN_PATH"] = str(self._token())
        return variables

    def _token(self) -> Path:
        return new_token(self._own(tempfile.mkdtemp(prefix="curator_ray_")) / "token")

    def _own(self, path: str | Path) -> Path:
        """Have a path removed when the cluster ends, by its supervisor or, before there is one, by `stop`."""
        self._owned.append(Path(path))
        self._undo.callback(remove, Path(path))
        return Path(path)

    def _has_nodes(self, wanted: int, timeout_s: float) -> bool:
        """Wait until so many nodes take work; False if the time is up or Ray has ended."""
        process = self.ray_process
        deadline = time.monotonic() + timeout_s
        while process is not None and process.poll() is None and time.monotonic() < deadline:
            if count_alive_nodes(self._dashboard()) >= wanted:
                return True
            time.sleep(POLL_S)
        return False

    def _dashboard(self) -> str:
        host = LOOPBACK if self.ray_dashboard_host in (EVERY_INTERFACE, "::") else self.ray_dashboard_host
        return f"[{host}]:{self.ray_dashboard_port}" if ":" in host else f"{host}:{self.ray_dashboard_port}"

    def _failure(self, address: str, output: IO[bytes]) -> str:
        status = self.ray_process.poll() if self.ray_process else None
        found = f"`ray start` ended with status {status}" if status is not None else f"none answered in {START_S} s"
        return (
            f"Wanted a Ray cluster at {address} with its dashboard at {self._dashboard()}; {found}. Check the ports, "
            f"the space in {self.ray_temp_dir} and the logs in {self.ray_temp_dir}/session_latest/logs. "
            f"Ray's last lines:\n{last_lines(output)}"
        )


@dataclass
class SlurmRayClient(RayClient):
    """Make one cluster of all nodes of a Slurm job: run the same script on every node, `srun python script.py`.

    The script goes on on the first node only, once all nodes have joined. On the others `start` serves the cluster
    and ends the script when the first node is done. The nodes find each other through two files in the folder
    RAY_PORT_BROADCAST_DIR, which all of them must see: `ray_head_port_<job>` with the port, and
    `ray_head_token_<job>` with the cluster's token, readable for this user only; both go when the cluster ends.
    The default folder, /tmp, serves a job of one node. All nodes listen on the network, still with the token.

    `cleanup_on_start` first ends all Ray processes of this user on the node, whichever job they belong to.
    Outside Slurm this is a RayClient, on loopback unless `ray_dashboard_host` is given.
    """

    ray_dashboard_host: str = EVERY_INTERFACE
    worker_connect_timeout_s: int = 300
    cleanup_on_start: bool = True
    _job: SlurmJob | None = field(default=None, init=False, repr=False, compare=False)

    def _start_head(self) -> None:
        if "SLURM_JOB_ID" not in os.environ:
            logger.warning("Not in a Slurm job (SLURM_JOB_ID is not set): starting Ray on this machine only")
            self._undo.callback(setattr, self, "ray_dashboard_host", self.ray_dashboard_host)
            if self.ray_dashboard_host == EVERY_INTERFACE:
                self.ray_dashboard_host = DEFAULT_RAY_DASHBOARD_HOST
            super()._start_head()
            return
        self._job = job = SlurmJob.from_environment()
        self._undo.callback(setattr, self, "_job", None)
        self._default_to("num_cpus", "SLURM_CPUS_ON_NODE")
        self._default_to("num_gpus", "SLURM_GPUS_ON_NODE")
        if self.cleanup_on_start:
            subprocess.run(ray_command("stop", "--force"), capture_output=True, check=False)
        if job.node:
            self._serve(job)
        self._own(job.port_file).unlink(missing_ok=True)
        super()._start_head()
        job.announce(self.ray_port)
        if not self._has_nodes(len(job.hosts), self.worker_connect_timeout_s):
            raise TimeoutError(
                f"Wanted {len(job.hosts)} nodes ({', '.join(job.hosts)}) within {self.worker_connect_timeout_s} s, "
                f"found {count_alive_nodes(self._dashboard())}. Start the script on every node (srun), and let "
                f"RAY_PORT_BROADCAST_DIR, now {job.folder}, be a folder that all nodes see"
            )

    def _serve(self, job: SlurmJob) -> NoReturn:
        """Be one node of the cluster until the head is done, and end this process."""
        address = f"{job.head_ip()}:{self._announced_port(job)}"
        check_temp_dir(self.ray_temp_dir)
        folder = str(Path(self.ray_temp_dir).absolute())
        options = ["--address", address, "--temp-dir", folder, "--log-color", "false", *self._node_options()]
        output = self._undo.enter_context(open_output(self.ray_stdouterr_capture_file))
        variables = {**CLUSTER_ENVIRONMENT, **os.environ, **self._attach_variables(job.head_ip())}
        process = supervise(ray_command("start", "--block", *options), variables, output, self._owned)
        self._undo.callback(end, process)
        while process.poll() is None and job.port_file.exists():
            time.sleep(POLL_S)
        if process.poll():
            logger.error("`ray start` ended with status %s:\n%s", process.poll(), last_lines(output))
        sys.exit(process.poll() or 0)

    def _announced_port(self, job: SlurmJob) -> int:
        deadline = time.monotonic() + PORT_FILE_S
        while time.monotonic() < deadline:
            if port := job.announced_port():
                return port
            time.sleep(POLL_S)
        raise TimeoutError(
            f"Wanted the port of the head on {job.hosts[0]} in {job.port_file} within {PORT_FILE_S} s, found none that "
            "answers. Start the script on every node (srun), and let RAY_PORT_BROADCAST_DIR be a folder that all see"
        )

    def _default_to(self, name: str, variable: str) -> None:
        given = getattr(self, name)
        self._undo.callback(setattr, self, name, given)
        if given is None and variable in os.environ:
            setattr(self, name, int(os.environ[variable]))

    def _ip_address(self) -> str:
        return super()._ip_address() if self._job is None else self._job.head_ip()

    def _token(self) -> Path:
        if self._job is None:
            return super()._token()
        return self._job.token_file if self._job.node else new_token(self._own(self._job.token_file))


def check_temp_dir(path: str) -> None:
    longest = LONGEST_SOCKET_PATH - len(LONGEST_SOCKET_NAME)
    size = len(os.fsencode(Path(path).absolute()))
    if size > longest:
        raise ValueError(
            f"ray_temp_dir may have {longest} bytes, because Ray makes sockets below it; {path!r} has {size}. "
            f"Choose a shorter one, such as {DEFAULT_RAY_TEMP_DIR!r}"
        )
