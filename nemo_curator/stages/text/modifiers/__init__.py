"""Modifiers, and the stage that applies them."""

from nemo_curator.stages.text.modifiers.doc_modifier import DocumentModifier
from nemo_curator.stages.text.modifiers.fasttext import FastTextLabelModifier
from nemo_curator.stages.text.modifiers.modifier import Modify
from nemo_curator.stages.text.modifiers.string import (
    BoilerPlateStringModifier,
    CitationRemover,
    LineRemover,
    MarkdownRemover,
    NewlineNormalizer,
    QuotationRemover,
    Slicer,
    UrlRemover,
)
from nemo_curator.stages.text.modifiers.unicode import UnicodeReformatter

__all__ = [
    "BoilerPlateStringModifier",
    "CitationRemover",
    "DocumentModifier",
    "FastTextLabelModifier",
    "LineRemover",
    "MarkdownRemover",
    "Modify",
    "NewlineNormalizer",
    "QuotationRemover",
    "Slicer",
    "UnicodeReformatter",
    "UrlRemover",
]
