"""Where 25.09 kept Modify."""

from nemo_curator.stages.text.modifiers.modifier import Modify

__all__ = ["Modify"]
