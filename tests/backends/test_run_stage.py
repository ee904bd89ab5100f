import pyarrow as pa
import pytest

from nemo_curator.backends.run_stage import run_chain, run_stage
from nemo_curator.ledger import counts
from nemo_curator.ledger.counts import StageCount
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import DocumentBatch, FailedTask, FileGroupTask, NoneTask


class Stage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """A stage of one function."""

    def __init__(self, function, *, name="it", row_wise=False, batch_size=1, columns=()):
        self.function, self.name, self.is_row_wise, self.batch_size = function, name, row_wise, batch_size
        self.columns = list(columns)

    def inputs(self):
        return ["data"], self.columns

    def process(self, batch):
        return self.function(batch)


def batch(*texts, task_id="0_p"):
    made = DocumentBatch.from_arrow(pa.table({"text": pa.array(texts, pa.string())}))
    made.task_id = task_id
    return made


def run(stage, *tasks):
    count = StageCount(stage.name)
    return list(run_stage(stage, list(tasks), count)), count


def fail_on(*bad):
    def check(one):
        for text in one.text("text").to_pylist():
            if text in bad:
                raise ValueError(f"{text} is bad")
        return one

    return check


def test_a_task_that_comes_out_alone_keeps_its_id():
    assert [made.task_id for made in run(Stage(lambda one: batch("new")), batch("a"))[0]] == ["0_p"]
    assert [made.task_id for made in run(Stage(lambda one: [batch("new")]), batch("a"))[0]] == ["0_p"]


def test_no_two_tasks_share_an_id_however_stages_fan_out():
    def twice(one):
        return [batch("x"), batch("y")]

    stages = [Stage(twice), Stage(lambda one: one), Stage(twice), Stage(twice)]
    made = list(run_chain(stages, [batch("a")], [StageCount("n") for _ in stages]))
    ids = [one.task_id for one in made]
    assert len(set(ids)) == len(ids) == 8
    assert ids[:2] == ["0_p", "0_p_0_0_1"]
    without = list(run_chain([stages[0], stages[2], stages[3]], [batch("a")], [StageCount("n") for _ in range(3)]))
    assert [one.task_id for one in without] == ids


def test_a_generator_streams_and_is_counted():
    def pieces(one):
        yield batch("a")
        yield batch("b", "c")

    made, count = run(Stage(pieces), batch("x"))
    assert [one.task_id for one in made] == ["0_p", "0_p_1"]
    assert (count.rows_in, count.rows_added, count.rows_out, count.imbalance) == (1, 2, 3, 0)


def test_results_go_down_the_chain_one_by_one():
    order = []

    def pieces(one):
        for text in ("a", "b"):
            order.append(f"make {text}")
            yield batch(text)

    def use(one):
        order.append(f"use {one.text('text').to_pylist()[0]}")
        return one

    list(run_chain([Stage(pieces), Stage(use)], [batch("x")], [StageCount("1"), StageCount("2")]))
    assert order == ["make a", "use a", "make b", "use b"]


def test_a_generator_that_raises_keeps_what_it_made():
    def pieces(one):
        yield batch("a")
        raise OSError("disk gone")

    made, count = run(Stage(pieces), FileGroupTask(data=["f"]))
    assert len(made) == 1
    assert dict(count.failed) == {"OSError": 1}
    assert count.imbalance == 0


def test_the_row_that_raises_is_set_aside_and_the_others_go_on():
    stage = Stage(fail_on("b", "d"), row_wise=True)
    made, count = run(stage, batch("a", "b", "c", "d", "e"))
    assert [one.text("text").to_pylist() for one in made] == [["a", "c", "e"]]
    assert dict(count.failed) == {"ValueError": 2}
    assert [failure.record for failure in count.failures] == ["{'text': 'b'}", "{'text': 'd'}"]
    assert (count.rows_in, count.rows_out, count.imbalance) == (5, 3, 0)
    assert made[0].task_id == "0_p"


