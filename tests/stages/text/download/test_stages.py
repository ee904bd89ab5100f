"""The four base stages in real pipelines: every record that an iterator yields is accounted for."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import InputError, RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.download import (
    DocumentDownloader,
    DocumentDownloadExtractStage,
    DocumentExtractor,
    DocumentIterator,
    URLGenerator,
)
from nemo_curator.stages.text.download.base import (
    DocumentDownloadStage,
    DocumentIterateExtractStage,
    rows,
)
from nemo_curator.tasks import FileGroupTask


@dataclass
class Urls(URLGenerator):
    urls: list[str]

    def generate_urls(self):
        return self.urls


class ByLastPart(DocumentDownloader):
    def _get_output_filename(self, url):
        return url.rpartition("/")[2]


class JsonLines(DocumentIterator):
    """One record a line; a line `stop` raises."""

    def iterate(self, file_path):
        with Path(file_path).open(encoding="utf-8") as file:
            for line in file:
                if line.strip() == "stop":
                    raise OSError("the archive ends here")
                yield json.loads(line)

    def output_columns(self):
        return ["id", "text"]


class Texts(DocumentExtractor):
    """Drops records without text, and raises at those whose text is a number."""

    def extract(self, record):
        if record.get("text") is None:
            return None
        return {**record, "text": record["text"].upper()}

    def input_columns(self):
        return ["text"]

    def output_columns(self):
        return ["id", "text"]


def lines(*records):
    return "".join(f"{record if isinstance(record, str) else json.dumps(record)}\n" for record in records).encode()


def pipeline(urls, folder, extractor=None, **settings):
    stage = DocumentDownloadExtractStage(Urls(urls), ByLastPart(str(folder)), JsonLines(), extractor, **settings)
    return Pipeline("test", stages=[stage])


def run(made, workers=0, **settings):
    """Run a pipeline; return its rows, and the account of its last stage even if the run fails."""
    try:
        tasks = made.run(LocalExecutor(num_workers=workers), **settings)
    except RunFailedError:
        tasks = None
    found = None if tasks is None else [row for task in tasks for row in task.to_pyarrow().to_pylist()]
    return found, made.last_run.stages[-1]


GOOD = lines({"id": 1, "text": "a"}, {"id": 2, "text": "b"}, {"id": 3, "text": "c"})


@pytest.mark.parametrize("workers", [0, 2])
def test_records_become_documents_with_the_name_of_their_file(server, tmp_path, workers):
    urls = [server.put("/x.jsonl", GOOD), server.put("/y.jsonl", lines({"id": 4, "text": "d"}))]
    made, count = run(pipeline(urls, tmp_path, Texts()), workers)
    assert made == [
        {"id": 1, "text": "A", "file_name": "x.jsonl"},
        {"id": 2, "text": "B", "file_name": "x.jsonl"},
        {"id": 3, "text": "C", "file_name": "x.jsonl"},
        {"id": 4, "text": "D", "file_name": "y.jsonl"},
    ]
    assert (count.rows_in, count.rows_out, count.rows_dropped, count.rows_failed) == (4, 4, 0, 0)


@pytest.mark.parametrize("workers", [0, 2])
def test_every_record_is_accounted_for(server, tmp_path, workers):
    x = lines({"id": 1, "text": "a"}, {"id": 2, "text": None}, {"id": 3, "text": 3}, {"id": 4, "text": "d"})
    y = lines({"id": 5, "text": "e"}, "stop", {"id": 6, "text": "f"})
    z = lines({"id": 7}, {"id": 8, "text": "h"})
    urls = [server.put("/x", x), server.put("/y", y), server.put("/z", z), f"{server.url}/missing"]
    made, count = run(pipeline(urls, tmp_path, Texts()), workers, max_failed_fraction=0.9)
    assert [row["id"] for row in made] == [1, 4, 5, 8]
    assert (count.rows_in, count.rows_out) == (8, 4)
    assert count.dropped == {"Texts": 2}
    assert count.failed == {"AttributeError": 1, "OSError": 1}
    assert count.imbalance == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_a_failed_download_is_named_the_others_go_on_and_the_run_fails(server, answer, tmp_path, workers):
    urls = [f"{server.url}/missing", server.put("/x", GOOD)]
    made = pipeline(urls, tmp_path)
    with pytest.raises(RunFailedError, match="missing: 404 Not Found"):
        made.run(LocalExecutor(num_workers=workers))
    download, iterate = made.last_run.stages[1:]
    assert (download.rows_in, download.rows_out, download.failed) == (2, 1, {"DownloadError": 1})
    assert download.failures[0].source == f"{server.url}/missing"
    assert (iterate.rows_in, iterate.rows_out) == (3, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x"]


def test_a_bad_record_is_set_aside_with_its_number_and_the_file_goes_on(server, tmp_path):
    url = server.put("/x", lines({"id": 1, "text": "a"}, {"id": 2, "text": 2}, {"id": 3, "text": "c"}))
    made = pipeline([url], tmp_path, Texts())
    with pytest.raises(RunFailedError, match="AttributeError"):
        made.run(LocalExecutor(num_workers=0))
    count = made.last_run.stages[-1]
    assert (count.rows_in, count.rows_out, count.rows_failed) == (3, 2, 1)
    assert count.failures[0].source == f"{tmp_path / 'x'}, record 2"
    assert "'id': 2" in count.failures[0].record


def test_an_iterator_that_raises_ends_its_file_and_keeps_what_came_before(server, tmp_path):
    urls = [server.put("/x", lines({"id": 1, "text": "a"}, "stop", {"id": 2, "text": "b"})), server.put("/y", GOOD)]
    made, count = run(pipeline(urls, tmp_path), max_failed_fraction=0.5)
    assert [row["id"] for row in made] == [1, 1, 2, 3]
    assert (count.rows_in, count.rows_out, count.failed) == (5, 4, {"OSError": 1})
    assert count.failures[0].source == f"{tmp_path / 'x'}, record 2"
    assert "the archive ends here" in str(count.failures[0])


@pytest.mark.parametrize("record", ["5", '"text"', "[1]", "null"])
def test_a_record_that_is_not_a_dict_is_set_aside(server, tmp_path, record):
    made, count = run(pipeline([server.put("/x", lines(record, {"id": 1}))], tmp_path), max_failed_fraction=0.5)
    assert [row["id"] for row in made] == [1]
    assert (count.rows_in, count.failed) == (2, {"TypeError": 1})


def test_what_an_extractor_drops_carries_its_name(server, tmp_path):
    url = server.put("/x", lines({"id": 1}, {"id": 2, "text": "b"}, {"id": 3}))
    made, count = run(pipeline([url], tmp_path, Texts()))
    assert [row["id"] for row in made] == [2]
    assert (count.rows_in, count.dropped) == (3, {"Texts": 2})


class Reasons(Texts):
    """Says of some records why it drops them."""

    def extract(self, record):
        self.drop_reason = record.get("why")
        return super().extract(record)


def test_an_extractor_may_say_why_it_drops_a_record(server, tmp_path):
    url = server.put(
        "/x", lines({"id": 1, "why": "no_text"}, {"id": 2}, {"id": 3, "why": "no_text"}, {"id": 4, "text": "d"})
    )
    made, count = run(pipeline([url], tmp_path, Reasons()))
    assert [row["id"] for row in made] == [4]
    assert count.dropped == {"no_text": 2, "Reasons": 1}


@pytest.mark.parametrize(("limit", "ids", "records"), [(1, [2, 1], 3), (2, [2, 3, 1, 2], 5), (9, [2, 3, 1, 2, 3], 6)])
def test_record_limit_counts_the_documents_of_each_file(server, tmp_path, limit, ids, records):
    x = lines({"id": 1}, {"id": 2, "text": "b"}, {"id": 3, "text": "c"})
    urls = [server.put("/x", x), server.put("/y", GOOD)]
    made, count = run(pipeline(urls, tmp_path, Texts(), record_limit=limit))
    assert [row["id"] for row in made] == ids
    assert count.rows_in == records


def test_a_record_limit_of_nothing_is_refused():
    with pytest.raises(ValueError, match="wanted at least 1"):
        DocumentIterateExtractStage(JsonLines(), record_limit=0)


def test_url_limit_takes_the_first(server, tmp_path):
    urls = [server.put("/x", GOOD), server.put("/y", GOOD)]
    made, _ = run(pipeline(urls, tmp_path, url_limit=1))
    assert len(made) == 3
    assert [path for path, _ in server.asked] == ["/x"]


@pytest.mark.parametrize(("given", "column"), [(True, "file_name"), ("origin", "origin"), (False, None)])
def test_the_filename_column_has_the_name_that_was_asked_for(server, tmp_path, given, column):
    stage = DocumentIterateExtractStage(JsonLines(), Texts(), add_filename_column=given)
    assert stage.outputs() == (["data"], ["id", "text", *([column] if column else [])])
    made, _ = run(pipeline([server.put("/x", GOOD)], tmp_path, Texts(), add_filename_column=given))
    assert made[0] == {"id": 1, "text": "A"} | ({column: "x"} if column else {})


class SeesTheName(Texts):
    def extract(self, record):
        return {"text": f"from {record['file_name']}"}


def test_the_extractor_sees_the_filename_and_need_not_hand_it_on(server, tmp_path):
    made, _ = run(pipeline([server.put("/x", lines({"id": 1}))], tmp_path, SeesTheName()))
    assert made == [{"id": None, "text": "from x", "file_name": "x"}]


def test_values_of_every_json_type_arrive_and_absent_keys_stay_absent(server, tmp_path):
    records = [
        {"id": 2**70, "text": None, "tags": [1, "a"], "more": {"a": 1}},
        {"id": "one", "text": "b", "tags": [], "more": {"b": [None]}},
        {"id": 1.5, "tags": None, "extra": True},
    ]
    stage = pipeline([server.put("/x", lines(*records))], tmp_path, add_filename_column=False)
    (batch,) = stage.run(LocalExecutor(num_workers=0))
    assert batch.get_columns() == ["id", "text", "tags", "more", "extra"]
    assert batch.absent("text").tolist() == [False, False, True]
    assert batch.absent("extra").tolist() == [True, True, False]
    assert batch.absent("id") is None
    frame = batch.to_pandas()
    assert frame["id"].tolist() == [2**70, "one", 1.5]
    assert frame["tags"].tolist() == [[1, "a"], [], None]
    assert frame["more"].tolist() == [{"a": 1}, {"b": [None]}, None]


@pytest.mark.parametrize("value", ["\ud83d", {"deep": ["\ud83d"]}])
def test_text_that_is_not_unicode_costs_its_record_only(server, tmp_path, value):
    url = server.put("/x", lines({"id": 1, "text": "a"}, {"id": 2, "text": value}, {"id": 3, "text": "c"}))
    made, count = run(pipeline([url], tmp_path), max_failed_fraction=0.5)
    assert [row["id"] for row in made] == [1, 3]
    assert (count.rows_in, count.failed) == (3, {"UnicodeEncodeError": 1})
    assert count.failures[0].source.endswith("x, record 2")


class Objects(Texts):
    def extract(self, record):
        return {"id": record["id"], "text": object() if record["id"] == 2 else "a"}


def test_a_value_that_no_column_can_hold_costs_its_record_only(server, tmp_path):
    made, count = run(pipeline([server.put("/x", GOOD)], tmp_path, Objects()), max_failed_fraction=0.5)
    assert [row["id"] for row in made] == [1, 3]
    assert (count.rows_in, count.rows_out, count.failed) == (3, 2, {"TypeError": 1})
    assert count.failures[0].source.endswith("x, record 2")


def test_a_file_streams_out_in_bounded_batches(server, tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "BATCH_BYTES", 10_000)
    texts = [str(number) * 100 for number in range(500)]
    url = server.put("/x", lines(*({"id": number, "text": text} for number, text in enumerate(texts))))
    made = pipeline([url], tmp_path)
    batches = made.run(LocalExecutor(num_workers=0))
    assert len(batches) > 10
    assert max(sum(map(len, batch.column("text").to_pylist())) for batch in batches) <= 10_000
    assert [text for batch in batches for text in batch.column("text").to_pylist()] == texts
    assert len({batch.task_id for batch in batches}) == len(batches)
    assert {tuple(batch._metadata["source_files"]) for batch in batches} == {(str(tmp_path / "x"),)}
    assert (made.last_run.stages[-1].rows_in, made.last_run.stages[-1].rows_out) == (500, 500)


def test_the_first_batch_comes_before_the_file_has_been_read(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "BATCH_BYTES", 1_000)
    (tmp_path / "x").write_bytes(lines(*({"id": number, "text": "a" * 1000} for number in range(5)), "stop"))
    batches = DocumentIterateExtractStage(JsonLines()).process(FileGroupTask(data=[str(tmp_path / "x")]))
    assert next(batches).column("id").to_pylist() == [0]


def test_a_file_without_records_is_a_batch_without_rows(server, tmp_path):
    (batch,) = pipeline([server.put("/x", b"")], tmp_path).run(LocalExecutor(num_workers=0))
    assert (batch.num_items, batch.get_columns()) == (0, ["id", "text", "file_name"])


def test_one_task_may_hold_several_urls(server, tmp_path):
    task = FileGroupTask(data=[server.put("/x", GOOD), f"{server.url}/missing", server.put("/y", GOOD)])
    stages = [DocumentDownloadStage(ByLastPart(str(tmp_path))), DocumentIterateExtractStage(JsonLines())]
    made = Pipeline("test", stages=stages)
    tasks = made.run(LocalExecutor(num_workers=0), [task], max_failed_fraction=0.9)
    assert [row["file_name"] for task in tasks for row in task.to_pyarrow().to_pylist()] == ["x"] * 3 + ["y"] * 3
    assert made.last_run.stages[0].rows_failed == 1


def test_two_urls_with_one_file_name_cannot_pass_for_each_other(server, tmp_path):
    urls = [server.put("/a/x", GOOD), server.put("/b/x", lines({"id": 9}))]
    with pytest.raises(RunFailedError, match=r"/b/x would be saved as 'x', as http.*/a/x is"):
        pipeline(urls, tmp_path).run(LocalExecutor(num_workers=0))


class NoList(Urls):
    def generate_urls(self):
        raise OSError("the index is down")


def test_a_list_of_urls_that_cannot_be_had_fails_the_run(tmp_path):
    stage = DocumentDownloadExtractStage(NoList([]), ByLastPart(str(tmp_path)), JsonLines())
    with pytest.raises(InputError, match="the index is down"):
        Pipeline("test", stages=[stage]).run(LocalExecutor(num_workers=0))


def test_names_resources_and_roles_are_the_documented_ones(tmp_path):
    downloader = ByLastPart(str(tmp_path))
    composite = DocumentDownloadExtractStage(Urls([]), downloader, JsonLines(), Texts(), 3, 4, "origin", 5)
    assert composite.name == "document_download_extract_urls_bylastpart_composite"
    generate, download, iterate = composite.decompose()
    assert [stage.name for stage in (generate, download, iterate)] == [
        "url_generation_urls",
        "download_bylastpart",
        "iterate_extract_jsonlines_texts",
    ]
    assert DocumentIterateExtractStage(JsonLines()).name == "iterate_jsonlines"
    assert [stage.resources.cpus for stage in (generate, download, iterate)] == [0.5, 0.5, 1.0]
    assert (generate.is_source_stage, generate.num_workers(), generate.limit) == (True, 1, 3)
    assert (download.batch_size, download.xenna_stage_spec()) == (None, {})
    assert (iterate.record_limit, iterate.add_filename_column, iterate.max_calls_per_worker) == (4, "origin", 5)
    assert iterate.ray_stage_spec() == {"is_fanout_stage": True, "max_calls_per_worker": 5}


@pytest.mark.parametrize(
    ("module", "name"),
    [("", "DocumentIterateStage"), (".iterator", "DocumentIterateStage"), (".extract", "DocumentExtractStage")],
)
def test_the_stages_of_25_09_name_the_one_that_they_became(module, name):
    with pytest.raises(ImportError, match="DocumentIterateExtractStage"):
        exec(f"from nemo_curator.stages.text.download.base{module} import {name}")


def test_importing_the_stages_imports_nothing_optional():
    code = (
        "import sys; import nemo_curator.stages.text.download; "
        "print({name.partition('.')[0] for name in sys.modules} & set(sys.argv[1:]))"
    )
    names = ["requests", "urllib3", "pandas", "fsspec", "ray", "bs4", "justext", "warcio", "mwparserfromhell"]
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
