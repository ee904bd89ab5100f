import json
from types import SimpleNamespace

import pytest
import yaml

from nemo_curator.cli.main import main
from nemo_curator.config.build import ALLOWED
from nemo_curator.config.catalog import KINDS, classes_by_name, find_classes
from nemo_curator.config.run import create_pipeline_from_yaml
from nemo_curator.config.short import OF_FILTERS, OF_MODIFIERS, ShortForm
from nemo_curator.errors import ConfigError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.exact.workflow import ExactDeduplicationWorkflow
from nemo_curator.stages.image.io import ImageReaderStage, ImageWriterStage
from nemo_curator.stages.text.filters import LineFilter, MarkRejected, ScoreFilter, WordCountFilter
from nemo_curator.stages.text.io.reader import HuggingFaceReader, JsonlReader, ParquetReader
from nemo_curator.stages.text.io.writer import HuggingFaceWriter, JsonlWriter, ParquetWriter
from nemo_curator.stages.text.modifiers import Modify
from tests.test_contracts import PARAMETERS

JOB = """\
name: clean
shortest: 3
read: data/*.jsonl
stages:
  - WordCountFilter: {min_words: "${shortest}", score_field: words}
  - UnicodeReformatter
  - Slicer:
      right: "!"
      output_field: cut
write: {ParquetWriter: {path: out}}
"""


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    lines = [f'{{"text": "{text}"}}\n' for text in ("one two three!!", "one two", "one two three four")]
    (tmp_path / "data" / "a.jsonl").write_text("".join(lines))
    (tmp_path / "job.yaml").write_text(JOB)
    return tmp_path


def run(*arguments):
    return main(["run", *arguments, "--num-workers", "0"])


def test_a_file_runs_with_the_values_given(job, capsys):
    assert run("job.yaml", "shortest=4", "--json") == 0
    account = json.loads(capsys.readouterr().out)
    assert account["pipeline"] == "clean"
    assert {stage["stage"]: stage["dropped"] for stage in account["stages"] if stage["dropped"]} == {
        "word_count": {"word_count": 2}
    }
    (file,) = (job / "out").glob("*.parquet")
    from pyarrow.parquet import read_table

    rows = [{"text": "one two three four", "words": 4, "cut": ""}]
    assert read_table(file).to_pylist() == rows


def test_a_dry_run_prints_the_plan(job, capsys):
    assert run("job.yaml", "stages.0.WordCountFilter.min_words=1", "--dry-run") == 0
    out = capsys.readouterr().out
    assert out.startswith("Pipeline: clean")
    assert "jsonl_reader + word_count + UnicodeReformatter + Slicer + parquet_writer" in out
    assert not (job / "out").exists()


def test_filters_and_modifiers_become_stages_of_a_column():
    config = {
        "text_field": "body",
        "stages": [
            "WordCountFilter",
            {"WordCountFilter": {"min_words": 3, "text_field": "title", "invert": True, "resources": {"cpus": 2}}},
            {"Slicer": {"left": 1, "output_field": "rest"}},
            {"LineFilter": {"filter_obj": ["EndMarkFilter", {"WordCountFilter": {"min_words": 2}}]}},
            {"_target_": "nemo_curator.stages.text.filters.ScoreFilter", "filter_obj": {"_target_": FULL}},
            {FULL: {"min_words": 5}},
        ],
    }
    plain, inverted, cut, lines, long, full = create_pipeline_from_yaml(config).stages
    assert all(isinstance(stage, ScoreFilter) for stage in (plain, inverted, long, full))
    assert (plain.text_field, inverted.text_field, long.text_field) == (["body"], ["title"], ["text"])
    assert (inverted.invert, inverted.resources.cpus, inverted.filter_obj) == ([True], 2, [WordCountFilter(3)])
    assert isinstance(cut, Modify)
    assert (cut.input_fields, cut.output_fields) == ([["body"]], ["rest"])
    assert isinstance(lines, LineFilter)
    assert [one.name for one in lines.filters] == ["end_mark", "word_count"]
    assert lines.text_field == "body"
    assert full.filter_obj == [WordCountFilter(5)]


FULL = "nemo_curator.stages.text.filters.WordCountFilter"


@pytest.mark.parametrize(
    ("read", "write", "reader", "writer"),
    [
        ("a.parquet", "out", ParquetReader, ParquetWriter),
        (["a.jsonl.gz", "b.jsonl"], "out", JsonlReader, JsonlWriter),
        ("s3://bucket/*.jsonl.zst", {"ParquetWriter": {"path": "out"}}, JsonlReader, ParquetWriter),
        ("shards/*.tar", "out", ImageReaderStage, ImageWriterStage),
        ("data", "out", JsonlReader, JsonlWriter),
        ({"HuggingFaceReader": {"path": "user/name"}}, "out", HuggingFaceReader, HuggingFaceWriter),
    ],
)
def test_files_are_read_by_their_endings_and_written_as_they_came(job, read, write, reader, writer):
    first, last = create_pipeline_from_yaml({"read": read, "write": write}).stages
    assert (type(first), type(last)) == (reader, writer)


