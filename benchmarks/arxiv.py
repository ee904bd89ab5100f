"""Papers of arXiv a second of CPU time: our iterator and extractor, and the plain way with a folder and regexes.

    python benchmarks/arxiv.py [--papers 200]

The archive holds made-up papers like real ones: 60 kB of LaTeX in three files, 40 macros, half a megabyte of figures
that do not compress. The plain way unpacks the archive and every paper to disk and replaces macros one after the other.
The floor is unpacking alone, in memory.
"""

import argparse
import gzip
import io
import random
import re
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = 3


def make_archive(path: Path, papers: int) -> None:
    chance = random.Random(0)
    with tarfile.open(path, "w") as tar:
        for number in range(papers):
            add(tar, f"2101/2101.{number:05d}.gz", gzip.compress(make_paper(chance), 6))


def make_paper(chance: random.Random) -> bytes:
    macros = [f"macro{chr(97 + at // 26)}{chr(97 + at % 26)}" for at in range(40)]
    preamble = "".join(f"\\newcommand{{\\{name}}}{{\\mathbf{{v}}_{{{at}}}}}\n" for at, name in enumerate(macros))
    words = [f"word{at}" for at in range(200)]
    lines = [
        " ".join(chance.choices(words, k=10))
        + f" ${chance.choice(['x', 'y'])} + \\{chance.choice(macros)}$ % note {at}"
        for at in range(600)
    ]
    sections = ["\n".join(["\\section{Part}", *lines[at : at + 300]]) for at in (0, 300)]
    main = f"\\documentclass{{article}}\n{preamble}\\begin{{document}}\n\\input{{a}}\n\\input{{b}}\n\\end{{document}}"
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, text in (("main.tex", main), ("a.tex", sections[0]), ("b.tex", sections[1])):
            add(tar, name, text.encode())
        add(tar, "figure.png", chance.randbytes(500_000))
    return made.getvalue()


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def ours(path: Path) -> int:
    from nemo_curator.stages.text.download.arxiv import ArxivExtractor, ArxivIterator

    extractor = ArxivExtractor()
    return sum(len(extractor.extract(record)["text"]) > 0 for record in ArxivIterator().iterate(str(path)))


def plain(path: Path) -> int:
    made = 0
    with tempfile.TemporaryDirectory() as folder, tarfile.open(path) as tar:
        tar.extractall(folder, filter="data")
        for member in sorted(Path(folder).rglob("*.gz")):
            with tempfile.TemporaryDirectory() as inner, tarfile.open(member) as one:
                one.extractall(inner, filter="data")
                texts = [file.read_text() for file in sorted(Path(inner).rglob("*.tex"))]
            macros = dict(re.findall(r"\\newcommand\{(\\\w+)\}\{(.*)\}", "\n".join(texts)))
            made += len("\n".join(plain_text(text, macros) for text in texts)) > 0
    return made


def plain_text(text: str, macros: dict[str, str]) -> str:
    text = re.sub(r"(?m)(?:^|(?<=[^\\]))%.*$", "", text[max(text.find("\\section"), 0) :])
    for name, value in macros.items():
        text = re.sub(rf"{re.escape(name)}(?![a-zA-Z])", lambda _, value=value: value, text)
    return text


def floor(path: Path) -> int:
    made = 0
    with tarfile.open(path) as tar:
        for member in tar:
            made += len(gzip.decompress(tar.extractfile(member).read())) > 0
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--papers", type=int, default=200)
    papers = parser.parse_args().papers
    runs: dict[str, Callable[[Path], int]] = {"ours": ours, "plain": plain, "unpacking alone": floor}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "arXiv_src_2101_001.tar")
        make_archive(path, papers)
        ours(path)
        for _ in range(ROUNDS):
            for name, run in runs.items():
                start = time.process_time()
                assert run(path) == papers
                seconds[name].append(time.process_time() - start)
    base = statistics.median(seconds["ours"])
    for name, found in seconds.items():
        median = statistics.median(found)
        print(f"{name:16} {papers / median:8.0f} papers/s   {median / base:5.2f} times the time of ours")


if __name__ == "__main__":
    main()
