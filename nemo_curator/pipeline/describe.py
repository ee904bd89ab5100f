"""A pipeline in words."""

from __future__ import annotations

from nemo_curator.pipeline.plan import make_plan
from nemo_curator.stages.base import CompositeStage, ProcessingStage


def describe_pipeline(name: str, description: str | None, stages: list[ProcessingStage], *, fuse: bool) -> str:
    lines = [f"Pipeline: {name}", f"Description: {description or 'No description provided'}", f"Stages: {len(stages)}"]
    for number, stage in enumerate(stages, start=1):
        lines += ["", f"Stage {number}: {stage.name}", *_describe_stage(stage)]
    if stages:
        lines += ["", "Runs as:", *_describe_plan(name, stages, fuse)]
    return "\n".join(lines)


def _describe_stage(stage: ProcessingStage) -> list[str]:
    if isinstance(stage, CompositeStage):
        parts = [part.name for part in stage.decompose_and_apply_with()]
        return [f"  {stage.get_description()}", f"  Parts: {', '.join(parts)}"]
    lines = [f"  Resources: {stage.resources.cpus:g} CPUs"]
    if stage.resources.requires_gpu:
        memory = stage.resources.gpu_memory_gb
        lines.append(f"  GPU: {f'{memory:g} GB' if memory else f'{stage.resources.gpus:g}'}")
    lines.append(f"  Batch size: {stage.batch_size}")
    for title, spec in (("Inputs", stage.inputs()), ("Outputs", stage.outputs())):
        if not isinstance(spec, dict) and any(spec):
            attributes, columns = spec
            of_columns = f" with columns {', '.join(columns)}" if columns else ""
            lines.append(f"  {title}: {', '.join(attributes)}{of_columns}")
    return lines


def _describe_plan(name: str, stages: list[ProcessingStage], fuse: bool) -> list[str]:
    plan = make_plan(stages, name=name, fuse=fuse)
    lines = [f"  source: {plan.source.name}, where the run is started"] if plan.source else []
    number = 0
    for segment in plan.segments:
        if number:
            lines.append("  -- everything above is finished before what follows begins --")
        for physical in segment:
            number += 1
            resources = physical.resources
            gpus = f", {resources.gpus:g} GPUs" if resources.gpus else ""
            lines.append(f"  {number}. {physical.name} ({resources.cpus:g} CPUs{gpus})")
    return lines