def test_a_stage_that_sees_the_batch_as_a_whole_loses_it_as_a_whole():
    made, count = run(Stage(fail_on("b")), batch("a", "b", "c"))
    assert made == []
    assert (dict(count.failed), count.imbalance) == ({"ValueError": 3}, 0)


def test_drops_reported_by_an_attempt_that_failed_do_not_count():
    def drop_then_fail(one):
        counts.dropped("rule", 1)
        kept = one.slice(1, one.num_items - 1)
        return fail_on("c")(kept) if one.num_items > 1 else kept

    _, count = run(Stage(drop_then_fail, row_wise=True), batch("a", "b", "c"))
    assert count.imbalance == 0


@pytest.mark.parametrize("nothing", [None, NoneTask(), []])
def test_a_task_that_vanishes_is_counted_as_dropped(nothing):
    made, count = run(Stage(lambda one: nothing), batch("a", "b"))
    assert (made, dict(count.dropped), count.imbalance) == ([], {"it": 2}, 0)


def test_a_failed_task_is_counted_as_failed():
    made, count = run(Stage(lambda one: FailedTask()), batch("a", "b"))
    assert (made, count.rows_failed, count.imbalance) == ([], 2, 0)


def test_rows_that_a_users_stage_removes_are_counted_under_its_name():
    _, count = run(Stage(lambda one: one.slice(0, 1)), batch("a", "b", "c"))
    assert dict(count.dropped) == {"it": 2}


def test_something_else_than_a_task_is_an_error_that_names_the_stage():
    _, count = run(Stage(lambda one: "text", name="odd"), batch("a"))
    assert "odd returned str; wanted a task" in count.failures[0].message


def test_a_batch_without_the_column_is_set_aside_and_an_empty_one_passes_by():
    stage = Stage(lambda one: one, columns=["text"])
    made, count = run(stage, DocumentBatch.from_arrow(pa.table({"n": [1, 2]})))
    assert (made, count.rows_failed) == ([], 2)
    assert "needs ['text']; columns here: ['n']" in count.failures[0].message
    made, count = run(stage, DocumentBatch())
    assert (len(made), count.rows_failed) == (1, 0)


def test_several_tasks_are_processed_together_and_keep_their_ids():
    class Together(Stage):
        def process_batch(self, tasks):
            sizes.append(len(tasks))
            return tasks

    sizes = []
    tasks = [batch("a", task_id="0_1"), batch("b", task_id="0_2"), batch("c", task_id="0_3")]
    made = list(run_chain([Together(None, batch_size=2)], tasks, [StageCount("n")]))
    assert sizes == [2, 1]
    assert [one.task_id for one in made] == ["0_1", "0_2", "0_3"]


def test_one_bad_task_does_not_take_the_others_of_its_call_along():
    class Together(Stage):
        def process_batch(self, tasks):
            return [fail_on("b")(task) for task in tasks]

    made, count = run(Together(None, batch_size=3), batch("a"), batch("b"), batch("c"))
    assert [one.text("text").to_pylist() for one in made] == [["a"], ["c"]]
    assert count.rows_failed == 1


def test_tasks_carry_the_time_of_every_stage_they_passed():
    stages = [Stage(lambda one: one, name="one"), Stage(lambda one: batch("n"), name="two")]
    made = next(iter(run_chain(stages, [batch("a")], [StageCount("one"), StageCount("two")])))
    assert [perf.stage_name for perf in made._stage_perf] == ["one", "two"]
    assert made._stage_perf[0].num_items_processed == 1


def test_rows_that_a_generator_has_seen_and_not_yielded_are_lost_with_it():
    def read(one):
        counts.seen(2)
        yield batch("a", "b")
        counts.seen(3)
        counts.failed(ValueError("one"), source="here")
        raise OSError("gone")

    made, count = run(Stage(read), FileGroupTask("", ["a", "b"]))
    assert [one.num_items for one in made] == [2]
    assert (count.rows_in, count.rows_out, dict(count.failed)) == (5, 2, {"ValueError": 1, "OSError": 2})
    assert count.imbalance == 0


