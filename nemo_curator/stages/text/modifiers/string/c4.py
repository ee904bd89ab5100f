"""What the C4 data set takes out of web pages."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow.compute as pc

from nemo_curator.kernels.boilerplate import PLACEHOLDER, POLICIES
from nemo_curator.stages.text.modifiers.doc_modifier import DocumentModifier
from nemo_curator.stages.text.rows import as_mask, change_rows, holding
from nemo_curator.tasks.text_column import TextColumn

_CITATION = re.compile(r"\[(?:[0-9]*|edit|citation needed)\]")


@dataclass
class BoilerPlateStringModifier(DocumentModifier):
    """Remove paragraphs about terms of use, privacy and cookies from both ends of a document.

    Paragraphs are what stands between two line feeds in a row. Such a paragraph within the document stays, and so does
    a document that holds nothing else. With `remove_if_at_top_or_bottom=False` a document with any such paragraph
    becomes empty. So does, always, one with placeholder text (lorem ipsum). After C4 (https://arxiv.org/abs/1910.10683).

    Example:
        >>> BoilerPlateStringModifier().modify_document("We use cookies.\\n\\nA cat sat.\\n\\nPrivacy Policy")
        'A cat sat.'
    """

    remove_if_at_top_or_bottom: bool = True
    name: str = "boilerplate_string_ratio"

    def modify_document(self, text: str) -> str:
        paragraphs = text.split("\n\n")
        lowered = [paragraph.lower() for paragraph in paragraphs]
        if any(PLACEHOLDER in paragraph for paragraph in lowered):
            return ""
        is_policy = [any(policy in paragraph for policy in POLICIES) for paragraph in lowered]
        if not any(is_policy):
            return text
        if not self.remove_if_at_top_or_bottom:
            return ""
        if all(is_policy):
            return text
        first = is_policy.index(False)
        last = len(is_policy) - is_policy[::-1].index(False)
        return "\n\n".join(paragraphs[first:last])

    def modify_texts(self, texts: TextColumn) -> TextColumn:
        suspects = holding(texts, PLACEHOLDER, *POLICIES)
        return change_rows(texts, suspects, lambda some: [self.modify_document(text) for text in some])


@dataclass
class CitationRemover(DocumentModifier):
    """Remove the marks of citations and edits of Wikipedia: `[1]`, `[]`, `[edit]` and `[citation needed]`.

    Example:
        >>> CitationRemover().modify_document("Cats sleep.[2][citation needed]")
        'Cats sleep.'
    """

    def modify_document(self, text: str) -> str:
        return _CITATION.sub("", text)

    def modify_texts(self, texts: TextColumn) -> TextColumn:
        suspects = as_mask(pc.match_substring_regex(texts.array, _CITATION.pattern))
        return change_rows(texts, suspects, lambda some: [self.modify_document(text) for text in some])
