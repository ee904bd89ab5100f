"""The server that misbehaves, for the tests of downloads."""

import pytest

from nemo_curator.stages.text.download.base import http
from tests.web_server import Answer, serving


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(http, "FIRST_WAIT_S", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as site:
        yield site


@pytest.fixture
def answer():
    return Answer
