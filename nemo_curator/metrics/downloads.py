"""Prometheus and Grafana from where their projects release them, checked against the sums that stand there."""

from __future__ import annotations

import hashlib
import platform
import shutil
import tarfile
import tempfile
import urllib.request
from pathlib import Path

from nemo_curator.errors import InputError
from nemo_curator.metrics.targets import own_folder

PROMETHEUS_VERSION, GRAFANA_VERSION = "3.1.0", "12.0.2"
PROMETHEUS_RELEASE = "https://github.com/prometheus/prometheus/releases/download/v{version}"
GRAFANA_RELEASE = "https://dl.grafana.com/oss/release"


def download_and_extract_prometheus(metrics_dir: str | None = None) -> Path:
    """Download Prometheus into the folder and unpack it; returns the program."""
    name = f"prometheus-{PROMETHEUS_VERSION}.{_system()}"
    release = PROMETHEUS_RELEASE.format(version=PROMETHEUS_VERSION)
    folder = _fetch(f"{release}/{name}.tar.gz", f"{release}/sha256sums.txt", metrics_dir)
    return folder / name / "prometheus"


def download_grafana(metrics_dir: str | None = None) -> Path:
    """Download Grafana (the open source one) into the folder and unpack it; returns the program."""
    url = f"{GRAFANA_RELEASE}/grafana-{GRAFANA_VERSION}.{_system()}.tar.gz"
    folder = _fetch(url, f"{url}.sha256", metrics_dir)
    return next(iter(sorted(folder.glob(f"grafana-*{GRAFANA_VERSION}/bin/grafana"))))


def unpack(archive: Path, wanted: str, folder: Path) -> None:
    """Unpack an archive whose SHA-256 is the wanted one into the folder, whole or not at all."""
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted:
        raise InputError(f"{archive.name} has the SHA-256 {found}; its project says {wanted}. Nothing was unpacked")
    with tempfile.TemporaryDirectory(dir=folder) as made, tarfile.open(archive) as tar:
        tar.extractall(made, filter="data")
        for part in Path(made).iterdir():
            shutil.rmtree(folder / part.name, ignore_errors=True)
            part.rename(folder / part.name)


def sum_of(name: str, sums: str) -> str:
    """The sum of a file in a list of sums and names, or in a text that is the sum alone."""
    lines = [line.split() for line in sums.splitlines() if line.strip()]
    for words in lines:
        if words[1:] == [name] or (len(lines) == 1 and len(words) == 1):
            return words[0]
    raise InputError(f"its project gives no SHA-256 of {name}")


def _fetch(url: str, sums: str, metrics_dir: str | None) -> Path:
    folder = own_folder(metrics_dir)
    name = url.rpartition("/")[2]
    with urllib.request.urlopen(sums, timeout=60) as response:
        wanted = sum_of(name, response.read().decode())
    with tempfile.TemporaryDirectory(dir=folder) as made:
        archive = Path(made, name)
        with urllib.request.urlopen(url, timeout=60) as response, archive.open("wb") as file:
            shutil.copyfileobj(response, file)
        unpack(archive, wanted, folder)
    return folder


def _system() -> str:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"{platform.system().lower()}-{machine}"
