"""A short form of `benchmarks/faults.py`, which kills a hundred times."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("job", "kills"), [("local", 2), ("exact", 1), ("fuzzy", 1), pytest.param("ray", 1, marks=pytest.mark.ray)]
)
def test_a_run_that_was_killed_at_any_moment_ends_with_the_same_bytes_and_counts(job, kills):
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "faults.py", "--trials", str(kills), "--job", job, "--megabytes", "5"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{kills} kills" in done.stdout
