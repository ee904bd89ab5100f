import json
import socket
import subprocess
import sys
import time
import urllib.request
import uuid

import pytest

from tests.storage.proxy import Proxy

KEY, SECRET = "AKIDEXAMPLE", "a-secret-nobody-may-see"


@pytest.fixture(scope="session")
def moto_port():
    """moto's S3 in a process of its own, for the whole session."""
    pytest.importorskip("moto.server", reason="moto[server] is not installed")
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def session_proxy(moto_port):
    proxy = Proxy(moto_port)  # one port for all: fsspec keeps file systems, whatever the environment says by then
    yield proxy
    proxy.close()


@pytest.fixture
def proxy(session_proxy):
    """A proxy before the object store that makes no trouble until it is told to."""
    session_proxy.make()
    return session_proxy


@pytest.fixture
def options(proxy):
    """Storage options as scripts give them."""
    return {"key": KEY, "secret": SECRET, "client_kwargs": {"endpoint_url": proxy.url}}


@pytest.fixture
def variables(proxy, monkeypatch):
    """The same in the environment, where the checkpoint and the processes that are started find them."""
    found = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": proxy.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "CURATOR_RETRY_WAIT_S": "0.01",
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def store(proxy, options, monkeypatch):
    """A file system over the proxy, and the URL of a bucket of its own."""
    import s3fs

    monkeypatch.setenv("CURATOR_RETRY_WAIT_S", "0.01")
    fs = s3fs.S3FileSystem(**options, skip_instance_cache=True, use_listings_cache=False)
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    fs.mkdir(bucket)
    return fs, f"s3://{bucket}"


def _wait_for(port, process):
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"moto ended with {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/data.json", timeout=2) as answer:
                json.load(answer)
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("moto did not start")
