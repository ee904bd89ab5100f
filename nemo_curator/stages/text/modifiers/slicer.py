"""Where 25.09 kept Slicer."""

from nemo_curator.stages.text.modifiers.string import Slicer

__all__ = ["Slicer"]
