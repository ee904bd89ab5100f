"""Make a data set of a list of URLs: the four parts of a download stage, written for a source of your own.

The source here is books as plain text, one file each, as many archives have them. Every chapter becomes a document.
"""

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.download import (
    DocumentDownloader,
    DocumentDownloadExtractStage,
    DocumentExtractor,
    DocumentIterator,
    URLGenerator,
    download_file,
)
from nemo_curator.stages.text.io.writer import JsonlWriter

HEADING = re.compile(r"chapter\s+(?:\d+|[ivxlc]+)\b", re.IGNORECASE)


@dataclass
class UrlFile(URLGenerator):
    """The URLs of a text file, one a line. A line that begins with `#` is a comment.

    What this raises ends the run: a list with gaps would look like a small data set.
    """

    path: str

    def generate_urls(self) -> list[str]:
        lines = map(str.strip, Path(self.path).read_text(encoding="utf-8").splitlines())
        return [line for line in lines if line and not line.startswith("#")]


class BookDownloader(DocumentDownloader):
    """Saves each book under a name made of its whole URL: two sites may both have a `book.txt`.

    The base class does the rest: files that are there are not fetched again, a file gets its name when it is complete,
    and a URL that cannot be fetched is set aside and counted, while the others go on.
    """

    def _get_output_filename(self, url: str) -> str:
        parts = urlsplit(url)
        return re.sub(r"[^\w.-]+", "-", f"{parts.netloc}{parts.path}")

    def _download_to_path(self, url: str, path: str) -> tuple[bool, str | None]:
        # only to send a header of one's own; without this method download_file does the same
        download_file(url, path, retries=3, headers={"Accept": "text/plain"})
        return True, None


class ChapterIterator(DocumentIterator):
    """Cuts a book at its headings. What is before the first belongs to no chapter.

    It reads line by line and yields as it goes, so a book need not fit in memory. To raise would end this file, and
    keep what has been yielded.
    """

    def iterate(self, file_path: str) -> Iterator[dict[str, Any]]:
        title, lines = None, []
        with Path(file_path).open(encoding="utf-8") as file:
            for line in map(str.strip, file):
                if not HEADING.match(line):
                    lines.append(line)
                    continue
                if title is not None:
                    yield {"title": title, "lines": lines}
                title, lines = line, []
        if title is not None:
            yield {"title": title, "lines": lines}

    def output_columns(self) -> list[str]:
        return ["title", "lines"]


@dataclass
class ChapterExtractor(DocumentExtractor):
    """Makes one text of the lines of a chapter: wrapped lines become paragraphs.

    To return None drops the record, counted as `drop_reason`. A record at which this raises is set aside, by itself.
    """

    min_words: int = 20

    def extract(self, record: dict[str, Any]) -> dict[str, Any] | None:
        paragraphs = re.split(r"\n{2,}", "\n".join(record["lines"]).strip())
        text = "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)
        if len(text.split()) < self.min_words:
            self.drop_reason = "short_chapter"
            return None
        return {"title": record["title"], "text": text}

    def input_columns(self) -> list[str]:
        return ["title", "lines"]

    def output_columns(self) -> list[str]:
        return ["title", "text"]


def main(args: argparse.Namespace) -> None:
    stage = DocumentDownloadExtractStage(
        url_generator=UrlFile(args.urls),
        downloader=BookDownloader(str(Path(args.data_root, "raw"))),
        iterator=ChapterIterator(),
        extractor=ChapterExtractor(args.min_words),
        url_limit=args.url_limit,
        add_filename_column="book",
    )
    pipeline = Pipeline("books", stages=[stage, JsonlWriter(str(Path(args.data_root, "chapters")))])
    written = pipeline.run(LocalExecutor(num_workers=args.workers), max_failed_fraction=args.max_failed)
    print(pipeline.last_run.table())
    for task in written:
        print(*task.data, sep="\n")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("urls", help="a file with one URL a line")
    parser.add_argument("--data_root", default=str(Path(__file__).parent / "data"), help="where raw/ and chapters/ go")
    parser.add_argument("--url_limit", type=int, help="how many of the URLs")
    parser.add_argument("--min_words", type=int, default=20, help="shorter chapters are dropped")
    parser.add_argument("--max_failed", type=float, default=0.0, help="the share of failures that a run may have")
    parser.add_argument("--workers", type=int, help="processes; 0 runs everything in this one")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse_args())
