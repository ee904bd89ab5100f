"""What a real run exports, as Prometheus reads it."""

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

import nemo_curator.metrics
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import ConfigError, RunFailedError
from nemo_curator.metrics import serve_metrics
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.filters import ScoreFilter, WordCountFilter
from nemo_curator.tasks import DocumentBatch

ROOT = Path(__file__).parents[2]
DASHBOARD = Path(nemo_curator.metrics.__file__).parent / "dashboards" / "curator.json"
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? ([0-9.e+-]+)$", re.MULTILINE)


@dataclass
class FailsAtThree(ProcessingStage):
    """Raise at texts of three words."""

    name: str = "fails"
    is_row_wise = True

    def process(self, batch):
        if any(len(text.split()) == 3 for text in batch.text("text").to_pylist()):
            raise ValueError('three "words"\n')
        return batch


def read(url):
    with urllib.request.urlopen(url, timeout=10) as response:
        assert response.headers["Content-Type"].startswith("text/plain")
        return response.read().decode()


def samples(text, **labels):
    wanted = {f'{name}="{value}"' for name, value in labels.items()}
    return {
        (name, tuple(sorted(set((given or "").split(",")) - wanted))): float(value)
        for name, given, value in SAMPLE.findall(text)
        if wanted <= set((given or "").split(","))
    }


@pytest.fixture(scope="module")
def exported():
    """What is exported after two runs of a pipeline."""
    texts = ["one", "one two", "one two three", "one two three four"]
    stages = [ScoreFilter(WordCountFilter(min_words=2)), FailsAtThree()]
    with serve_metrics(0) as server:
        for _ in range(2):
            with pytest.raises(RunFailedError):
                Pipeline("exported", stages=stages).run(
                    LocalExecutor(num_workers=0), [DocumentBatch("d", pa.table({"text": texts}))]
                )
        yield read(server.url)


def test_rows_are_exported_by_pipeline_and_stage_and_add_up_over_runs(exported):
    found = samples(exported, pipeline="exported", stage="fails", place="1")
    assert found[("curator_rows_in_total", ())] == 6
    assert found[("curator_rows_out_total", ())] == 4
    assert found[("curator_rows_failed_total", ('error="ValueError"',))] == 2
    assert found[("curator_stage_seconds_total", ())] > 0
    dropped = samples(exported, pipeline="exported", stage="word_count", place="0")
    assert dropped[("curator_rows_dropped_total", ('filter="word_count"',))] == 2
    assert dropped[("curator_bytes_in_total", ())] > 0


def test_partitions_are_those_of_the_latest_run(exported):
    found = samples(exported, pipeline="exported")
    values = {name.removeprefix("curator_"): value for (name, labels), value in found.items() if labels == ()}
    assert (values["partitions"], values["partitions_done"], values["partitions_lost"], values["running"]) == (
        1,
        1,
        0,
        0,
    )
    assert ("curator_run_info", ('executor="LocalExecutor"', f'version="{nemo_curator.__version__}"')) in found
    assert samples(exported)[("curator_memory_bytes", ("",))] > 10**7


def test_every_metric_of_the_dashboard_is_exported_by_a_real_run(exported):
    panels = json.loads(DASHBOARD.read_text())["panels"]
    wanted = {name for panel in panels for one in panel["targets"] for name in re.findall(r"curator_\w+", one["expr"])}
    there = {name for name, *_ in SAMPLE.findall(exported)}
    assert wanted <= there
    assert there - wanted == set()  # and all that is exported can be seen


def test_the_panels_of_the_dashboard_stand_side_by_side():
    dashboard = json.loads(DASHBOARD.read_text())
    taken = set()
    for panel in dashboard["panels"]:
        x, y, width, height = (panel["gridPos"][key] for key in "xywh")
        squares = {(column, row) for column in range(x, x + width) for row in range(y, y + height)}
        assert x + width <= 24
        assert not squares & taken
        taken |= squares
        assert {one["datasource"]["uid"] for one in panel["targets"]} == {"curator"}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_the_server_listens_on_loopback_and_ends():
    with serve_metrics(0) as server:
        listening = [one.laddr for one in psutil.Process().net_connections("tcp") if one.status == psutil.CONN_LISTEN]
        assert ("127.0.0.1", server.port) in listening
        assert {one.ip for one in listening if one.port == server.port} == {"127.0.0.1"}
    with pytest.raises(OSError):
        read(server.url)


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def test_a_port_in_use_is_an_error_in_one_line(taken_port):
    with pytest.raises(ConfigError, match=rf"^metrics cannot be served on 127\.0\.0\.1:{taken_port}: .*another port"):
        serve_metrics(taken_port)


PROGRAM = """
import sys, urllib.request
import pyarrow as pa
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.function_decorators import processing_stage
from nemo_curator.tasks import DocumentBatch

@processing_stage(name="ask")
def ask(batch):
    url = f"http://127.0.0.1:{sys.argv[1]}/metrics"
    for line in urllib.request.urlopen(url).read().decode().splitlines():
        if line.startswith(("curator_running", "curator_partitions{", "curator_partitions_done")):
            print(line)
    return batch

tasks = [DocumentBatch("d", pa.table({"text": [text]})) for text in "ab"]
Pipeline("asked", stages=[ask]).run(LocalExecutor(num_workers=0), tasks)
"""


def run_program(port, asked):
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "CURATOR_METRICS_PORT": str(port)}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(asked)],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_variable_serves_a_run_while_it_runs():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    done = run_program(port, asked=port)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f'curator_{name}{{pipeline="asked"}} {value}'
        for count in (0.0, 1.0)
        for name, value in (("partitions", 2.0), ("partitions_done", count), ("running", 1.0))
    ]


def test_a_port_in_use_costs_the_metrics_and_not_the_run(taken_port, monkeypatch, caplog):
    from nemo_curator.metrics import server

    monkeypatch.setattr(server, "_of_variable", [])
    monkeypatch.setenv("CURATOR_METRICS_PORT", str(taken_port))
    stages = [ScoreFilter(WordCountFilter(min_words=2))]
    tasks = [DocumentBatch("d", pa.table({"text": ["one two"]}))]
    for _ in range(2):
        assert len(Pipeline("goes on", stages=stages).run(LocalExecutor(num_workers=0), tasks)) == 1
    assert [record.message.count("cannot be served") for record in caplog.records] == [1]


def test_a_port_that_is_none_is_an_error(monkeypatch):
    monkeypatch.setenv("CURATOR_METRICS_PORT", "web")
    with pytest.raises(ConfigError, match="CURATOR_METRICS_PORT is 'web'; wanted a port"):
        Pipeline("p", stages=[FailsAtThree()]).run(
            LocalExecutor(num_workers=0), [DocumentBatch("d", pa.table({"text": [""]}))]
        )
