"""Stages: what a pipeline is made of. A stage says what it needs and what it makes, and never knows who runs it."""

from __future__ import annotations

import copy
import time
from abc import ABC, ABCMeta, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast

from nemo_curator.ledger import pulse
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nemo_curator.backends.base import NodeInfo, WorkerMetadata

X = TypeVar("X", bound=Task)
Y = TypeVar("Y", bound=Task)

Spec: TypeAlias = tuple[list[str], list[str]]
"""Names of attributes of the task, and of columns of its data."""
UNSET = object()
_STAGE_REGISTRY: dict[str, type[ProcessingStage]] = {}
_TWICE_NAMED = ("name", "resources", "batch_size")


def get_stage_class(name: str) -> type[ProcessingStage]:
    """Find a stage class by its bare name; a later definition replaces an earlier one."""
    if name not in _STAGE_REGISTRY:
        raise KeyError(f"no stage class is called {name!r}; defined so far: {sorted(_STAGE_REGISTRY)}")
    return _STAGE_REGISTRY[name]


class StageMeta(ABCMeta):
    """Registers stages, and lets those that define `_name`, `_resources` or `_batch_size` (25.09) work."""

    def __init__(cls, name: str, bases: tuple, namespace: dict[str, Any], **kwargs: Any):
        super().__init__(name, bases, namespace, **kwargs)
        _STAGE_REGISTRY[name] = cast("type[ProcessingStage]", cls)
        own = {*namespace, *namespace.get("__annotations__", {})}
        for public in _TWICE_NAMED:
            if bases and f"_{public}" in own and public not in own:
                setattr(cls, public, _mirror(f"_{public}"))
        if (
            "name" not in own
            and "_name" not in own
            and getattr(cls, "name", "") in ("ProcessingStage", "CompositeStage")
        ):
            setattr(cls, "name", name)  # noqa: B010 - mypy knows no attribute of a metaclass's class


