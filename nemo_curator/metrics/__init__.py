"""The numbers of runs for Prometheus, and dashboards of them."""

from nemo_curator.metrics.server import MetricsServer, serve_metrics

__all__ = ["MetricsServer", "serve_metrics"]
