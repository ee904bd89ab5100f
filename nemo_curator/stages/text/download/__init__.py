"""Stages that download files and make documents of them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nemo_curator.stages.text.download.base import (
    DocumentDownloader,
    DocumentDownloadExtractStage,
    DocumentExtractor,
    DocumentIterator,
    URLGenerator,
    download_file,
)

if TYPE_CHECKING:
    from nemo_curator.stages.text.download.common_crawl.stage import CommonCrawlDownloadExtractStage

# a download of one's own needs none of the packages that these need
_MODULES = {
    "CommonCrawlDownloadExtractStage": "common_crawl.stage",
}

__all__ = [
    "CommonCrawlDownloadExtractStage",
    "DocumentDownloadExtractStage",
    "DocumentDownloader",
    "DocumentExtractor",
    "DocumentIterator",
    "URLGenerator",
    "download_file",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
