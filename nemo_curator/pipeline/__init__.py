"""Pipelines: stages in a row."""

from nemo_curator.pipeline.pipeline import Pipeline

__all__ = ["Pipeline"]
