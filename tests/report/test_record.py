import json

import pytest

from nemo_curator.errors import InputError
from nemo_curator.report import load_record
from nemo_curator.report.record import runs_of


def test_a_record_is_read_from_its_folder_or_its_file(finished, tmp_path):
    finished[0].save(tmp_path)
    record = load_record(tmp_path)
    assert record == json.loads((tmp_path / "ledger.json").read_text())
    assert load_record(f"{tmp_path}/") == load_record(tmp_path / "ledger.json") == record
    assert load_record(tmp_path.as_uri()) == record


def test_the_runs_of_a_workflow_are_in_its_record_or_in_folders(record, tmp_path):
    (tmp_path / "workflow.json").write_text(json.dumps({"workflow": "w", "runs": {"one": record}}))
    assert list(runs_of(load_record(tmp_path))) == ["one"]
    for name in ("02-removal", "01-find"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "ledger.json").write_text(json.dumps(record))
    (tmp_path / "runs" / "03-not-begun").mkdir()
    (tmp_path / "workflow.json").write_text(json.dumps({"workflow": "w"}))
    assert list(runs_of(load_record(tmp_path))) == ["find", "removal"]


def test_a_workflow_that_was_ended_is_read_as_far_as_it_came(record, tmp_path):
    (tmp_path / "runs" / "01-find").mkdir(parents=True)
    (tmp_path / "runs" / "01-find" / "ledger.json").write_text(json.dumps(record))
    found = load_record(tmp_path)
    assert (list(found["runs"]), found["workflow"]) == (["find"], tmp_path.name)
    assert "did not come to its end" in found["error"]


def test_a_folder_without_a_record_says_what_was_wanted(tmp_path):
    with pytest.raises(InputError, match=r"holds no record of a run: wanted ledger.json or workflow.json there; give"):
        load_record(tmp_path)
    with pytest.raises(InputError, match=r"there is no .*/ledger.json"):
        load_record(tmp_path / "ledger.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"stages": [', "is damaged: it is no JSON"),
        (b"\xff\xfe\x00\xd8", "is damaged: it is no JSON"),
        ("[" * 100_000, "is damaged: it is no JSON"),
        ("[]", "is no record of a run: it holds a list"),
        ('{"a": 1}', "has neither 'stages' nor 'runs'"),
        (
            '{"format": 2, "stages": []}',
            "is of format 2, and this version knows formats up to 1; .*pip install -U curator-ray",
        ),
        ('{"format": "new", "stages": []}', "is of format new"),
        ('{"stages": 3}', "'stages' is no list of objects"),
        ('{"stages": [{}]}', "'stage' of a stage is not what it should be"),
        ('{"stages": [{"stage": "a", "rows_in": "many"}]}', "'rows_in' of a stage is not what it should be"),
        ('{"stages": [{"stage": "a", "dropped": {"b": null}}]}', "'dropped by b' of a stage is not what it should be"),
        ('{"stages": [{"stage": "a", "failed": []}]}', "'failed' of a stage is no object"),
        ('{"runs": []}', "'runs' is a list"),
        ('{"runs": {"one": {}}}', "run 'one' is damaged"),
    ],
)
def test_a_record_that_cannot_be_read_says_why(tmp_path, text, message):
    (tmp_path / "ledger.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message):
        load_record(tmp_path)


def test_numbers_of_a_stage_that_were_not_recorded_are_not_needed(tmp_path):
    from nemo_curator.report.page import render

    (tmp_path / "ledger.json").write_text('{"stages": [{"stage": "a"}, {"stage": "b", "rows_in": 2, "rows_out": 2}]}')
    assert "Every row is accounted for" in render(load_record(tmp_path))
