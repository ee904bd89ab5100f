"""The sample of the first ten minutes is what its script makes."""

import runpy
from pathlib import Path

START = Path(__file__).parents[2] / "tutorials/text/start"


def test_the_sample_is_what_its_script_makes(tmp_path):
    runpy.run_path(str(START / "make_sample.py"))["main"](tmp_path / "made")
    for path in (START / "stories").iterdir():
        assert (tmp_path / "made" / path.name).read_bytes() == path.read_bytes()
