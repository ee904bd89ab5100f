"""Modifiers, and the stage that applies them."""

from nemo_curator.stages.text.modifiers.doc_modifier import DocumentModifier
from nemo_curator.stages.text.modifiers.modifier import Modify
from nemo_curator.stages.text.modifiers.unicode import UnicodeReformatter

__all__ = ["DocumentModifier", "Modify", "UnicodeReformatter"]
