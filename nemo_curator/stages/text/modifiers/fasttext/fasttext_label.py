"""Write documents as fastText's training files want them."""

from __future__ import annotations

from dataclasses import dataclass

from nemo_curator.stages.text.modifiers.doc_modifier import DocumentModifier


@dataclass
class FastTextLabelModifier(DocumentModifier):
    """Put a label, such as `__label__hq`, before each document, and each document on one line.

    A `__label__` within the document becomes a space, for fastText would take it for another label.
    """

    label: str

    def modify_document(self, text: str) -> str:
        line = text.replace("\n", " ").replace("__label__", " ")
        return f"{self.label} {line}"
