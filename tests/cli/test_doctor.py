import json
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nemo_curator.cli import doctor
from nemo_curator.cli.main import main
from nemo_curator.kernels.compile import kept, warmup

ROOT = Path(__file__).parents[2]


def findings(capsys, code=0):
    assert main(["doctor", "--json"]) == code
    return {one["what"]: one for one in json.loads(capsys.readouterr().out)}


def test_the_machine_and_every_part_is_looked_at(capsys):
    found = findings(capsys)
    assert {"curator", "python", "machine", "GPU", "ray", "temporary files", "cache", "kernels"} <= found.keys()
    assert found["ray"]["found"].startswith(version("ray"))
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.startswith("What this machine has\nwhat ")


def test_every_extra_is_said_to_add_something():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(doctor.ADDS) == set(extras) - {"all"}


def test_an_extra_is_there_if_all_its_packages_are(capsys):
    found = findings(capsys)
    for extra, packages in doctor.requirements().items():
        if extra in ("", "all"):
            continue
        one = found[f"extra {extra}"]
        missing = [name for name in packages if not is_installed(name)]
        assert one["state"] == (doctor.MISSING if missing else doctor.GOOD)
        assert one["remedy"] == (f"pip install 'curator-ray[{extra}]'" if missing else "")
        assert all(name in one["found"] for name in missing[:2])


def is_installed(name):
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def test_a_cluster_that_is_set_is_named(capsys, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:7")
    assert "cluster at 127.0.0.1:7" in findings(capsys)["ray"]["found"]


def test_a_folder_that_cannot_be_written_is_exit_code_1(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    one = findings(capsys, code=1)["temporary files"]
    assert (one["state"], one["remedy"]) == ("broken", "set TMPDIR to a folder that can be written")


def test_a_cache_that_cannot_be_made_is_named(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert findings(capsys)["cache"]["remedy"] == "set XDG_CACHE_HOME to a folder that can be written"


def test_kernels_are_kept_once_they_are_compiled(capsys):
    assert main(["warmup"]) == 0
    names = warmup()
    assert capsys.readouterr().out.startswith(f"{len(names)} kernels are compiled (")
    assert kept() == dict.fromkeys(names, True)
    assert findings(capsys)["kernels"]["state"] == "ok"
