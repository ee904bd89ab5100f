"""From arXiv's archives to documents, in one stage."""

from __future__ import annotations

from dataclasses import dataclass

from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.text.download.arxiv.download import ArxivDownloader
from nemo_curator.stages.text.download.arxiv.extract import ArxivExtractor
from nemo_curator.stages.text.download.arxiv.iterator import ArxivIterator
from nemo_curator.stages.text.download.arxiv.url_generation import ARXIV_URL, ArxivUrlGenerator
from nemo_curator.stages.text.download.base import DocumentDownloadExtractStage
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.sentinels import EmptyTask


@dataclass
class ArxivDownloadExtractStage(CompositeStage[EmptyTask, DocumentBatch]):
    """Download arXiv's archives and make a document of each paper: its LaTeX in one text, without macros and comments.

    Columns are `text` and `id`, and `file_name` of the archive. `url_limit` bounds the archives, `record_limit` the
    papers of each; after `log_frequency` papers a line is logged. `url_prefix` is another place that has archives of
    the same kind: a URL or a folder.
    """

    download_dir: str = "./arxiv_downloads"
    url_limit: int | None = None
    record_limit: int | None = None
    add_filename_column: bool | str = True
    log_frequency: int = 1000
    verbose: bool = False
    url_prefix: str = ARXIV_URL
    name: str = "arxiv_pipeline"

    def __post_init__(self) -> None:
        super().__init__()

    def decompose(self) -> list[ProcessingStage]:
        return DocumentDownloadExtractStage(
            url_generator=ArxivUrlGenerator(self.url_prefix),
            downloader=ArxivDownloader(self.download_dir, self.verbose),
            iterator=ArxivIterator(self.log_frequency),
            extractor=ArxivExtractor(),
            url_limit=self.url_limit,
            record_limit=self.record_limit,
            add_filename_column=self.add_filename_column,
        ).decompose()
