import json
import re
import time
from itertools import pairwise

import pyarrow as pa
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.ledger.counts import Failure
from nemo_curator.pipeline import Pipeline
from nemo_curator.report import load_record, write_report
from nemo_curator.report.page import MOST_BYTES, render, style
from nemo_curator.stages.text.filters import ScoreFilter, WordCountFilter
from nemo_curator.tasks import DocumentBatch
from tests.report.parsing import Page

TAGS = {"page", "html", "head", "meta", "title", "style", "body", "a", "header", "nav", "main", "footer", "section"}
TAGS |= {"p", "h1", "h2", "h3", "h4", "ul", "li", "dl", "dt", "dd", "div", "span", "b", "i", "strong", "code", "pre"}
TAGS |= {"table", "caption", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "details", "summary", "img"}
TAGS |= {"svg", "defs", "pattern", "rect", "path"}
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\" onmouseover='alert(1)",
    "</style></title></pre></table>",
    "\x00\x1b[31m\x85",
    "\ud800 alone",
    "\u202eright to left\u2066",
    "&lt;b&gt; &amp;lt; ]]> <!-- -->",
]


@pytest.fixture(scope="module")
def page(finished):
    return Page(render(json.loads(json.dumps(finished[1]))))


def test_a_page_is_well_formed_and_its_links_lead_somewhere(page):
    names = [one.attributes["id"] for one in page.root.all() if "id" in one.attributes]
    assert len(names) == len(set(names))
    assert {one.attributes["href"].removeprefix("#") for one in page.root.all("a")} <= set(names)
    assert {one.attributes["aria-labelledby"] for one in page.root.all("section")} <= set(names)
    assert {one.name for one in page.root.all()} <= TAGS


def test_a_page_needs_nothing_else(page):
    text = render_text(page)
    assert "://" not in re.sub(r"<svg[^>]*>", "", text)
    assert [one for one in page.root.all() if one.name in ("script", "link", "iframe", "object")] == []
    assert re.findall(r"url\((?!#)", style()) == []
    assert "@import" not in style()
    policy = page.root.all("meta", **{"http-equiv": "Content-Security-Policy"})[0].attributes["content"]
    assert policy.startswith("default-src 'none';")


def render_text(page):
    return " ".join(str(value) for one in page.root.all() for value in (*one.attributes.values(), one.text))


def test_what_is_drawn_is_in_a_table_as_well(page):
    drawn = [one for one in page.root.all("figure") if one.with_class("bar") or one.all("rect")]
    assert len(drawn) == 4  # the funnel, time and memory, two histograms
    assert all(one.all("table") and one.all("figcaption") for one in drawn)
    for table in page.root.all("table"):
        assert len(table.all("caption")) == 1
        assert all(one.attributes["scope"] in ("col", "row", "rowgroup") for one in table.all("th"))
    pictures = [one for one in page.root.all() if one.name == "svg" or "bar" in one.attributes.get("class", "").split()]
    assert all(one.attributes["aria-hidden"] == "true" for one in pictures)


