"""Prometheus and Grafana as processes. Where Prometheus is installed, a real one scrapes a real run."""

import configparser
import hashlib
import io
import json
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import InputError
from nemo_curator.metrics import downloads, serve_metrics, targets, utils
from nemo_curator.metrics.start_prometheus_grafana import main
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import ScoreFilter, WordCountFilter
from nemo_curator.tasks import DocumentBatch


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CURATOR_METRICS_DIR", str(tmp_path / "metrics"))
    return tmp_path / "metrics"


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="no prometheus on PATH")
def test_a_real_prometheus_scrapes_a_real_run_and_is_stopped(folder, port, monkeypatch, capsys):
    monkeypatch.setattr(utils, "SCRAPE_S", 1)
    assert main(["--prometheus_web_port", str(port)]) == 0
    try:
        assert utils.is_prometheus_running()
        assert utils.get_prometheus_port() == port
        process = psutil.Process(int((folder / "prometheus.pid").read_text()))
        listening = {one.laddr.ip for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}
        with serve_metrics(0):
            Pipeline("scraped", stages=[ScoreFilter(WordCountFilter(min_words=2))]).run(
                LocalExecutor(num_workers=0), [DocumentBatch("d", pa.table({"text": ["one", "one two"]}))]
            )
            deadline = time.monotonic() + 30
            while not (found := ask(port, 'curator_rows_dropped_total{pipeline="scraped"}')):
                assert time.monotonic() < deadline
                time.sleep(0.2)
        assert found[0]["metric"]["filter"] == "word_count"
        assert found[0]["value"][1] == "1"
        assert main(["--prometheus_web_port", str(port)]) == 0
        assert "runs already" in capsys.readouterr().out
    finally:
        assert main(["--stop"]) == 0
    assert not process.is_running()
    assert not (folder / "prometheus.pid").exists()


def ask(port, query):
    url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)["data"]["result"]


def test_what_is_not_installed_is_named_with_a_remedy(folder, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    assert main([]) == 1
    assert capsys.readouterr().err.startswith(f"error: there is no prometheus on PATH or in {folder}; install it, or")


def test_a_process_that_got_the_id_is_not_ended(folder, capsys):
    targets.own_folder(None)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", str(folder)])
    try:
        for which in ("prometheus", "grafana"):
            (folder / f"{which}.pid").write_text(str(other.pid))
        assert not utils.is_prometheus_running()
        assert not utils.is_grafana_running()
        assert main(["--stop"]) == 0
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
    assert capsys.readouterr().out == "grafana does not run\nprometheus does not run\n"


def test_the_folder_of_another_user_is_refused(tmp_path):
    (tmp_path / "theirs").symlink_to(tmp_path)
    with pytest.raises(InputError, match="belongs to another user or is a link"):
        targets.own_folder(str(tmp_path / "theirs"))
    assert targets.own_folder(str(tmp_path / "ours")).stat().st_mode & 0o777 == 0o700


def test_grafana_is_configured_for_loopback_with_a_password_of_its_own(folder):
    found = utils.write_grafana_configs(None, 3001, 9091)
    ini = configparser.ConfigParser(interpolation=None)
    ini.read(found / "grafana.ini")
    assert (ini["server"]["http_addr"], ini["server"]["http_port"]) == ("127.0.0.1", "3001")
    assert ini["auth.anonymous"]["org_role"] == "Viewer"
    assert len(ini["security"]["admin_password"]) > 20
    assert (found / "grafana.ini").stat().st_mode & 0o777 == 0o600
    source = json.loads((found / "provisioning/datasources/curator.yaml").read_text())["datasources"][0]
    assert (source["uid"], source["url"]) == ("curator", "http://127.0.0.1:9091")
    provider = json.loads((found / "provisioning/dashboards/curator.yaml").read_text())["providers"][0]
    assert [file.name for file in Path(provider["options"]["path"]).iterdir()] == ["curator.json"]


def test_clusters_come_and_go_as_targets(folder, tmp_path):
    targets.own_folder(None)
    utils.add_ray_prometheus_metrics_service_discovery(str(tmp_path / "ray"))
    utils.add_ray_prometheus_metrics_service_discovery(str(tmp_path / "ray"))
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / targets.RAY_DISCOVERY).write_text("[]")
    assert [link.read_text() for link in (folder / "targets").iterdir()] == ["[]"]
    utils.remove_ray_prometheus_metrics_service_discovery(str(tmp_path / "ray"))
    assert list((folder / "targets").iterdir()) == []


def test_runs_come_and_go_as_targets(folder):
    targets.own_folder(None)
    (folder / "targets" / "curator-999999999-1.json").write_text("of a process that was killed")
    with serve_metrics(0) as server:
        (file,) = (folder / "targets").iterdir()
        assert json.loads(file.read_text()) == [{"targets": [f"127.0.0.1:{server.port}"], "labels": {"job": "curator"}}]
    assert list((folder / "targets").iterdir()) == []


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "prometheus-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("prometheus-1.0/prometheus")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"12345"))
    return path


def test_a_download_is_unpacked_if_it_is_what_its_project_says(archive, tmp_path):
    right = hashlib.sha256(archive.read_bytes()).hexdigest()
    wanted = downloads.sum_of(archive.name, f"{'0' * 64}  other.tar.gz\n{right}  {archive.name}\n")
    downloads.unpack(archive, wanted, tmp_path)
    assert (tmp_path / "prometheus-1.0/prometheus").read_bytes() == b"12345"
    assert utils.find_program("prometheus", str(tmp_path)) == tmp_path / "prometheus-1.0/prometheus"


def test_a_download_that_is_something_else_is_refused(archive, tmp_path):
    with pytest.raises(InputError, match=r"prometheus-1.0.tar.gz has the SHA-256 .*; its project says 0000"):
        downloads.unpack(archive, "0" * 64, tmp_path)
    assert not (tmp_path / "prometheus-1.0").exists()
    with pytest.raises(InputError, match="gives no SHA-256"):
        downloads.sum_of(archive.name, f"{'0' * 64}  other.tar.gz\n")
