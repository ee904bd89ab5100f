import pytest

from nemo_curator.config.load import line_of, load_config, resolve
from nemo_curator.errors import ConfigError

TEXT = """
input_path: ???
text_field: text
limit: 1e-3
stages:
  - _target_: a.B
    field: ${text_field}
    paths: ["${input_path}/x", "${stages.0.field}"]
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "job.yaml"
    file.write_text(TEXT)
    return file


def test_values_are_given_replaced_and_named(path):
    config = resolve(load_config(path, ["input_path=/data", "text_field=body", "+stages.0.n=3", "++new.deep=[1]"]))
    assert config["stages"] == [{"_target_": "a.B", "field": "body", "paths": ["/data/x", "body"], "n": 3}]
    assert (config["limit"], config["new"], config["text_field"]) == (0.001, {"deep": [1]}, "body")


def test_keys_are_taken_out(path):
    assert resolve(load_config(path, ["~stages", "input_path=x"])).keys() == {"input_path", "text_field", "limit"}


def test_a_reference_alone_keeps_its_type_and_the_environment_is_read(monkeypatch):
    monkeypatch.setenv("FOLDER", "/home")
    given = {"n": 3, "same": "${n}", "list": ["${n} of ${oc.env:FOLDER}", "${oc.env:NOWHERE,5}"], "all": "${list}"}
    assert resolve(given) == {"n": 3, "same": 3, "list": ["3 of /home", "5"], "all": ["3 of /home", "5"]}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], r"values are missing; give input_path=…"),
        (["inputpath=x"], r"there is no 'inputpath'; did you mean 'input_path'\?"),
        (["stages.1.field=x"], "'1' names nothing in a list of 1"),
        (["stages.0.feild=x"], "did you mean 'field'"),
        (["+limit=3"], "'limit' is there already"),
        (["limit"], "wanted key=value"),
        (["+stages.1=x"], "'1' names nothing in a list of 1"),
        (["++stages.first=x"], "'first' names nothing in a list of 1"),
        (["+text_field.deep=x"], "'deep' names nothing in the str 'text'"),
        (["~nothing"], "there is no 'nothing'"),
        (["limit=[1"], "limit=\\[1 is not YAML"),
        (["input_path=${textfield}"], "input_path: there is no 'textfield'; did you mean 'text_field'"),
        (["input_path=${text_field}", "text_field=${input_path}"], "goes round in a circle"),
        (["+list=[1]", "input_path=x${list}"], "is a list and cannot be part of a text"),
        (["input_path=${oc.env:NOWHERE_AT_ALL}"], "NOWHERE_AT_ALL is not set"),
        (["input_path=${now:%Y}"], "wanted a key, or oc.env:NAME"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(path, overrides, message):
    with pytest.raises(ConfigError, match=message):
        resolve(load_config(path, overrides))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "job.yaml, line 1: \\['a'\\] given twice"),
        ("- 1\n", "holds a list; wanted keys with values"),
        ("a: [\n", "job.yaml, line 2 is not YAML"),
        ("defaults: [other]\n", "write it as one file"),
        ("a: !!python/object/apply:os.getpid []\n", "is not YAML: could not determine a constructor"),
    ],
)
def test_a_file_that_is_no_configuration_says_so(tmp_path, text, message):
    (tmp_path / "job.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / "job.yaml")


def test_a_file_that_is_not_there_names_those_that_are(path):
    with pytest.raises(ConfigError, match=r"did you mean 'job.yaml'\?; there are \['job.yaml'\]"):
        load_config(path.with_name("jobs.yaml"))


def test_what_the_environment_holds_is_not_taken_for_a_reference(monkeypatch):
    monkeypatch.setenv("AAA", "x${oc.env:AAA}")
    monkeypatch.setenv("NAME", "AAA")
    assert resolve({"path": "/tmp/${oc.env:AAA}"}) == {"path": "/tmp/x${oc.env:AAA}"}
    assert resolve({"path": "a${oc.env:${oc.env:NAME}}"}) == {"path": "ax${oc.env:AAA}"}


@pytest.mark.parametrize(
    ("place", "line"),
    [("stages", 2), ("stages.1", 4), ("stages.1.filter", 5), ("stages.1.filter.min", 6), ("stages.7", 2), ("x", None)],
)
def test_a_place_has_a_line(tmp_path, place, line):
    path = tmp_path / "job.yaml"
    path.write_text("a: 1\nstages:\n- {name: first}\n- name: second\n  filter:\n    min: 3\n")
    assert line_of(path, place) == line


def test_mappings_are_merged_and_a_key_that_is_given_twice_is_still_found(tmp_path):
    path = tmp_path / "merged.yaml"
    path.write_text("one: &one {a: 1, b: 2}\ntwo: {<<: *one, b: 3}\n")
    assert load_config(path)["two"] == {"a": 1, "b": 3}
    path.write_text("one: &one {a: 1}\ntwo: {<<: *one, b: 3, b: 4}\n")
    with pytest.raises(ConfigError, match=r"line 2: \['b'\] given twice"):
        load_config(path)
