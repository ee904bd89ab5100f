"""The figures of a run while it runs, and how they are written."""

import os
import time

import psutil
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import RunFailedError
from nemo_curator.ledger.counts import StageCount
from nemo_curator.ledger.progress import Progress
from nemo_curator.ledger.run import Run
from nemo_curator.pipeline import Pipeline
from nemo_curator.progress.figures import count_text, duration_text, rate_text, size_text, take
from nemo_curator.progress.words import line, summary, table
from nemo_curator.utils.memory_use import measure_tree


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (9_999_999, "9,999,999"),
        (10_000_000, "10.0M"),
        (999_949_999, "999.9M"),
        (999_950_000, "1.0G"),
        (10**18, "1000.0P"),
    ],
)
def test_counts_are_exact_below_ten_million(number, text):
    assert count_text(number) == text


@pytest.mark.parametrize(("rate", "text"), [(None, "-"), (0.04, "0.0"), (9.96, "10.0"), (999.4, "999"), (1500, "1.5k")])
def test_rates_are_short(rate, text):
    assert rate_text(rate) == text


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0:00:00"), (59.9, "0:00:59"), (3600 * 100 + 61, "100:01:01")])
def test_durations_are_hours_minutes_and_seconds(seconds, text):
    assert duration_text(seconds) == text


def test_sizes_are_in_binary_units():
    assert (size_text(5 << 20), size_text(3 << 29)) == ("5 MiB", "1.5 GiB")


@pytest.fixture
def progress():
    """A run of two stages and 10 partitions: 4 from before, 3 more in three seconds, one at work."""
    run = Run("books", "LocalExecutor", [StageCount("read"), StageCount("a_filter_with_quite_a_long_name_indeed")])
    run.partitions = 10
    progress = Progress(run)
    progress.begin_segment(range(2), False, 10, 4)
    for number in range(7):
        if number == 4:
            progress.begin_work()
        with progress.finishing(str(number)):
            run.add(str(number), counts_of_a_partition(run), 1)
    segment = progress.segments[0]
    segment.rated_from, segment.moved = time.monotonic() - 3.0, time.monotonic()
    progress.begin("0_7", "read + filter")
    return progress


def counts_of_a_partition(run):
    read = StageCount(run.stages[0].stage, rows_in=100, rows_out=100, items_out=100, tasks_out=1, bytes_in=10**6)
    kept = StageCount(run.stages[1].stage, rows_in=100, rows_out=60, items_in=100, tasks_in=1, tasks_out=1, seconds=1.0)
    kept.dropped["short"] = 39
    kept.failed["ValueError"] = 1
    return {0: read, 1: kept}


def test_partitions_from_before_are_done_and_no_part_of_a_rate(progress):
    figures = take(progress)
    assert (figures.done, figures.resumed, figures.partitions) == (7, 4, 10)
    assert figures.stages[0].rows_in == 700
    assert figures.stages[0].rows_per_second == pytest.approx(100, rel=0.01)
    assert figures.stages[0].bytes_per_second == pytest.approx(10**6, rel=0.01)
    assert figures.left == pytest.approx(3, abs=0.2)
    assert [stage.share for stage in figures.stages] == [0.0, 1.0]


@pytest.mark.parametrize("width", [77, 200])
def test_a_table_fits_into_the_terminal(progress, width):
    lines = table(take(progress), 3 << 29, width, 24).plain.splitlines()
    assert all(len(one) <= width for one in lines[1:4])
    assert lines[0] == "books on LocalExecutor"
    assert lines[1].split() == ["stage", "rows", "in", "rows", "out", "dropped", "failed", "rows/s", "MB/s", "time"]
    assert lines[3].split()[1:] == ["700", "420", "273", "7", "100", "-", "100%"]
    assert lines[4] == "7 of 10 partitions (70%), 4 from before, 0:00:00 so far, 0:00:02 left, 1.5 GiB"
    assert lines[5] == "1 at work, 0_7 for 0:00:00 in read + filter"


def test_of_many_stages_those_that_lost_most_are_shown():
    stages = [StageCount(f"stage_{place}", rows_in=10, rows_out=10) for place in range(40)]
    stages[30].dropped["x"] = 5
    stages[20].failed["OSError"] = 1
    progress = Progress(Run("many", "LocalExecutor", stages))
    progress.begin_segment(range(40), False, 1, 0)
    lines = table(take(progress), 0, 80, 10).plain.splitlines()
    assert len(lines) <= 10
    assert [one.split()[0] for one in lines[2:6]] == ["stage_0", "stage_1", "stage_20", "stage_30"]
    assert lines[6] == "and 36 stages that dropped less"


def test_it_is_said_since_when_nothing_has_come_back(progress):
    assert "nothing" not in line(take(progress), 0)
    progress.segments[0].moved -= 125
    progress.segments[0].rated_from -= 125
    assert "nothing has come back for 0:02:05" in line(take(progress), 0)
    assert "nothing has come back for 0:02:05; 1 at work" in table(take(progress), 0, 80, 24).plain


def test_what_is_left_of_a_run_is_a_line(progress):
    progress.end()
    assert summary(take(progress)) == (
        "books: 700 rows in, 420 out, 273 dropped, 7 failed, 100 rows/s; 10 partitions in 0:00:00"
    )
    interrupted = summary(take(progress), "KeyboardInterrupt")
    assert interrupted.endswith("7 of 10 partitions in 0:00:00, ended by KeyboardInterrupt")


def test_before_the_input_is_known_that_is_what_is_said():
    assert table(take(Progress(Run("books", "LocalExecutor"))), 0, 80, 24).plain == (
        "books on LocalExecutor\nlooking for what there is to do, 0:00:00"
    )


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_run_tells_of_its_failures_and_leaves_nobody_at_work(num_workers, batches, halve):
    executor = LocalExecutor(num_workers=num_workers)
    with pytest.raises(RunFailedError):
        Pipeline("p", stages=[halve("not a number")]).run(executor, batches(3))
    figures = take(executor.progress)
    assert (figures.done, figures.working, figures.stages[0].failed) == (3, (), 12)
    assert executor.progress.error is None  # the run itself came to its end


def test_resumed_partitions_of_a_real_run_are_told(batches, halve, tmp_path):
    executor = LocalExecutor(num_workers=0)
    for resumed in (0, 3):
        Pipeline("p", stages=[halve()]).run(executor, batches(3), checkpoint_path=tmp_path)
        figures = take(executor.progress)
        assert (figures.done, figures.resumed, figures.stages[0].rows_in) == (3, resumed, 12)
    assert figures.stages[0].rows_per_second is None


def test_the_memory_of_a_process_is_measured():
    resident = psutil.Process().memory_info().rss
    assert 0.5 * resident < measure_tree(os.getpid()) < 20 * resident
