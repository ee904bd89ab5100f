import pytest

from tests.web_server import serving


@pytest.fixture(autouse=True)
def _hurry(monkeypatch):
    monkeypatch.setenv("CURATOR_RETRY_WAIT_S", "0.01")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server():
    with serving() as site:
        yield site
