"""Realistic text of any size, made from the real documents that the tests use; the same for the same seed."""

import bz2
import gzip
import html
import json
import random
import re
import zipfile
from pathlib import Path

DATA = Path(__file__).parent.parent.parent / "shared" / "data" / "text"
SHARES = {"web": 0.8, "wikipedia": 0.14, "forums": 0.05, "books": 0.01}
WEB = (
    "dolma_cc_en_head_10.jsonl.gz",
    "cc2019_multilingual_cc_licensed.jsonl.gz",
    "dj_data_mixture_redpajama-c4-refined.jsonl",
)
WEIGHTS = {"stories": 0.3, "web": 0.35, "speeches": 0.2, "book": 0.15}


def make_corpus(path: Path, megabytes: int, seed: int = 0) -> Path:
    """Write JSONL documents of about 2 kB: runs of paragraphs of one source, one in a hundred with broken encoding."""
    if path.exists():
        return path
    if not DATA.exists():
        raise SystemExit(f"the benchmark makes its text from {DATA}, which is not here")
    pools, draw = _pools(), random.Random(seed)
    written = number = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".tmp").open("wb") as file:
        while written < megabytes * 1_000_000:
            source = draw.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            text = _document(pools[source], draw)
            record = {"id": f"{number:08}", "source": source, "text": text, "length": len(text)}
            line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
            written += file.write(line)
            number += 1
    path.with_suffix(".tmp").rename(path)
    return path


def make_documents(path: Path, megabytes: int, seed: int = 0) -> Path:
    """Write JSONL of whole documents as they are, each source in its share: their lines keep their real lengths."""
    if path.exists():
        return path
    pools, draw = _documents(), random.Random(seed)
    waiting: dict[str, list[str]] = {source: [] for source in pools}
    written = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".tmp").open("wb") as file:
        while written < megabytes * 1_000_000:
            source = draw.choices(list(SHARES), list(SHARES.values()))[0]
            if not waiting[source]:
                waiting[source] = draw.sample(pools[source], len(pools[source]))
            text = waiting[source].pop()
            written += len(text.encode())
            file.write(json.dumps({"source": source, "text": text}, ensure_ascii=False).encode() + b"\n")
    path.with_suffix(".tmp").rename(path)
    return path


def _documents() -> dict[str, list[str]]:
    if not DATA.exists():
        raise SystemExit(f"the benchmark makes its text from {DATA}, which is not here")
    news = json.loads((DATA / "html_gold" / "article-extraction-benchmark" / "ground-truth.json").read_text())
    book = (DATA / "books" / "pg1661_sherlock_holmes.txt").read_text(encoding="utf-8-sig").replace("\r", "")
    with bz2.open(DATA / "wikipedia" / "enwiki_pages_articles_361p.xml.bz2", "rt", encoding="utf-8") as dump:
        pages = re.findall(r"<text[^>]*>(.*?)</text>", dump.read(), re.DOTALL)
    pools = {
        "web": [text for name in WEB for text in _texts(name)] + [page["articleBody"] for page in news.values()],
        "wikipedia": [_without_markup(html.unescape(page)) for page in pages],
        "forums": [*_texts("dj_process_code_data_stack_exchange.jsonl"), *_texts("dj_process_sci_data_arxiv.jsonl")],
        "books": [chapter for chapter in re.split(r"\n{4,}", book) if len(chapter) > 200],
    }
    return {source: [text for text in texts if text.strip()] for source, texts in pools.items()}


def _texts(name: str) -> list[str]:
    opened = gzip.open if name.endswith(".gz") else open
    with opened(DATA / "jsonl" / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def _without_markup(page: str) -> str:
    page = re.sub(r"<!--.*?-->|<ref[^>]*/>|<ref.*?</ref>|<[^>]+>", "", page, flags=re.DOTALL)
    for _ in range(4):
        page = re.sub(r"\{\{[^{}]*\}\}|\{\|.*?\|\}", "", page, flags=re.DOTALL)
    page = re.sub(r"\[\[(?:File|Image|Category):[^\]]*\]\]", "", page)
    page = re.sub(r"\[\[(?:[^|\]]*\|)?([^\]]*)\]\]|\[\S+ ?([^\]]*)\]", r"\1\2", page)
    return re.sub(r"'{2,}|^=+ *| *=+$", "", page, flags=re.MULTILINE).strip()


def _document(paragraphs: list[str], draw: random.Random) -> str:
    wanted, start = draw.lognormvariate(7.4, 0.7), draw.randrange(len(paragraphs))
    text = ""
    while len(text) < wanted:
        text += ("\n\n" if text else "") + paragraphs[start % len(paragraphs)]
        start += 1
    if draw.random() < 0.01:
        text = text.replace("’", "â€™").replace("é", "Ã©").replace("'", "â€™")
    return text


def _pools() -> dict[str, list[str]]:
    stories = (DATA / "tinystories" / "tinystories_train_head_2MiB.txt").read_text(encoding="utf-8")
    book = (DATA / "books" / "pg1661_sherlock_holmes.txt").read_text(encoding="utf-8-sig")
    with zipfile.ZipFile(DATA / "nltk" / "state_union.zip") as archive:
        speeches = [
            archive.read(name).decode("latin-1") for name in sorted(archive.namelist()) if name.endswith(".txt")
        ]
    web = []
    for name in ("dolma_cc_en_head_10.jsonl.gz", "cc2019_multilingual_cc_licensed.jsonl.gz"):
        with gzip.open(DATA / "jsonl" / name, "rt", encoding="utf-8") as lines:
            web += [json.loads(line)["text"] for line in lines]
    return {
        "stories": [" ".join(story.split()) for story in stories.split("<|endoftext|>") if story.strip()],
        "book": _paragraphs([book], "\n\n"),
        "speeches": _paragraphs(speeches, "\n \n"),
        "web": _paragraphs(web, "\n"),
    }


def _paragraphs(texts: list[str], separator: str) -> list[str]:
    """Cut texts into paragraphs, and long paragraphs after every fifth sentence."""
    pieces: list[str] = []
    for part in (part for text in texts for part in text.replace("\r", "").split(separator)):
        sentences = re.split(r"(?<=[.!?]) ", " ".join(part.split()))
        pieces += [" ".join(sentences[at : at + 5]) for at in range(0, len(sentences), 5)]
    return [piece for piece in pieces if piece]
