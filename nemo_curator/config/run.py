"""Run a pipeline that is written as YAML: `python -m nemo_curator.config.run --config-name NAME key=value …`."""

from __future__ import annotations

import argparse
import inspect
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.config.build import ALLOWED, build
from nemo_curator.config.load import (
    FOLDER,
    OF_THE_RUN,
    did_you_mean,
    is_long,
    join,
    load_config,
    naming_lines,
    resolve,
)
from nemo_curator.config.short import ShortForm
from nemo_curator.core.client import RayClient
from nemo_curator.errors import ConfigError, CuratorError
from nemo_curator.pipeline import Pipeline
from nemo_curator.pipeline.workflow import WorkflowRunResult
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.resources import Resources

logger = logging.getLogger(__name__)

EXECUTORS = {
    "local": "nemo_curator.backends.local.LocalExecutor",
    "ray_actor_pool": "nemo_curator.backends.ray_actor_pool.RayActorPoolExecutor",
    "ray_data": "nemo_curator.backends.ray_data.RayDataExecutor",
    "xenna": "nemo_curator.backends.xenna.XennaExecutor",
}
_MODES = ("streaming", "batch")


def create_pipeline_from_yaml(
    cfg: Mapping[str, Any] | str | os.PathLike, *, log_config: bool = True, allowed: Sequence[str] = ALLOWED
) -> Any:
    """Make the pipeline that the list `stages` describes, or the workflow that is the one item of `workflow`.

    `cfg` is a path, a mapping, or a configuration of OmegaConf. An item names its class as `_target_`, or is in the
    short form; `resources` beside the parameters is what the stage gets to run with. Only classes of the packages in
    `allowed` are built. Where a path is given, errors name the line.
    """
    if isinstance(cfg, str | os.PathLike):
        with naming_lines(cfg):
            return create_pipeline_from_yaml(load_config(cfg), log_config=log_config, allowed=allowed)
    config = resolve(cfg)
    if log_config:
        logger.info("configuration: %s", config)
    short = ShortForm(allowed, config.get("text_field") or "text")
    if config.get("workflow") and not config.get("stages"):
        return _workflow(config["workflow"], short)
    given = [key for key in ("stages", "workflow") if config.get(key)]
    if len(given) != 1 and not (not given and config.keys() >= {"read", "write"}):
        close = "" if given else "".join(did_you_mean(str(key), ("stages", "workflow")) for key in config)
        raise ConfigError(f"wanted 'stages' or 'workflow', found {given or list(config)}{close}")
    items = config.get("stages") or []
    if not isinstance(items, list):
        raise ConfigError(f"stages is a {type(items).__name__}; wanted a list")
    stages = [_stage(item, join("stages", at), short) for at, item in enumerate(items)]
    if config.get("read") is not None:
        stages.insert(0, short.reader(config["read"], "read"))
    if config.get("write") is not None:
        stages.append(short.writer(config["write"], "write", stages[0]))
    return Pipeline(str(config.get("name") or "yaml_pipeline"), config.get("description"), stages=stages)


def create_executor_from_yaml(cfg: Mapping[str, Any]) -> BaseExecutor | None:
    """Make the executor that `backend` names, with `execution_mode` and `executor_config`; None if none is given.

    A backend is xenna, ray_data, ray_actor_pool or local; a mode alone means xenna, a configuration alone local.
    """
    values = resolve(cfg)
    backend, mode, given = (values.get(key) for key in ("backend", "execution_mode", "executor_config"))
    if not isinstance(given, Mapping | None):
        raise ConfigError(f"executor_config is {given!r}; wanted keys with values")
    if backend is None and mode is None and not given:
        return None
    backend = backend or ("local" if mode is None else "xenna")
    if backend not in EXECUTORS:
        raise ConfigError(f"backend is {backend!r}{did_you_mean(str(backend), EXECUTORS)}; wanted {list(EXECUTORS)}")
    if mode is not None and mode not in _MODES:
        raise ConfigError(f"execution_mode is {mode!r}; wanted {' or '.join(_MODES)}")
    settings = {**(given or {}), **({"execution_mode": mode} if mode is not None else {})}
    return build({"_target_": EXECUTORS[backend], "config": settings or None}, "backend")


def create_ray_client_from_yaml(cfg: Mapping[str, Any]) -> RayClient:
    """Make the client that `ray_client` describes, or one with its defaults."""
    described = resolve(cfg).get("ray_client")
    if described is None:
        logger.warning("the configuration has no ray_client; RayClient() is used")
        return RayClient()
    return build({"_target_": "nemo_curator.core.client.RayClient", **described}, "ray_client")