def test_a_page_can_be_read_without_a_mouse(page):
    assert [len(page.root.all(name)) for name in ("main", "header", "nav", "h1")] == [1, 1, 1, 1]
    first = page.root.all("body")[0].children[0]
    assert (first.name, first.attributes["href"]) == ("a", "#main")
    levels = [int(one.name[1]) for one in page.root.all() if re.fullmatch(r"h\d", one.name)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(one.children[0].name == "summary" for one in page.root.all("details"))


def test_the_key_numbers_are_those_of_the_record(page, record):
    tiles = dict(zip(*([one.text for one in page.root.all("header")[0].all(name)] for name in ("dt", "dd"))))
    reader, filters = record["stages"][1:3]
    kept = filters["rows_out"]
    assert tiles["Rows in"] == f"{reader['rows_in']:,}" == "401"
    assert tiles["Rows out"] == str(kept)
    assert tiles["Kept"] == f"{kept / 401:.1%}"


def test_the_funnel_leads_from_input_to_output_and_adds_up(page, record):
    table = page["funnel"].all("table")[0]
    rows = {row[0]: row[1:] for row in table.rows()[1:] if len(row) == 4}
    filters = record["stages"][2]
    words, digits = filters["dropped"]["word_count"], filters["dropped"]["numbers_ratio"]
    assert rows["Input"] == ["", "", "401"]
    assert rows["InputErrorfailed"] == ["−1", "0.2%", "400"]
    assert rows["word_countdropped"] == [f"−{words}", f"{words / 400:.1%}", f"{400 - words}"]
    left = 400 - words - digits
    assert rows["numbers_ratiodropped"] == [f"−{digits}", f"{digits / (400 - words):.1%}", f"{left}"]
    assert rows["Output"] == ["", "", str(left)]
    line = page["funnel"].with_class("balance")[0].text
    assert line == f"401 in = {left} out + {words + digits} dropped + 1 failed ✓ Every row is accounted for."


def test_rows_that_do_not_add_up_are_named(record):
    record["stages"][2]["rows_out"] -= 3
    record["stages"][3]["rows_in"] -= 3
    record["stages"][3]["rows_out"] -= 3
    page = Page(render(record))
    name = record["stages"][2]["stage"]
    assert page["funnel"].with_class("balance")[0].text.endswith(f"✗ It does not add up. {name}: 3 rows missing")
    assert "its rows do not add up" in page.root.with_class("verdict")[0].text


def test_a_histogram_counts_every_score_and_marks_the_threshold(page, record):
    section = next(one for one in page.root.all("section") if one.attributes["aria-labelledby"] == "filter-1")
    scores = record["stages"][2]["scores"]["word_count"]
    rows = section.all("details")[0].all("table")[0].rows()[1:]
    for place, kind in ((1, "kept"), (2, "dropped")):
        assert sum(int(row[place].replace(",", "")) for row in rows) == scores[kind]
    assert [one.text for one in section.with_class("line")] == ["5", "30"]
    assert "Kept from 5 to 30." in section.all("figcaption")[0].text
    assert section.with_class("where")[0].text.startswith("WordCountFilter(lang=en, max_words=30, min_words=5)")


def test_samples_are_texts_whatever_they_look_like(page, record):
    section = next(one for one in page.root.all("section") if one.attributes["aria-labelledby"] == "filter-2")
    for kind in ("kept", "dropped"):
        texts = {one["text"] for one in record["stages"][2]["samples"]["numbers_ratio"][kind]}
        shown = section.with_class(f"of-{kind}")[0].all("pre")
        assert {one.text for one in shown} == texts
        assert all(one.attributes["dir"] == "auto" for one in shown)


def test_failures_are_shown_with_where_they_are_from(page):
    assert page["failures"].all("summary")[0].text == "InputError: 1 row"
    assert "a.jsonl:401" in page["failures"].with_class("from")[0].text


def test_the_settings_of_every_stage_and_what_it_ran_on_are_there(page, record):
    again = page["again"]
    assert record["python"] in again.all("dl")[0].text
    assert [one.all("b")[0].text for one in again.all("details")] == [one["name"] for one in record["settings"]]


def test_a_run_that_failed_says_why(record):
    record["error"] = "RunFailedError: 1 rows failed\n  jsonl_reader: InputError"
    page = Page(render(record))
    assert page.root.with_class("verdict")[0].text == "✗ Failed: RunFailedError: 1 rows failed"
    assert "  jsonl_reader: InputError" in page.root.all("header")[0].all("pre")[0].text


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_of_the_data_becomes_part_of_the_page(record, text):
    stage = record["stages"][2]
    stage["stage"] = record["pipeline"] = record["description"] = record["command"] = text
    stage["dropped"] = {text: stage["rows_in"] - stage["rows_out"]}
    labels = {"labels": {text: [1, 2]}}
    stage["scores"] = {text: {**stage["scores"]["word_count"], **labels}}
    image = {"image": f"data:image/png;base64,AAAA{text}", "id": text, "source": text, "score": text}
    stage["samples"] = {
        text: {"kept": [{"text": text}, image], "dropped": [{**image, "image": "data:image/png;base64,AA"}]}
    }
    stage["failed"] = {}
    record["failures"] = [vars(Failure(text, text, text, text, text))]
    record["settings"] = [{"name": text, "class": text, text: text}]
    record["packages"] = {text: text}
    clusters = {"clusters": 1, "removed": 1, "measured": {text: 1}, "sizes": {text: 2}}
    clusters["largest"] = [{"cluster_id": text, "size": 2, "min_similarity": 1.0, "members": [{"text": text}]}]
    for made in (record, {"workflow": text, "runs": {text: record}, "clusters": clusters}):
        written = render(made).encode()
        assert b"\x00" not in written
        page = Page(written.decode())
        assert {one.name for one in page.root.all()} <= TAGS
        assert [key for one in page.root.all() for key in one.attributes if key.startswith("on")] == []
        assert page.root.all("h1")[0].text == shown(text)
        assert len(page.root.all("img")) == 1


def shown(text):
    return re.sub(r"[\x00-\x1f]", lambda found: chr(0x2400 + ord(found[0])), text).translate(
        {code: f"[U+{code:04X}]" for code in (0x85, 0x202E, 0x2066, 0xD800)}
    )


@pytest.mark.parametrize(
    "image", ["javascript:alert(1)", "data:text/html;base64,AA", "data:image/svg+xml;base64,AA", 5]
)
def test_only_pictures_that_a_browser_draws_are_pictures(record, image):
    record["stages"][2]["samples"]["word_count"]["kept"] = [{"image": image, "id": 1}]
    assert Page(render(record)).root.all("img") == []


def test_a_page_of_a_million_rows_and_thirty_filters_is_small_and_made_at_once(record):
    stage = record["stages"][2]
    name, scores = "filter", {"kept": 900_000, "dropped": 100_000, "no_score": 0}
    scores["buckets"] = [
        [1.03**step, 1.03 ** (step + 1), 3000 * (step > 30), 3000 * (step <= 30)] for step in range(300)
    ]
    scores |= {"kept_min": 1.03**31, "kept_max": 1.03**300, "dropped_min": 1.0, "dropped_max": 1.03**31 - 1e-6}
    sample = {
        "text": "<&'\"" * 125,
        "score": 2.0,
        "source": "s" * 100,
        "image": f"data:image/jpeg;base64,{'A' * 12_000}",
    }
    for filters in (30, 150):
        stage["dropped"] = {f"{name}-{place}": 1000 for place in range(filters)}
        stage["scores"] = {by: {**scores} for by in stage["dropped"]}
        stage["samples"] = {by: {"kept": [sample] * 5, "dropped": [sample] * 5} for by in stage["dropped"]}
        start = time.process_time()
        made = render(record)
        assert time.process_time() - start < 2.0
        assert len(made.encode()) < MOST_BYTES == 5_000_000
    assert "50 more filters" in made


def test_a_workflow_has_a_section_for_each_of_its_pipelines(record):
    clusters = {"clusters": 2, "removed": 5, "measured": {"exact": 5}, "sizes": [[2, 2, 1], [3, 4, 1]], "largest": []}
    made = Page(
        render({"workflow": "dedup", "runs": {"find": record, "removal": record}, "metadata": {"clusters": clusters}})
    )
    assert [one.text for one in made.root.all("h2")] == ["Duplicates", "1. find", "2. removal", "To run it again"]
    assert (
        made["clusters"].all("p")[0].text.startswith("2 groups of rows that are alike; one of each stays, and 5 rows")
    )
    assert made["clusters"].all("table")[1].rows()[1:] == [["2", "1"], ["3 to 4", "1"]]
    assert made["run-2-funnel"].with_class("balance")


def test_writing_a_report_leaves_one_file_beside_the_record(finished, tmp_path, memory_folder):
    finished[0].save(tmp_path)
    write_report(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ledger.json", "ledger.parquet", "report.html"]
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render(load_record(tmp_path))
    finished[0].save(memory_folder)
    write_report(memory_folder)
    import fsspec

    assert fsspec.open(f"{memory_folder}/report.html", "rb").open().read() == (tmp_path / "report.html").read_bytes()


@pytest.fixture
def memory_folder():
    import fsspec

    yield "memory://runs/one"
    fsspec.filesystem("memory").rm("/runs", recursive=True)


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_and_bars_can_be_told_from_what_is_behind_them(scheme):
    blocks = re.findall(r":root \{(.*?)\}", style(), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[0]))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[1]))
    for ground in ("page", "card"):
        for text in ("text", "muted", "link", "good", "bad", "failed"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for bar in ("kept", "gone", "failed", "time", "memory"):
        assert contrast(colours[bar], colours["track"]) >= 3, bar


def test_filters_of_one_name_have_the_settings_of_their_own_stage():
    batch = DocumentBatch("d", pa.table({"text": ["one", "one two", "one two three"]}))
    stages = [ScoreFilter(WordCountFilter(min_words=least)) for least in (2, 3)]
    pipeline = Pipeline("twice", stages=stages)
    pipeline.run(LocalExecutor(num_workers=0), [batch])
    shown = [one.text for one in Page(render(pipeline.last_run.to_dict())).root.with_class("where")]
    assert [re.search(r"min_words=(\d)", text)[1] for text in shown] == ["2", "3"]


def test_a_sample_without_text_says_so():
    batch = DocumentBatch("d", pa.table({"text": [" \n", "one two"]}))
    pipeline = Pipeline("empty", stages=[ScoreFilter(WordCountFilter(min_words=2))])
    pipeline.run(LocalExecutor(num_workers=0), [batch])
    dropped = Page(render(pipeline.last_run.to_dict())).root.with_class("of-dropped")[0]
    assert "A text without a visible character." in dropped.text
