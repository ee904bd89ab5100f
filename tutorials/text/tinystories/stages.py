"""The parts of the tutorial that are about TinyStories: where it is, how a file is cut into stories, what is kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nemo_curator.stages.text.download import (
    DocumentDownloader,
    DocumentDownloadExtractStage,
    DocumentExtractor,
    DocumentIterator,
    URLGenerator,
)
from nemo_curator.stages.text.filters import DocumentFilter
from nemo_curator.stages.text.modifiers import DocumentModifier

ADDRESS = "https://huggingface.co/datasets/roneneldan/TinyStories/resolve/main/TinyStories-{split}.txt"
SEPARATOR = "<|endoftext|>"
ENDINGS = (".", "!", "?", '"', "\u201d")


@dataclass
class TinyStoriesURLGenerator(URLGenerator):
    """The one file of a split, or the file at another URL or path."""

    split: str
    url: str | None = None

    def generate_urls(self) -> list[str]:
        return [self.url or ADDRESS.format(split=self.split)]


class TinyStoriesDownloader(DocumentDownloader):
    """Saves a file under its own name. How it is fetched, checked and resumed is the base class's business."""

    def _get_output_filename(self, url: str) -> str:
        return Path(urlsplit(url).path).name


class TinyStoriesIterator(DocumentIterator):
    """Cuts a file at the lines that hold nothing but the separator.

    The lines of a story are stripped and joined by spaces. The last story may lack its separator.
    """

    def iterate(self, file_path: str) -> Iterator[dict[str, Any]]:
        lines: list[str] = []
        with Path(file_path).open(encoding="utf-8") as file:
            for line in map(str.strip, file):
                if line != SEPARATOR:
                    lines.append(line)
                elif lines:
                    yield {"text": " ".join(lines)}
                    lines = []
        if lines:
            yield {"text": " ".join(lines)}

    def output_columns(self) -> list[str]:
        return ["text"]


class TinyStoriesExtractor(DocumentExtractor):
    """Takes every story as it is."""

    def extract(self, record: dict[str, Any]) -> dict[str, Any]:
        return record

    def input_columns(self) -> list[str]:
        return ["text"]

    def output_columns(self) -> list[str]:
        return ["text"]


class TinyStoriesDownloadExtractStage(DocumentDownloadExtractStage):
    """Download a split, or the file at another URL or path, and make a document of each story."""

    def __init__(self, download_dir: str, split: str, verbose: bool = True, url: str | None = None):
        self.split = split
        super().__init__(
            url_generator=TinyStoriesURLGenerator(split, url),
            downloader=TinyStoriesDownloader(download_dir, verbose=verbose),
            iterator=TinyStoriesIterator(),
            extractor=TinyStoriesExtractor(),
            add_filename_column=True,
        )

    def get_description(self) -> str:
        return f"TinyStories pipeline on split '{self.split}'"


class QuotationUnifier(DocumentModifier):
    """Makes curly quotation marks straight."""

    def modify_document(self, text: str) -> str:
        text = text.replace("\u2018", "'").replace("\u2019", "'")
        return text.replace("\u201c", '"').replace("\u201d", '"')


class IncompleteStoryFilter(DocumentFilter):
    """Keep stories that end like a sentence or a quotation.

    The score is whether they do. An empty story does not.
    """

    def score_document(self, text: str) -> bool:
        return text.strip().endswith(ENDINGS)

    def keep_document(self, score: bool) -> bool:
        return score
