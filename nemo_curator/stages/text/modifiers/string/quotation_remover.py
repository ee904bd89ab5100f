"""Take documents out of the quotation marks around them."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow.compute as pc

from nemo_curator.stages.text.modifiers.doc_modifier import DocumentModifier
from nemo_curator.stages.text.rows import as_mask, change_rows
from nemo_curator.tasks.text_column import TextColumn


@dataclass
class QuotationRemover(DocumentModifier):
    """Remove the quotation marks `"` around a document, where the first and the last belong together.

    They do not if the next mark after the first closes a quotation, as in `"Hi" said Tom. "Bye"`: it follows a letter
    or a sign, and no letter follows it. Neither do they if the first of several lines ends with a mark.
    """

    def modify_document(self, text: str) -> str:
        if len(text.strip()) <= 2 or not (text.startswith('"') and text.endswith('"')):
            return text
        first_line, is_more, _ = text.partition("\n")
        if is_more and first_line.endswith('"'):
            return text
        inner = text.find('"', 1)
        if inner < len(text) - 1 and not text[inner - 1].isspace() and not text[inner + 1].isalnum():
            return text
        return text[1:-1]

    def modify_texts(self, texts: TextColumn) -> TextColumn:
        quoted = as_mask(pc.starts_with(texts.array, '"')) & as_mask(pc.ends_with(texts.array, '"'))
        return change_rows(texts, quoted, lambda some: [self.modify_document(text) for text in some])
