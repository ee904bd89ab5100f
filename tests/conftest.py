import os

import pytest


@pytest.hookimpl(wrapper=True)  # before the hook of xdist, which reads the marks
def pytest_collection_modifyitems(config, items):
    """Where tests run in several processes: those that need Ray share one and its cluster, and start first."""
    if hasattr(config, "workerinput"):
        on_ray = {item for item in items if item.get_closest_marker("ray") or "ray_variables" in item.fixturenames}
        for item in items:
            item.add_marker(pytest.mark.xdist_group("ray" if item in on_ray else str(item.path)))
        items.sort(key=lambda item: item not in on_ray)
    return (yield)


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
