"""Algorithms that find the text of a web page among menus, advertisements and footers."""

from nemo_curator.stages.text.download.html_extractors.auto import AutoExtractor
from nemo_curator.stages.text.download.html_extractors.base import HTMLExtractorAlgorithm
from nemo_curator.stages.text.download.html_extractors.justext import JusTextExtractor
from nemo_curator.stages.text.download.html_extractors.resiliparse import ResiliparseExtractor
from nemo_curator.stages.text.download.html_extractors.trafilatura import TrafilaturaExtractor

ALGORITHMS: dict[str, type[HTMLExtractorAlgorithm]] = {
    "justext": JusTextExtractor,
    "resiliparse": ResiliparseExtractor,
    "trafilatura": TrafilaturaExtractor,
    "auto": AutoExtractor,
}
"""Algorithms by the names that `CommonCrawlHTMLExtractor` takes."""

__all__ = [
    "ALGORITHMS",
    "AutoExtractor",
    "HTMLExtractorAlgorithm",
    "JusTextExtractor",
    "ResiliparseExtractor",
    "TrafilaturaExtractor",
]
