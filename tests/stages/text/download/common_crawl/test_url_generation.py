"""Which archives are listed, from lists as Common Crawl publishes them, and never a part of a list."""

import gzip
import json
import re

import pytest

from nemo_curator.errors import InputError
from nemo_curator.stages.text.download.common_crawl import MainCommonCrawlUrlGenerator, NewsCommonCrawlUrlGenerator
from nemo_curator.stages.text.download.common_crawl.url_generation import CrawlIndexError

# what collinfo.json holds, the newest first, with names of all times
NAMES = [f"CC-MAIN-{week}" for week in ("2024-18", "2024-10", "2023-50", "2021-04", "2020-50", "2013-20")]
NAMES += ["CC-MAIN-2012", "CC-MAIN-2009-2010", "CC-MAIN-2008-2009"]


def paths(folder, count=2, kind="warc"):
    return [f"crawl-data/{folder}/segments/1.0/{kind}/{number:05}.{kind}.gz" for number in range(count)]


@pytest.fixture
def crawl(server):
    """A server with the lists of six snapshots and of three months of news."""
    index = [{"id": name, "name": name, "cdx-api": f"https://index/{name}-index"} for name in NAMES]
    server.put("/collinfo.json", json.dumps(index).encode())
    for name in NAMES[:6]:
        for kind in ("warc", "wet"):
            listed = gzip.compress("\n".join(paths(name, kind=kind)).encode() + b"\n")
            server.put(f"/crawl-data/{name}/{kind}.paths.gz", listed)
    for month in ("2016/08", "2023/12", "2024/01"):
        name = f"CC-NEWS/{month}"
        server.put(f"/crawl-data/{name}/warc.paths.gz", gzip.compress("\n".join(paths(name)).encode()))
    return server


def main(crawl, start, end, **settings):
    return MainCommonCrawlUrlGenerator(start, end, data_prefix=crawl.url, index_prefix=crawl.url, **settings)


def expected(crawl, names, kind="warc"):
    return [f"{crawl.url}/{path}" for name in names for path in paths(name, kind=kind)]


@pytest.mark.parametrize(
    ("start", "end", "names"),
    [
        ("2024-10", "2024-18", NAMES[:2]),
        ("2024-10", "2024-10", NAMES[1:2]),
        ("2020-53", "2021-52", NAMES[3:4]),
        ("2020-50", "2023-53", NAMES[2:5]),
        ("2013-01", "2030-01", NAMES[:6]),
    ],
)
def test_archives_of_the_snapshots_of_a_range_are_listed_newest_first(crawl, start, end, names):
    assert main(crawl, start, end).generate_urls() == expected(crawl, names)


def test_wet_files_are_listed(crawl):
    urls = main(crawl, "2024-10", "2024-18", kind="wet").generate_urls()
    assert urls == expected(crawl, NAMES[:2], "wet")
    with pytest.raises(ValueError, match="wanted 'warc' or 'wet'"):
        main(crawl, "2024-10", "2024-18", kind="wat")


def test_a_limit_bounds_the_urls_and_what_is_fetched(crawl):
    assert main(crawl, "2013-20", "2024-18", limit=3).generate_urls() == expected(crawl, NAMES[:2])[:3]
    assert [path for path, _ in crawl.asked] == [
        "/collinfo.json",
        *(f"/crawl-data/{n}/warc.paths.gz" for n in NAMES[:2]),
    ]


def test_a_prefix_may_end_in_a_slash(crawl):
    made = MainCommonCrawlUrlGenerator("2024-10", "2024-10", f"{crawl.url}/", None, f"{crawl.url}/")
    assert made.generate_urls() == expected(crawl, NAMES[1:2])


