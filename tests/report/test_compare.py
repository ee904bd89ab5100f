import copy
import json

from nemo_curator.report.compare import compare
from nemo_curator.report.compare_page import render_comparison
from tests.report.conftest import run_pipeline
from tests.report.parsing import Page


def words_of(found, title):
    return {one.what: one.words() for one in found[title]}


def test_two_runs_are_compared_filter_by_filter(record, tmp_path):
    now = run_pipeline(tmp_path, min_words=10)[1]
    found = compare(record, now)
    before, after = (run["stages"][2]["dropped"] for run in (record, now))
    drops = words_of(found, "Dropped by filter")
    for name in ("word_count", "numbers_ratio"):
        assert drops[name][:2] == (str(before[name]), str(after[name]))
    assert drops["word_count"][2].startswith(f"+{after['word_count'] - before['word_count']} (+")
    assert words_of(found, "Settings that differ")["word_count: min_words"] == ("5", "10", "changed")
    assert words_of(found, "Rows, time and memory")["Rows in"] == ("401", "401", "same")
    assert list(words_of(found, "Time by stage")) == [stage["stage"] for stage in now["stages"]]
    page = Page(render_comparison(record, now, ("runs/1", "runs/2")))
    table = next(one for one in page.root.all("table") if one.all("caption")[0].text == "Dropped by filter")
    assert [tuple(row[1:]) for row in table.rows()[1:]] == list(drops.values())
    assert "runs/1: ✓ Finished" in page.root.all("header")[0].text
    names = [one.attributes["id"] for one in page.root.all() if "id" in one.attributes]
    assert len(names) == len(set(names))


def test_what_is_in_one_run_only_is_new_or_gone(record):
    now = copy.deepcopy(record)
    del now["settings"][-1], now["stages"][-1]
    now["stages"][2]["dropped"]["urls"] = 0
    found = compare(record, now)
    assert words_of(found, "Time by stage")["jsonl_writer"][1:] == ("–", "gone")
    assert words_of(found, "Dropped by filter")["urls"] == ("–", "0", "new")
    settings = words_of(found, "Settings that differ")
    assert list(settings) == ["jsonl_writer: class"]


def test_filters_of_one_name_in_several_stages_are_told_apart(record):
    now = copy.deepcopy(record)
    for run in (record, now):
        run["stages"][3]["dropped"] = {"word_count": 1}
    names = list(words_of(compare(record, now), "Dropped by filter"))
    assert names == [f"{record['stages'][2]['stage']}: word_count", "numbers_ratio", "jsonl_writer: word_count"]


def test_versions_that_differ_are_told(record):
    now = {**record, "python": "3.99", "packages": {"numpy": "9.9"}}
    found = words_of(compare({**record, "packages": {"numpy": "9.8"}}, now), "Environment that differs")
    assert found == {"python": (record["python"], "3.99", "changed"), "numpy": ("9.8", "9.9", "changed")}


def test_pipelines_of_workflows_are_matched_by_their_names(record):
    before = {"workflow": "w", "runs": {"find": record, "removal": record}}
    now = {"workflow": "w", "runs": {"find": json.loads(json.dumps(record)), "check": record}}
    found = compare(before, now)
    assert words_of(found, "Pipelines in one of them only") == {
        "check": ("–", "check", "new"),
        "removal": ("removal", "–", "gone"),
    }
    assert "find: Dropped by filter" in found
    assert not any(title.startswith("removal") for title in found)
