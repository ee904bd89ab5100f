"""What the models of this package have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class ModelInterface(ABC):
    """A neural network: built anywhere, loaded by `setup` where it runs, called on a batch."""

    @property
    @abstractmethod
    def model_id_names(self) -> list[str]:
        """What the model is called on the Hugging Face hub."""

    @abstractmethod
    def setup(self) -> None:
        """Load the weights, on a GPU where there is one."""

    @abstractmethod
    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        """Apply the model to a batch."""
