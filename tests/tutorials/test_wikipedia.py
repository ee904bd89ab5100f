"""The tutorial's script, against a server of dumps on loopback."""

import bz2
import functools
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tutorials/text/wikipedia/main.py"
PAGE = "<page><title>{0}</title><ns>0</ns><id>{1}</id><revision><text>{2}</text></revision></page>"


@pytest.fixture
def site(tmp_path):
    """A server with one complete dump and a newer one that is not."""
    pages = [PAGE.format("Cat", 1, "A '''cat''' is {{box}} an [[animal]]. " * 20), PAGE.format("Stub", 2, "Short.")]
    data = bz2.compress(f"<mediawiki>{''.join(pages)}</mediawiki>".encode())
    wiki = tmp_path / "site/simplewiki"
    for date, state in (("20250301", "done"), ("20250401", "in-progress")):
        name = f"simplewiki-{date}-pages-articles-multistream.xml.bz2"
        folder = wiki / date
        folder.mkdir(parents=True)
        (folder / name).write_bytes(data)
        job = {"status": state, "files": {name: {"sha1": hashlib.sha1(data).hexdigest()}}}
        (folder / "dumpstatus.json").write_text(json.dumps({"jobs": {"articlesmultistreamdump": job}}))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(wiki.parent))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def run_script(site, folder, *arguments):
    command = [sys.executable, str(SCRIPT), "--data_root", str(folder), "--index_prefix", site, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_script_writes_the_long_articles_of_the_newest_complete_dump(site, tmp_path):
    said = run_script(site, tmp_path)
    (path,) = (tmp_path / "articles").iterdir()
    (row,) = map(json.loads, path.read_text().splitlines())
    assert row["text"] == ("A cat is an animal. " * 20).strip()
    assert row["source_id"].endswith("simplewiki-20250301-pages-articles-multistream.xml.bz2")
    assert row["url"] == "https://simple.wikipedia.org/wiki/Cat"
    assert str(path) in said
    assert next(line.split()[1:4] for line in said.splitlines() if line.startswith("word_count")) == ["2", "1", "1"]


def test_the_script_writes_parquet_of_a_date_that_is_named(site, tmp_path):
    run_script(
        site, tmp_path, "--dump_date", "20250301", "--format", "parquet", "--min_words", "1", "--record_limit", "2"
    )
    assert pq.read_table(tmp_path / "articles")["title"].to_pylist() == ["Cat", "Stub"]
