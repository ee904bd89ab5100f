"""Where 25.09 kept LineRemover."""

from nemo_curator.stages.text.modifiers.string import LineRemover

__all__ = ["LineRemover"]
