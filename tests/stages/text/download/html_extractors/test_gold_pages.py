"""How much of real articles the extractors find: floors just below what was measured."""

import justext
import pytest

from benchmarks.web_pages import GOLD, compare, gold_pages, mean_scores
from nemo_curator.stages.text.download.common_crawl.extract import CommonCrawlHTMLExtractor
from nemo_curator.stages.text.download.html_extractors import (
    AutoExtractor,
    JusTextExtractor,
    ResiliparseExtractor,
    TrafilaturaExtractor,
)
from nemo_curator.stages.text.download.html_extractors.utils import get_stop_list_dict

pytestmark = pytest.mark.skipif(not GOLD.exists(), reason="needs the pages in ../shared/data/text/html_gold")


@pytest.fixture(scope="module")
def pages():
    return gold_pages()


@pytest.mark.parametrize(
    ("extractor", "every", "floor"),
    [
        (JusTextExtractor(), 8, 0.75),
        (ResiliparseExtractor(0.0), 1, 0.915),
        (TrafilaturaExtractor(0.0), 8, 0.94),
        (AutoExtractor(), 4, 0.96),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_extractor_finds_what_it_found(pages, extractor, every, floor):
    some = pages[::every]
    words = get_stop_list_dict(["ENGLISH"])["ENGLISH"]
    texts = ["\n".join(extractor.extract_text(page.content.decode(), words, "ENGLISH") or []) for page in some]
    assert mean_scores(some, texts).f1 > floor


def test_justext_classifies_as_the_library_does(pages):
    words = get_stop_list_dict(["ENGLISH"])["ENGLISH"]
    for page in pages[1::12]:
        html = page.content.decode()
        expected = [one.text for one in justext.justext(html, words) if not one.is_boilerplate]
        assert JusTextExtractor().extract_text(html, words, "ENGLISH") == expected


def test_the_text_of_a_page_does_not_depend_on_its_place_among_others(pages):
    some = [page.content for page in pages[2::16]]
    forward, backward = CommonCrawlHTMLExtractor("trafilatura"), CommonCrawlHTMLExtractor("auto")
    for extractor in (forward, backward):
        alone = [extractor.extract(record(content)) for content in some]
        again = [extractor.extract(record(content)) for content in some[::-1]]
        assert again[::-1] == alone


def record(content):
    return {"url": "", "warc_id": "", "source_id": "", "content": content, "content_type": "text/html"}


@pytest.mark.parametrize(
    ("text", "scores"), [("a b b c", (0.75, 0.75, 0.75)), ("", (0, 0, 0)), ("a b", (1, 0.5, 2 / 3)), ("x", (0, 0, 0))]
)
def test_words_are_compared_as_often_as_they_come(text, scores):
    assert compare("a, b, c, d", text.replace("b b", "b e")) == pytest.approx(scores)
