"""RayClient against real Ray clusters. The programs are processes of their own; see conftest."""

import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120)]

CLUSTER = """
before = dict(os.environ)
client = RayClient(
    ray_temp_dir=os.environ["TEMP_DIR"], num_cpus=1, num_gpus=0, object_store_memory=100_000_000,
    enable_object_spilling=True, ray_stdouterr_capture_file=os.environ["TEMP_DIR"] + "/output",
)
began = time.monotonic()
client.start()
tell(seconds=time.monotonic() - began, variables={k: v for k, v in os.environ.items() if before.get(k) != v},
     dashboard=client.ray_dashboard_port, imported="ray" in sys.modules)
sys.stdin.read()
"""

ATTACHED = """
import ray
ray.init(log_to_driver=False, logging_level="ERROR")
"""


@pytest.fixture(scope="module")
def cluster(run):
    program = run(CLUSTER)
    program.facts = program.told()
    yield program
    program.finish()


@pytest.fixture(scope="module")
def attach(run, cluster):
    """Start a program in the environment that the started client has left."""
    return lambda *sources: run(*sources, **cluster.facts["variables"])


def test_a_client_is_ready_without_importing_ray_or_waiting_in_vain(cluster):
    assert cluster.facts["seconds"] < 120  # 4 to 6 on two idle cores; Ray's own limits are minutes
    assert not cluster.facts["imported"]


def test_every_listener_of_cluster_workers_and_driver_is_on_loopback(cluster, attach):
    driver = attach(
        ATTACHED,
        """
        @ray.remote
        class Actor:
            def pid(self): return os.getpid()
        actor = Actor.options(num_cpus=0).remote()
        tell(worker=ray.get(actor.pid.remote()))
        sys.stdin.read()
        """,
    )
    worker = driver.told()["worker"]
    processes = cluster.tree() + driver.tree()
    assert worker in {process.pid for process in processes}
    addresses = {
        connection.laddr.ip
        for process in processes
        for connection in process.net_connections("inet")
        if connection.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
    }
    assert addresses
    assert addresses <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    driver.finish()


def test_nobody_gets_in_without_the_token(cluster):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{cluster.facts['dashboard']}/api/v0/nodes", timeout=10)
    assert refused.value.code == 401
    token = Path(cluster.facts["variables"]["RAY_AUTH_TOKEN_PATH"])
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.parent.stat().st_mode & 0o777 == 0o700


def test_the_cluster_has_the_resources_asked_for_and_spills_into_its_own_folder(attach, ray_temp_dir):
    driver = attach(
        ATTACHED,
        """
        import numpy as np
        parts = [ray.put(np.full(40_000_000, i, dtype=np.uint8)) for i in range(4)]
        tell(resources=ray.cluster_resources(), first=[int(ray.get(part)[0]) for part in parts])
        sys.stdin.read()
        """,
    )
    facts = driver.told()
    assert facts["resources"]["CPU"] == 1
    assert "GPU" not in facts["resources"]
    assert facts["first"] == [0, 1, 2, 3]
    spill = next(Path(ray_temp_dir).glob("spill_*"))
    assert spill.stat().st_mode & 0o777 == 0o700
    assert any(path.is_file() for path in spill.rglob("*"))
    driver.finish()


def test_the_cluster_answers_whoever_asks_with_its_variables(attach):
    driver = attach(
        """
        from nemo_curator.core.utils import check_ray_responsive
        tell(found=check_ray_responsive(60))
        os.environ["RAY_ADDRESS"] = "127.0.0.1:9"
        tell(found=check_ray_responsive(1))
        """
    )
    assert driver.told() == {"found": True}
    assert driver.told() == {"found": False}


def test_a_client_with_a_ray_address_starts_nothing_and_stops_nothing(cluster, attach):
    before = len(cluster.tree())
    driver = attach(
        """
        variables = dict(os.environ)
        with RayClient() as client:
            tell(process=client.ray_process, kept=variables == dict(os.environ))
        tell(kept=variables == dict(os.environ))
        """
    )
    assert driver.told() == {"process": None, "kept": True}
    assert driver.told() == {"kept": True}
    assert driver.finish() == 0
    assert len(cluster.tree()) >= before


def test_a_client_in_a_process_that_ray_has_connected_starts_nothing(attach):
    driver = attach(
        ATTACHED,
        """
        del os.environ["RAY_ADDRESS"]
        with RayClient() as client:
            tell(process=client.ray_process)
        tell(connected=ray.is_initialized())
        """,
    )
    assert driver.told() == {"process": None}
    assert driver.told() == {"connected": True}


def test_what_ray_says_goes_to_the_capture_file(cluster, ray_temp_dir):
    assert "Local node IP: 127.0.0.1" in Path(ray_temp_dir, "output").read_text()


