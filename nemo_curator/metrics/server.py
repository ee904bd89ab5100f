"""The numbers of the runs of this process over HTTP, in the text format of Prometheus."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any, Self

from nemo_curator.errors import ConfigError
from nemo_curator.metrics.runs import RUNS
from nemo_curator.metrics.targets import register

VARIABLE = "CURATOR_METRICS_PORT"
DEFAULT_PORT = 9464
LOOPBACK = "127.0.0.1"
logger = logging.getLogger(__name__)
_asked = threading.Lock()
_of_variable: list[MetricsServer | None] = []


class MetricsServer:
    """Answers until `stop`, the end of a `with` block or the end of this process."""

    def __init__(self, port: int, host: str):
        from prometheus_client import CollectorRegistry, start_http_server

        registry = CollectorRegistry(auto_describe=False)
        registry.register(RUNS)
        try:
            server, thread = start_http_server(port, host, registry)
        except OSError as error:
            raise ConfigError(
                f"metrics cannot be served on {host}:{port}: {error.strerror}; choose another port, or 0 for any"
            ) from error
        self._server: Any = server
        self._thread = thread
        self.host = host
        self.port: int = server.server_port
        self._unregister = register(host, self.port)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/metrics"

    def stop(self) -> None:
        self._unregister()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve_metrics(port: int = DEFAULT_PORT, host: str = LOOPBACK) -> MetricsServer:
    """Serve the numbers of all runs of this process to Prometheus; port 0 takes any free one.

    It listens on loopback unless told, because whoever reaches it can read it. A Prometheus that
    `start_prometheus_grafana` started finds it by itself.
    """
    return MetricsServer(port, host)


def serve_if_asked() -> None:
    """Serve metrics from the first run on, at the port in CURATOR_METRICS_PORT. One in use costs the metrics only."""
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return
    if not text.isdecimal() or int(text) > 65535:
        raise ConfigError(f"{VARIABLE} is {text!r}; wanted a port, such as {DEFAULT_PORT}")
    with _asked:
        if not _of_variable:
            try:
                _of_variable.append(serve_metrics(int(text)))
            except ConfigError as error:
                _of_variable.append(None)
                logger.warning("%s", error)
