import json

import pytest

from nemo_curator.cli.catalog import parameters_of
from nemo_curator.cli.main import main
from nemo_curator.config.catalog import find_classes
from nemo_curator.stages.text.filters import DocumentFilter, WordCountFilter


def test_what_is_listed_is_what_the_package_has(capsys):
    assert main(["stages", "--json"]) == 0
    listed = {(one["name"], one["kind"]): one for one in json.loads(capsys.readouterr().out)}
    for name, kind in (("JsonlReader", "stage"), ("WordCountFilter", "filter"), ("UnicodeReformatter", "modifier")):
        assert (name, kind) in listed
    assert {name for name, kind in listed if kind == "filter"} == {cls.__name__ for cls in find_classes(DocumentFilter)}
    assert all(one["summary"].endswith(".") for one in listed.values())


def test_a_target_is_what_yaml_names(capsys):
    from nemo_curator.config.build import build

    assert main(["stages", "WordCountFilter", "--json"]) == 0
    (described,) = json.loads(capsys.readouterr().out)
    assert build({"_target_": described["target"]}) == WordCountFilter()
    assert described["parameters"][0] == {"name": "min_words", "type": "int", "default": "50"}


def test_a_parameter_without_a_default_must_be_given(capsys):
    assert main(["stages", "ScoreFilter"]) == 0
    out = capsys.readouterr().out
    assert "Keep the documents whose scores pass." in out
    assert [line.split()[-3:] for line in out.splitlines() if line.startswith("filter_obj")] == [
        ["must", "be", "given"]
    ]


def test_private_parameters_are_not_shown():
    from nemo_curator.stages.text.io.reader import JsonlReader

    names = [one.name for one in parameters_of(JsonlReader)]
    assert names[:2] == ["file_paths", "files_per_partition"]
    assert not [name for name in names if name.startswith("_")]


@pytest.mark.parametrize("typo", ["WordCoutFilter", "wordcountfilter", "WordCount"])
def test_a_typo_suggests_names(typo, capsys):
    assert main(["stages", typo]) == 2
    assert "did you mean WordCountFilter" in capsys.readouterr().err


def test_what_is_like_nothing_is_referred_to_the_list(capsys):
    assert main(["stages", "qqqq"]) == 2
    assert "`curator stages` lists them" in capsys.readouterr().err
