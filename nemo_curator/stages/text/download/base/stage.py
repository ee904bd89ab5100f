"""From a list of URLs to documents, in one stage."""

from __future__ import annotations

from dataclasses import dataclass

from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.text.download.base.download import DocumentDownloader, DocumentDownloadStage
from nemo_curator.stages.text.download.base.extract import DocumentExtractor
from nemo_curator.stages.text.download.base.iterator import DocumentIterateExtractStage, DocumentIterator
from nemo_curator.stages.text.download.base.url_generation import URLGenerationStage, URLGenerator
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.sentinels import EmptyTask


@dataclass
class DocumentDownloadExtractStage(CompositeStage[EmptyTask, DocumentBatch]):
    """List URLs, download the files, find their records and make documents of them.

    `url_limit` bounds the files, `record_limit` the documents of each. `extractor_max_calls_per_worker` restarts
    Ray Data's workers after so many files, for extractors that leak memory.
    """

    url_generator: URLGenerator
    downloader: DocumentDownloader
    iterator: DocumentIterator
    extractor: DocumentExtractor | None = None
    url_limit: int | None = None
    record_limit: int | None = None
    add_filename_column: bool | str = True
    extractor_max_calls_per_worker: int | None = None

    def __post_init__(self) -> None:
        super().__init__()
        parts = "_".join(type(part).__name__.lower() for part in (self.url_generator, self.downloader))
        self.name = f"document_download_extract_{parts}_composite"

    def decompose(self) -> list[ProcessingStage]:
        has_own_way = type(self.downloader).download is not DocumentDownloader.download
        get_filename = None if has_own_way else self.downloader._get_output_filename
        return [
            URLGenerationStage(self.url_generator, self.url_limit, get_filename),
            DocumentDownloadStage(self.downloader),
            DocumentIterateExtractStage(
                self.iterator,
                self.extractor,
                self.record_limit,
                self.add_filename_column,
                self.extractor_max_calls_per_worker,
            ),
        ]
