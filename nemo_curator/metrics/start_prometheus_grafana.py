"""Start Prometheus and Grafana for the runs of this user, on loopback; `--stop` ends them.

    python -m nemo_curator.metrics.start_prometheus_grafana [--metrics_dir DIR] [--yes]

Programs are taken from DIR or PATH. What is missing is downloaded with `--yes` only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from nemo_curator.errors import CuratorError, InputError
from nemo_curator.metrics import utils
from nemo_curator.metrics.targets import metrics_folder


def start_prometheus_grafana(
    prometheus_web_port: int = 9090,
    grafana_web_port: int = 3000,
    metrics_dir: str | None = None,
    *,
    download: bool = False,
) -> None:
    """Start Prometheus, and Grafana with a dashboard of runs where it is installed; what runs already is left alone.

    Both listen on 127.0.0.1 and go on when this process ends. With `download`, what is missing is fetched from where
    its project releases it.
    """
    if utils.is_prometheus_running(metrics_dir):
        port = utils.get_prometheus_port(metrics_dir) or prometheus_web_port
        print(f"Prometheus runs already: http://{utils.LOOPBACK}:{port}")
    else:
        program = utils.find_program(utils.PROMETHEUS, metrics_dir)
        if program is None and download:
            program = utils.download_and_extract_prometheus(metrics_dir)
        if program is None:
            raise InputError(_missing("prometheus", metrics_dir))
        utils.run_prometheus(program, metrics_dir, port := prometheus_web_port)
        print(f"Prometheus: http://{utils.LOOPBACK}:{port}")
    if utils.is_grafana_running(metrics_dir):
        print("Grafana runs already")
        return
    grafana = utils.find_program(utils.GRAFANA, metrics_dir)
    if grafana is None and download:
        grafana = utils.download_grafana(metrics_dir)
    if grafana is None:
        print(f"Grafana is not started: {_missing('grafana-server', metrics_dir)}", file=sys.stderr)
        return
    folder = utils.write_grafana_configs(metrics_dir, grafana_web_port, port)
    utils.launch_grafana(grafana, metrics_dir, grafana_web_port)
    print(f"Grafana: http://{utils.LOOPBACK}:{grafana_web_port}; the password of admin is in {folder / 'grafana.ini'}")


def stop_prometheus_grafana(metrics_dir: str | None = None) -> None:
    """End the Prometheus and the Grafana that were started in this folder, and nothing else."""
    for which in (utils.GRAFANA, utils.PROMETHEUS):
        print(f"{which} {'was ended' if utils.stop(which, metrics_dir) else 'does not run'}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prometheus_web_port", type=int, default=9090, metavar="PORT")
    parser.add_argument("--grafana_web_port", type=int, default=3000, metavar="PORT")
    parser.add_argument("--metrics_dir", metavar="DIR", help="by default /tmp/nemo_curator_metrics_<uid>")
    parser.add_argument("--yes", action="store_true", help="download what is missing, without asking")
    parser.add_argument("--stop", action="store_true", help="end what was started in this folder")
    given = parser.parse_args(arguments)
    try:
        if given.stop:
            stop_prometheus_grafana(given.metrics_dir)
        else:
            start_prometheus_grafana(
                given.prometheus_web_port, given.grafana_web_port, given.metrics_dir, download=given.yes
            )
    except (CuratorError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _missing(program: str, metrics_dir: str | None) -> str:
    return (
        f"there is no {program} on PATH or in {metrics_folder(metrics_dir)}; install it, or download it with --yes "
        "(download=True)"
    )


if __name__ == "__main__":
    sys.exit(main())
