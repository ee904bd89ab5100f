"""A pipeline: a name and a list of stages."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from nemo_curator.ledger.rejects import Rejects
from nemo_curator.pipeline.describe import describe_pipeline
from nemo_curator.pipeline.plan import flatten, make_plan
from nemo_curator.stages.base import CompositeStage, ProcessingStage

if TYPE_CHECKING:
    from nemo_curator.backends.base import BaseExecutor
    from nemo_curator.ledger.checkpoint import Checkpoint, OnChange
    from nemo_curator.ledger.run import Run
    from nemo_curator.tasks.tasks import Task


class Pipeline:
    """Stages that data goes through in order.

    `config={"fuse": False}` runs every stage by itself. After `run`, `last_run` tells what happened to every row.
    """

    def __init__(
        self,
        name: str,
        description: str | None = None,
        stages: list[ProcessingStage] | None = None,
        config: dict[str, Any] | None = None,
    ):
        self.name = name
        self.description = description
        self.config = config or {}
        self.stages: list[ProcessingStage] = []
        self.decomposition_info: dict[str, list[str]] = {}
        self.last_run: Run | None = None
        for stage in stages or []:
            self.add_stage(stage)

    def add_stage(self, stage: ProcessingStage) -> Pipeline:
        """Add a stage at the end; it returns the pipeline, so that calls can be chained."""
        if not isinstance(stage, ProcessingStage):
            raise TypeError(f"a pipeline is made of stages; {stage!r} is a {type(stage).__name__}")
        self.stages.append(stage)
        return self

    def build(self) -> list[ProcessingStage]:
        """Replace composites by their parts, note which in `decomposition_info`, and check that the stages fit."""
        make_plan(self.stages, name=self.name)
        for stage in self.stages:
            if isinstance(stage, CompositeStage):
                self.decomposition_info[stage.name] = [part.name for part in flatten([stage])]
        self.stages = flatten(self.stages)
        return self.stages

    def describe(self) -> str:
        """Say what the stages are, as written and as they will run."""
        return describe_pipeline(self.name, self.description, self.stages, fuse=self.config.get("fuse", True))

    def run(
        self,
        executor: BaseExecutor | None = None,
        initial_tasks: list[Task] | None = None,
        checkpoint_path: str | os.PathLike | None = None,
        *,
        max_failed_fraction: float = 0.0,
        on_change: OnChange = "error",
        rejected_path: str | os.PathLike | None = None,
        rejected_sample: int | None = None,
        memory_limit: int | str | None = None,
        report_path: str | os.PathLike | None = None,
    ) -> list[Task]:
        """Run the stages and return what the last one made.

        Without an executor it runs on Ray through Xenna where a cluster is at hand (a started RayClient, or
        RAY_ADDRESS), else on this machine's processes. Raises RunFailedError when every partition has ended and more
        than `max_failed_fraction` of the rows failed; what was written stays.

        With `checkpoint_path`, a folder or a URL, a run that was ended goes on where it was when it is started again,
        on any executor and with any number of workers. If the pipeline or the input has changed since, it says so and
        stops; `on_change="redo"` does again what has changed.

        `rejected_path` is a folder or URL for the rows that were dropped or failed, as JSONL with the stage, the
        filter, the score or the error; `rejected_sample` bounds them for each partition, filter and kind of error.

        `memory_limit`, in bytes or as text ("8GiB"), is what the script and its workers may use together on
        LocalExecutor. It is measured all the time: fewer partitions run at once, and one that needs more by itself is
        given up and reported.

        `report_path` is a folder or URL for the record of the run, which `Run.load` reads: what became of the rows,
        the scores of the filters, samples of what they kept and dropped. It is written also when the run fails.
        """
        executor = executor or default_executor()
        execute_plan = getattr(executor, "execute_plan", None)
        if execute_plan is None:
            return executor.execute(flatten(self.stages), initial_tasks)
        plan = make_plan(
            self.stages,
            name=self.name,
            fuse=self.config.get("fuse", True),
            tasks=initial_tasks,
            description=self.description,
        )
        checkpoint = None if checkpoint_path is None else _open_checkpoint(checkpoint_path, on_change)
        executor.last_run = None  # that of another pipeline is not ours if this one does not begin
        try:
            return execute_plan(
                plan,
                initial_tasks,
                max_failed_fraction=max_failed_fraction,
                checkpoint=checkpoint,
                memory_limit=memory_limit,
                report_path=report_path,
                rejects=None if rejected_path is None else Rejects(os.fspath(rejected_path), rejected_sample),
            )
        finally:
            self.last_run = executor.last_run

    def _repr_html_(self) -> str:
        from nemo_curator.ledger.fingerprint import describe_stage
        from nemo_curator.report.notebook import pipeline_html

        return pipeline_html(self.name, self.description, [describe_stage(stage) for stage in self.stages])

    def __repr__(self) -> str:
        stages = ", ".join(f"{stage.name}({type(stage).__name__})" for stage in self.stages)
        return f"Pipeline(name={self.name!r}, stages=[{stages}])"


def _open_checkpoint(path: str | os.PathLike, on_change: OnChange) -> Checkpoint:
    from nemo_curator.ledger.checkpoint import Checkpoint

    return Checkpoint(path, on_change)


def default_executor() -> BaseExecutor:
    """What runs pipelines where nobody says so: Xenna where a Ray cluster is at hand, else this machine's processes."""
    ray = sys.modules.get("ray")
    if os.environ.get("RAY_ADDRESS") or (ray is not None and ray.is_initialized()):
        from nemo_curator.backends.xenna import XennaExecutor

        return XennaExecutor()
    from nemo_curator.backends.local import LocalExecutor

    return LocalExecutor()
