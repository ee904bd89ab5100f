"""The tutorial's script, from archives to unique documents."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

from tests.stages.text.download.common_crawl.archives import http, record

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tutorials/text/web/main.py"
ENGLISH = [
    "The river had risen in the night, and the people of the village were carrying what they could to the church.",
    "Nobody remembered a flood like this one, not even the old miller, who had lived beside the water all his life.",
    "By noon the bridge was gone, and the road to the town with it, so that the mail could not come for a week.",
    "They slept on the benches, and the children thought that it was the best holiday they had ever had.",
]
GERMAN = [
    "Der Fluss war in der Nacht gestiegen, und die Leute aus dem Dorf trugen in die Kirche, was sie tragen konnten.",
    "Niemand erinnerte sich an eine solche Flut, auch nicht der alte Müller, der immer am Wasser gewohnt hatte.",
]


def html(paragraphs):
    body = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    return f"<html><head><title>News</title></head><body><main><h1>A flood</h1>{body}</main></body></html>".encode()


def test_pages_of_archives_become_unique_documents_in_one_language(tmp_path):
    pages = [html(ENGLISH), html([*ENGLISH, "Then the water fell."]), html(GERMAN), html(["Too short."])]
    archive = tmp_path / "crawl/a.warc.gz"
    archive.parent.mkdir()
    records = [record("response", number, http(page)) for number, page in enumerate(pages)]
    archive.write_bytes(b"".join(map(gzip.compress, records)))
    output = tmp_path / "out"
    command = [sys.executable, SCRIPT, "--warc_dir", archive.parent, "--output_dir", output, "--num_workers", "0"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "1 near duplicates are gone" in done.stdout
    (row,) = pq.read_table(output / "unique/deduplicated").to_pylist()
    assert (row["url"], row["language"]) == ("http://example.com/0", "ENGLISH")
    assert all(paragraph in row["text"] for paragraph in ENGLISH)
    stages = json.loads((output / "accounts/text/ledger.json").read_text())["stages"]
    assert stages[-1]["rows_out"] == 2
    assert [reason for stage in stages for reason in stage["dropped"]] == ["language", "word_count"]
