"""The LaTeX sources of arXiv, as the archives of its bucket hold them."""

from nemo_curator.stages.text.download.arxiv.download import ArxivDownloader
from nemo_curator.stages.text.download.arxiv.extract import ArxivExtractor
from nemo_curator.stages.text.download.arxiv.iterator import ArxivIterator
from nemo_curator.stages.text.download.arxiv.stage import ArxivDownloadExtractStage
from nemo_curator.stages.text.download.arxiv.url_generation import ArxivUrlGenerator

__all__ = [
    "ArxivDownloadExtractStage",
    "ArxivDownloader",
    "ArxivExtractor",
    "ArxivIterator",
    "ArxivUrlGenerator",
]
