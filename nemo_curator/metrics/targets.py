"""The folder in which Prometheus finds what to ask."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from nemo_curator.errors import InputError

VARIABLE = "CURATOR_METRICS_DIR"
TARGETS = "targets"
RAY_DISCOVERY = "prom_metrics_service_discovery.json"
"""What Ray writes into its folder."""


def default_metrics_dir() -> Path:
    """What CURATOR_METRICS_DIR says, else a folder in /tmp with the number of the user."""
    return Path(os.environ.get(VARIABLE) or f"/tmp/nemo_curator_metrics_{os.getuid()}").absolute()


def metrics_folder(metrics_dir: str | os.PathLike | None) -> Path:
    return default_metrics_dir() if metrics_dir is None else Path(metrics_dir).absolute()


def own_folder(metrics_dir: str | os.PathLike | None) -> Path:
    """The folder of Prometheus and Grafana, made for this user alone where it is not there."""
    folder = metrics_folder(metrics_dir)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid() or folder.is_symlink():
        raise InputError(f"{folder} belongs to another user or is a link; give a metrics_dir of your own")
    (folder / TARGETS).mkdir(exist_ok=True)
    return folder


def register(host: str, port: int) -> Callable[[], None]:
    """Let the Prometheus of this user ask a process; returns how to end that."""
    targets = default_metrics_dir() / TARGETS
    if not targets.is_dir() or targets.stat().st_uid != os.getuid():
        return lambda: None
    for file in targets.glob("curator-*.json"):
        if not _is_alive(file.stem.split("-")[1]):
            file.unlink(missing_ok=True)  # of a process that was killed
    file = targets / f"curator-{os.getpid()}-{port}.json"
    write_targets(file, [f"{host}:{port}"], "curator")

    def unregister() -> None:
        atexit.unregister(unregister)
        file.unlink(missing_ok=True)

    atexit.register(unregister)
    return unregister


def write_targets(file: Path, addresses: list[str], job: str) -> None:
    """Write a list that Prometheus reads, whole or not at all."""
    whole = file.with_suffix(".tmp")
    whole.write_text(json.dumps([{"targets": addresses, "labels": {"job": job}}]))
    whole.rename(file)


def add_ray_prometheus_metrics_service_discovery(ray_temp_dir: str, metrics_dir: str | None = None) -> None:
    """Let Prometheus ask the Ray clusters that have this folder: a link to the list that Ray keeps there."""
    link = _ray_link(ray_temp_dir, metrics_dir)
    link.unlink(missing_ok=True)
    link.symlink_to(Path(ray_temp_dir).absolute() / RAY_DISCOVERY)


def remove_ray_prometheus_metrics_service_discovery(ray_temp_dir: str, metrics_dir: str | None = None) -> None:
    _ray_link(ray_temp_dir, metrics_dir).unlink(missing_ok=True)


def _ray_link(ray_temp_dir: str, metrics_dir: str | None) -> Path:
    name = hashlib.sha256(str(Path(ray_temp_dir).absolute()).encode()).hexdigest()[:12]
    return metrics_folder(metrics_dir) / TARGETS / f"ray-{name}.json"


def _is_alive(pid: str) -> bool:
    import psutil

    return pid.isdecimal() and psutil.pid_exists(int(pid))
