"""How fast a dump of Wikipedia becomes text, and what markup is left, against mwparserfromhell's `strip_code`.

Run: python benchmarks/wikipedia.py [DUMP], where the dump is XML, plain or as bz2. One core, both on the same articles
in the same run; CPU seconds, ours the best of three. The bars of tables and the braces of formulas count as markup for
both; formulas stay as TeX in both.
"""

import resource
import sys
import time
from pathlib import Path

import mwparserfromhell

from nemo_curator.stages.text.download.wikipedia import WikipediaExtractor, WikipediaIterator

DUMP = Path(__file__).parents[2] / "shared" / "data" / "text" / "wikipedia" / "enwiki_pages_articles_361p.xml.bz2"
RESIDUE = [
    "{{",
    "}}",
    "[[",
    "]]",
    "{|",
    "|}",
    "|-",
    "<ref",
    "</",
    "<!--",
    "thumb|",
    "style=",
    "class=",
    "colspan",
    "''",
]
RESIDUE += ["==", "&nbsp;", "__", "[http", "()", "( ", "Category:", "File:", "align="]


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(dump: Path) -> None:
    before = peak_mb()
    iterator, extractor = WikipediaIterator(), WikipediaExtractor()
    iterate, whole = [], []
    for _ in range(3):
        start = time.process_time()
        number = sum(1 for _ in iterator.iterate(str(dump)))
        iterate.append(time.process_time() - start)
        start = time.process_time()
        for record in iterator.iterate(str(dump)):
            extractor.extract(record)
        whole.append(time.process_time() - start)
    peak = peak_mb()
    texts = [record["raw_content"] for record in iterator.iterate(str(dump))]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{number} articles, {megabytes:.1f} MB of wikitext; memory {before:.0f} MB, with the dump {peak:.0f} MB")
    print(f"iterate            {number / min(iterate):8.0f} pages/s {megabytes / min(iterate):7.1f} MB/s")
    print(f"iterate + extract  {number / min(whole):8.0f} pages/s {megabytes / min(whole):7.1f} MB/s")

    start = time.process_time()
    ours = [extractor.extract({"raw_content": text})["text"] for text in texts]
    own = time.process_time() - start
    start = time.process_time()
    theirs = [mwparserfromhell.parse(text).strip_code() for text in texts]
    other = time.process_time() - start
    print(f"extract            {number / own:8.0f} pages/s {megabytes / own:7.1f} MB/s")
    print(f"strip_code         {number / other:8.0f} pages/s {megabytes / other:7.1f} MB/s, ours {other / own:.0f} x")
    print(f"\n{'left behind':<12}{'ours':>8}{'strip_code':>12}")
    for mark in RESIDUE:
        print(f"{mark:<12}{sum(text.count(mark) for text in ours):>8}{sum(text.count(mark) for text in theirs):>12}")
    print(f"{'characters':<12}{sum(map(len, ours)):>8}{sum(map(len, theirs)):>12}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DUMP)
