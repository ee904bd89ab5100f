"""A file that tells the scripts around a run that some of it failed."""

import os
from dataclasses import asdict
from typing import TYPE_CHECKING

from nemo_curator.utils.atomic_io import write_json_atomically

if TYPE_CHECKING:
    from nemo_curator.ledger.run import Run

FAILED_TASKS_DIR = "NEMO_CURATOR_FAILED_TASKS_DIR"


def record_failed_tasks(run: "Run") -> None:
    """Write `failed_tasks.json` into the folder that NEMO_CURATOR_FAILED_TASKS_DIR names, if anything has failed.

    It says how many rows failed at each stage, with which error, and shows some of them. A run without failures leaves
    the folder as it is.
    """
    folder = os.environ.get(FAILED_TASKS_DIR)
    if not folder or not (run.rows_failed or run.failures):
        return
    marker = {
        "pipeline": run.pipeline,
        "rows_failed": run.rows_failed,
        "partitions": run.partitions,
        "partitions_failed": len(run.failures),
        "failed": {stage.stage: dict(stage.failed) for stage in run.stages if stage.failed},
        "failures": [asdict(failure) for failure in run.all_failures()],
    }
    write_json_atomically(f"{folder.rstrip('/')}/failed_tasks.json", marker)
