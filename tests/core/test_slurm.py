"""SlurmRayClient with a `scontrol` of our own, and the two nodes of a job played by two processes on this machine."""

import os
import socket
import urllib.error
import urllib.request

import pytest

from nemo_curator.core.slurm import SlurmJob, job_hosts

NODE = """
client = SlurmRayClient(
    ray_temp_dir=os.environ["TEMP_DIR"], cleanup_on_start=False, num_gpus=0, object_store_memory=100_000_000,
    worker_connect_timeout_s=int(os.environ.get("PATIENCE", "60")),
)
before = dict(os.environ)
try:
    with client:
        import ray
        ray.init(log_to_driver=False, logging_level="ERROR")
        nodes = [node["Resources"].get("CPU") for node in ray.nodes()]
        tell(nodes=nodes, address=os.environ["RAY_ADDRESS"], dashboard=client.ray_dashboard_port)
        sys.stdin.read()
except TimeoutError as error:
    tell(error=str(error))
left_by_ray = {"RAY_CLIENT_MODE", "PYTHONBREAKPOINT"}
tell(restored=before.keys() - left_by_ray == os.environ.keys() - left_by_ray, cpus=client.num_cpus)
"""


@pytest.fixture
def job(tmp_path):
    """The variables of a job of two nodes; its folder is the one all nodes see."""
    scontrol = tmp_path / "scontrol"
    scontrol.write_text('#!/bin/sh\n[ "$*" = "show hostnames twins[1-2]" ] && printf "localhost\\nlocalhost\\n"\n')
    scontrol.chmod(0o755)
    return {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_JOB_NODELIST": "twins[1-2]",
        "SLURM_CPUS_ON_NODE": "3",
        "RAY_PORT_BROADCAST_DIR": str(tmp_path),
    }


@pytest.mark.ray
@pytest.mark.timeout(120)
def test_two_nodes_make_one_cluster_and_both_end_with_the_head(run, job, tmp_path, seconds_until_gone):
    worker = run(NODE, SLURM_NODEID="1", **job)
    head = run(NODE, SLURM_NODEID="0", **job)
    facts = head.told()
    assert facts["nodes"] == [3, 3]
    files = {path.name: path for path in tmp_path.iterdir() if path.name != "scontrol"}
    assert set(files) == {f"ray_head_port_{os.getpid()}", f"ray_head_token_{os.getpid()}"}
    host, port = facts["address"].split(":")
    assert files[f"ray_head_port_{os.getpid()}"].read_text() == port
    assert files[f"ray_head_token_{os.getpid()}"].stat().st_mode & 0o777 == 0o600
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"http://{host}:{facts['dashboard']}/api/v0/nodes", timeout=10)

    everything = head.tree() + worker.tree()
    assert head.finish() == 0
    assert head.told() == {"restored": True, "cpus": None}
    assert worker.process.wait(30) == 0
    assert worker.process.stdout.read() == ""
    assert seconds_until_gone(everything) < 5
    assert [path.name for path in tmp_path.iterdir()] == ["scontrol"]


@pytest.mark.ray
@pytest.mark.timeout(120)
def test_a_head_that_waits_in_vain_for_the_other_nodes_says_so_and_leaves_nothing(run, job, tmp_path):
    head = run(NODE, SLURM_NODEID="0", PATIENCE="1", **job)
    error = head.told()["error"]
    assert error.startswith("Wanted 2 nodes (localhost, localhost) within 1 s, found 1.")
    assert "RAY_PORT_BROADCAST_DIR" in error
    assert head.told()["restored"]
    assert [path.name for path in tmp_path.iterdir()] == ["scontrol"]


@pytest.mark.ray
@pytest.mark.timeout(120)
def test_outside_slurm_it_is_a_client_on_loopback(run):
    program = run(NODE)
    facts = program.told()
    assert facts["address"].startswith("127.0.0.1:")
    assert facts["nodes"] == [os.cpu_count()]
    program.finish()


@pytest.mark.parametrize(
    ("nodelist", "hosts"),
    [
        ("gpu1", ["gpu1"]),
        ("p-[01,03-05],q", ["p-01", "p-03", "p-04", "p-05", "q"]),
        ("a[1-2]b[8-10]-ib", ["a1b8-ib", "a1b9-ib", "a1b10-ib", "a2b8-ib", "a2b9-ib", "a2b10-ib"]),
        ("n[098-101]", ["n098", "n099", "n100", "n101"]),
    ],
)
def test_a_node_list_expands_without_slurms_tools(nodelist, hosts, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert job_hosts(nodelist) == hosts


def test_slurms_own_tool_has_the_first_word(job, monkeypatch):
    monkeypatch.setenv("PATH", job["PATH"])
    assert job_hosts("twins[1-2]") == ["localhost", "localhost"]
    assert job_hosts("others[1-2]") == ["others1", "others2"]


def test_a_port_counts_once_somebody_answers_there(tmp_path):
    job = SlurmJob(id="1", node=1, hosts=("localhost",), folder=tmp_path)
    assert job.announced_port() is None
    with socket.create_server(("", 0)) as head:
        port = head.getsockname()[1]
        job.announce(port)
        assert job.announced_port() == port
    assert job.announced_port() is None