def test_a_service_that_does_not_answer_for_a_while_is_asked_again(monkeypatch):
    monkeypatch.setenv("CURATOR_RETRY_WAIT_S", "0.001")
    calls = []

    def ask(one):
        counts.dropped("rule", 1)
        calls.append(one.num_items)
        if len(calls) < 3:
            raise ConnectionResetError("busy")
        return one.slice(1, one.num_items - 1)

    made, count = run(Stage(ask, row_wise=True), batch("a", "b"))
    assert calls == [2, 2, 2]
    assert [one.num_items for one in made] == [1]
    assert (dict(count.dropped), count.imbalance) == ({"rule": 1}, 0)


def test_a_service_that_never_answers_for_one_row_costs_that_row(monkeypatch):
    monkeypatch.setenv("CURATOR_RETRY_WAIT_S", "0.001")
    calls = []

    def ask(one):
        calls.append(one.num_items)
        if "b" in one.text("text").to_pylist():
            raise TimeoutError("no answer")
        return one

    made, count = run(Stage(ask, row_wise=True), batch("a", "b", "c", "d"))
    assert calls == [4, 4, 4, 4, 2, 1, 1, 2]
    assert [one.text("text").to_pylist() for one in made] == [["a", "c", "d"]]
    assert dict(count.failed) == {"TimeoutError": 1}


def test_a_broken_picture_is_not_tried_again():
    calls = []

    def decode(one):
        calls.append(one)
        raise OSError("image file is truncated")

    run(Stage(decode), batch("a"))
    assert len(calls) == 1


def test_parts_of_a_batch_that_was_cut_keep_names_of_their_own_when_a_stage_makes_several_of_each():
    def two(one):
        return [one.slice(0, 1), one.slice(1, one.num_items - 1)]

    stages = [
        Stage(lambda one: [one.slice(0, 3), one.slice(3, one.num_items - 3)]),
        Stage(fail_on("b"), row_wise=True),
        Stage(two),
    ]
    counts_of = [StageCount("n") for _ in stages]
    made = list(run_chain(stages, [batch("a", "b", "c", "d", "e", "f")], counts_of))
    assert len({one.task_id for one in made}) == len(made) == 4
    assert sorted(text for one in made for text in one.text("text").to_pylist()) == ["a", "c", "d", "e", "f"]


def test_a_row_wise_stage_that_makes_several_batches_may_be_cut():
    def two(one):
        fail_on("b")(one)
        return [one, one.copy()]

    made, count = run(Stage(two, row_wise=True), batch("a", "b", "c", "d"))
    assert len({one.task_id for one in made}) == len(made)
    assert sum(one.num_items for one in made) == 6
    assert (count.rows_failed, count.imbalance) == (1, 0)


def test_what_an_attempt_has_changed_in_place_is_not_there_for_the_next(monkeypatch):
    monkeypatch.setenv("CURATOR_RETRY_WAIT_S", "0.001")
    calls = []

    def exclaim(one):
        frame = one.data
        frame["text"] += "!"
        calls.append(1)
        if len(calls) == 1:
            raise ConnectionResetError("busy")
        return one

    made, _ = run(Stage(exclaim), batch("a"))
    assert made[0].data["text"].tolist() == ["a!"]


class WrongInputs(Stage):
    """Says nonsense of what it reads."""

    def inputs(self):
        raise RuntimeError("no idea")


def test_a_stage_that_cannot_say_what_it_reads_costs_its_tasks():
    made, count = run(WrongInputs(lambda one: one), batch("a", "b"))
    assert (made, dict(count.failed), count.imbalance) == ([], {"RuntimeError": 2}, 0)


def test_a_row_that_arrow_does_not_know_fails_with_the_error_of_its_stage():
    import pandas as pd

    def fail(one):
        raise ValueError("the stage's own error")

    made, count = run(Stage(fail), DocumentBatch("d", pd.DataFrame({"thing": [object()]})))
    assert (made, dict(count.failed)) == ([], {"ValueError": 1})
