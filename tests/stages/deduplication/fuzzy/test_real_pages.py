"""Real near duplicates: pages of Common Crawl, and captures of the same site on different days."""

import gzip
import json
import re
from collections import Counter, defaultdict
from itertools import combinations, islice
from pathlib import Path

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.stages.deduplication.fuzzy import FuzzyDeduplicationWorkflow
from tests.stages.deduplication.fuzzy.near_duplicates import clusters, jaccard, shingles

TEXT = Path(__file__).parents[5] / "shared" / "data" / "text"
PAGES = TEXT / "jsonl" / "cc2019_multilingual_cc_licensed.jsonl.gz"
CAPTURES = TEXT / "warc" / "commonsites_2024_15resp.warc.gz"


def similar_pairs(texts, least=0.8):
    """All pairs that are this similar, by counting the shingles that two have in common."""
    sets = [shingles(text) for text in texts]
    holders = defaultdict(list)
    for at, each in enumerate(sets):
        for shingle in each:
            holders[shingle].append(at)
    shared = Counter(pair for some in holders.values() if len(some) > 1 for pair in combinations(some, 2))
    return {
        (one, other): both / (len(sets[one]) + len(sets[other]) - both)
        for (one, other), both in shared.items()
        if both >= least * (len(sets[one]) + len(sets[other]) - both)
    }


def dedup(texts, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    workflow = FuzzyDeduplicationWorkflow(str(tmp_path / "cache"), str(tmp_path / "out"), str(path), "jsonl")
    workflow.run(executor=LocalExecutor(num_workers=0))
    return clusters(tmp_path / "out")


def check(texts, found, pairs):
    """What goes is like what stays, and no pair that is 0.95 alike, which bands never miss, stays whole."""
    for member, row in found.items():
        assert row["similarity"] == pytest.approx(jaccard(texts[member], texts[row["survivor_id"]]))
        assert row["similarity"] >= 0.8
        assert row["survivor_id"] not in found
    assert all(one in found or other in found for (one, other), share in pairs.items() if share > 0.95)


@pytest.mark.skipif(not PAGES.exists(), reason="needs the pages in ../shared/data/text/jsonl")
def test_pages_of_a_crawl(tmp_path):
    with gzip.open(PAGES, "rt") as lines:
        texts = [json.loads(line)["text"][:2000] for line in islice(lines, 150)]
    texts += [re.sub(r"\b(19|20)\d\d\b", "2001", text) for text in texts[::5]]  # the same page with another year
    pairs = similar_pairs(texts)
    found = dedup(texts, tmp_path)
    check(texts, found, pairs)
    assert len(found) > 10


@pytest.mark.skipif(not CAPTURES.exists(), reason="needs the captures in ../shared/data/text/warc")
def test_captures_of_the_same_site(tmp_path):
    pages = re.split(rb"(?m)^WARC/1\.[01]\r?$", gzip.decompress(CAPTURES.read_bytes()))
    texts = [page.partition(b"\r\n\r\n")[2].partition(b"\r\n\r\n")[2].decode(errors="replace") for page in pages]
    texts = [text[:20_000] for text in texts if "<html" in text]
    found = dedup(texts, tmp_path)
    pairs = similar_pairs(texts)
    check(texts, found, pairs)
    assert pairs
    assert found
