"""Where 25.09 kept BoilerPlateStringModifier."""

from nemo_curator.stages.text.modifiers.string import BoilerPlateStringModifier

__all__ = ["BoilerPlateStringModifier"]
