"""What a modifier is: a text in, a text out."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from nemo_curator.stages.text.pairs import derive
from nemo_curator.tasks.text_column import TextColumn


class DocumentModifier:
    """Changes documents.

    Define `modify_document` (one text; or several values by name, for a Modify with several input fields) or
    `modify_texts` (a column); the other follows. A null text stays null and is not shown to `modify_document`.
    """

    requires: dict[str, str] = {}
    """Optional modules that the modifier imports, each with the extra that installs it."""

    def __init__(self) -> None:
        self._name = type(self).__name__

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        derive(cls, "modify_document", "modify_texts", _modify_one, _modify_each)

    @property
    def name(self) -> str:
        return self.__dict__.get("_name", type(self).__name__)

    def modify_document(self, *args: Any, **kwargs: Any) -> Any:
        """Change one text."""
        raise TypeError(f"{type(self).__name__} defines neither modify_document nor modify_texts")

    def modify_texts(self, texts: TextColumn) -> TextColumn | pa.Array | pa.ChunkedArray | list[Any]:
        """Change every text of a column. Return the column itself if nothing changes."""
        raise TypeError(f"{type(self).__name__} defines neither modify_document nor modify_texts")


def modifies_each(modifier: DocumentModifier) -> bool:
    """Whether it is written for one value at a time, so that values need not be texts."""
    return type(modifier).modify_texts is _modify_each


def _modify_one(self: DocumentModifier, text: str) -> Any:
    made = self.modify_texts(TextColumn([text]))
    one = (made.array if isinstance(made, TextColumn) else made)[0]
    return one.as_py() if isinstance(one, pa.Scalar) else one


def _modify_each(self: DocumentModifier, texts: TextColumn) -> list[Any]:
    return [None if text is None else self.modify_document(text) for text in texts.to_pylist()]
