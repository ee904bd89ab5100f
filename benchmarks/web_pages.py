"""How much of an article each HTML extractor finds, how much else, and what it costs.

    python benchmarks/web_pages.py [FOLDER] [--runs 3]

The folder holds the pages and the articles of github.com/scrapinghub/article-extraction-benchmark. Precision, recall
and F1 compare the words of the text with those of the article, each as often as it comes; they are means over pages.
Speed is pages per CPU second in one process, the best of alternated runs. Libraries get the page as text; the
extractors get it in the same way, without languages or stop words; the last rows get bytes and do all there is to do.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import justext
import trafilatura
from resiliparse.extract.html2text import extract_plain_text

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.download import DocumentIterator
from nemo_curator.stages.text.download.base import DocumentIterateExtractStage
from nemo_curator.stages.text.download.common_crawl.extract import CommonCrawlHTMLExtractor
from nemo_curator.stages.text.download.html_extractors import (
    AutoExtractor,
    HTMLExtractorAlgorithm,
    JusTextExtractor,
    ResiliparseExtractor,
    TrafilaturaExtractor,
)
from nemo_curator.stages.text.download.html_extractors.utils import get_stop_list_dict
from nemo_curator.tasks import FileGroupTask

GOLD = Path(__file__).parents[2] / "shared/data/text/html_gold/article-extraction-benchmark"

REPEATS = 3
"""How often a pipeline reads the pages."""


class Page(NamedTuple):
    """A web page, and the article that people found in it."""

    content: bytes
    article: str


class Scores(NamedTuple):
    """How well the words of a text agree with those of an article."""

    precision: float
    recall: float
    f1: float


def gold_pages(folder: Path = GOLD) -> list[Page]:
    articles = json.loads((folder / "ground-truth.json").read_text(encoding="utf-8"))
    files = sorted((folder / "html").glob("*.html.gz"))
    return [Page(gzip.decompress(file.read_bytes()), articles[file.name[:-8]]["articleBody"]) for file in files]


def compare(article: str, text: str) -> Scores:
    wanted, found = (Counter(re.findall(r"\w+", one)) for one in (article, text))
    shared = (wanted & found).total()
    precision, recall = shared / max(found.total(), 1), shared / max(wanted.total(), 1)
    return Scores(precision, recall, 2 * precision * recall / (precision + recall) if shared else 0.0)


def mean_scores(pages: list[Page], texts: list[str]) -> Scores:
    each = [compare(page.article, text) for page, text in zip(pages, texts)]
    return Scores(*(sum(values) / len(each) for values in zip(*each)))


def extracted(extractor: HTMLExtractorAlgorithm, words: frozenset[str] = frozenset()) -> Callable[[Page], str]:
    return lambda page: "\n".join(extractor.extract_text(page.content.decode(), words, "ENGLISH") or [])


def from_bytes(algorithm: str) -> Callable[[Page], str]:
    extractor = CommonCrawlHTMLExtractor(algorithm)
    return lambda page: (extractor.extract(_record(page.content)) or {"text": ""})["text"]


class Pages(DocumentIterator):
    """The pages of a folder, one record each."""

    def iterate(self, file_path: str) -> Iterator[dict[str, Any]]:
        return map(_record, _contents(Path(file_path)))

    def output_columns(self) -> list[str]:
        return list(_record(b""))


def in_pipeline(folder: Path, algorithm: str) -> list[str]:
    stage = DocumentIterateExtractStage(Pages(), CommonCrawlHTMLExtractor(algorithm))
    task = FileGroupTask(dataset_name="gold", data=[str(folder)] * REPEATS)
    found = Pipeline("pages", stages=[stage]).run(LocalExecutor(num_workers=0), initial_tasks=[task]) or []
    return [text for batch in found for text in batch.text("text").to_pylist()]


def in_loop(folder: Path, algorithm: str) -> list[str]:
    extractor = CommonCrawlHTMLExtractor(algorithm)
    documents = [extractor.extract(_record(content)) for _ in range(REPEATS) for content in _contents(folder)]
    return [document["text"] for document in documents if document]


def ways() -> dict[str, Callable[[Page], str]]:
    words = get_stop_list_dict(["ENGLISH"])["ENGLISH"]
    return {
        "justext, the library": lambda page: "\n".join(
            one.text for one in justext.justext(page.content.decode(), words) if not one.is_boilerplate
        ),
        "JusTextExtractor": extracted(JusTextExtractor(), words),
        "resiliparse, the library": lambda page: extract_plain_text(
            page.content.decode(), main_content=True, alt_texts=False
        ),
        "ResiliparseExtractor": extracted(ResiliparseExtractor()),
        "trafilatura, the library": lambda page: trafilatura.extract(page.content.decode(), deduplicate=True) or "",
        "TrafilaturaExtractor": extracted(TrafilaturaExtractor()),
        "AutoExtractor": extracted(AutoExtractor()),
        **{f"bytes to text, {name}": from_bytes(name) for name in ("justext", "resiliparse", "trafilatura", "auto")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=GOLD)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    logging.disable(logging.ERROR)
    pages = gold_pages(arguments.folder)
    size = sum(len(page.content) for page in pages) / len(pages) / 1000
    print(f"{len(pages)} pages of {size:.0f} kB\n\nway|precision|recall|F1|no text|pages per CPU s|CPU ms per page")
    tried = ways()
    best = dict.fromkeys(tried, float("inf"))
    texts: dict[str, list[str]] = {}
    for _ in range(arguments.runs):
        for name, way in tried.items():
            seconds, texts[name] = _timed(lambda way=way: [way(page) for page in pages])
            best[name] = min(best[name], seconds)
    for name, seconds in best.items():
        figures = "|".join(f"{value:.3f}" for value in mean_scores(pages, texts[name]))
        empty, each = sum(not text for text in texts[name]), seconds / len(pages)
        print(f"{name}|{figures}|{empty}|{1 / each:.0f}|{1000 * each:.1f}")
    print("\nwhat the pipeline adds: alternated runs, CPU seconds of the best")
    for algorithm in ("resiliparse", "auto"):
        _compare_with_pipeline(arguments.folder, algorithm, arguments.runs)


def _compare_with_pipeline(folder: Path, algorithm: str, runs: int) -> None:
    best = {way: float("inf") for way in (in_loop, in_pipeline)}
    texts = {}
    for _ in range(runs):
        for way in best:
            seconds, texts[way] = _timed(lambda way=way: way(folder, algorithm))
            best[way] = min(best[way], seconds)
    if texts[in_loop] != texts[in_pipeline]:
        raise SystemExit(f"{algorithm}: the pipeline has other texts than the loop")
    alone, piped = best.values()
    print(f"{algorithm}: loop {alone:.2f} s, pipeline {piped:.2f} s: {100 * (piped / alone - 1):+.1f} %")


def _contents(folder: Path) -> Iterator[bytes]:
    return (gzip.decompress(file.read_bytes()) for file in sorted((folder / "html").glob("*.html.gz")))


def _record(content: bytes) -> dict[str, Any]:
    return {"url": "", "warc_id": "", "source_id": "", "content": content, "content_type": "text/html"}


def _timed(work: Callable[[], list[str]]) -> tuple[float, list[str]]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


if __name__ == "__main__":
    main()