def test_the_months_of_news_are_listed_newest_first(crawl, caplog):
    made = NewsCommonCrawlUrlGenerator("2023-12", "2024-01", data_prefix=crawl.url)
    assert made.generate_urls() == expected(crawl, ["CC-NEWS/2024/01", "CC-NEWS/2023/12"])
    made = NewsCommonCrawlUrlGenerator("2015-01", "2016-08", data_prefix=crawl.url, limit=1)
    assert made.generate_urls() == expected(crawl, ["CC-NEWS/2016/08"])[:1]
    assert "the start 2015-01 is before the first archives; beginning with 2016-08-01" in caplog.text


def test_ends_beyond_all_archives_are_moved_with_a_warning(crawl, caplog):
    assert main(crawl, "2008-01", "2999-01").generate_urls() == expected(crawl, NAMES[:6])
    assert "the start 2008-01 is before the first archives" in caplog.text
    assert "the end 2999-01 is in the future; ending today" in caplog.text


def test_a_range_without_snapshots_says_which_there_are(crawl):
    with pytest.raises(
        InputError, match=r"no snapshot from 2022-01 to 2022-52; there are: 2024-18, 2024-10, .*2013-20"
    ):
        main(crawl, "2022-01", "2022-52").generate_urls()


@pytest.mark.parametrize(
    ("kind", "start", "end", "problem"),
    [
        (MainCommonCrawlUrlGenerator, "2024-18", "2024-10", "the start 2024-18 is after the end 2024-10"),
        (MainCommonCrawlUrlGenerator, "2024-54", "2024-54", "wanted a year and a week from 01 to 53"),
        (MainCommonCrawlUrlGenerator, "2024-00", "2024-01", "wanted a year and a week from 01 to 53"),
        (MainCommonCrawlUrlGenerator, "2024", "2024-01", "wanted a year and a week"),
        (MainCommonCrawlUrlGenerator, "2998-01", "2999-01", "in the future"),
        (MainCommonCrawlUrlGenerator, "2008-01", "2009-01", "before 2012-12-31, from when on there are archives"),
        (NewsCommonCrawlUrlGenerator, "2024-13", "2025-01", "wanted a year and a month from 01 to 12"),
        (NewsCommonCrawlUrlGenerator, "2024-02", "2024-01", "the start 2024-02 is after"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused_at_once(kind, start, end, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        kind(start, end)


@pytest.mark.parametrize("path", ["/collinfo.json", f"/crawl-data/{NAMES[1]}/warc.paths.gz"])
@pytest.mark.parametrize("body", [b"", b"<html>", gzip.compress(b""), gzip.compress(b"a b c" * 100)[:-9], b"[1]"])
def test_a_damaged_list_is_an_error_that_names_it(crawl, path, body):
    crawl.put(path, body)
    with pytest.raises(CrawlIndexError, match=re.escape(path)):
        main(crawl, "2013-20", "2024-18").generate_urls()


@pytest.mark.parametrize("path", ["/collinfo.json", f"/crawl-data/{NAMES[1]}/warc.paths.gz"])
def test_a_list_that_is_missing_ends_the_listing(crawl, path):
    del crawl.files[path]
    with pytest.raises(RuntimeError, match=f"{path}: 404"):
        main(crawl, "2013-20", "2024-18").generate_urls()


@pytest.mark.parametrize("path", ["/collinfo.json", f"/crawl-data/{NAMES[1]}/warc.paths.gz"])
def test_a_list_from_a_busy_server_is_asked_for_again(crawl, answer, path):
    crawl.put(path, crawl.files[path], answer(status=503), answer(drop=True), answer(cut_after=5))
    assert main(crawl, "2013-20", "2024-18").generate_urls() == expected(crawl, NAMES[:6])


def test_a_month_of_news_that_is_missing_ends_the_listing(crawl):
    with pytest.raises(CrawlIndexError, match=r"CC-NEWS/2023/11/warc.paths.gz: 404"):
        NewsCommonCrawlUrlGenerator("2023-11", "2024-01", data_prefix=crawl.url).generate_urls()
