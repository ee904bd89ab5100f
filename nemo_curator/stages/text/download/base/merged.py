"""Two stages of 25.09 that are one now. Importing either raises an ImportError that names it."""

from collections.abc import Callable
from typing import NoReturn

_MERGED = {"DocumentIterateStage", "DocumentExtractStage"}


def merged(module: str) -> Callable[[str], NoReturn]:
    """Make the `__getattr__` of a module that had one of them."""

    def find(name: str) -> NoReturn:
        if name in _MERGED:
            raise ImportError(
                f"{module}.{name} is now a part of "
                "nemo_curator.stages.text.download.base.iterator.DocumentIterateExtractStage, "
                "which takes the iterator and the extractor"
            )
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return find