def test_a_token_of_ones_own_is_used_instead(run):
    program = run(
        """
        with RayClient(ray_temp_dir=os.environ["TEMP_DIR"], num_cpus=0):
            tell(path=os.environ.get("RAY_AUTH_TOKEN_PATH"), mode=os.environ["RAY_AUTH_MODE"])
        """,
        RAY_AUTH_TOKEN="0123456789abcdef0123456789abcdef",
    )
    assert program.told() == {"path": None, "mode": "token"}
    assert program.finish() == 0


def test_a_ray_imported_before_attaches_and_stop_puts_everything_back(
    run, cluster, seconds_until_gone, ray_temp_dir, tmp_path
):
    """Ports at their defaults move, because the cluster of the other tests has them."""
    program = run(
        """
        import ray
        from ray._raylet import get_authentication_mode
        get_authentication_mode()
        SET_BY_RAY_INIT = {"RAY_CLIENT_MODE", "PYTHONBREAKPOINT"}
        before = dict(os.environ)
        client = RayClient(ray_temp_dir=os.environ["TEMP_DIR"], num_cpus=0)
        for _ in range(2):
            with client:
                client.start()
                ray.init(log_to_driver=False, logging_level="ERROR")
                tell(port=client.ray_port, cpus=ray.cluster_resources().get("CPU", 0),
                     token=os.environ["RAY_AUTH_TOKEN_PATH"])
                sys.stdin.readline()
            changed = {name for name, _ in dict(os.environ).items() ^ before.items()}
            tell(port=client.ray_port, connected=ray.is_initialized(), changed=sorted(changed - SET_BY_RAY_INIT))
        """,
        TMPDIR=str(tmp_path),
    )
    address = cluster.facts["variables"]["RAY_ADDRESS"]
    for _ in range(2):
        facts = program.told()
        assert facts["cpus"] == 0
        assert f"127.0.0.1:{facts['port']}" != address
        everything = program.tree()[1:]
        program.process.stdin.write("\n")
        program.process.stdin.flush()
        assert program.told() == {"port": 6379, "connected": False, "changed": []}
        assert seconds_until_gone(everything) < 0.5
        assert not Path(facts["token"]).parent.exists()
    assert program.finish() == 0
    assert not list(tmp_path.iterdir())
    assert not Path(ray_temp_dir, "ray_current_cluster").exists()


def test_a_cluster_ends_with_its_driver_and_starts_again_after_ray_was_killed(run, seconds_until_gone):
    program = run(
        """
        import psutil
        client = RayClient(ray_temp_dir=os.environ["TEMP_DIR"], num_cpus=1)
        for _ in range(2):
            client.start()
            if os.fork() == 0:
                sys.exit()  # whose atexit must leave the cluster alone
            os.wait()
            tell(head=psutil.Process(client.ray_process.pid).children()[0].pid, token=os.environ["RAY_AUTH_TOKEN_PATH"])
            sys.stdin.readline()
        """
    )
    facts = program.told()
    everything = program.tree()[1:]
    psutil.Process(facts["head"]).kill()
    assert seconds_until_gone(everything) < 5
    assert not Path(facts["token"]).exists()

    program.process.stdin.write("\n")
    program.process.stdin.flush()
    facts = program.told()
    everything = program.tree()
    program.process.kill()
    assert seconds_until_gone(everything) < 5
    assert not Path(facts["token"]).exists()


def test_a_cluster_that_cannot_start_says_why_at_once_and_leaves_nothing(run):
    program = run(
        """
        before = dict(os.environ)
        try:
            RayClient(ray_temp_dir=os.environ["TEMP_DIR"], object_store_memory=1).start()
        except RuntimeError as error:
            import psutil
            tell(error=str(error), restored=before == dict(os.environ), children=len(psutil.Process().children()))
        """
    )
    facts = program.told()
    assert "`ray start` ended with status 1" in facts["error"]
    assert "object store" in facts["error"].split("Ray's last lines:")[1]
    assert facts["restored"]
    assert facts["children"] == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("ray_dashboard_port=busy", "RuntimeError: Port BUSY on 127.0.0.1 is in use"),
        ("ray_stdouterr_capture_file=__file__", "FileExistsError"),
        ("ray_temp_dir='/tmp/' + 'x' * 60", "ValueError: ray_temp_dir may have 39 bytes"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(run, arguments, error):
    program = run(
        f"""
        import pathlib, socket, traceback
        __file__ = os.__file__
        listener = socket.create_server(("127.0.0.1", 0))
        busy = listener.getsockname()[1]
        before = dict(os.environ)
        try:
            RayClient({arguments}).start()
        except Exception as error:
            tell(error=traceback.format_exception_only(error)[0].replace(str(busy), "BUSY"),
                 restored=before == dict(os.environ))
        """
    )
    facts = program.told()
    assert facts["error"].startswith(error)
    assert facts["restored"]
