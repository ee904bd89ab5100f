"""Cut a piece out of documents."""

from __future__ import annotations

from dataclasses import dataclass

from nemo_curator.stages.text.modifiers.doc_modifier import DocumentModifier


@dataclass
class Slicer(DocumentModifier):
    """Keep what stands between two places, without white space around it unless `strip` is false.

    A place is a number of characters, counted as Python does, or a text: `left` where it occurs first, `right` where it
    occurs last, each included or not. A document that lacks one of them becomes empty.

    Example:
        >>> Slicer("<body>", "</body>", include_left=False, include_right=False).modify_document("<body> a </body>")
        'a'
    """

    left: int | str | None = 0
    right: int | str | None = None
    include_left: bool = True
    include_right: bool = True
    strip: bool = True

    def modify_document(self, text: str) -> str:
        start, end = self.left, self.right
        if isinstance(start, str):
            found = text.find(start)
            if found < 0:
                return ""
            start = found if self.include_left else found + len(start)
        if isinstance(end, str):
            found = text.rfind(end)
            if found < 0:
                return ""
            end = found + len(end) if self.include_right else found
        piece = text[start:end]
        return piece.strip() if self.strip else piece
