import os

import pytest

os.environ["CURATOR_PROGRESS"] = (
    "off"  # on a slow machine some runs would tell of themselves, in tests that read stderr
)


def pytest_make_parametrize_id(val):
    """Two processes must give a test the same name: what gzip makes holds the time."""
    return "gzip" if isinstance(val, bytes) and val.startswith(b"\x1f\x8b") else None


@pytest.fixture(scope="session")
def ray_variables():
    """A private Ray cluster for the whole session, as the variables by which a process finds it."""
    from nemo_curator.core.client import RayClient

    before = dict(os.environ)
    with RayClient(num_cpus=2, num_gpus=0):
        variables = {name: value for name, value in os.environ.items() if before.get(name) != value}
        for name in variables:
            os.environ.pop(name)
            if name in before:
                os.environ[name] = before[name]
        yield variables


@pytest.fixture
def ray_cluster(ray_variables):
    """Let this test, and the processes it starts, find the cluster of the session."""
    from nemo_curator.core.attachment import environment

    with environment(ray_variables):
        yield
