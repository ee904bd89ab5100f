"""`curator run`: a pipeline or workflow that is written as YAML."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

from nemo_curator.cli.account import run_pipeline, run_workflow
from nemo_curator.cli.executors import make_executor
from nemo_curator.cli.first_documents import with_limit
from nemo_curator.cli.output import print_json
from nemo_curator.cli.record import choose_folder
from nemo_curator.config.build import ALLOWED
from nemo_curator.config.load import FOLDER, did_you_mean, load_config, naming_lines
from nemo_curator.config.run import create_pipeline_from_yaml, run_made
from nemo_curator.errors import ConfigError
from nemo_curator.ledger.fingerprint import stable_text
from nemo_curator.pipeline import Pipeline

RECIPES = FOLDER / "text"


def run_recipe(
    recipe: str,
    values: list[str],
    *,
    dry_run: bool,
    limit: int | None,
    executor: str | None,
    num_workers: int | None,
    checkpoint: str | None,
    allow: list[str],
    record: str | None,
    no_record: bool,
    as_json: bool,
) -> int:
    path = find_recipe(recipe)
    if allow:
        sys.path.append(str(Path.cwd()))  # where a package of one's own is, as for `python -m`
    config = load_config(path, values)
    if executor is not None:
        config["backend"] = executor
    if checkpoint is not None:
        config["checkpoint_path"] = checkpoint
    with naming_lines(path):
        made = create_pipeline_from_yaml(config, log_config=False, allowed=(*ALLOWED, *allow))
    if limit is not None:
        made = _limited(made, limit)
    if dry_run:
        _describe(made, as_json=as_json)
        return 0
    engine = make_executor(config, num_workers)

    def start(report_path: str | None) -> Any:
        settings = config if report_path is None else {**config, "report_path": report_path}
        return run_made(made, settings, engine, num_cpus=num_workers)

    folder = choose_folder(path.stem, record or config.get("report_path"), no_record)
    if isinstance(made, Pipeline):
        run_pipeline(made, start, folder, as_json=as_json)
    else:
        run_workflow(made, start, folder, as_json=as_json)
    return 0


def find_recipe(recipe: str) -> Path:
    """The file of this path, or the bundled recipe of this name."""
    path = Path(recipe)
    if path.is_file():
        return path
    bundled = RECIPES / f"{recipe}.yaml"
    if bundled.parent == RECIPES and bundled.is_file():
        return bundled
    names = sorted(each.stem for each in RECIPES.glob("*.yaml"))
    if "/" in recipe or path.suffix:
        there = sorted(each.name for each in path.parent.glob("*.y*ml"))
        close = did_you_mean(path.name, there)
        raise ConfigError(f"there is no file {recipe}{close}; bundled recipes are {', '.join(names)}")
    raise ConfigError(f"there is no recipe {recipe!r}{did_you_mean(recipe, names)}; bundled are {', '.join(names)}")


def _limited(made: Any, limit: int) -> Pipeline:
    if not isinstance(made, Pipeline):
        raise ConfigError(f"{type(made).__name__} must see all documents; --limit is for pipelines")
    return Pipeline(made.name, made.description, stages=with_limit(made.stages, limit))


def _describe(made: Any, *, as_json: bool) -> None:
    if isinstance(made, Pipeline):
        plan = made.describe()
        print_json({"pipeline": made.name, "plan": plan.splitlines()}) if as_json else print(plan)
        return
    fields = [field.name for field in dataclasses.fields(made) if field.repr]
    settings = {name: stable_text(getattr(made, name)) for name in fields}  # without what is secret
    name = type(made).__name__
    if as_json:
        print_json({"workflow": name, "settings": settings})
    else:
        print("\n".join([f"Workflow: {name}", *(f"  {key}: {value}" for key, value in settings.items())]))
