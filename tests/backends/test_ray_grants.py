import logging

import pytest

from nemo_curator.backends.ray_grants import Grant, Node, cut_to_fit, grant_alone, grant_together, tell_shortages
from nemo_curator.pipeline.plan import PhysicalStage
from nemo_curator.stages.function_decorators import processing_stage

SMALL = [Node("small", cpus=2)]
PAIR = [Node("one", cpus=4, gpus=1), Node("two", cpus=8)]


def stage(name="stage", num_workers=None, **resources):
    made = processing_stage(name=name, resources=resources or {"cpus": 1})(lambda task: task)
    return PhysicalStage(0, (made.with_(num_workers=num_workers),))


@pytest.mark.parametrize(
    ("resources", "nodes", "grant"),
    [
        ({"cpus": 1}, SMALL, Grant(1, 0, 2)),
        ({"cpus": 0.5}, SMALL, Grant(0.5, 0, 4)),
        ({"cpus": 0}, SMALL, Grant(0, 0, 2)),
        ({"cpus": 8}, SMALL, Grant(2, 0, 1)),
        ({"cpus": 1, "gpus": 1}, SMALL, Grant(2, 0, 1)),
        ({"cpus": 3}, PAIR, Grant(3, 0, 3)),
        ({"cpus": 1, "gpus": 0.5}, PAIR, Grant(1, 0.5, 2)),
        ({"cpus": 1, "gpus": 2}, PAIR, Grant(1, 1, 1)),
        ({"cpus": 6, "gpus": 1}, PAIR, Grant(4, 1, 1)),
        ({"cpus": 1, "gpu_memory_gb": 8}, PAIR, Grant(1, 1, 1)),
    ],
)
def test_a_stage_alone_gets_what_it_wants_as_far_as_it_is_there(resources, nodes, grant):
    assert grant_alone(stage(**resources), nodes) == grant


def test_a_fixed_number_of_workers_is_cut_to_what_fits(caplog):
    assert grant_alone(stage(), SMALL, workers=5) == Grant(1, 0, 2, is_fixed=True)
    assert "stage wants 5 workers; 2 fit" in caplog.text


def test_reserved_cpus_are_left_alone():
    assert grant_alone(stage(), PAIR, reserved_cpus=5).workers == 7
    assert grant_alone(stage(), SMALL, reserved_cpus=5).workers == 1


def test_stages_that_fit_get_what_they_want(caplog):
    grants = grant_together([stage(), stage(cpus=0.5)], SMALL, [None, None])
    assert [(grant.cpus, grant.workers) for grant in grants] == [(1, 1), (0.5, 2)]
    assert caplog.text == ""


def test_stages_that_do_not_fit_share_the_cpus(caplog):
    grants = grant_together([stage(), stage(cpus=2), stage()], SMALL, [None] * 3)
    assert [grant.cpus for grant in grants] == [0.5, 1, 0.5]
    assert len(caplog.records) == 1
    assert "3 stages want 4 CPUs at the same time; there are 2, so each gets 50 %" in caplog.text


def test_stages_that_fit_in_sum_but_on_no_machine_share_too():
    pair = [Node("one", cpus=2), Node("two", cpus=2)]
    assert [grant.cpus for grant in grant_together([stage(cpus=1.5)] * 2 + [stage()], pair, [None] * 3)] < [1.5, 1.5, 1]


def test_a_stage_that_wants_nothing_gets_next_to_nothing():
    assert grant_together([stage(cpus=0), stage()], SMALL, [None, None])[0] == Grant(0.01, 0, 1, is_fixed=True)


def test_all_workers_of_a_fixed_number_fit():
    one, many = grant_together([stage(), stage()], SMALL, [None, 4])
    assert (many.workers, many.is_fixed) == (4, True)
    assert one.cpus + 4 * many.cpus <= 2


def test_a_limit_of_workers_fixes_their_number_only_where_it_limits(caplog):
    caplog.set_level(logging.WARNING)
    assert grant_together([stage()], [Node("large", cpus=16)], [None], 4) == [Grant(1, 0, 4, is_fixed=True)]
    assert grant_together([stage()], SMALL, [None], 4) == [Grant(1, 0, 2)]


def test_stages_whose_gpus_are_not_there_at_once_run_in_turn():
    first, second, last = stage("first", gpus=1, cpus=1), stage("second", gpus=1, cpus=1), stage("last")
    assert cut_to_fit([first, second, last], PAIR) == [[first], [second, last]]
    assert cut_to_fit([first, second, last], SMALL) == [[first, second, last]]


def test_shortages_are_told_once_for_each_stage(caplog):
    tell_shortages([stage(), stage("many", cpus=64), stage("card", cpus=1, gpu_memory_gb=8)], SMALL)
    assert [record.getMessage() for record in caplog.records] == [
        "many wants 64 CPUs and 0 GPUs for a worker; no machine has them, so it gets 2 and 0",
        "card wants a GPU; there is none in the cluster, so it runs on CPUs",
    ]
