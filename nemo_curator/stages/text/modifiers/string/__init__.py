"""Modifiers that need nothing but the text."""

from nemo_curator.stages.text.modifiers.string.c4 import BoilerPlateStringModifier, CitationRemover
from nemo_curator.stages.text.modifiers.string.line_remover import LineRemover
from nemo_curator.stages.text.modifiers.string.markdown_remover import MarkdownRemover
from nemo_curator.stages.text.modifiers.string.newline_normalizer import NewlineNormalizer
from nemo_curator.stages.text.modifiers.string.quotation_remover import QuotationRemover
from nemo_curator.stages.text.modifiers.string.slicer import Slicer
from nemo_curator.stages.text.modifiers.string.url_remover import UrlRemover

__all__ = [
    "BoilerPlateStringModifier",
    "CitationRemover",
    "LineRemover",
    "MarkdownRemover",
    "NewlineNormalizer",
    "QuotationRemover",
    "Slicer",
    "UrlRemover",
]
