"""Prometheus and Grafana as processes of this user: found or downloaded, configured, started, on loopback alone."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nemo_curator.core.utils import is_free
from nemo_curator.errors import ConfigError
from nemo_curator.metrics.downloads import download_and_extract_prometheus, download_grafana
from nemo_curator.metrics.targets import (
    TARGETS,
    add_ray_prometheus_metrics_service_discovery,
    metrics_folder,
    own_folder,
    remove_ray_prometheus_metrics_service_discovery,
)

__all__ = [
    "add_ray_prometheus_metrics_service_discovery",
    "download_and_extract_prometheus",
    "download_grafana",
    "find_program",
    "get_prometheus_port",
    "is_grafana_running",
    "is_prometheus_running",
    "launch_grafana",
    "remove_ray_prometheus_metrics_service_discovery",
    "run_prometheus",
    "stop",
    "write_grafana_configs",
]

PROMETHEUS, GRAFANA = "prometheus", "grafana"
PROGRAMS = {PROMETHEUS: ("prometheus",), GRAFANA: ("grafana-server", "grafana")}
LOOPBACK = "127.0.0.1"
START_S, END_S, POLL_S = 60.0, 20.0, 0.1
SCRAPE_S = 10
DASHBOARDS = Path(__file__).with_name("dashboards")


def is_prometheus_running(metrics_dir: str | None = None) -> bool:
    """Whether the Prometheus that was started in this folder runs."""
    return _process(metrics_folder(metrics_dir), PROMETHEUS) is not None


def is_grafana_running(metrics_dir: str | None = None) -> bool:
    """Whether the Grafana that was started in this folder runs."""
    return _process(metrics_folder(metrics_dir), GRAFANA) is not None


def get_prometheus_port(metrics_dir: str | None = None) -> int | None:
    """The port of the Prometheus that was started in this folder; None if it does not run."""
    file = metrics_folder(metrics_dir) / f"{PROMETHEUS}_port.txt"
    return int(file.read_text()) if is_prometheus_running(metrics_dir) and file.exists() else None


def find_program(which: str, metrics_dir: str | None = None) -> Path | None:
    """Prometheus or Grafana: what was unpacked in the folder, else what PATH has."""
    for name in PROGRAMS[which]:
        unpacked = sorted(path for path in metrics_folder(metrics_dir).glob(f"{which}-*/**/{name}") if path.is_file())
        if unpacked:
            return unpacked[-1]
        if found := shutil.which(name):
            return Path(found)
    return None


def run_prometheus(program: Path, metrics_dir: str | None = None, port: int = 9090) -> int:
    """Start Prometheus and return its process id once it answers."""
    folder = own_folder(metrics_dir)
    config = folder / "prometheus.yml"
    # what JSON can say, YAML can
    config.write_text(
        json.dumps(
            {
                "global": {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": f"{SCRAPE_S}s"},
                "scrape_configs": [
                    {
                        "job_name": "curator",
                        "file_sd_configs": [
                            {"files": [f"{folder}/{TARGETS}/*.json"], "refresh_interval": f"{SCRAPE_S}s"}
                        ],
                    }
                ],
            },
            indent=1,
        )
    )
    command = [
        str(program),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus_data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
    ]
    return _start(PROMETHEUS, command, folder, port, "-/ready")


def launch_grafana(program: Path, metrics_dir: str | None = None, port: int = 3000) -> int:
    """Start Grafana, configured by `write_grafana_configs`, and return its process id once it answers."""
    folder = own_folder(metrics_dir)
    config = folder / "grafana" / "grafana.ini"
    resolved = program.resolve()
    unpacked = resolved.parent.parent
    home = unpacked if (unpacked / "public").is_dir() else Path("/usr/share/grafana")
    server = ["server"] if program.name == GRAFANA else []
    command = [str(program), *server, f"--homepath={home}", f"--config={config}"]
    return _start(GRAFANA, command, folder, port, "api/health")


def write_grafana_configs(
    metrics_dir: str | None = None, grafana_port: int = 3000, prometheus_port: int = 9090
) -> Path:
    """Write `grafana.ini`, the dashboards and the data source; returns their folder.

    Everybody on this machine may look; only who can read `grafana.ini` has the password to change things.
    """
    folder = own_folder(metrics_dir) / "grafana"
    dashboards, provisioning = folder / "dashboards", folder / "provisioning"
    for each in (dashboards, provisioning / "datasources", provisioning / "dashboards"):
        each.mkdir(parents=True, exist_ok=True)
    for file in DASHBOARDS.glob("*.json"):
        shutil.copyfile(file, dashboards / file.name)
    source = {"name": "Prometheus", "uid": "curator", "type": "prometheus", "access": "proxy", "isDefault": True}
    source |= {"url": f"http://{LOOPBACK}:{prometheus_port}", "jsonData": {"timeInterval": f"{SCRAPE_S}s"}}
    _write_yaml(provisioning / "datasources" / "curator.yaml", {"apiVersion": 1, "datasources": [source]})
    provider = {"name": "Curator", "type": "file", "options": {"path": str(dashboards)}}
    _write_yaml(provisioning / "dashboards" / "curator.yaml", {"apiVersion": 1, "providers": [provider]})
    _write_ini(folder, grafana_port)
    return folder


def stop(which: str, metrics_dir: str | None = None) -> bool:
    """End the Prometheus or Grafana that was started in this folder, and nothing else; returns whether it ran."""
    import psutil

    folder = metrics_folder(metrics_dir)
    process = _process(folder, which)
    if process is not None:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
            try:
                process.wait(END_S)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(END_S)
    for name in ("{}.pid", "{}_port.txt"):
        (folder / name.format(which)).unlink(missing_ok=True)
    return process is not None


def _process(folder: Path, which: str) -> Any:
    """The process that was started in the folder, if its id still belongs to it."""
    import psutil

    with suppress(OSError, ValueError, psutil.Error):
        process = psutil.Process(int((folder / f"{which}.pid").read_text()))
        is_ours = any(str(folder) in word for word in process.cmdline()[1:])
        if is_ours and process.status() != psutil.STATUS_ZOMBIE and Path(process.cmdline()[0]).name in PROGRAMS[which]:
            return process
    return None


def _start(which: str, command: Sequence[str], folder: Path, port: int, health: str) -> int:
    if not is_free(port, LOOPBACK):
        raise ConfigError(f"port {port}, wanted for {which}, is in use on {LOOPBACK}; choose another port")
    log = folder / f"{which}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd=folder
        )
    (folder / f"{which}.pid").write_text(str(process.pid))
    (folder / f"{which}_port.txt").write_text(str(port))
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(f"http://{LOOPBACK}:{port}/{health}"):
            return process.pid
        time.sleep(POLL_S)
    last = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
    stop(which, str(folder))
    raise ConfigError(f"{which} did not answer on {LOOPBACK}:{port}; the last lines of {log}:\n{last}")


def _answers(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=2) as response:
            return response.status == 200
    except (OSError, urllib.error.URLError):
        return False


def _write_yaml(file: Path, value: object) -> None:
    file.write_text(json.dumps(value, indent=1))


def _write_ini(folder: Path, port: int) -> None:
    file = folder / "grafana.ini"
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as ini:
        ini.write(f"""\
[paths]
data = {folder}/data
logs = {folder}/logs
plugins = {folder}/plugins
provisioning = {folder}/provisioning
[server]
http_addr = {LOOPBACK}
http_port = {port}
[security]
admin_password = {secrets.token_urlsafe(16)}
[auth.anonymous]
enabled = true
org_role = Viewer
[analytics]
reporting_enabled = false
check_for_updates = false
check_for_plugin_updates = false
[dashboards]
default_home_dashboard_path = {folder}/dashboards/curator.json
""")