class ProcessingStage(ABC, Generic[X, Y], metaclass=StageMeta):
    """One step of a pipeline, from tasks of kind X to tasks of kind Y.

    Built anywhere, set up once on each worker. `process` returns a new task and leaves its input alone.
    """

    name: str = "ProcessingStage"
    resources: Resources = Resources(cpus=1.0)
    batch_size: int | None = 1
    """How many tasks `process_batch` gets at once; None lets the executor decide."""
    images_per_call: int | None = None
    """How many images `process` gets at once, whatever batches they come in; those of two sources never meet."""
    bytes_per_call: int = 2**26
    """Where `images_per_call` is set, the bytes of images from which on it gets fewer."""
    runtime_env: dict[str, Any] | None = None
    is_source_stage: bool = False
    is_sink_stage: bool = False
    is_resumable: bool = True
    is_row_wise: bool = False
    """Whether each row is treated by itself, so that a batch may be cut to find a row that fails."""
    is_light: bool = False
    """Whether the stage does so little that it runs in the worker of its neighbour, though that asks for more CPUs."""
    is_barrier: bool = False
    """Whether the stage must see every task at once; it then gets them all in one `process_batch`."""
    requires: dict[str, str] = {}
    """Optional modules that the stage imports, each with the extra that installs it."""

    @abstractmethod
    def process(self, task: X) -> Y | list[Y] | Iterator[Y] | None:
        """Turn one task into a task, into several, or into nothing."""

    def process_batch(self, tasks: list[X]) -> list[Y]:
        """Turn several tasks into tasks. Override it to treat them together."""
        results: list[Y] = []
        for task in tasks:
            if not self.validate_input(task):
                raise ValueError(f"{task!r} lacks what {self.name} needs: {self.input_spec_for_task(task)}")
            result = self.process(task)
            results.extend(cast("list[Y]", result if isinstance(result, list) else [result]))
        return results

    def inputs(self) -> Spec | dict[type[Task], Spec]:
        """Attributes of the task and columns of its data that the stage reads."""
        return [], []

    def outputs(self) -> Spec:
        """Attributes and columns that are there afterwards. A stage that names none may add any."""
        return [], []

    def with_source(self) -> list[ProcessingStage]:
        """The stage, behind the one that finds what it reads where it was told where to look."""
        return [self]

    def followed_by(self, stages: Sequence[ProcessingStage]) -> ProcessingStage:
        """The stage, or a copy that leaves out what none of those that follow it needs."""
        return self

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Once on every machine, before `setup`: fetch models."""

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Once on every worker: load models, open connections."""

    def teardown(self) -> None:
        """Once on every worker, after its last task."""

    def before_run(self, earlier: Any = None) -> Any:
        """Once, where the run is started, when all checks have passed and nothing has been read.

        What it returns goes into the checkpoint, as JSON; the attempt that continues the run gets it as `earlier`.
        """

    def after_run(self) -> None:
        """Once, where the run was started, when every partition has ended, with or without failures."""

    def num_workers(self) -> int | None:
        """How many workers run this stage; None lets the executor decide."""
        return None

    def xenna_stage_spec(self) -> dict[str, Any]:
        """Settings for Xenna alone."""
        return {}

    def ray_stage_spec(self) -> dict[str, Any]:
        """Settings for Ray Data and the Ray actor pool alone."""
        return {"is_fanout_stage": self.is_fanout_stage()}

    def is_fanout_stage(self) -> bool:
        """Whether `process` says that it makes several tasks of one."""
        returned = str(getattr(self.process, "__annotations__", {}).get("return", "")).lower()
        return any(several in returned for several in ("list[", "iterator[", "generator["))

    def input_spec_for_task(self, task: Task) -> Spec:
        """What of `inputs` holds for a task of this kind."""
        spec = self.inputs()
        if isinstance(spec, dict):
            for kind in type(task).__mro__:
                if kind in spec:
                    return spec[kind]
            raise TypeError(f"{self.name} takes {[kind.__name__ for kind in spec]}, not {type(task).__name__}")
        return spec

    def validate_input(self, task: Task) -> bool:
        """Whether the task has the attributes and columns that the stage reads."""
        attributes, columns = self.input_spec_for_task(task)
        return not missing_inputs(task, attributes, columns)

    def supports_batch_processing(self) -> bool:
        """Whether the stage treats several tasks together, by a `process_batch` of its own."""
        return type(self).process_batch is not ProcessingStage.process_batch

    def with_(
        self,
        name: str | None = None,
        resources: Resources | None = None,
        batch_size: int | None = None,
        runtime_env: dict[str, Any] | None = None,
        ray_stage_spec: dict[str, Any] | None = None,
        xenna_stage_spec: dict[str, Any] | None = None,
        num_workers: Any = UNSET,
    ) -> ProcessingStage[X, Y]:
        """Copy the stage with some settings changed. Engine settings are merged into those it has."""
        if xenna_stage_spec and "num_workers" in xenna_stage_spec:
            raise ValueError(f"{self.name}: give num_workers itself, not within xenna_stage_spec")
        stage = copy.deepcopy(self)
        given = {"name": name, "resources": resources, "batch_size": batch_size, "runtime_env": runtime_env}
        for attribute, value in given.items():
            if value is not None:
                setattr(stage, attribute, value)
        if ray_stage_spec:
            stage.__dict__["ray_stage_spec"] = Constant({**self.ray_stage_spec(), **ray_stage_spec})
        if xenna_stage_spec:
            stage.__dict__["xenna_stage_spec"] = Constant({**self.xenna_stage_spec(), **xenna_stage_spec})
        if num_workers is not UNSET:
            stage.__dict__["num_workers"] = Constant(num_workers)
        return stage

    def get_config(self) -> dict[str, Any]:
        """Name, resources and batch size, for those who print them."""
        return {
            "name": self.name,
            "resources": self.resources,
            "batch_size": self.batch_size,
            "supports_batch_processing": self.supports_batch_processing(),
        }

    def _log_metric(self, name: str, value: float) -> None:
        """Attach a number to the statistics of the call that is running. It is a sign of life, too."""
        self._log_metrics({name: value})

    def _log_metrics(self, metrics: dict[str, float]) -> None:
        pulse.beat()
        self.__dict__.setdefault("_custom_metrics", {}).update(metrics)

    @contextmanager
    def _time_metric(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._log_metric(name, time.perf_counter() - start)

    def _consume_custom_metrics(self) -> dict[str, float]:
        return self.__dict__.pop("_custom_metrics", {})

    def __repr__(self) -> str:
        return type(self).__name__


class CompositeStage(ProcessingStage[X, Y]):
    """Several stages under one name. It is replaced by its parts before anything runs."""

    name = "CompositeStage"

    def __init__(self) -> None:
        self._with_operations: list[dict[str, dict[str, Any]]] = []

    @abstractmethod
    def decompose(self) -> list[ProcessingStage]:
        """The parts, in order; a part may be a composite itself."""

    def inputs(self) -> Spec | dict[type[Task], Spec]:
        return self.decompose()[0].inputs()

    def outputs(self) -> Spec:
        return self.decompose()[-1].outputs()

    def with_(self, stage_with_dict: dict[str, dict[str, Any]]) -> CompositeStage[X, Y]:  # type: ignore[override]
        """Copy the composite with settings for some of its parts: `{part name: {setting: value}}`."""
        stage = copy.deepcopy(self)
        stage._with_operations = [*getattr(self, "_with_operations", []), stage_with_dict]
        return stage

    def decompose_and_apply_with(self) -> list[ProcessingStage]:
        """The parts, each with the settings that `with_` gave it."""
        parts = self.decompose()
        for operation in getattr(self, "_with_operations", []):
            names = [part.name for part in parts]
            if len(set(names)) < len(names):
                raise ValueError(f"{self.name}: parts share a name, so with_ cannot tell them apart: {names}")
            if unknown := operation.keys() - set(names):
                raise ValueError(f"{self.name} has no parts {sorted(unknown)}; its parts are {names}")
            parts = [_apply(part, operation.get(part.name)) for part in parts]
        return parts

    def process(self, task: X) -> Y | list[Y]:
        raise RuntimeError(f"{self.name} is a composite: run it in a Pipeline, which replaces it by its parts")

    def get_description(self) -> str:
        return f"Composite stage: {self.name}"


@dataclass(frozen=True)
class Constant:
    """A function that returns one value and can be copied and sent to workers."""

    value: Any

    def __call__(self) -> Any:
        return self.value


def missing_inputs(task: Task, attributes: list[str], columns: list[str]) -> list[str]:
    """Which of these attributes and columns the task does not have."""
    # a property is there without asking for it: `data` of a batch would become a frame
    missing = [name for name in attributes if not hasattr(type(task), name) and not hasattr(task, name)]
    if not columns:
        return missing
    get_columns = getattr(task, "get_columns", None)
    if get_columns is None:
        have = task.data if isinstance(task.data, dict) else dir(task.data)
    else:
        have = get_columns()
    return missing + [name for name in columns if name not in have]


def _apply(part: ProcessingStage, settings: dict[str, Any] | None) -> ProcessingStage:
    if settings is None:
        return part
    return part.with_(settings) if isinstance(part, CompositeStage) else part.with_(**settings)


def _mirror(private: str) -> property:
    return property(lambda self: getattr(self, private), lambda self, value: setattr(self, private, value))


for _public in _TWICE_NAMED:
    setattr(ProcessingStage, f"_{_public}", _mirror(_public))
