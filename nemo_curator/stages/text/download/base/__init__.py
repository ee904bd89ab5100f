"""What every download has in common: list URLs, fetch files, find records, make documents."""

from nemo_curator.stages.text.download.base.download import DocumentDownloader, DocumentDownloadStage
from nemo_curator.stages.text.download.base.extract import DocumentExtractor
from nemo_curator.stages.text.download.base.http import DownloadError, download_file
from nemo_curator.stages.text.download.base.iterator import DocumentIterateExtractStage, DocumentIterator
from nemo_curator.stages.text.download.base.merged import merged
from nemo_curator.stages.text.download.base.stage import DocumentDownloadExtractStage
from nemo_curator.stages.text.download.base.url_generation import URLGenerationStage, URLGenerator

__all__ = [
    "DocumentDownloadExtractStage",
    "DocumentDownloadStage",
    "DocumentDownloader",
    "DocumentExtractor",
    "DocumentIterateExtractStage",
    "DocumentIterator",
    "DownloadError",
    "URLGenerationStage",
    "URLGenerator",
    "download_file",
]

__getattr__ = merged(__name__)