def run_config(config: Mapping[str, Any], *, allowed: Sequence[str] = ALLOWED) -> Any:
    """Make a pipeline or workflow, run it, and return it.

    A Ray cluster is started only where the configuration asks for one, by `ray_client` or a backend of Ray; otherwise
    the pipeline runs on this machine's processes. `checkpoint_path`, `rejected_path` and the other parameters of
    `Pipeline.run` may be given beside the stages.
    """
    made = create_pipeline_from_yaml(config, allowed=allowed)
    result = run_made(made, config, create_executor_from_yaml(config))
    if isinstance(result, WorkflowRunResult):
        logger.info("%s", result.table())
    return made


def run_made(made: Any, config: Mapping[str, Any], executor: BaseExecutor | None, num_cpus: int | None = None) -> Any:
    """Run what was made of a configuration, with its settings of a run, and return what its `run` returns.

    `num_cpus` is how many a Ray cluster gets that is started for it, unless the configuration says so.
    """
    values = resolve(config)
    settings = {key: values[key] for key in OF_THE_RUN if values.get(key) is not None}
    client: Any = nullcontext()
    if values.get("ray_client") is not None or not isinstance(executor, LocalExecutor | None):
        client = create_ray_client_from_yaml(values)
        client.num_cpus = num_cpus if client.num_cpus is None else client.num_cpus
    with client:
        if isinstance(made, Pipeline):
            return made.run(executor, **settings)
        return _run_workflow(made, executor, settings)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a YAML file, as `python -m nemo_curator.config.run` does, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m nemo_curator.config.run", description=__doc__)
    parser.add_argument("--config-path", "-cp", default="text", help="folder of the file; here or in this package")
    parser.add_argument("--config-name", "-cn", required=True, help="name of the file, with or without .yaml")
    parser.add_argument("--allow", action="append", default=[], help="a package of yours whose classes may be built")
    parser.add_argument("overrides", nargs="*", help="key=value, +new_key=value or ~key")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        path = _find_file(given.config_path, given.config_name)
        with naming_lines(path):
            made = run_config(load_config(path, given.overrides), allowed=(*ALLOWED, *given.allow))
    except CuratorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if isinstance(made, Pipeline) and made.last_run is not None:
        print(made.last_run.table())
    return 0


def _run_workflow(workflow: Any, executor: BaseExecutor | None, settings: dict[str, Any]) -> Any:
    known = inspect.signature(workflow.run).parameters
    if executor is not None:  # some have one for each kind of step
        names = [name for name in known if name.endswith("executor")]
        settings = {**settings, **dict.fromkeys(names or ["executor"], executor)}
    if unknown := [key for key in settings if key not in known]:
        raise ConfigError(f"{type(workflow).__name__} takes no {unknown}; it takes {list(known)}")
    return workflow.run(**settings)


def _find_file(folder: str, name: str) -> Path:
    """The file in this folder, or in the folder of this name in the package, where `./text` is."""
    name = name if name.endswith((".yaml", ".yml")) else f"{name}.yaml"
    here = Path(folder) / name
    return here if here.exists() or Path(folder).is_absolute() else FOLDER / folder / name


def _workflow(items: Any, short: ShortForm) -> Any:
    items = [items] if isinstance(items, Mapping | str) else items
    if not isinstance(items, list):
        raise ConfigError(f"workflow is a {type(items).__name__}; wanted one item")
    if len(items) != 1:
        raise ConfigError(f"workflow has {len(items)} items; wanted one")
    item, place = items[0], join("workflow", 0)
    return build(item, place, allowed=short.allowed) if is_long(item) else short.workflow(item, place)


def _stage(item: Any, place: str, short: ShortForm) -> ProcessingStage:
    described, wanted = _without_resources(item)
    if is_long(described):
        stage = build(described, place, allowed=short.allowed)
        if not isinstance(stage, ProcessingStage):
            raise ConfigError(f"{place}: {item['_target_']} is a {type(stage).__name__}; wanted a stage")
    else:
        stage = short.stage(described, place)
    if wanted is None:
        return stage
    target = "nemo_curator.stages.resources.Resources"
    resources: Resources = build({"_target_": target, **wanted}, join(place, "resources"), allowed=short.allowed)
    if isinstance(stage, CompositeStage):
        return stage.with_({part.name: {"resources": resources} for part in stage.decompose()})
    return stage.with_(resources=resources)


def _without_resources(item: Any) -> tuple[Any, Any]:
    """An item without the resources that stand among its parameters, and these."""
    if is_long(item):
        return {key: value for key, value in item.items() if key != "resources"}, item.get("resources")
    if isinstance(item, Mapping) and len(item) == 1:
        ((name, given),) = item.items()
        if isinstance(given, Mapping) and "resources" in given:
            return {name: {key: value for key, value in given.items() if key != "resources"}}, given["resources"]
    return item, None


if __name__ == "__main__":
    sys.exit(main())
