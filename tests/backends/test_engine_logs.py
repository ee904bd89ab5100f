"""What an engine says of itself goes to a file of the run; what it says on the terminal are errors."""

import logging
import os
from pathlib import Path

import pytest

from nemo_curator.backends.engine_logs import engine_log, kept, only_lines_of_workers, stderr_to


@pytest.fixture
def library(capsys):
    """A logger with a handler of its own, as Ray has it, and one below it."""
    logger = logging.getLogger("a_library")
    logger.addHandler(logging.StreamHandler())
    before = logger.level, list(logger.handlers), logger.propagate
    yield logging.getLogger("a_library.part")
    assert (logger.level, logger.handlers, logger.propagate) == before
    logger.handlers.clear()


@pytest.mark.parametrize("has_file", [True, False])
def test_errors_are_shown_and_the_rest_is_kept(library, tmp_path, capsys, has_file):
    log = engine_log(tmp_path) if has_file else None
    with kept(log, "a_library"):
        library.info("a banner")
        library.warning("it will change")
        library.error("it is broken")
    assert capsys.readouterr().err == "it is broken\n"
    if log is not None:
        said = log.read_text().splitlines()
        assert [line.split(" ", 2)[2] for line in said] == [
            "INFO a_library.part: a banner",
            "WARNING a_library.part: it will change",
            "ERROR a_library.part: it is broken",
        ]


def test_everything_is_shown_where_it_is_wanted(library, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CURATOR_ENGINE_LOGS", "1")
    with kept(tmp_path / "log", "a_library"), stderr_to(tmp_path / "log"):
        library.warning("it will change")
    assert "it will change" in capsys.readouterr().err
    assert not (tmp_path / "log").exists()


def test_the_file_is_in_the_folder_of_the_run_on_this_machine():
    assert engine_log("/data/run") == Path("/data/run/logs/engine.log")
    assert engine_log("s3://bucket/run") is None
    assert engine_log(None) is None


def test_what_goes_by_no_logger_is_kept_for_a_while(tmp_path, capfd):
    with stderr_to(tmp_path / "log"):
        os.write(2, b"from C++\n")
    os.write(2, b"from a stage\n")
    assert (tmp_path / "log").read_text() == "from C++\n"
    assert capfd.readouterr().err == "from a stage\n"


@pytest.mark.ray
def test_lines_of_workers_are_shown_and_those_of_the_daemons_are_kept(tmp_path):
    from ray._private.worker import global_worker_stdstream_dispatcher as dispatcher

    shown = []
    dispatcher.add_handler("ray_print_logs", shown.append)
    worker, daemon = {"pid": 17, "lines": ["from a stage"]}, {"pid": "raylet", "lines": ["a worker", "has died"]}
    with kept(tmp_path / "log", "ray"), only_lines_of_workers():
        dispatcher.emit(worker)
        dispatcher.emit(daemon)
    dispatcher.emit(daemon)
    dispatcher.remove_handler("ray_print_logs")
    assert shown == [worker, daemon]
    assert "INFO ray: raylet: a worker\nhas died\n" in (tmp_path / "log").read_text()
