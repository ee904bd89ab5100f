"""An older page of the documentation has the decorator here."""

from nemo_curator.stages.function_decorators import processing_stage

__all__ = ["processing_stage"]
