import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.cli.expressions import parse_filter
from nemo_curator.cli.filtering import CASCADES
from nemo_curator.cli.main import main
from nemo_curator.errors import ConfigError
from nemo_curator.progress import display
from nemo_curator.stages.text.filters import SubstringFilter, WordCountFilter

TEXTS = ["one two three", "one two", "one two three four"]


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    pq.write_table(pa.table({"body": TEXTS}), tmp_path / "b.parquet")
    return tmp_path


def curate(*arguments):
    return main(["filter", *arguments, "--num-workers", "0"])


def rows(folder):
    tables = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    lines = [json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]
    return lines + [row for table in tables for row in table.to_pylist()]


def test_filters_run_in_order_and_each_has_its_line_in_the_account(files, capsys):
    filters = ["--filter", "WordCountFilter(min_words=3)", "--filter", "SubstringFilter('four', 'any')"]
    assert curate("in", "out", *filters, "--json") == 0
    account = json.loads(capsys.readouterr().out)
    assert {stage["stage"]: stage["dropped"] for stage in account["stages"] if stage["dropped"]} == {
        "word_count": {"word_count": 1},
        "SubstringFilter": {"SubstringFilter": 1},
    }
    assert rows(files / "out") == [{"text": TEXTS[2]}]


def test_the_format_is_that_of_the_input_or_the_one_asked_for(files):
    least = ["--filter", "WordCountFilter(min_words=3)"]
    assert curate("b.parquet", "out", *least, "--text-field", "body") == 0
    assert curate("in", "other", *least, "--format", "parquet") == 0
    assert rows(files / "out") == [{"body": TEXTS[0]}, {"body": TEXTS[2]}]
    assert [path.suffix for path in (files / "other").iterdir()] == [".parquet"]


def test_a_recipe_drops_and_says_why(files, capsys):
    assert curate("in", "out", "--with", "gopher", "--rejected", "rejects") == 0
    assert "word_count" in capsys.readouterr().out
    kept = [json.loads(line) for path in (files / "rejects").rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert len(kept) == 3


@pytest.mark.parametrize("name", sorted(CASCADES))
def test_every_recipe_reads_the_column_that_it_is_given(name):
    stages = CASCADES[name]("body")
    assert {column for stage in stages for column in stage.inputs()[1]} == {"body"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WordCountFilter", WordCountFilter()),
        ("WordCountFilter()", WordCountFilter()),
        ("WordCountFilter(5, max_words=9)", WordCountFilter(5, 9)),
        (" WordCountFilter(min_words=-1) ", WordCountFilter(-1)),
        ("SubstringFilter(substring='(', position=\"any\")", SubstringFilter("(", "any")),
    ],
)
def test_a_filter_is_written_as_a_call(text, expected):
    assert parse_filter(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("WordCountFilter(min_words=__import__('os').getpid())", "is no plain value"),
        ("WordCountFilter(min_words=10**10)", "is no plain value"),
        ("WordCountFilter(*[1])", "is no plain value"),
        ("WordCountFilter(**{'min_words': 1})", "wanted a name"),
        ("os.system('true')", "wanted a name"),
        ("WordCountFilter(1)(2)", "wanted a name"),
        ("lambda: 1", "wanted a name"),
        ("WordCountFilter(", "wanted a name"),
        ("", "wanted a name"),
        ("(" * 500, "wanted a name"),
        ("WordCoutFilter()", "did you mean WordCountFilter"),
        ("ScoreFilter()", "there is no filter ScoreFilter"),
        ("WordCountFilter(min_word=3)", "did you mean 'min_words'"),
        ("WordCountFilter(3, min_words=3)", "multiple values"),
        ("SubstringFilter()", "missing a required argument"),
        ("FastTextLangId()", "model_path is missing"),
    ],
)
def test_a_filter_that_cannot_be_made_says_why(text, message):
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")) as caught:
        parse_filter(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in", "out"], "nothing to filter by"),
        (["in", "--with", "gopher"], "Missing argument"),
        (["in", "out", "--with", "goper"], "did you mean 'gopher'"),
        (["in", "out", "--with", "gopher", "--format", "csv"], "wanted jsonl or parquet"),
        (["in", "out.jsonl", "--with", "gopher"], "is a folder of files"),
        (["in", "in", "--with", "gopher"], "is read from there"),
        (["in", "b.parquet", "out", "--with", "gopher"], "give files of one format at a time"),
        (["inn", "out", "--with", "gopher"], "there is no such file or folder"),
        (["b.parquet", "out", "--with", "gopher"], "needs ['text']"),
    ],
)
def test_wrong_usage_is_one_line_and_writes_nothing(files, arguments, message, capsys):
    assert curate(*arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
    assert not (files / "out").exists()


def test_progress_is_shown_as_asked_for(files, capsys, monkeypatch):
    monkeypatch.setattr(display, "FIRST_LINE_S", 0.0001)
    least = ["--filter", "WordCountFilter(min_words=3)"]
    assert curate("in", "out", *least, "--progress", "plain") == 0
    assert "filter: 3 rows in, 2 out, 1 dropped, 0 failed" in capsys.readouterr().err
    assert curate("in", "again", *least, "--quiet", "--no-record") == 0
    assert capsys.readouterr().err == ""
    assert curate("in", "more", *least, "--progress", "loud") == 2
    assert "'loud'; wanted one of auto, live, plain, off" in capsys.readouterr().err
    assert os.environ["CURATOR_PROGRESS"] == "off"  # as it was before
