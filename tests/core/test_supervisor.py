import os
import signal
import subprocess
import sys

import psutil
import pytest

from nemo_curator.core import supervisor

# A grandchild that detaches itself and ignores SIGTERM, and a child that goes on.
COMMAND = """
import os, signal, sys, time
if os.fork() == 0:
    if os.fork():
        os._exit(0)
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def supervised(tmp_path):
    def start(source: str, parent: int | None = None) -> subprocess.Popen:
        owned = tmp_path / "owned"
        owned.mkdir()
        (tmp_path / "file").touch()
        return subprocess.Popen(
            [
                *(sys.executable, supervisor.__file__, str(parent or os.getpid()), f"{owned}:{tmp_path / 'file'}"),
                *(sys.executable, "-c", source),
            ],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    return start


@pytest.mark.timeout(30)
def test_what_detaches_itself_and_ignores_sigterm_ends_all_the_same(supervised, tmp_path, seconds_until_gone):
    process = supervised(COMMAND)
    process.stdout.readline()
    everything = psutil.Process(process.pid).children(recursive=True)
    assert len(everything) >= 2
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert seconds_until_gone(everything) < 0.5
    assert not list(tmp_path.iterdir())


@pytest.mark.timeout(30)
def test_the_commands_exit_status_is_passed_on(supervised, tmp_path):
    assert supervised("raise SystemExit(7)").wait(10) == 7
    assert not list(tmp_path.iterdir())


@pytest.mark.timeout(30)
def test_it_ends_at_once_if_its_parent_is_gone_already(supervised, tmp_path):
    assert supervised("import time; time.sleep(60)", parent=1).wait(10) == 0
    assert not list(tmp_path.iterdir())
