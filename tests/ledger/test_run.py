import pytest

from nemo_curator.errors import LedgerError, RunFailedError
from nemo_curator.ledger import counts
from nemo_curator.ledger.counts import SAMPLES, StageCount, counting, describe
from nemo_curator.ledger.run import Run


def count(**kwargs):
    made = StageCount("words")
    for name, value in kwargs.items():
        setattr(made, name, value)
    return made


def run(*stages, **kwargs):
    return Run("p", "LocalExecutor", list(stages), **kwargs)


def test_rows_that_are_unaccounted_for_fail_the_run():
    with pytest.raises(
        LedgerError, match="words: 3 rows in and 0 added, but 1 out, 0 dropped, 0 failed and 0 joined: 2 unaccounted"
    ):
        run(count(rows_in=3, rows_out=1)).check()


def test_a_partition_that_did_not_come_back_fails_the_run():
    with pytest.raises(LedgerError, match="3 source partitions went in, 2 came back"):
        run(partitions=3, partitions_done=2).check()


def test_failed_rows_fail_the_run_above_the_allowed_share():
    stage = count(rows_in=10, rows_out=9)
    stage.add_failure(describe("words", ValueError("bad"), source="f.jsonl", record="x"))
    with pytest.raises(
        RunFailedError,
        match=r"1 rows failed; what was written stays\.\n  words: ValueError: bad \(f.jsonl, record 'x'\)",
    ):
        run(stage).check()
    run(stage).check(max_failed_fraction=0.1)


def test_a_lost_partition_fails_the_run_whatever_share_is_allowed():
    failure = describe("words", RuntimeError("died"), source="0_1", rows=0)
    with pytest.raises(RunFailedError, match="0 rows and 1 of 2 source partitions failed"):
        run(partitions=2, partitions_done=1, failures=[failure]).check(max_failed_fraction=1.0)


def test_the_table_shows_what_each_filter_of_a_chain_dropped():
    stage = count(rows_in=5, rows_out=2)
    stage.dropped.update({"urls": 2, "digits": 1})
    title, line = run(stage).table().splitlines()
    assert title.split() == ["stage", "rows", "in", "rows", "out", "dropped", "failed", "seconds"]
    assert " ".join(line.split()) == "words 5 2 3 (2 urls, 1 digits) 0 0.00"
    assert run(stage).dropped() == {"urls": 2, "digits": 1}


def test_all_failures_are_counted_and_some_are_kept():
    stage = StageCount("s")
    for _ in range(SAMPLES + 5):
        stage.add_failure(describe("s", ValueError("x"), source="f"))
    assert (stage.rows_failed, len(stage.failures)) == (SAMPLES + 5, SAMPLES)


def test_outside_a_run_a_failure_raises_and_other_reports_are_ignored():
    counts.dropped("x", 1)
    counts.seen(1)
    counts.written(1)
    with pytest.raises(ValueError, match="bad"):
        counts.failed(ValueError("bad"), source="f")


def test_reports_go_to_the_count_that_is_open():
    outer, inner = StageCount("o"), StageCount("i")
    with counting(outer):
        counts.seen(2)
        with counting(inner):
            counts.written(3)
        counts.failed(ValueError("bad"), source="f", rows=4)
    assert (outer.rows_seen, outer.rows_failed, inner.rows_written) == (2, 4, 3)


def test_a_source_that_could_not_be_read_to_its_end_fails_the_run_whatever_share_is_allowed():
    stage = StageCount("reader")
    with counting(stage):
        counts.cut_short(OSError(5, "Input/output error"), source="f.jsonl")
    assert (stage.rows_seen, stage.unread, dict(stage.failed)) == (1, 1, {"OSError": 1})
    stage.rows_in = 1
    with pytest.raises(RunFailedError, match="1 rows failed; 1 sources could not be read to their end"):
        run(stage).check(max_failed_fraction=1.0)


def test_a_damaged_source_is_a_failure_like_others():
    stage = StageCount("reader")
    with counting(stage):
        counts.cut_short(ValueError("bad page"), source="f.parquet", rows=7)
    stage.rows_in = 7
    assert (stage.rows_seen, stage.unread, dict(stage.failed)) == (7, 0, {"ValueError": 7})
    run(stage).check(max_failed_fraction=1.0)


def test_errors_hold_no_password():
    failure = describe("s", ValueError("cannot open https://user:secret@host/x?y"), source="f")
    assert "secret" not in failure.message + failure.details
    assert "https://host/x" in failure.message
