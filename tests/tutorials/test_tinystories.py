"""The migration guide's text script, on real stories, against the same job written out in plain Python."""

import functools
import http.server
import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import ftfy
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.download.base import rows
from nemo_curator.stages.text.filters import ScoreFilter
from nemo_curator.stages.text.filters.heuristic import WordCountFilter
from nemo_curator.stages.text.modifiers import Modify
from nemo_curator.stages.text.modifiers.unicode import UnicodeReformatter

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "tutorials/text/tinystories"
SAMPLE = TUTORIAL / "sample.txt"
SLICE = ROOT.parent / "shared/data/text/tinystories/tinystories_train_head_2MiB.txt"
AS_DOCUMENTED = ftfy.TextFixerConfig(
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    fix_line_breaks=False,
    normalization=None,
)


@pytest.fixture(scope="module")
def stages():
    spec = importlib.util.spec_from_file_location("tinystories_stages", TUTORIAL / "stages.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def site():
    """Serve the tutorial's folder on loopback."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(TUTORIAL)))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def split_into_stories(path):
    pieces = re.split(r"^[ \t]*<\|endoftext\|>[ \t]*$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    stories = [piece.removeprefix("\n").removesuffix("\n") for piece in pieces]
    return [" ".join(line.strip() for line in story.split("\n")) for story in stories if story]


def whole_job(path):
    """Every step of the guide in turn; returns the texts that are left and how many each filter took."""
    stories = split_into_stories(path)
    unified = [re.sub("[\u2018\u2019]", "'", re.sub("[\u201c\u201d]", '"', story)) for story in stories]
    repaired = [ftfy.fix_text(story, AS_DOCUMENTED) for story in unified]
    long = [story for story in repaired if len(story.split()) >= 80]
    whole = [story for story in long if story.strip() and story.strip()[-1] in '.!?"\u201d']
    return (
        whole,
        len(stories),
        {"word_count": len(stories) - len(long), "IncompleteStoryFilter": len(long) - len(whole)},
    )


def real_stories():
    if not SLICE.exists():
        pytest.skip(f"the slice of TinyStories is not here: {SLICE}")
    return SLICE


def make_pipeline(stages, source, folder):
    return Pipeline(
        "tinystories",
        stages=[
            stages.TinyStoriesDownloadExtractStage(str(folder), split="valid", verbose=False, url=str(source)),
            Modify(modifier_fn=stages.QuotationUnifier()),
            Modify(modifier_fn=UnicodeReformatter()),
            ScoreFilter(filter_obj=WordCountFilter(min_words=80)),
            ScoreFilter(filter_obj=stages.IncompleteStoryFilter()),
        ],
    )


@pytest.mark.parametrize("batch_bytes", [rows.BATCH_BYTES, 50_000])
@pytest.mark.parametrize("source", [real_stories, lambda: SAMPLE])
def test_the_job_equals_the_same_job_in_plain_python(stages, tmp_path, monkeypatch, source, batch_bytes):
    monkeypatch.setattr(rows, "BATCH_BYTES", batch_bytes)
    path = source()
    pipeline = make_pipeline(stages, path, tmp_path)
    batches = pipeline.run(LocalExecutor(num_workers=0))
    texts, stories, dropped = whole_job(path)
    assert [text for batch in batches for text in batch.column("text").to_pylist()] == texts
    assert {name for batch in batches for name in batch.column("file_name").to_pylist()} == {path.name}
    assert pipeline.last_run.dropped() == dropped
    assert pipeline.last_run.stages[2].rows_in == stories
    assert pipeline.last_run.rows_failed == 0
    assert (len(batches) > 1) == (batch_bytes == 50_000)


def test_the_slice_has_as_many_stories_as_separators_and_one(stages):
    found = list(stages.TinyStoriesIterator().iterate(str(real_stories())))
    assert len(found) == 2317
    assert [record["text"] for record in found] == split_into_stories(SLICE)


@pytest.mark.parametrize(
    ("raw", "texts"),
    [
        ("", []),
        ("<|endoftext|>\n", []),
        ("a\n b \n<|endoftext|>\nc", ["a b", "c"]),
        ("a\n\nb\n <|endoftext|> \n", ["a  b"]),
        ("\n<|endoftext|>\n\n\n<|endoftext|>\n", ["", " "]),
        ("a <|endoftext|>\nb\n", ["a <|endoftext|> b"]),
        ("\u201cé\u201d\r\nb\r\n", ["\u201cé\u201d b"]),
    ],
)
def test_a_file_is_cut_at_lines_that_are_the_separator(stages, tmp_path, raw, texts):
    (tmp_path / "raw.txt").write_bytes(raw.encode())
    assert [record["text"] for record in stages.TinyStoriesIterator().iterate(str(tmp_path / "raw.txt"))] == texts


def test_a_file_is_read_as_utf_8_whatever_the_locale(tmp_path):
    (tmp_path / "raw.txt").write_text("\u201cé\u201d\n", encoding="utf-8")
    code = f"from stages import *; print(ascii(next(TinyStoriesIterator().iterate({str(tmp_path / 'raw.txt')!r}))))"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{TUTORIAL}", "LC_ALL": "C", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ascii({"text": "\u201cé\u201d"})


@pytest.mark.parametrize(
    ("text", "is_whole"),
    [
        ("The end.", 1),
        ("Yes! ", 1),
        ("Why?", 1),
        ('"Yes"', 1),
        ("\u201cYes\u201d", 1),
        ("and then", 0),
        ("", 0),
        (" \n", 0),
    ],
)
def test_a_story_is_whole_if_it_ends_like_a_sentence(stages, text, is_whole):
    one = stages.IncompleteStoryFilter()
    assert one.score_document(text) == bool(is_whole)
    assert one.keep_document(one.score_document(text)) == bool(is_whole)


def test_curly_quotation_marks_become_straight(stages):
    assert (
        stages.QuotationUnifier().modify_document("\u2018a\u2019 \u201cb\u201d \u00abc\u00bb")
        == "'a' \"b\" \u00abc\u00bb"
    )


def test_the_parts_are_named_and_addressed_as_documented(stages, tmp_path):
    stage = stages.TinyStoriesDownloadExtractStage(str(tmp_path), split="train")
    (url,) = stages.TinyStoriesURLGenerator("train").generate_urls()
    assert url == "https://huggingface.co/datasets/roneneldan/TinyStories/resolve/main/TinyStories-train.txt"
    assert stage.downloader._get_output_filename(url) == "TinyStories-train.txt"
    assert stage.get_description() == "TinyStories pipeline on split 'train'"
    assert stage.name == "document_download_extract_tinystoriesurlgenerator_tinystoriesdownloader_composite"


def test_the_sample_is_what_its_script_writes_and_has_every_flaw(tmp_path):
    (tmp_path / "make_sample.py").write_bytes((TUTORIAL / "make_sample.py").read_bytes())
    subprocess.run([sys.executable, str(tmp_path / "make_sample.py")], check=True)
    assert (tmp_path / "sample.txt").read_bytes() == SAMPLE.read_bytes()
    raw = SAMPLE.read_text(encoding="utf-8")
    assert 200_000 <= SAMPLE.stat().st_size <= 300_000
    assert all(mark in raw for mark in "\u2019\u201c\u201d")
    assert "\u00e2\u20ac\u2122" in raw
    assert not raw.rstrip().endswith("<|endoftext|>")
    stories = split_into_stories(SAMPLE)
    assert min(whole_job(SAMPLE)[2].values()) >= 10
    assert len(set(stories)) > 0.98 * len(stories)


def script(folder, *arguments):
    command = [sys.executable, str(TUTORIAL / "main.py"), "--data_root", str(folder), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)


def run_script(folder, *arguments):
    done = script(folder, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def curated(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "curated").iterdir())}


def test_the_script_writes_the_curated_stories_and_says_what_it_did(site, tmp_path):
    said = run_script(tmp_path, "--executor", "local", "--url", f"{site}/sample.txt")
    texts, _, dropped = whole_job(SAMPLE)
    files = curated(tmp_path)
    written = [json.loads(line) for data in files.values() for line in data.splitlines()]
    assert written == [{"text": text, "file_name": "sample.txt"} for text in texts]
    assert all(str(tmp_path / "curated" / name) in said for name in files)
    word_count = next(line.split() for line in said.splitlines() if line.startswith("word_count"))
    assert int(word_count[3]) == dropped["word_count"]
    assert (tmp_path / "raw/sample.txt").read_bytes() == SAMPLE.read_bytes()


def test_the_script_reads_a_local_file_and_writes_the_same_bytes_every_time(tmp_path):
    run_script(tmp_path, "--executor", "local", "--url", str(SAMPLE))
    first = curated(tmp_path)
    run_script(tmp_path, "--executor", "local", "--url", str(SAMPLE))
    assert curated(tmp_path) == first


def test_the_script_fails_if_the_download_does(site, tmp_path):
    done = script(tmp_path, "--executor", "local", "--url", f"{site}/missing.txt")
    assert done.returncode != 0
    assert f"{site}/missing.txt: 404" in done.stderr
    assert not list((tmp_path / "raw").iterdir())


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("executor", ["xenna", "ray_data", "ray_actor_pool"])
def test_every_engine_writes_the_same_bytes(tmp_path, executor):
    run_script(tmp_path / "local", "--executor", "local", "--url", str(SAMPLE))
    run_script(tmp_path / "ray", "--executor", executor, "--url", str(SAMPLE))
    assert curated(tmp_path / "ray") == curated(tmp_path / "local")
