"""How much faster modifiers are on a column than their regular expressions are on each of its texts.

Run: python benchmarks/modifiers.py [FOLDER], where the folder holds the JSONL files named below. One core, best of
three. The second figure is for a column in which no text changes, which then comes back itself.
"""

import gzip
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from nemo_curator.stages.text import recipes
from nemo_curator.stages.text.modifiers import DocumentModifier, MarkdownRemover, NewlineNormalizer, UrlRemover
from nemo_curator.tasks import DocumentBatch
from nemo_curator.tasks.text_column import TextColumn

TEXTS = Path(__file__).parents[2] / "shared" / "data" / "text" / "jsonl"
FILES = {
    "web, 40 languages": "cc2019_multilingual_cc_licensed.jsonl.gz",
    "StackExchange": "dj_process_code_data_stack_exchange.jsonl",
    "arXiv": "dj_process_sci_data_arxiv.jsonl",
}
_URL = re.compile(r"https?://\S+|www\.\S+", re.IGNORECASE)
_NEWLINES = re.compile(r"\n{3,}|(?:\r\n){3,}")
_MARKS = [(re.compile(r"\*\*(.*?)\*\*"), r"\1"), (re.compile(r"\*(.*?)\*"), r"\1"), (re.compile(r"_(.*?)_"), r"\1")]
_MARKS += [(re.compile(r"\[(.*?)\]\((.*?)\)"), r"\1")]


def without_marks(text: str) -> str:
    for expression, kept in _MARKS:
        text = expression.sub(kept, text)
    return text


ROW_WISE: list[tuple[DocumentModifier, Callable[[str], str]]] = [
    (UrlRemover(), lambda text: _URL.sub("", text)),
    (NewlineNormalizer(), lambda text: _NEWLINES.sub("\n\n", text)),
    (MarkdownRemover(), without_marks),
]


def c4_lines(text: str) -> str:
    """What the line rules of C4 leave of a text, in plain Python."""
    lines = []
    for line in text.split("\n"):
        end = line.rstrip()
        words = line.split()
        if not end.endswith((".", "?", "!", '"', "'")) or end.endswith("...") or len(words) < 3:
            continue
        low = line.lower()
        if max(map(len, words)) > 1000 or "javascript" in low or any(policy in low for policy in recipes.C4_POLICIES):
            continue
        lines.append(line)
    return "\n".join(lines)


def read(path: Path) -> list[str]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        return [json.loads(line)["text"] for line in lines]


def best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main(folder: Path) -> None:
    print(
        f"{'corpus':<20}{'modifier':<20}{'changes':>8}{'re.sub':>9}{'column':>9}{'×':>6}{'unchanged':>11}{'×':>6}  MB/s"
    )
    for corpus, name in FILES.items():
        texts = read(folder / name)
        texts *= max(1, 10_000_000 // sum(map(len, texts)))
        for modifier, row_wise in ROW_WISE:
            column = TextColumn(texts)
            after = np.asarray([modifier.modify_document(text) == text for text in texts])
            same = column.filter(after)
            megabytes, same_megabytes = column.array.nbytes / 1e6, max(same.array.nbytes, 1) / 1e6
            plain = megabytes / best(lambda texts=texts, row_wise=row_wise: list(map(row_wise, texts)))
            ours = megabytes / best(lambda modifier=modifier, column=column: modifier.modify_texts(column))
            idle = same_megabytes / best(lambda modifier=modifier, same=same: modifier.modify_texts(same))
            print(
                f"{corpus:<20}{modifier.name:<20}{1 - after.mean():>8.1%}{plain:>9.0f}{ours:>9.0f}{ours / plain:>6.1f}"
                f"{idle:>11.0f}{idle / plain:>6.0f}"
            )
        batch = DocumentBatch.from_arrow(pa.table({"text": texts}))
        stage = recipes.c4()[1]
        plain = batch.nbytes / 1e6 / best(lambda texts=texts: list(map(c4_lines, texts)))
        ours = batch.nbytes / 1e6 / best(lambda batch=batch, stage=stage: stage.process(batch))
        assert stage.process(batch).column("text").to_pylist() == list(map(c4_lines, texts))
        print(f"{corpus:<20}{'lines of C4':<20}{'':>8}{plain:>9.0f}{ours:>9.0f}{ours / plain:>6.1f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TEXTS)