def test_a_workflow_is_named_too():
    parameters = {"input_path": "in", "output_path": "out"}
    made = create_pipeline_from_yaml({"workflow": {"ExactDeduplicationWorkflow": parameters}})
    assert isinstance(made, ExactDeduplicationWorkflow)


LINES = {
    "  - WordCountFiler: {min_words: 3}": "stages.0.WordCountFiler: WordCountFiler is no stage, filter or modifier; "
    "did you mean WordCountFilter",
    "  - WordCountFilter: {min_word: 3}": "stages.0.WordCountFilter.min_word: WordCountFilter has no parameter "
    "'min_word'; did you mean 'min_words'?; it has ['min_words', 'max_words', 'lang', 'name', 'text_field', "
    "'score_field', 'invert']",
    "  - WordCountFilter: {min_words: three}": "stages.0.WordCountFilter.min_words is 'three'; wanted int",
    "  - WordCountFilter: {lang: no}": "stages.0.WordCountFilter.lang is False; wanted str; a text that YAML takes for "
    "something else needs quotes",
    "  - WordCountFilter: 3": "stages.0.WordCountFilter is 3; wanted its parameters by their names",
    "  - Slicer: {left: [a]}": "stages.0.Slicer.left is ['a']; wanted",
    "  - AddId": "stages.0: AddId: missing a required argument: 'id_field'; it has ['id_field'",
    "  - LineFilter: {filter_obj: [EndMarkFiltr]}": "stages.0.LineFilter.filter_obj.0: EndMarkFiltr is no stage",
    "  - IdentifyDuplicatesStage": "stages.0: there are several IdentifyDuplicatesStage; give the full name: nemo",
    "  - nemo_curator.stages.resources.Resources": "stages.0: nemo_curator.stages.resources.Resources is neither",
    "  - os.system": "stages.0: os.system is not of nemo_curator",
    "  - ExactDeduplicationWorkflow: {input_path: a}": "ExactDeduplicationWorkflow is neither a stage nor a filter",
    "  - 3": "stages.0 is 3; wanted the name of a class",
    "  - WordCountFilter: {min_words: [}": "is not YAML",
    "  - ScoreFilter: {filter_obj: {_target_: os.X}}": "stages.0.ScoreFilter.filter_obj: os.X is not of nemo_curator",
    "  - ScoreFilter: {filter_obj: []}": "stages.0.ScoreFilter: ScoreFilter: filter_obj is an empty list",
}


@pytest.mark.parametrize("line", LINES)
def test_a_mistake_is_named_with_file_and_line(job, line):
    (job / "job.yaml").write_text(f"# a job\n\nread: data\nstages:\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        create_pipeline_from_yaml("job.yaml")
    found = str(caught.value)
    assert found.startswith("job.yaml, line 5")
    assert LINES[line] in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "read: data\nstags: []\n",
            "job.yaml, line 2: stags: there is no such key, and no ${stags} uses it as a value; ",
        ),
        ("read: data\nwrite: out\nchekpoint_path: x\n", "line 3: chekpoint_path: there is no such key"),
        ("read: data\nwrite: out\nspeed: 3\n", "line 3: speed: there is no such key"),
        (f"stages:\n- _target_: {FULL}\non_chnge: x\n", "line 3: on_chnge: there is no such key"),
        (
            "stages:\n  - WordCountFilter:\n    min_words: 3\n",
            "line 3: stages.0.min_words: min_words stands beside WordCountFilter; indent the parameters",
        ),
        ("stages:\n  - A: {}\n    B: {}\n", "line 3: stages.0.B: B stands beside A; begin each with '- '"),
        ("read: data\nread: data\n", "line 1: ['read'] given twice"),
        ("read: data\n\twrite: out\n", "line 2 is not YAML"),
        ("read: nothing.txt\nwrite: out\n", "no such file"),
        ("read: job.yaml\nwrite: out\n", "line 1: read is ['job.yaml']: no file there ends in .jsonl"),
        ("read: data\nwrite: out.jsonl\n", "line 2: write is 'out.jsonl'; wanted a folder"),
        ("read: data\n", "wanted 'stages' or 'workflow', found ['read']"),
        (
            "text_field: a\nstages:\n  - SubstringFilter:\n      substring: ???\n",
            "give stages.0.SubstringFilter.substring=…",
        ),
    ],
)
def test_a_mistake_in_the_whole_is_named_as_well(job, text, message):
    (job / "job.yaml").write_text(text)
    with pytest.raises(ValueError) as caught:
        create_pipeline_from_yaml("job.yaml")
    assert message in str(caught.value)


