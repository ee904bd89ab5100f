"""Small corpora with near duplicates, and what is true of them, found without any code of the package."""

import json
import random
from pathlib import Path

import pyarrow.parquet as pq

WORDS = ["".join(random.Random(seed).choices("abcdefghijklmnopqrstuvwxyz", k=2 + seed % 8)) for seed in range(2000)]


def document(seed, words=120):
    return random.Random(seed).choices(WORDS, k=words)


def changed(words, seed, changes):
    rng = random.Random(f"change {seed}")
    words = list(words)
    for _ in range(changes):
        words[rng.randrange(len(words))] = rng.choice(WORDS)
    return words


def corpus(originals=40):
    """Texts of which some are like an earlier one, more or less."""
    texts = []
    for seed in range(originals):
        words = document(seed)
        texts.append(" ".join(words))
        texts += [" ".join(changed(words, f"{seed} {copy}", (seed + copy) % 7)) for copy in range(seed % 4)]
    random.Random(0).shuffle(texts)
    return texts


def chain(length, words=224, step=14):
    """Documents each of which is like the next, and the first is not like the last."""
    texts = [document("chain", words)]
    for link in range(1, length):
        start = link * step % words
        texts.append([*texts[-1][:start], *document(f"link {link}", step), *texts[-1][start + step :]])
    return [" ".join(text) for text in texts]


def shingles(text, size=24):
    if len(text) <= size:
        return {text} if text else set()
    return {text[start : start + size] for start in range(len(text) - size + 1)}


def jaccard(one, other, size=24):
    first, second = shingles(one, size), shingles(other, size)
    return len(first & second) / len(first | second) if first | second else 1.0


def write_files(folder, texts, files=3, **columns):
    """Texts in turn into files, so that the ids are in the order of `in_id_order`."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in range(files):
        rows = range(file, len(texts), files)
        lines = [{"text": texts[row], **{name: values[row] for name, values in columns.items()}} for row in rows]
        (folder / f"{file}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def in_id_order(texts, files=3):
    return [texts[row] for file in range(files) for row in range(file, len(texts), files)]


def removed_ids(output, column="_curator_dedup_id"):
    folder = Path(output) / "FuzzyDuplicateIds"
    if not folder.exists():
        return []
    return sorted(value for path in folder.glob("*.parquet") for value in pq.read_table(path)[column].to_pylist())


def clusters(output):
    rows = [
        row for path in sorted(Path(output, "clusters").glob("*.parquet")) for row in pq.read_table(path).to_pylist()
    ]
    return {row["member_id"]: row for row in rows}
