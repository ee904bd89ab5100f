"""Realistic text of any size, made from the real documents that the tests use; the same for the same seed."""

import gzip
import json
import random
import re
import zipfile
from pathlib import Path

DATA = Path(__file__).parent.parent.parent / "shared" / "data" / "text"
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