def test_values_of_a_long_form_that_nothing_uses_are_nobodys_mistake(job):
    (job / "job.yaml").write_text(f"lang: en\nhydra: {{run: x}}\nstages:\n- _target_: {FULL}\n")
    with pytest.raises(ConfigError, match="wanted a stage"):
        create_pipeline_from_yaml("job.yaml")
    assert run("job.yaml", "+chekpoint_path=x") == 2


def test_classes_of_a_package_of_your_own_are_named_when_it_is_allowed(tmp_path, monkeypatch):
    (tmp_path / "short_own.py").write_text(
        "from nemo_curator.stages.text.filters import DocumentFilter\n\n"
        "class ShortOwnFilter(DocumentFilter):\n    def score_document(self, text):\n        return 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="ShortOwnFilter is no stage"):
        create_pipeline_from_yaml({"stages": ["ShortOwnFilter"]})
    made = create_pipeline_from_yaml({"stages": ["ShortOwnFilter"]}, allowed=(*ALLOWED, "short_own"))
    assert made.stages[0].filter_obj[0].score_document("") == 1
    with pytest.raises(ConfigError, match="--allow no_such_package"):
        create_pipeline_from_yaml({"stages": ["WordCountFilter"]}, allowed=(*ALLOWED, "no_such_package"))


def test_settings_of_the_run_stand_beside_the_stages(job, capsys):
    assert run("job.yaml", "+backend=local", "+rejected_path=rejects", "--json") == 0
    assert json.loads(capsys.readouterr().out)["executor"] == "LocalExecutor"
    assert list((job / "rejects").rglob("*.jsonl*"))


NESTED = {
    "CountRecords": {"reader": "JsonlReaderStage"},
    "HashDocuments": {
        "reader": {"JsonlReaderStage": {"fields": ["text", "id"]}},
        "text_field": "text",
        "id_field": "id",
    },
    "LineFilter": {"filter_obj": "WordCountFilter"},
    "MarkRejected": {"filter_obj": ["WordCountFilter", {"ScoreFilter": {"filter_obj": "UrlsFilter"}}]},
    "Modify": {"modifier_fn": ["UnicodeReformatter", {"Slicer": {"left": 2}}]},
    "RemoveFromFiles": {"path": "folder", "reader": "JsonlReaderStage", "ids": None},
    "Score": {"score_fn": "WordCountFilter", "score_field": "n"},
    "ScoreFilter": {"filter_obj": "WordCountFilter"},
    "Filter": {"filter_fn": {"WordCountFilter": {"min_words": 3}}, "filter_field": "n"},
}
"""How the short form names what the parameters of these take."""


def catalogue():
    names = classes_by_name(ALLOWED)
    for kind, base in KINDS.items():
        for cls in find_classes(base):
            full = f"{cls.__module__}.{cls.__name__}"
            given = NESTED.get(cls.__name__, PARAMETERS.get(full, PARAMETERS.get(cls.__name__, {})))
            name = cls.__name__ if len(names[cls.__name__]) == 1 else full
            yield pytest.param(SimpleNamespace(cls=cls, kind=kind, name=name, given=given), id=full)


def is_plain(given):
    try:
        return yaml.safe_load(yaml.safe_dump(given)) == given
    except yaml.YAMLError:
        return False


@pytest.mark.parametrize("one", list(catalogue()))
def test_everything_with_plain_parameters_is_named_as_the_catalogue_lists_it(one):
    given = one.given() if callable(one.given) else one.given
    if given is None or not is_plain(given):
        pytest.skip("its parameters are objects, or it is not built by users")
    written = yaml.safe_load(yaml.safe_dump({one.name: given}))
    stage = ShortForm(ALLOWED).stage(written, "stages.0")
    assert isinstance(stage, ProcessingStage)
    held = {"stage": stage, "filter": getattr(stage, "filter_obj", [None])}.get(one.kind) or stage.modifier_fn
    assert type(held[0] if one.kind != "stage" else held) is one.cls


def test_no_filter_or_modifier_has_a_parameter_that_the_stage_around_it_takes():
    for kind, around in (("filter", OF_FILTERS), ("modifier", OF_MODIFIERS)):
        for cls in find_classes(KINDS[kind]):
            assert around.keys().isdisjoint(getattr(cls, "__dataclass_fields__", {}))


def test_marked_stages_are_named_within():
    (stage,) = create_pipeline_from_yaml({"stages": [{"MarkRejected": NESTED["MarkRejected"]}]}).stages
    assert isinstance(stage, MarkRejected)
