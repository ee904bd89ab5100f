"""Programs that start clusters are processes of their own, so that neither Ray nor its variables leak into others."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

ROOT = Path(__file__).parents[2]
PREAMBLE = """
import json, os, signal, sys, time
from nemo_curator.core.client import RayClient, SlurmRayClient

def tell(**facts):
    print(json.dumps(facts), flush=True)
"""


@dataclass
class Program:
    process: subprocess.Popen

    def told(self) -> dict:
        """What it says next: one `tell`."""
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"ended with {self.process.wait()}: {self.process.stderr.read()}")
        return json.loads(line)

    def tree(self) -> list[psutil.Process]:
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def finish(self) -> int:
        """Let it go on after `sys.stdin.read()`."""
        self.process.stdin.close()
        return self.process.wait(60)


@pytest.fixture(scope="session")
def ray_temp_dir():
    path = tempfile.mkdtemp(prefix="ray_", dir="/tmp")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def run(ray_temp_dir):
    """Start a program; it finds `ray_temp_dir` in TEMP_DIR."""
    programs = []

    def start(*sources: str, **variables: str) -> Program:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "SLURM_"))}
        process = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + "".join(map(dedent, sources))],
            env={**kept, "PYTHONPATH": str(ROOT), "TEMP_DIR": ray_temp_dir, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        programs.append(process)
        return Program(process)

    yield start
    for process in programs:
        process.kill()
        process.wait()


def seconds_until_gone(processes: list[psutil.Process]) -> float:
    start = time.monotonic()
    while any(is_alive(process) for process in processes):
        assert time.monotonic() < start + 30, [process for process in processes if is_alive(process)]
        time.sleep(0.05)
    return time.monotonic() - start


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="session", name="seconds_until_gone")
def seconds_until_gone_fixture():
    return seconds_until_gone
