"""From a record to a document."""

from abc import ABC, abstractmethod
from typing import Any

from nemo_curator.stages.text.download.base.merged import merged

__getattr__ = merged(__name__)


class DocumentExtractor(ABC):
    """Makes a document of a record."""

    drop_reason: str | None = None
    """Why the last `extract` returned None: the name under which it is counted; None counts it under the class."""

    @abstractmethod
    def extract(self, record: dict[str, Any]) -> dict[str, Any] | None:
        """Return the document, or None to drop the record."""

    @abstractmethod
    def input_columns(self) -> list[str]:
        """Keys of the record that are read."""

    @abstractmethod
    def output_columns(self) -> list[str]:
        """Columns that every document gets."""
