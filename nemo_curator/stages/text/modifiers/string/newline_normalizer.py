"""Few empty lines instead of many."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nemo_curator.stages.text.modifiers.doc_modifier import DocumentModifier
from nemo_curator.stages.text.rows import change_rows, holding
from nemo_curator.tasks.text_column import TextColumn

_UNIX = re.compile(r"\n\n\n+")
_WINDOWS = re.compile(r"\r\n\r\n(?:\r\n)+")


@dataclass
class NewlineNormalizer(DocumentModifier):
    """Put two line feeds where three or more are in a row; the same with carriage returns before them."""

    def modify_document(self, text: str) -> str:
        return _WINDOWS.sub("\r\n\r\n", _UNIX.sub("\n\n", text))

    def modify_texts(self, texts: TextColumn) -> TextColumn:
        suspects = holding(texts, "\n\n\n", "\n\r\n\r\n")
        return change_rows(texts, suspects, lambda some: [self.modify_document(text) for text in some])
